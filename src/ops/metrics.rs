//! `GET /metrics`: the text that Prometheus scrapes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tokio::time::timeout;

use super::answer::typed;
use super::late_desk::LateDesk;
use super::state::ApiState;
use crate::schedule::{HostCounts, HostStatus};
use crate::telemetry::metrics::{ApiRequests, CONTENT_TYPE, DiskPlace, Metered, text};

/// How long the schedule may take to count its hosts; then its last answer is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hosts by state, as they were counted last.
#[derive(Debug, Default)]
pub(super) struct LastHostCounts(Mutex<HostCounts>);

impl LastHostCounts {
    async fn read(&self, desk: &LateDesk) -> HostCounts {
        if let Ok(desk) = desk.get()
            && let Ok(Ok(counts)) = timeout(PATIENCE, desk.host_counts()).await
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn metrics(State(api): State<Arc<ApiState>>) -> Response {
    let parts = &api.parts;
    let hosts = api.host_counts.read(&parts.desk).await;
    let request = |count: super::ApiRequestCount| ApiRequests {
        route: count.route,
        class: count.class,
        requests: count.requests,
    };
    let mut metered = Metered::of(&parts.status, &parts.stats);
    metered.ready = api.health.readiness(&parts.status).ready;
    metered.hosts = HostStatus::ALL.map(|status| (status.name(), hosts.of(status) as u64)).to_vec();
    metered.reloads = parts.config.borrow().reloads;
    metered.api_requests = parts.requests.all().into_iter().map(request).collect();
    metered.disks = parts.disks.iter().filter_map(DiskPlace::free).collect();
    typed(StatusCode::OK, CONTENT_TYPE, text(metered))
}
