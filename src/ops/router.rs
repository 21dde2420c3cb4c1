//! The routes of the API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{Method, Request, StatusCode, Uri};

use super::answer::{Answer, Failure, json};
use super::fields::Fields;
use super::state::ApiState;
use super::{events, hosts, limits, metrics, status, verbs, watch, why};

/// All routes.
pub(super) fn all(api: Arc<ApiState>) -> Router {
    let read = Router::new()
        .route("/v1/status", get(status::status))
        .route("/v1/hosts", get(hosts::hosts))
        .route("/v1/why", get(why::why))
        .route("/v1/limits", get(limits::limits))
        .route("/v1/events", get(events::events))
        .route("/v1/records", get(watch::records))
        .route("/v1/config", get(config));
    finished(basic().merge(read).merge(verbs::routes()), api)
}

/// Routes that name no host and change nothing.
pub(super) fn metrics_only(api: Arc<ApiState>) -> Router {
    basic().fallback(not_at_this_port).method_not_allowed_fallback(wrong_method).with_state(api)
}

fn basic() -> Router<Arc<ApiState>> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics::metrics))
}

fn finished(router: Router<Arc<ApiState>>, api: Arc<ApiState>) -> Router {
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method).with_state(api)
}

async fn healthz(State(api): State<Arc<ApiState>>) -> Response {
    api.health.answer()
}

async fn readyz(State(api): State<Arc<ApiState>>) -> Response {
    api.health.readiness(&api.parts.status).answer()
}

async fn config(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    Fields::of_query(uri.query())?.end()?;
    let config = Arc::clone(&api.parts.config.borrow());
    Ok(json(&*config))
}

async fn unknown_path(request: Request<Body>) -> Response {
    let path = request.uri().path().escape_debug().to_string();
    let message = format!(
        "there is nothing at {path}; see /v1/status, /v1/hosts, /v1/why, /v1/limits, /v1/events, /v1/records, /v1/config, /healthz, /readyz and /metrics"
    );
    Failure::new(StatusCode::NOT_FOUND, message).into_response()
}

async fn not_at_this_port(request: Request<Body>) -> Response {
    let path = request.uri().path().escape_debug().to_string();
    let message = format!(
        "there is nothing at {path} on this port, which has only /healthz, /readyz and /metrics; use the socket of the API (api.socket)"
    );
    Failure::new(StatusCode::NOT_FOUND, message).into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}; the Allow header lists its methods", uri.path().escape_debug());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response()
}
