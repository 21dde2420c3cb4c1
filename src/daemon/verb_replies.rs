//! The replies to operators' verbs: whole sentences, with warnings of likely mistakes.

use std::time::Duration;

use serde_json::{Map, json};

use crate::error::BoxError;
use crate::ops::{Lasting, Refusal, Reply, Whom};
use crate::pipeline::NoAnswer;
use crate::schedule::{Change, HostOverrides, LimitsOverride, Overrides, Scope};
use crate::telemetry::{pause_sentence, skip_sentence};
use crate::units::{Span, counted, grouped};

/// Whether the schedule has lines of the host that a verb names. The run counts as having lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The host has lines; the number of those that wait.
    WithLines(usize),
    /// No line of the host waits or is on the wire.
    WithoutLines,
}

impl Known {
    /// The lines of the host that wait.
    pub fn waiting(&self) -> usize {
        match self {
            Self::WithLines(waiting) => *waiting,
            Self::WithoutLines => 0,
        }
    }

    /// A warning that the name of the host may be wrong.
    fn doubt(&self, host: &str) -> Option<String> {
        match self {
            Self::WithLines(_) => None,
            Self::WithoutLines => {
                Some(format!("No line of {host} waits now. That is right for lines to come; otherwise check the name."))
            }
        }
    }
}

/// The reply to a pause.
pub(super) fn paused(whom: &Whom, lasting: Lasting, known: &Known) -> Reply {
    let end = match lasting {
        Lasting::UntilCleared => "until it is resumed".to_owned(),
        Lasting::For(time) => format!("for {}", Span(time)),
    };
    let Whom::Host(host) = whom else {
        return said(format!("The run is paused {end}: no request starts, and those on the wire finish."));
    };
    let mut reply = said(format!("{host} is paused {end}: no request of it starts, and those on the wire finish."));
    if let Known::WithLines(held) = known {
        reply.facts.insert("held".to_owned(), json!(held));
        let lines = counted(*held as u64, "line");
        reply.warnings.push(format!(
            "The lines of {host} keep their places in the window, {lines} so far; once they fill it, no more lines of any host are accepted (fetchd ctl skip {host} ends them unsent)."
        ));
    }
    reply.warnings.extend(known.doubt(host));
    reply
}

/// The reply to the end of a pause; `overrides` are those still in force.
pub(super) fn resumed(whom: &Whom, overrides: &Overrides) -> Reply {
    match whom {
        Whom::Host(host) if overrides.all.pause.is_some() => {
            said(format!("{host} is not paused any more, but the run is: fetchd ctl resume."))
        }
        Whom::Host(host) => said(format!("{host} goes on.")),
        Whom::All => match paused_hosts(overrides) {
            Some(hosts) => said(format!("The run goes on, except for {hosts}: fetchd ctl resume HOST.")),
            None => said("The run goes on."),
        },
    }
}

/// The hosts that are paused, if any are.
fn paused_hosts(overrides: &Overrides) -> Option<String> {
    const SHOWN: usize = 10;
    let paused = || overrides.hosts.iter().filter(|(_, host)| host.pause.is_some()).map(|(name, _)| &**name);
    let shown = paused().take(SHOWN).collect::<Vec<_>>().join(", ");
    match paused().count() {
        0 => None,
        all if all > SHOWN => Some(format!("{shown} and {} more", all - SHOWN)),
        _ => Some(shown),
    }
}

/// The reason why there is nothing to undo, as a clause.
pub(super) fn nothing_to_undo(change: &Change, overrides: &Overrides) -> String {
    let whom = |scope: &Scope| match scope {
        Scope::All => "the run".to_owned(),
        Scope::Host(host) => host.to_string(),
    };
    match (change, paused_hosts(overrides)) {
        (Change::Resume(Scope::All), Some(hosts)) => {
            format!("the run is not paused; paused hosts: {hosts} (fetchd ctl resume HOST)")
        }
        (Change::Resume(scope @ Scope::Host(_)), _) if overrides.all.pause.is_some() => {
            format!("{} is not paused, but the run is: fetchd ctl resume", whom(scope))
        }
        (Change::Resume(scope), _) => format!("{} is not paused", whom(scope)),
        (Change::ClearLimits(scope), _) => format!("{} has no limits by an operator", whom(scope)),
        (Change::EndSkip(host), _) => format!("new lines of {host} are not skipped"),
        _ => "there is no such override".to_owned(),
    }
}

/// The reply to a skip of `lines` waiting lines, and of new ones for a time.
pub(super) fn skipped(host: &str, lines: usize, lasting: Option<Duration>, known: &Known) -> Reply {
    let ended = match lines {
        0 => format!("No line of {host} waited"),
        1 => format!("The line of {host} that waited ends unsent as `skipped`"),
        lines => format!("{} lines of {host} that waited end unsent as `skipped`", grouped(lines as u64)),
    };
    let mut reply = match (lasting, lines) {
        (None, _) => said(format!(
            "{ended}. Lines that wait in the journal, or come later, are fetched; --for TIME skips them, too."
        )),
        (Some(time), 0) => said(format!("{ended}; those that come within {} end unsent as `skipped`.", Span(time))),
        (Some(time), _) => said(format!("{ended}, and so do those that come within {}.", Span(time))),
    };
    reply.facts.insert("skipped".to_owned(), json!(lines));
    // `lines` includes the lines of its ports that are hosts of their own.
    if lines == 0 {
        reply.warnings.extend(known.doubt(host));
    }
    reply
}

/// The reply to a skip for a time, if the number of waiting lines is unknown.
pub(super) fn skips(host: &str, time: Duration) -> Reply {
    said(format!("Lines of {host} end unsent as `skipped` for {}, those that wait included.", Span(time)))
}

/// The reply to limits that an operator has set or cleared: everything now in force for the host or run.
pub(super) fn limited(whom: &Whom, overrides: &Overrides, now: Duration, known: &Known) -> Reply {
    let (subject, of, holds) = match whom {
        Whom::All => ("The run", "the run", Some(&overrides.all)),
        Whom::Host(host) => (host.as_str(), host.as_str(), overrides.hosts.get(host.as_str())),
    };
    let limits = holds.map(HostOverrides::limits).unwrap_or_default();
    let mut message = match limits.is_empty() {
        true => format!("The limits of the configuration hold for {of} again."),
        false => {
            let all: Vec<_> = limits.into_iter().map(|limits| clause(limits, now)).collect();
            format!("The limits of {of} are {}.", all.join(", and "))
        }
    };
    if let Some(holds) = holds {
        let pause = holds.pause.map(|pause| pause_sentence(subject, pause, now));
        let skip = holds.skip.map(|skip| skip_sentence(subject, skip, now));
        pause.into_iter().chain(skip).for_each(|sentence| message.push_str(&format!(" {sentence}")));
    }
    let mut reply = said(message);
    if let Whom::Host(host) = whom {
        reply.warnings.extend(known.doubt(host));
    }
    reply
}

/// Limits with their end, as a clause.
fn clause(LimitsOverride { rate, concurrency, until }: LimitsOverride, now: Duration) -> String {
    let rate = rate.map(|rate| format!("rate {rate}"));
    let concurrency = concurrency.map(|concurrency| format!("concurrency {concurrency}"));
    let limits = rate.into_iter().chain(concurrency).collect::<Vec<_>>().join(" and ");
    match until.map(|until| until.saturating_sub(now)) {
        None => format!("{limits} until they are cleared"),
        // The remaining time of an earlier verb is rounded to seconds.
        Some(left) if left > Duration::from_secs(10) => {
            let left = Span(Duration::from_secs(left.as_secs_f64().round() as u64));
            format!("{limits} for {left}, then those of the configuration")
        }
        Some(left) => format!("{limits} for {}, then those of the configuration", Span(left)),
    }
}

/// The reply to a drain, which cancels `canceled` lines that operators have paused.
pub(super) fn drained(canceled: usize) -> Reply {
    let mut reply = said(
        "The run takes no more lines. It finishes those on the wire, and those of sources that are not durable, within shutdown.grace.",
    );
    if canceled > 0 {
        let lines = counted(canceled as u64, "line");
        reply.warnings.push(format!("{lines} that operators have paused are canceled."));
    }
    reply
}

/// A reply of one sentence.
pub(super) fn said(message: impl Into<String>) -> Reply {
    Reply { message: message.into(), warnings: Vec::new(), kept: None, facts: Map::new() }
}

/// The refusal when the schedule did not answer.
pub(super) fn no_answer(why: NoAnswer) -> Refusal {
    match why {
        NoAnswer::Busy => {
            Refusal::TryAgain("The schedule has too many other questions; try again in a moment.".to_owned())
        }
        NoAnswer::Ended => ended(),
    }
}

/// The refusal when the schedule did not take a change, but the data directory still has it.
pub(super) fn not_taken_back(why: NoAnswer, error: &BoxError) -> Refusal {
    let why = match why {
        NoAnswer::Busy => "The schedule has too many other questions",
        NoAnswer::Ended => "The run has ended",
    };
    Refusal::Refused(format!(
        "{why}, and the change could not be reverted in the data directory: {error}. It is in force from the next start on, unless another change replaces it."
    ))
}

/// The refusal of a verb that came after the end of the run.
pub(super) fn ended() -> Refusal {
    Refusal::Unavailable("The run has ended.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::PauseOverride;

    const NOW: Duration = Duration::from_secs(100);

    fn with(changes: impl IntoIterator<Item = Change>) -> Overrides {
        changes.into_iter().fold(Overrides::default(), |now, change| now.apply(change, 8, NOW).unwrap())
    }

    fn a() -> Scope {
        Scope::Host("a.test".into())
    }

    #[test]
    fn the_reply_to_limits_has_all_that_holds_each_with_its_own_end() {
        let until = |seconds| Some(NOW + Duration::from_secs(seconds));
        let concurrency = LimitsOverride { concurrency: Some(2), until: until(600), ..LimitsOverride::default() };
        let rate = LimitsOverride { rate: "5/s".parse().ok(), until: None, ..LimitsOverride::default() };
        let pause = Change::Pause(a(), until(60));
        let overrides = with([pause, Change::Limit(a(), concurrency), Change::Limit(a(), rate)]);
        let whom = Whom::Host("a.test".to_owned());
        let reply = limited(&whom, &overrides, NOW, &Known::WithLines(3));
        assert_eq!(
            reply.message,
            "The limits of a.test are rate 5/s until they are cleared, and concurrency 2 for 10m, then those of the \
             configuration. a.test is paused by an operator for another 1m."
        );
        let cleared = with([]);
        let reply = limited(&whom, &cleared, NOW, &Known::WithLines(3));
        assert_eq!(reply.message, "The limits of the configuration hold for a.test again.");
        assert_eq!(reply.warnings, Vec::<String>::new());
    }

    #[test]
    fn who_resumes_the_run_is_told_which_hosts_are_still_paused() {
        let overrides = with([Change::Pause(a(), None), Change::Pause(Scope::Host("b.test".into()), None)]);
        let why = nothing_to_undo(&Change::Resume(Scope::All), &overrides);
        assert_eq!(why, "the run is not paused; paused hosts: a.test, b.test (fetchd ctl resume HOST)");
        let reply = resumed(&Whom::All, &overrides);
        assert_eq!(reply.message, "The run goes on, except for a.test, b.test: fetchd ctl resume HOST.");
        let mut run = with([]);
        run.all.pause = Some(PauseOverride { until: None });
        let why = nothing_to_undo(&Change::Resume(a()), &run);
        assert_eq!(why, "a.test is not paused, but the run is: fetchd ctl resume");
        assert_eq!(nothing_to_undo(&Change::ClearLimits(a()), &run), "a.test has no limits by an operator");
    }

    #[test]
    fn a_verb_for_a_host_without_lines_asks_whether_the_name_is_right() {
        let (whom, unknown) = (Whom::Host("a.test".to_owned()), Known::WithoutLines);
        let replies = [
            paused(&whom, Lasting::UntilCleared, &unknown),
            skipped("a.test", 0, Some(Duration::from_secs(3600)), &unknown),
            limited(&whom, &with([]), NOW, &unknown),
        ];
        for reply in &replies {
            assert_eq!(
                reply.warnings,
                ["No line of a.test waits now. That is right for lines to come; otherwise check the name."],
                "{}",
                reply.message
            );
        }
        assert_eq!(replies[1].message, "No line of a.test waited; those that come within 1h end unsent as `skipped`.");
        let known = Known::WithLines(2);
        let said = [(1, None), (2, None), (2, Some(Duration::from_secs(60)))]
            .map(|(lines, lasting)| skipped("a.test", lines, lasting, &known).message);
        let later = "Lines that wait in the journal, or come later, are fetched; --for TIME skips them, too.";
        assert_eq!(said[0], format!("The line of a.test that waited ends unsent as `skipped`. {later}"));
        assert_eq!(said[1], format!("2 lines of a.test that waited end unsent as `skipped`. {later}"));
        assert!(said[2].ends_with("end unsent as `skipped`, and so do those that come within 1m."), "{}", said[2]);
    }
}
