//! The response that a line keeps until a probe shows whether its host's token or the line was refused.

use bytes::Bytes;

use crate::item::{Attempt, Body, Head, Response};

/// The most bytes of such a response. It is a copy that holds no body memory, and there are never more of them than
/// requests on the wire at once.
const MOST_KEPT: usize = 4 << 10;

/// Copies a small response, so that it holds no body memory; `None` if it is larger.
pub(super) fn small(attempt: Attempt) -> Option<Attempt> {
    let Attempt::Response(response) = attempt else { return None };
    let Response { body, head } = *response;
    let fields = head.headers.iter().flatten().map(|(_, value)| 64 + value.len());
    if body.data.len() + fields.sum::<usize>() > MOST_KEPT {
        return None;
    }
    let body = Body { data: Bytes::copy_from_slice(&body.data), ..body };
    Some(Attempt::Response(Box::new(Response { body, head: Head { reservation: None, ..head } })))
}
