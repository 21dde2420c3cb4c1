//! What a request is answered: JSON with what was accepted, or with why it was not, as whole sentences with the fix in them.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::memory::MOST_BYTES;
use crate::journal::BatchKey;
use crate::units::in_bytes;

/// A batch that was accepted, and lasts; without lines when it had none.
pub(super) type Lines = Option<RangeInclusive<u64>>;

/// What becomes of a batch.
pub(super) type Verdict = Result<Lines, Refusal>;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    /// Nothing is at this path.
    NotFound(String),
    /// This path takes another method.
    Method(&'static str),
    /// The body did not come in time.
    TooSlow,
    /// The body ended before its end.
    CutShort(String),
    TooLarge,
    /// This type has no lines.
    Type(String),
    /// Which coding is not read.
    Coding(String),
    /// Why the body cannot be decoded.
    Undecodable(String),
    /// The body has this coding, and is said to have none.
    Undeclared(&'static str),
    /// The key is none.
    Key,
    /// Another body was sent under this key before.
    KeyReused,
    /// This is no range of lines.
    Range(String),
    /// These lines were not accepted; the last that was.
    NotAccepted(u64),
    /// Where there is no room.
    Full(String),
    /// Other bodies have all memory.
    Busy,
    /// The run is about to end.
    Stopping,
    /// Why the journal cannot be written.
    Broken(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) | Self::NotAccepted(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Type(_) | Self::Coding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CutShort(_) | Self::Undecodable(_) | Self::Undeclared(_) | Self::Key | Self::Range(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full(_) | Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound(_) => "not_found",
            Self::Method(_) => "method_not_allowed",
            Self::TooSlow => "timeout",
            Self::CutShort(_) => "body_incomplete",
            Self::TooLarge => "body_too_large",
            Self::Type(_) => "unsupported_type",
            Self::Coding(_) => "unsupported_coding",
            Self::Undecodable(_) | Self::Undeclared(_) => "decode",
            Self::Key => "invalid_key",
            Self::KeyReused => "key_reused",
            Self::Range(_) => "invalid_range",
            Self::NotAccepted(_) => "not_accepted",
            Self::Full(_) => "full",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Broken(_) => "broken",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Unauthorized => "the token is missing or wrong; send it as `Authorization: Bearer TOKEN`".to_owned(),
            Self::NotFound(path) => {
                format!("there is nothing at {path}; send lines with POST to /v1/lines, or ask for them at /v1/lines/FIRST-LAST")
            }
            Self::Method(allowed) => format!("this path takes {allowed} alone; with curl, add `-X {allowed}`"),
            Self::TooSlow => "the request did not come in time; send it faster, or raise `timeout` of the source".to_owned(),
            Self::CutShort(error) => format!("the body ended early ({error}), so nothing of it was accepted; send it again"),
            Self::TooLarge => {
                let most = in_bytes(MOST_BYTES as u64);
                format!("the lines of a request can have {most} after decoding; send them in several requests")
            }
            Self::Type(name) => format!(
                "a body of the type `{name}` is not read; send one URL or JSON object a line as `Content-Type: application/x-ndjson` (with curl: -T FILE -X POST, as --data removes line ends)"
            ),
            Self::Coding(name) => format!("the content coding {name} is not read; send identity, gzip or zstd"),
            Self::Undecodable(error) => {
                format!("the body is not what its Content-Encoding says ({error}), so nothing of it was accepted; mend the one or the other")
            }
            Self::Undeclared(coding) => format!(
                "the body is {coding}, and its head does not say so; add the header `Content-Encoding: {coding}`"
            ),
            Self::Key => format!(
                "an Idempotency-Key is one value of 1 to {} visible ASCII characters without spaces; send for example a UUID",
                BatchKey::LONGEST
            ),
            Self::KeyReused => {
                "other lines were accepted under this Idempotency-Key before; send new lines with a new key".to_owned()
            }
            Self::Range(text) => {
                format!("`{text}` is no range of lines; write the first and the last number, for example /v1/lines/1-100")
            }
            Self::NotAccepted(last) => format!("lines up to {last} were accepted; ask for these"),
            Self::Full(lack) => format!("{lack}; nothing of the request was accepted: send it again later"),
            Self::Busy => "other requests have all memory for bodies; send this one again later".to_owned(),
            Self::Stopping => "fetchd is about to stop; nothing of the request was accepted, unless an answer with 202 was lost: send it again with its key".to_owned(),
            Self::Broken(why) => format!("{why}; nothing of the request was accepted, and fetchd ends"),
        }
    }

    /// A header that says more.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let header = |name, value| Some((name, HeaderValue::from_static(value)));
        match self {
            Self::Unauthorized => header(WWW_AUTHENTICATE, "Bearer"),
            Self::Method(allowed) => header(ALLOW, allowed),
            Self::Coding(_) => header(ACCEPT_ENCODING, "gzip, zstd"),
            Self::Busy => header(RETRY_AFTER, "1"),
            Self::Full(_) | Self::Stopping => header(RETRY_AFTER, "5"),
            _ => None,
        }
    }

    /// The answer.
    pub fn response(&self) -> Response<Full<Bytes>> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            kind: &'a str,
            message: String,
        }
        let error = Error { kind: self.kind(), message: self.message() };
        let mut response = json(self.status(), &Body { error });
        response.headers_mut().extend(self.header());
        response
    }
}

/// The answer to a batch that was accepted.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    pub state_id: &'a str,
    pub source: &'a str,
    pub first: Option<u64>,
    pub last: Option<u64>,
}

/// How many of these lines are done, and how many are not.
#[derive(Serialize)]
pub(super) struct Progress<'a> {
    pub state_id: &'a str,
    pub source: &'a str,
    pub first: u64,
    pub last: u64,
    pub done: u64,
    pub pending: u64,
}

/// An answer with this body, and an LF for those who read it in a terminal.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // These structs have nothing that JSON cannot say.
    let mut text = serde_json::to_vec(body).unwrap_or_default();
    text.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
