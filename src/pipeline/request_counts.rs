//! Counts of requests by status class, and their durations. The scheduler counts each completion.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::item::{Attempt, REQUEST_TIMES, Sent, SharedDurations};

/// The status class of a request's response, or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestClass {
    /// A response of 1xx.
    Informational,
    /// A whole response of 2xx.
    Success,
    /// A whole response of 3xx.
    Redirect,
    /// A whole response of 4xx.
    ClientError,
    /// A whole response of 5xx, or with a status beyond it.
    ServerError,
    /// No whole response.
    Error,
}

impl RequestClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Informational, Self::Success, Self::Redirect, Self::ClientError, Self::ServerError, Self::Error];

    /// The value of the class in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Error => "error",
        }
    }

    /// The class of an attempt; `None` if no request was sent, or if it starts over uncharged.
    fn of(attempt: &Attempt) -> Option<Self> {
        let head = match attempt {
            Attempt::Response(response) => &response.head,
            Attempt::Redirect(head) => head,
            Attempt::Failed(failure) => {
                let left = !matches!(failure.sent, Sent::Refused | Sent::Starved);
                return left.then_some(Self::Error);
            }
            Attempt::NoMemory { .. } | Attempt::Canceled => return None,
        };
        Some(match head.status.as_u16() {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirect,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        })
    }
}

/// Counts and durations of the requests of a run.
#[derive(Debug)]
pub struct RequestCounts {
    classes: [AtomicU64; RequestClass::ALL.len()],
    body_bytes: AtomicU64,
    /// From the start of a request to the first byte of its response.
    pub ttfb: SharedDurations,
    /// From the first byte of a response to the end of its body; whole responses only.
    pub body: SharedDurations,
}

impl Default for RequestCounts {
    fn default() -> Self {
        let (ttfb, body) = (SharedDurations::new(&REQUEST_TIMES), SharedDurations::new(&REQUEST_TIMES));
        Self { classes: Default::default(), body_bytes: AtomicU64::default(), ttfb, body }
    }
}

impl RequestCounts {
    /// The number of requests of a class.
    pub fn of(&self, class: RequestClass) -> u64 {
        self.classes[class as usize].load(Ordering::Relaxed)
    }

    /// Decoded bytes of bodies that were received whole.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::Relaxed)
    }

    /// Counts an attempt that took `wire`.
    pub(super) fn note(&self, attempt: &Attempt, wire: Duration) {
        let Some(class) = RequestClass::of(attempt) else { return };
        self.classes[class as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(head) = attempt.head() {
            self.ttfb.note(head.ttfb);
        }
        if let Attempt::Response(response) = attempt {
            self.body_bytes.fetch_add(response.body.bytes, Ordering::Relaxed);
            self.body.note(wire.saturating_sub(response.head.ttfb));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::item::{Body, ErrorKind, Failure, Head, Response};

    const SECOND: Duration = Duration::from_secs(1);

    fn response(status: u16) -> Attempt {
        let head = Head { ttfb: SECOND, ..Head::new(StatusCode::from_u16(status).unwrap()) };
        Attempt::Response(Box::new(Response { head, body: Body { bytes: 7, ..Body::default() } }))
    }

    fn failed(sent: Sent) -> Attempt {
        Attempt::Failed(Failure::new(ErrorKind::Reset, "so it is", sent))
    }

    #[test]
    fn each_class_has_the_number_of_its_place() {
        for (number, class) in RequestClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, number);
        }
    }

    #[test]
    fn a_request_counts_once_by_what_came_of_it() {
        let counts = RequestCounts::default();
        for status in [100, 200, 204, 302, 404, 500, 999] {
            counts.note(&response(status), 3 * SECOND);
        }
        for sent in [Sent::Nothing, Sent::Something, Sent::Stale, Sent::Refused, Sent::Starved] {
            counts.note(&failed(sent), SECOND);
        }
        counts.note(&Attempt::NoMemory { need: 1 }, SECOND);
        counts.note(&Attempt::Canceled, SECOND);
        assert_eq!(RequestClass::ALL.map(|class| counts.of(class)), [1, 2, 1, 1, 2, 3]);
        assert_eq!(counts.body_bytes(), 49);
        let (ttfb, body) = (counts.ttfb.read(), counts.body.read());
        assert_eq!((ttfb.count(), ttfb.sum), (7, 7_000_000));
        assert_eq!((body.count(), body.sum), (7, 14_000_000));
    }
}
