//! `GET /v1/records`: a stream of live records.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use futures::stream;
use http::{StatusCode, Uri};

use super::answer::{Answer, Failure, typed};
use super::fields::Fields;
use super::state::ApiState;
use crate::sink::Wanted;

/// The field `records` is `all`, `ok` or `not_ok`, as for sinks.
pub(super) async fn records(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    let mut fields = Fields::of_query(uri.query())?;
    let wanted = [("all", Wanted::All), ("ok", Wanted::Ok), ("not_ok", Wanted::NotOk)];
    let wanted = fields.word("records", &wanted)?.unwrap_or_default();
    fields.end()?;
    let watching = api.parts.live.watch(wanted).ok_or_else(|| {
        let message = "four readers already follow the records; end one of them, and try again";
        Failure::new(StatusCode::TOO_MANY_REQUESTS, message)
    })?;
    let stop = api.stop.clone();
    let lines = stream::unfold(watching, move |watching| {
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = stop.cancelled() => None,
                lines = watching.next() => Some((Ok::<_, std::convert::Infallible>(lines), watching)),
            }
        }
    });
    Ok(typed(StatusCode::OK, "application/x-ndjson", Body::from_stream(lines)))
}
