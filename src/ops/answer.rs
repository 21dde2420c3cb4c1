//! What the API answers: JSON of a bounded length, and errors that are whole sentences.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// The longest answer, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// Why a request is not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub status: StatusCode,
    /// A whole sentence that says what to do.
    pub message: String,
}

impl Failure {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request says something that is wrong.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The word for it, by which programs decide.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            StatusCode::CONFLICT => "refused",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::TOO_MANY_REQUESTS => "try_again",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "internal",
        }
    }
}

/// What a handler answers.
pub(super) type Answer = Result<Response, Failure>;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Said<'a>,
}

#[derive(Serialize)]
struct Said<'a> {
    kind: &'a str,
    message: &'a str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response =
            json_with(self.status, &Envelope { error: Said { kind: self.kind(), message: &self.message } });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

/// An answer with this status.
pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    let failed = |message| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response();
    let Ok(mut text) = serde_json::to_vec(value) else {
        return failed("the answer cannot be written as JSON; this is a defect of fetchd".to_owned());
    };
    text.push(b'\n');
    if text.len() > MOST_BYTES {
        return failed(format!(
            "the answer has {} bytes, more than the API sends; ask for less with `limit`",
            text.len()
        ));
    }
    typed(status, "application/json", text)
}

/// An answer of another type than JSON.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
