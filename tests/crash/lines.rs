//! The lines that are fed, and what comes of them. A line that is fetched again may end otherwise.

use std::sync::Arc;

use bytes::Bytes;
use fetchd::item::{
    Body, Echo, ErrorKind, Freshness, Head, Identity, Outcome, Received, Record, Rejection, Response, Text, parse,
};
use http::{Method, StatusCode};

/// The source's name.
pub const SOURCE: &str = "in";

/// A source that is not remembered, and writes to the same outputs.
pub const STRAY: &str = "stray";

/// What the producer writes as its line of this number. Some are longer than a sector, and many have the same length, so
/// that a record may end where an older one begins.
pub fn text(seq: u64) -> String {
    let rest = if seq.is_multiple_of(5) { 700 } else { 30 };
    format!("http://h.test/{seq}?{}", "x".repeat(rest))
}

/// The record of a line of this state, fetched in a life of the program.
pub fn record(seq: u64, line: &Text, life: u64, state_id: &Arc<str>) -> Record {
    let id =
        Identity { state_id: Some(Arc::clone(state_id)), source: Some(Arc::from(SOURCE)), file: None, seq, round: 0 };
    let Text::Whole(bytes) = line else {
        let rejection = Rejection { kind: ErrorKind::JournalDamaged, message: "lost".into() };
        return Record::rejected(id, Echo::text(""), rejection);
    };
    let (echo, request) = parse(bytes);
    let is_ok = !(seq * 7 + life * 3).is_multiple_of(3) || seq.is_multiple_of(4);
    Record {
        id,
        echo,
        url: request.ok().map(|request| request.url),
        final_url: None,
        method: Method::GET,
        outcome: if is_ok { Outcome::Ok } else { Outcome::HttpError },
        received: Received::Response(Box::new(response(
            seq,
            if is_ok { StatusCode::OK } else { StatusCode::NOT_FOUND },
        ))),
        freshness: Freshness::Unknown,
        hop_status: None,
        attempts: 1,
        hops: Vec::new(),
        times: fetchd::item::Times::default(),
        error: (!is_ok).then(|| (ErrorKind::HttpStatus, "not found".into())),
        page: None,
    }
}

/// A record of the source that is not remembered.
pub fn stray(seq: u64) -> Record {
    let record = record(seq, &Text::Whole(text(seq).into()), 0, &Arc::from("none"));
    Record { id: Identity { source: Some(Arc::from(STRAY)), state_id: None, ..record.id }, ..record }
}

fn response(seq: u64, status: StatusCode) -> Response {
    let data = "body ".repeat(seq as usize % 7 * 20);
    Response {
        head: Head::new(status),
        body: Body { bytes: data.len() as u64, data: Bytes::from(data), ..Body::default() },
    }
}
