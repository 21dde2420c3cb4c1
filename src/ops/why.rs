//! `GET /v1/why`: why the next line of a host waits, or where a line is and why it waits.

use std::sync::Arc;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Serialize;

use super::answer::{Answer, Failure, json};
use super::causes::CauseShown;
use super::fields::Fields;
use super::host_name::host;
use super::hosts::unanswered;
use super::line_names::{Gone, gone, named};
use super::moment::Since;
use super::overrides::{self, OverrideShown};
use super::state::ApiState;
use crate::hosts::without_port;
use crate::pipeline::{Desk, View};
use crate::schedule::{HostWhy, LineAnswer, LineKey};
use crate::units::counted;

/// The response about a host or a line.
#[derive(Default, Serialize)]
struct Why {
    /// Where a line is; absent for a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
    /// The number of the line among all accepted ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u32>,
    /// Lines of the host that start before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_ahead: Option<usize>,
    /// The ordinal of the line whose record must come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u64>,
    #[serde(flatten)]
    since: Option<Since>,
    /// All causes that hold the line back now.
    causes: Vec<CauseShown>,
    /// The overrides of the host and of the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<OverrideShown>,
    message: String,
}

/// The fields are `host`, or `seq` with `source` and `file`, or `ordinal`.
pub(super) async fn why(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    match asked(Fields::of_query(uri.query())?)? {
        Asked::Host(name) => {
            let why = why_host(api.parts.desk.get()?, name).await?;
            let overrides = overrides::of_host(&api.parts.status.view(), why.host.as_ref());
            let view = api.parts.status.view().clone();
            Ok(json(&Why { overrides, ..why }.with_overrides().with_window(&view)))
        }
        Asked::Line(key) => {
            let desk = api.parts.desk.get()?;
            let key = named(key, &api.parts.status.sources())?;
            let answer = desk.why_line(key.clone()).await.map_err(unanswered)?;
            Ok(json(&match answer {
                LineAnswer::NotHere => of_gone(gone(&key, &api.parts.status.sources()), &api.parts.status.view()),
                answer => of_line(answer),
            }))
        }
    }
}

/// The subject of a question.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Host(Arc<str>),
    Line(LineKey),
}

fn asked(mut fields: Fields) -> Result<Asked, Failure> {
    let name = fields.text("host")?.map(host).transpose()?;
    let (source, file) = (fields.text("source")?, fields.text("file")?);
    let (seq, ordinal) = (fields.number("seq", 1, u64::MAX)?, fields.number("ordinal", 0, u64::MAX)?);
    fields.end()?;
    match (name, seq, ordinal) {
        (Some(name), None, None) if source.is_none() && file.is_none() => Ok(Asked::Host(name.into())),
        (None, Some(seq), None) => {
            Ok(Asked::Line(LineKey::Identity { source: source.map(Into::into), file: file.map(Into::into), seq }))
        }
        (None, None, Some(ordinal)) if source.is_none() && file.is_none() => Ok(Asked::Line(LineKey::Ordinal(ordinal))),
        _ => Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "ask for one host with `host`, or for one line with `seq` and, if it has them, `source` and `file`",
        )),
    }
}

/// Why a host waits. A name with a port is also tried without it.
async fn why_host(desk: &Desk, name: Arc<str>) -> Result<Why, Failure> {
    if let Some(why) = desk.why(Arc::clone(&name)).await.map_err(unanswered)? {
        return Ok(of_host(why));
    }
    if let Some(known_as) = without_port(&name)
        && let Some(why) = desk.why(Arc::from(known_as)).await.map_err(unanswered)?
    {
        let why = of_host(why);
        return Ok(Why { message: format!("The run tracks this host as {known_as}. {}", why.message), ..why });
    }
    let message = format!("{name} has no waiting line.");
    Ok(Why { host: Some(name), waiting: Some(0), message, ..Why::default() })
}

impl Why {
    /// Adds overrides to the message if no causes show them.
    fn with_overrides(mut self) -> Self {
        if self.waiting == Some(0) {
            let sentences = self.overrides.iter().map(|one| format!(" {}", one.message()));
            self.message.extend(sentences);
        }
        self
    }

    /// Says of a host without lines that its lines may wait for room in the window.
    fn with_window(mut self, view: &View) -> Self {
        if self.waiting == Some(0) && view.is_window_full() {
            self.message.push_str(" The window is full, so its lines may wait to be accepted (queue.window).");
        }
        self
    }
}

fn of_gone(gone: Gone, view: &View) -> Why {
    match gone {
        Gone::Unread if view.is_window_full() => {
            place("unread", "The source has not read the line, because the window is full (queue.window).")
        }
        Gone::Unread => place("unread", "The source has not read such a line so far."),
        Gone::NotAccepted => place("unread", "The source has not accepted such a line so far."),
        Gone::InJournal { ahead } => {
            let behind = counted(ahead, "line");
            place(
                "in_journal",
                &format!(
                    "The line waits in the journal of its source for room in the window (queue.window), behind {behind}."
                ),
            )
        }
        Gone::Recorded => place("recorded", "The line is done: it has its record, or is blank and gets none."),
        Gone::Unknown => place("not_here", "The line is not in the run: it has its record, or was not read yet."),
    }
}

fn of_host(HostWhy { host, causes, waiting, in_flight }: HostWhy) -> Why {
    let lines = counted(waiting as u64, "line");
    let verb = if waiting == 1 { "waits" } else { "wait" };
    let message = match causes.len() {
        _ if waiting == 0 => format!("{host} has no waiting line."),
        0 => format!("{lines} of {host} {verb} only for a turn among other lines."),
        _ => format!("{lines} of {host} {verb} for:"),
    };
    let causes = CauseShown::all(&causes);
    Why { host: Some(host), waiting: Some(waiting), in_flight: Some(in_flight), causes, message, ..Why::default() }
}

fn of_line(answer: LineAnswer) -> Why {
    match answer {
        LineAnswer::Queued => place("queued", "The line was accepted, and is queued for the schedule."),
        LineAnswer::Waiting { ordinal, host, causes, ahead } => {
            let before = match ahead {
                0 => "The line is the next one of its host".to_owned(),
                n => format!("The line waits behind {} of its host", counted(n as u64, "line")),
            };
            let message = if causes.is_empty() {
                format!("{before}, and waits only for a turn among other lines.")
            } else {
                format!("{before}, which waits for:")
            };
            let causes = CauseShown::all(&causes);
            Why { host, ordinal: Some(ordinal), lines_ahead: Some(ahead), causes, ..place("waiting", &message) }
        }
        LineAnswer::OnTheWire { ordinal, host, since } => {
            let since = Some(Since::ago(since));
            let message = format!("The line's request to {host} is on the wire.");
            Why { host: Some(host), ordinal: Some(ordinal), since, ..place("on_the_wire", &message) }
        }
        LineAnswer::HeldForOrder { behind } => {
            let message = format!(
                "The line is done, and its record waits for the record of the line with the ordinal {behind} (output.order)."
            );
            Why { behind: Some(behind), ..place("held_for_order", &message) }
        }
        LineAnswer::ReadBySource => {
            place("read_by_source", "The line is done; its source reads the response before a sink gets the record.")
        }
        LineAnswer::WaitingForSink => {
            place("waiting_for_sink", "The line is done, and a sink has not taken its record yet.")
        }
        LineAnswer::NotHere => of_gone(Gone::Unknown, &View::default()),
    }
}

fn place(place: &'static str, message: &str) -> Why {
    Why { place: Some(place), message: message.to_owned(), ..Why::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_about_a_host_or_a_line() {
        let asked = |text| Fields::of_query(Some(text)).and_then(asked).map_err(|failure| failure.message);
        assert_eq!(asked("host=A.test"), Ok(Asked::Host("a.test".into())));
        assert_eq!(asked("ordinal=0"), Ok(Asked::Line(LineKey::Ordinal(0))));
        let key = LineKey::Identity { source: Some("urls".into()), file: None, seq: 17 };
        assert_eq!(asked("source=urls&seq=17"), Ok(Asked::Line(key)));
        for text in
            ["", "source=urls", "host=a&seq=1", "host=a&source=b", "seq=0", "seq=x", "line=1", "ordinal=1&seq=1"]
        {
            assert!(asked(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_without_lines_may_wait_for_room_in_the_window() {
        let view = |in_window| View { in_window, window: 100, ..View::default() };
        let why =
            |waiting, in_window| Why { waiting: Some(waiting), ..Why::default() }.with_window(&view(in_window)).message;
        assert!(why(0, 100).contains("queue.window"));
        assert_eq!((why(0, 99), why(1, 100)), (String::new(), String::new()));
    }
}
