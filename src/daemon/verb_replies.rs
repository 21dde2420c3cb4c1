//! What operators are told when a verb has been carried out: whole sentences, and what they may not have meant.

use std::time::Duration;

use serde_json::{Map, json};

use crate::error::BoxError;
use crate::ops::{Lasting, LimitsChange, Refusal, Reply, Whom};
use crate::pipeline::NoAnswer;
use crate::units::{Span, counted};

/// A pause; `held` are the lines that wait at the host.
pub(super) fn paused(whom: &Whom, lasting: Lasting, held: Option<usize>) -> Reply {
    let end = match lasting {
        Lasting::UntilCleared => "until it is resumed".to_owned(),
        Lasting::For(time) => format!("for {}", Span(time)),
    };
    let mut reply = match whom {
        Whom::All => said(format!("The run is paused {end}: nothing starts, and what is on the wire finishes.")),
        Whom::Host(host) => {
            said(format!("{host} is paused {end}: nothing of it starts, and what is on the wire finishes."))
        }
    };
    match (whom, held) {
        (Whom::All, _) => {}
        (Whom::Host(host), None) => reply.warnings.push(format!("No line of {host} waits now; is the name right?")),
        (Whom::Host(host), Some(held)) => {
            reply.facts.insert("held".to_owned(), json!(held));
            let lines = counted(held as u64, "line");
            reply.warnings.push(format!(
                "The lines of {host} keep their places in the window, {lines} so far; once they fill it, all hosts wait (`skip` ends them unsent)."
            ));
        }
    }
    reply
}

/// The end of a pause.
pub(super) fn resumed(whom: &Whom) -> Reply {
    match whom {
        Whom::All => said("The run goes on."),
        Whom::Host(host) => said(format!("{host} goes on.")),
    }
}

/// So many lines were skipped, and those that come are for this time.
pub(super) fn skipped(host: &str, lines: usize, lasting: Option<Duration>) -> Reply {
    let ended = match lines {
        0 => format!("No line of {host} waited"),
        lines => format!("{} of {host} that waited end unsent as `skipped`", counted(lines as u64, "line")),
    };
    let mut reply = match lasting {
        None => said(format!("{ended}.")),
        Some(time) => said(format!("{ended}; those that come within {} do, too.", Span(time))),
    };
    reply.facts.insert("skipped".to_owned(), json!(lines));
    reply
}

/// Lines of a host are skipped for this time, those that wait included.
pub(super) fn skips(host: &str, time: Duration) -> Reply {
    said(format!("Lines of {host} end unsent as `skipped` for {}, those that wait included.", Span(time)))
}

/// Limits that an operator has set, or taken back.
pub(super) fn limited(whom: &Whom, limits: LimitsChange) -> Reply {
    let of = match whom {
        Whom::All => "the run",
        Whom::Host(host) => host.as_str(),
    };
    let LimitsChange::Set { rate, concurrency, lasting } = limits else {
        return said(format!("The limits of the configuration hold for {of} again."));
    };
    let rate = rate.map(|rate| format!("rate {rate}"));
    let concurrency = concurrency.map(|concurrency| format!("concurrency {concurrency}"));
    let limits = rate.into_iter().chain(concurrency).collect::<Vec<_>>().join(" and ");
    let end = match lasting {
        Lasting::UntilCleared => "until they are cleared".to_owned(),
        Lasting::For(time) => format!("for {}", Span(time)),
    };
    said(format!("The limits of {of} are {limits} {end}."))
}

/// A drain has begun, which cancels so many lines that operators have paused.
pub(super) fn drained(canceled: usize) -> Reply {
    let mut reply = said("The run takes no more lines and finishes what it has, within shutdown.grace.");
    if canceled > 0 {
        let lines = counted(canceled as u64, "line");
        reply.warnings.push(format!("{lines} that operators have paused are canceled."));
    }
    reply
}

/// A reply that is one sentence.
pub(super) fn said(message: impl Into<String>) -> Reply {
    Reply { message: message.into(), warnings: Vec::new(), kept: None, facts: Map::new() }
}

/// Why the schedule did not answer.
pub(super) fn no_answer(why: NoAnswer) -> Refusal {
    match why {
        NoAnswer::Busy => {
            Refusal::TryAgain("The schedule has other questions to answer; try again in a moment.".to_owned())
        }
        NoAnswer::Ended => ended(),
    }
}

/// The schedule did not take a change, and the data directory has it all the same.
pub(super) fn not_taken_back(why: NoAnswer, error: &BoxError) -> Refusal {
    let why = match why {
        NoAnswer::Busy => "The schedule has other questions to answer",
        NoAnswer::Ended => "The run has ended",
    };
    Refusal::Refused(format!(
        "{why}, and the change could not be taken back from the data directory: {error}. It holds from the next start on, unless another takes its place."
    ))
}

/// It came too late.
pub(super) fn ended() -> Refusal {
    Refusal::Refused("The run has ended.".to_owned())
}
