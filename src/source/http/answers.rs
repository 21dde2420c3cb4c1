//! Responses in JSON: the lines that were accepted, or the reason of a refusal as a sentence with the fix.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::memory::MOST_BYTES;
use crate::journal::BatchKey;
use crate::units::in_bytes;

/// The line numbers of an accepted batch; `None` if it had no lines.
pub(super) type Lines = Option<RangeInclusive<u64>>;

/// The result of a batch.
pub(super) type BatchResult = Result<Lines, Refusal>;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    /// The path does not exist.
    NotFound(String),
    /// The path allows only this method.
    Method(&'static str),
    /// The body did not arrive in time.
    TooSlow,
    /// The connection ended within the body.
    CutShort(String),
    TooLarge,
    /// This content type is not supported.
    Type(String),
    /// This content coding is not supported.
    Coding(String),
    /// The body cannot be decoded, for this reason.
    Undecodable(String),
    /// The body has this coding without a Content-Encoding.
    Undeclared(&'static str),
    /// The idempotency key is invalid.
    Key,
    /// Another body was sent with this key before.
    KeyReused,
    /// This is not a range of lines.
    Range(String),
    /// Some of the lines were not accepted; the last accepted line.
    NotAccepted(u64),
    /// The journal or its disk is full: a clause about it.
    Full(String),
    /// Other bodies use all memory.
    Busy,
    /// The run is ending.
    Stopping,
    /// Writing the journal failed, for this reason.
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
                format!("there is nothing at {path}; send lines with POST to /v1/lines, or GET /v1/lines/FIRST-LAST for their progress")
            }
            Self::Method(allowed) => format!("this path allows only {allowed}; with curl, add `-X {allowed}`"),
            Self::TooSlow => "the request did not arrive in time; send it faster, or raise `timeout` of the source".to_owned(),
            Self::CutShort(error) => format!("the body ended early ({error}), and no line was accepted; send it again"),
            Self::TooLarge => {
                let most = in_bytes(MOST_BYTES as u64);
                format!("the lines of a request can have {most} after decoding; send them in several requests")
            }
            Self::Type(name) => format!(
                "the content type `{name}` is not supported; send one URL or JSON object a line as `Content-Type: application/x-ndjson` (with curl: -T FILE -X POST, because --data removes line ends)"
            ),
            Self::Coding(name) => format!("the content coding {name} is not supported; send identity, gzip or zstd"),
            Self::Undecodable(error) => {
                format!("the body does not match its Content-Encoding ({error}), and no line was accepted; correct one of them")
            }
            Self::Undeclared(coding) => format!(
                "the body is {coding} without a Content-Encoding; add the header `Content-Encoding: {coding}`"
            ),
            Self::Key => format!(
                "an Idempotency-Key is one value of 1 to {} visible ASCII characters without spaces; send for example a UUID",
                BatchKey::LONGEST
            ),
            Self::KeyReused => {
                "other lines were accepted with this Idempotency-Key before; send new lines with a new key".to_owned()
            }
            Self::Range(text) => {
                format!("`{text}` is not a range of lines; write the first and the last number, for example /v1/lines/1-100")
            }
            Self::NotAccepted(last) => format!("only lines up to {last} were accepted; ask for these"),
            Self::Full(lack) => format!("{lack}; no line was accepted: send the request again later"),
            Self::Busy => "other requests use all memory for bodies; send this one again later".to_owned(),
            Self::Stopping => "fetchd is stopping; no line was accepted, unless a 202 response was lost: send the request again with its key".to_owned(),
            Self::Broken(why) => format!("{why}; no line was accepted, and fetchd ends"),
        }
    }

    /// The header that belongs to the status.
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

    /// The HTTP response.
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

/// The response to an accepted batch.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    pub state_id: &'a str,
    pub source: &'a str,
    pub first: Option<u64>,
    pub last: Option<u64>,
}

/// The response to `GET /v1/lines/FIRST-LAST`.
#[derive(Serialize)]
pub(super) struct Progress<'a> {
    pub state_id: &'a str,
    pub source: &'a str,
    pub first: u64,
    pub last: u64,
    pub done: u64,
    pub pending: u64,
}

/// A response with this body and an LF, for terminals.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // Serializing these structs cannot fail.
    let mut text = serde_json::to_vec(body).unwrap_or_default();
    text.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
