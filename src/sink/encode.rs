//! From a record to its JSON line. The order of the fields below is the order of the keys.

use std::time::Duration;

use base64::Engine;
use http::HeaderMap;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use url::Url;

use super::Wanted;
use crate::item::{Answer, EchoInput, Hop, Outcome, Record, compact};

/// How bodies are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// `json` if the type says JSON and it is valid, else as `text` does.
    #[default]
    Auto,
    /// `body` if it is UTF-8, else as `base64` does.
    Text,
    /// `body_base64`
    Base64,
    /// Not at all.
    None,
}

/// What all sinks of a run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// How bodies are shown.
    pub body: Body,
    /// When the run started: what the records' times are counted from.
    pub epoch: jiff::Timestamp,
}

/// Turns the records that one sink wants into lines.
#[derive(Debug)]
pub struct Encoder {
    epoch: jiff::Timestamp,
    body: Body,
    wanted: Wanted,
}

impl Encoder {
    /// An encoder for a sink; `body` overrides the style's.
    pub fn new(style: Style, wanted: Wanted, body: Option<Body>) -> Self {
        Self { epoch: style.epoch, body: body.unwrap_or(style.body), wanted }
    }

    /// How bodies are shown.
    pub fn body(&self) -> Body {
        self.body
    }

    /// Whether records of this outcome are wanted.
    pub fn takes(&self, outcome: Outcome) -> bool {
        self.wanted.takes(outcome)
    }

    /// Appends the record's line, if the record is wanted.
    ///
    /// # Errors
    /// Never for a record as the pipeline makes them: writing to memory does not fail.
    pub fn encode(&self, record: &Record, out: &mut Vec<u8>) -> serde_json::Result<()> {
        if self.takes(record.outcome) {
            serde_json::to_writer(&mut *out, &self.row(record))?;
            out.push(b'\n');
        }
        Ok(())
    }

    fn row<'a>(&self, record: &'a Record) -> Row<'a> {
        let answer = record.answer.as_deref();
        let times = &record.times;
        let (input, input_bytes) = match &record.echo.input {
            EchoInput::Text(text) => (Input::Text(text), None),
            EchoInput::Object(raw) => (Input::Object(raw), None),
            EchoInput::Cut(text, bytes) => (Input::Text(text), Some(*bytes)),
        };
        let sent = record.attempts > 0;
        let mut row = Row {
            seq: record.id.seq,
            source: record.id.source.as_deref(),
            file: record.id.file.as_deref(),
            journal: record.id.journal.as_deref(),
            id: record.echo.id.as_deref(),
            input,
            input_bytes,
            url: record.url.as_ref().map(Url::as_str),
            final_url: record.final_url.as_ref().map(Url::as_str),
            method: Some(record.method.as_str()).filter(|method| *method != "GET"),
            outcome: record.outcome.name(),
            status: answer.map(|answer| answer.status).or(record.hop_status).map(|status| status.as_u16()),
            http: answer.map(|answer| if answer.version == http::Version::HTTP_2 { "2" } else { "1.1" }),
            ip: answer.and_then(|answer| answer.ip),
            headers: answer.and_then(|answer| answer.headers.as_ref()).map(Headers),
            content_type: answer.and_then(|answer| answer.content_type.as_deref()),
            content_length: answer.and_then(|answer| answer.content_length),
            bytes: answer.map(|answer| answer.body.bytes),
            sha256: answer.and_then(|answer| answer.body.sha256.as_ref()).map(|digest| hex(digest)),
            truncated: answer.filter(|answer| answer.body.truncated).map(|_| "length"),
            attempts: Some(record.attempts).filter(|attempts| *attempts > 0),
            hops: record.hops.iter().map(Redirect::of).collect(),
            started: times.started.filter(|_| sent).map(|started| self.timestamp(started)),
            elapsed_ms: sent.then(|| millis(times.elapsed)),
            wait_ms: sent.then(|| millis(times.elapsed.saturating_sub(times.wire))),
            ttfb_ms: answer.map(|answer| millis(answer.ttfb)),
            error: record.error.as_ref().map(|(kind, message)| Error { kind: kind.name(), message }),
            json: None,
            body: None,
            body_base64: None,
            meta: record.echo.meta.as_deref(),
        };
        if let Some(answer) = answer {
            self.show_body(answer, &mut row);
        }
        row
    }

    /// Fills in one of the three keys that a body can have.
    fn show_body<'a>(&self, answer: &'a Answer, row: &mut Row<'a>) {
        match shown(&answer.body.data, answer.content_type.as_deref(), self.body) {
            Shown::Nothing => {}
            Shown::Json(json) => row.json = Some(json),
            Shown::Text(text) => row.body = Some(text),
            Shown::Base64(text) => row.body_base64 = Some(text),
        }
    }

    fn timestamp(&self, since_start: Duration) -> String {
        let at = jiff::SignedDuration::try_from(since_start).ok().and_then(|span| self.epoch.checked_add(span).ok());
        format!("{:.3}", at.unwrap_or(self.epoch))
    }
}

/// A body as a record has it.
pub(super) enum Shown<'a> {
    Nothing,
    Json(Box<RawValue>),
    Text(&'a str),
    Base64(String),
}

/// Shows a body of this type.
pub(super) fn shown<'a>(data: &'a [u8], content_type: Option<&str>, body: Body) -> Shown<'a> {
    let text = match body {
        Body::None => return Shown::Nothing,
        Body::Base64 => None,
        Body::Auto | Body::Text => std::str::from_utf8(data).ok(),
    };
    let is_json = body == Body::Auto && content_type.is_some_and(says_json);
    match (text.filter(|_| is_json).and_then(compact), text) {
        (Some(json), _) => Shown::Json(json),
        (None, Some(text)) => Shown::Text(text),
        (None, None) => Shown::Base64(base64::engine::general_purpose::STANDARD.encode(data)),
    }
}

/// `application/json`, `text/json` and anything `+json` (RFC 6839), parameters aside.
fn says_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "application/json" | "text/json") || media_type.ends_with("+json")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[derive(Serialize)]
struct Row<'a> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    input: Input<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hops: Vec<Redirect<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttfb_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

enum Input<'a> {
    Text(&'a str),
    Object(&'a RawValue),
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => to.serialize_str(text),
            Self::Object(raw) => raw.serialize(to),
        }
    }
}

#[derive(Serialize)]
struct Error<'a> {
    kind: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Redirect<'a> {
    url: &'a str,
    status: u16,
}

impl<'a> Redirect<'a> {
    fn of(hop: &'a Hop) -> Self {
        Self { url: hop.url.as_str(), status: hop.status.as_u16() }
    }
}

/// Response headers: a string each, or an array of strings where a name comes more than once.
struct Headers<'a>(&'a HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            let values: Vec<_> =
                self.0.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            match values.as_slice() {
                [one] => map.serialize_entry(name.as_str(), one)?,
                many => map.serialize_entry(name.as_str(), many)?,
            }
        }
        map.end()
    }
}
