//! Serializes a record to its JSON line, key by key in a fixed order. There is no derive because half of the keys
//! depend on the outcome or the configuration.

use std::time::Duration;

use base64::Engine;
use http::HeaderMap;
use jiff::fmt::temporal::DateTimePrinter;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use url::Url;

use super::json_writer::JsonWriter;
use super::line_breaks::escape_line_breaks;
use super::{Content, Wanted};
use crate::item::{EchoInput, Freshness, Head, Hop, Outcome, Record, Times, WaitedFor, compact, header_text, to_hex};

/// RFC 3339 with milliseconds.
const TIMESTAMPS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The format of bodies in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// `json` if the type is JSON and the body valid, else `text`.
    #[default]
    Auto,
    /// `body` if the body is UTF-8, else `base64`.
    Text,
    /// `body_base64`
    Base64,
    /// No body.
    None,
}

/// The settings that all sinks of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The content of records.
    pub content: Content,
    /// The start of the run; times in records are relative to it.
    pub epoch: jiff::Timestamp,
}

/// Encodes the records of one sink as JSON lines.
#[derive(Debug)]
pub struct Encoder {
    epoch: jiff::Timestamp,
    content: Content,
    wanted: Wanted,
}

impl Encoder {
    /// An encoder for a sink; `body` overrides the style's format.
    pub fn new(style: Style, wanted: Wanted, body: Option<BodyFormat>) -> Self {
        let content = Content { body: body.unwrap_or(style.content.body), ..style.content };
        Self { epoch: style.epoch, content, wanted }
    }

    /// The format of bodies.
    pub fn body(&self) -> BodyFormat {
        self.content.body
    }

    /// Whether the sink writes records with this outcome.
    pub fn takes(&self, outcome: Outcome) -> bool {
        self.wanted.takes(outcome)
    }

    /// Appends the record's line, if the sink writes records with its outcome.
    ///
    /// # Errors
    /// Never for a record of the pipeline: writing to memory does not fail.
    pub fn encode(&self, record: &Record, out: &mut Vec<u8>) -> serde_json::Result<()> {
        if self.takes(record.outcome) {
            let start = out.len();
            let mut line = JsonWriter::begin(out);
            self.put_line(record, &mut line)?;
            line.end();
            escape_line_breaks(out, start);
            out.push(b'\n');
        }
        Ok(())
    }

    fn put_line(&self, record: &Record, line: &mut JsonWriter<'_>) -> serde_json::Result<()> {
        put_input(record, line)?;
        line.put_some("url", record.url.as_ref().map(Url::as_str))?;
        line.put_some("final_url", record.final_url.as_ref().map(Url::as_str))?;
        line.put_some("method", Some(record.method.as_str()).filter(|method| *method != "GET"))?;
        line.put("outcome", record.outcome.name())?;
        let (head, body) = (record.received.head(), record.received.body());
        line.put_some("status", head.map(|head| head.status).or(record.hop_status).map(|status| status.as_u16()))?;
        if let Some(head) = head {
            self.put_head(head, line)?;
        }
        self.put_size(record, line)?;
        line.put_some("attempts", Some(record.attempts).filter(|attempts| *attempts > 0))?;
        if !record.hops.is_empty() {
            line.put("hops", &record.hops.iter().map(Redirect::of).collect::<Vec<_>>())?;
        }
        if record.attempts > 0 {
            self.put_times(&record.times, line)?;
        }
        line.put_some("waited_for", record.times.waited_for.map(WaitedFor::name))?;
        line.put_some("ttfb_ms", head.map(|head| millis(head.ttfb)))?;
        line.put_some("error", record.error.as_ref().map(|(kind, message)| Error { kind: kind.name(), message }))?;
        line.put_some("page", record.page.as_ref())?;
        let content_type = head.and_then(|head| head.content_type.as_deref());
        match body.map_or(Shown::Nothing, |body| shown(&body.data, content_type, self.content.body)) {
            Shown::Nothing => {}
            Shown::Json(json) => line.put("json", &json)?,
            Shown::Text(text) => line.put_text("body", text),
            Shown::Base64(text) => line.put("body_base64", &text)?,
        }
        line.put_some("meta", record.echo.meta.as_deref())
    }

    /// Writes the response head without its status.
    fn put_head(&self, head: &Head, line: &mut JsonWriter<'_>) -> serde_json::Result<()> {
        line.put("http", version(head.version))?;
        line.put_some("ip", head.ip)?;
        line.put_some("headers", head.headers.as_ref().filter(|_| self.content.headers).map(Headers))?;
        line.put_some("content_type", head.content_type.as_deref())?;
        line.put_some("content_length", head.content_length)?;
        line.put_some("content_encoding", head.content_encoding.as_deref())?;
        line.put_some("etag", head.etag.as_deref())?;
        line.put_some("last_modified", head.last_modified.as_deref())?;
        line.put_some("reused", head.reused.then_some(true))
    }

    /// Writes the size and digest of the body, and whether it changed, even if the body itself is left out.
    fn put_size(&self, record: &Record, line: &mut JsonWriter<'_>) -> serde_json::Result<()> {
        let (body, freshness) = (record.received.body(), record.freshness);
        let sha256 = match freshness {
            Freshness::Unchanged { sha256 } => sha256,
            Freshness::Unknown if !self.content.digest => None,
            Freshness::Unknown | Freshness::Changed => body.and_then(|body| body.sha256),
        };
        line.put_some("bytes", body.map(|body| body.bytes))?;
        line.put_some("sha256", sha256.map(|digest| to_hex(&digest)))?;
        line.put_some("truncated", body.filter(|body| body.truncated).map(|_| "length"))?;
        line.put_some("unchanged", freshness.is_unchanged().then_some(true))
    }

    fn put_times(&self, times: &Times, line: &mut JsonWriter<'_>) -> serde_json::Result<()> {
        if let Some(started) = times.started {
            let out = line.key("started");
            out.push(b'"');
            // Writing to a `Vec` does not fail.
            let _ = TIMESTAMPS.print_timestamp(&self.timestamp(started), &mut *out);
            out.push(b'"');
        }
        line.put("elapsed_ms", &millis(times.elapsed))?;
        line.put("wait_ms", &millis(times.elapsed.saturating_sub(times.wire)))
    }

    fn timestamp(&self, since_start: Duration) -> jiff::Timestamp {
        let at = jiff::SignedDuration::try_from(since_start).ok().and_then(|span| self.epoch.checked_add(span).ok());
        at.unwrap_or(self.epoch)
    }
}

/// The HTTP version of the response head; the client treats unknown versions as 1.1.
fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_09 => "0.9",
        _ => "1.1",
    }
}

/// Writes the identity of the line, and the input.
fn put_input(record: &Record, line: &mut JsonWriter<'_>) -> serde_json::Result<()> {
    line.put("seq", &record.id.seq)?;
    line.put_some("source", record.id.source.as_deref())?;
    line.put_some("file", record.id.file.as_deref())?;
    line.put_some("state_id", record.id.state_id.as_deref())?;
    line.put_some("round", Some(record.id.round).filter(|round| *round > 0))?;
    line.put_some("id", record.echo.id.as_deref())?;
    match &record.echo.input {
        EchoInput::Text(text) => line.put("input", text),
        EchoInput::Object(raw) => line.put("input", raw),
        EchoInput::Cut(cut) => {
            line.put("input", &cut.head)?;
            line.put("input_bytes", &cut.bytes)
        }
    }
}

/// A body as it appears in a record.
enum Shown<'a> {
    Nothing,
    Json(Box<RawValue>),
    Text(&'a str),
    Base64(String),
}

/// Formats a body of this content type.
fn shown<'a>(data: &'a [u8], content_type: Option<&str>, body: BodyFormat) -> Shown<'a> {
    let text = match body {
        BodyFormat::None => return Shown::Nothing,
        BodyFormat::Base64 => None,
        BodyFormat::Auto | BodyFormat::Text => std::str::from_utf8(data).ok(),
    };
    let is_json = body == BodyFormat::Auto && content_type.is_some_and(says_json);
    match (text.filter(|_| is_json).and_then(compact), text) {
        (Some(json), _) => Shown::Json(json),
        (None, Some(text)) => Shown::Text(text),
        (None, None) => Shown::Base64(base64::engine::general_purpose::STANDARD.encode(data)),
    }
}

/// Whether the media type is `application/json`, `text/json` or `*+json` (RFC 6839).
fn says_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "application/json" | "text/json") || media_type.ends_with("+json")
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
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

/// Response headers: a string each, or an array of strings if a name is repeated.
struct Headers<'a>(&'a HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            let values: Vec<_> = self.0.get_all(name).iter().map(|value| header_text(value.as_bytes())).collect();
            match values.as_slice() {
                [one] => map.serialize_entry(name.as_str(), one)?,
                many => map.serialize_entry(name.as_str(), many)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, StatusCode, header};

    use super::*;
    use crate::item::{Body, Echo, ErrorKind, Identity, RawJson, Received, Rejection, Response};

    const EPOCH: &str = "2026-05-04T03:02:01.5Z";

    fn line(record: &Record, body: BodyFormat) -> String {
        let content = Content { body, headers: true, digest: true };
        let style = Style { content, epoch: EPOCH.parse().unwrap() };
        let mut out = Vec::new();
        Encoder::new(style, Wanted::All, None).encode(record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn identity() -> Identity {
        Identity { state_id: Some("j".into()), source: Some("s".into()), file: Some("f".into()), seq: 7, round: 2 }
    }

    /// A record with every key.
    fn full() -> Record {
        let raw = |text: &str| Some(RawValue::from_string(text.to_owned()).unwrap());
        let mut headers = HeaderMap::new();
        headers.append(header::VIA, HeaderValue::from_static("a"));
        headers.append(header::VIA, HeaderValue::from_static("b"));
        let head = Head {
            ip: Some("192.0.2.1".parse().unwrap()),
            content_type: Some("application/json".into()),
            content_length: Some(9),
            content_encoding: Some("x".into()),
            etag: Some("W/\"é\"".into()),
            last_modified: Some("d".into()),
            reused: true,
            headers: Some(headers),
            ttfb: Duration::from_micros(1_500),
            ..Head::new(StatusCode::NOT_FOUND)
        };
        let body = Body { data: b"[1, 2]".as_slice().into(), bytes: 6, sha256: Some([0xa5; 32]), truncated: true };
        Record {
            id: identity(),
            echo: Echo { id: raw("[7]"), meta: raw("{\"k\":1.0}"), ..Echo::cut(b"http://a.t\"", 99) },
            url: "http://a.test/".parse().ok(),
            final_url: "http://b.test/".parse().ok(),
            method: Method::POST,
            outcome: Outcome::HttpError,
            received: Received::Response(Box::new(Response { head, body })),
            freshness: Freshness::Unchanged { sha256: Some([0xa5; 32]) },
            hop_status: None,
            attempts: 2,
            hops: vec![Hop { url: "http://a.test/".parse().unwrap(), method: Method::POST, status: StatusCode::FOUND }],
            times: Times {
                started: Some(Duration::from_millis(600)),
                elapsed: Duration::from_micros(20_250),
                wire: Duration::from_millis(20),
                waited_for: Some(WaitedFor::HostRate),
            },
            error: Some((ErrorKind::HttpStatus, "not \"there\"".to_owned())),
            page: RawJson::of(&["p"]).ok(),
        }
    }

    #[test]
    fn keys_come_in_the_order_that_is_promised() {
        let digest = "a5".repeat(32);
        let head = r#"{"seq":7,"source":"s","file":"f","state_id":"j","round":2,"id":[7],"input":"http://a.t\"","input_bytes":99,"#;
        let response = r#""url":"http://a.test/","final_url":"http://b.test/","method":"POST","outcome":"http_error","status":404,"http":"1.1","ip":"192.0.2.1","headers":{"via":["a","b"]},"content_type":"application/json","content_length":9,"content_encoding":"x","etag":"W/\"é\"","last_modified":"d","reused":true,"bytes":6,"#;
        let times = r#""truncated":"length","unchanged":true,"attempts":2,"hops":[{"url":"http://a.test/","status":302}],"started":"2026-05-04T03:02:02.100Z","elapsed_ms":20.25,"wait_ms":0.25,"waited_for":"host_rate","ttfb_ms":1.5,"error":{"kind":"http_status","message":"not \"there\""},"page":["p"],"#;
        for (style, body) in [
            (BodyFormat::Auto, r#""json":[1,2],"#),
            (BodyFormat::Text, r#""body":"[1, 2]","#),
            (BodyFormat::Base64, r#""body_base64":"WzEsIDJd","#),
            (BodyFormat::None, ""),
        ] {
            let expected = format!("{head}{response}\"sha256\":\"{digest}\",{times}{body}\"meta\":{{\"k\":1.0}}}}\n");
            assert_eq!(line(&full(), style), expected);
        }
    }

    #[test]
    fn a_rejected_line_says_who_it_was_and_why() {
        let rejection = Rejection { kind: ErrorKind::InvalidUrl, message: "so it is".to_owned() };
        let id = Identity { state_id: None, source: None, file: None, seq: 1, round: 0 };
        let record = Record::rejected(id, Echo::text("a\tb"), rejection);
        let expected =
            r#"{"seq":1,"input":"a\tb","outcome":"rejected","error":{"kind":"invalid_url","message":"so it is"}}"#;
        assert_eq!(line(&record, BodyFormat::Auto), format!("{expected}\n"));
    }
}
