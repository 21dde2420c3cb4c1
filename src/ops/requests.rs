//! Counts of requests to the API, by route and class of status.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// The routes, and `other` for all other paths.
pub(super) const ROUTES: [&str; 17] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/status",
    "/v1/hosts",
    "/v1/why",
    "/v1/events",
    "/v1/records",
    "/v1/config",
    "/v1/pause",
    "/v1/resume",
    "/v1/skip",
    "/v1/limits",
    "/v1/drain",
    "/v1/rotate",
    "/v1/reload",
    "other",
];

/// The classes of statuses.
pub(super) const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// The counts; clones share them.
#[derive(Clone, Debug, Default)]
pub struct ApiRequests(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: [[AtomicU64; CLASSES.len()]; ROUTES.len()],
    panics: AtomicU64,
}

/// The count of one route and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequestCount {
    /// The path, or `other`.
    pub route: &'static str,
    /// `2xx`, `4xx` or `5xx`.
    pub class: &'static str,
    /// The number of requests.
    pub requests: u64,
}

impl ApiRequests {
    /// Counts a request.
    pub(super) fn count(&self, path: &str, status: StatusCode) {
        let route = ROUTES.iter().position(|route| *route == path).unwrap_or(ROUTES.len() - 1);
        let class = match status.as_u16() {
            ..400 => 0,
            400..500 => 1,
            _ => 2,
        };
        self.0.requests[route][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request, or a connection, that panicked.
    pub(super) fn count_panic(&self) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Panics so far; none of them ended the run.
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    /// All counts, including zeros.
    pub fn all(&self) -> Vec<ApiRequestCount> {
        let of_route = |(route, counts): (&&'static str, &[AtomicU64; CLASSES.len()])| {
            let count = |(class, n): (&&'static str, &AtomicU64)| ApiRequestCount {
                route,
                class,
                requests: n.load(Ordering::Relaxed),
            };
            CLASSES.iter().zip(counts).map(count).collect::<Vec<_>>()
        };
        ROUTES.iter().zip(&self.0.requests).flat_map(of_route).collect()
    }
}
