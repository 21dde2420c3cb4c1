//! `GET /metrics`: metrics in the text format of Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer::typed;
use super::state::ApiState;
use crate::schedule::HostStatus;
use crate::telemetry::metrics::{ApiRequests, CONTENT_TYPE, DiskPlace, Metered, text};

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
