//! `GET /v1/limits`: the limits in force for a host or for the run, and where each comes from.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::Uri;
use serde::Serialize;

use super::answer::{Answer, Failure, json};
use super::fields::Fields;
use super::host_name::host;
use super::hosts::{LimitsShown, unanswered};
use super::overrides::{self, OverrideShown};
use super::state::ApiState;
use crate::schedule::{LimitBy, LimitsInForce};
use crate::telemetry::human;
use crate::units::rate_of;

#[derive(Serialize)]
struct Shown {
    /// Absent for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
    limits: LimitsShown,
    /// The overrides among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<OverrideShown>,
    message: String,
}

/// The field is `host`; without it, the limits are those of the run.
pub(super) async fn limits(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    let host = asked(Fields::of_query(uri.query())?)?;
    let limits = api.parts.desk.get()?.limits(host.clone()).await.map_err(unanswered)?;
    let overrides = overrides::of(&api.parts.status.view(), host.as_ref());
    let whom = host.as_deref().unwrap_or("the run");
    let mut message = sentence(whom, &limits);
    overrides.iter().for_each(|one| message.push_str(&format!(" {}", one.message())));
    Ok(json(&Shown { limits: LimitsShown::of(&limits), host, overrides, message }))
}

fn asked(mut fields: Fields) -> Result<Option<Arc<str>>, Failure> {
    let name = fields.text("host")?.map(host).transpose()?;
    fields.end()?;
    Ok(name.map(Into::into))
}

fn sentence(whom: &str, limits: &LimitsInForce) -> String {
    let by = |by| match by {
        LimitBy::Configuration => "by the configuration",
        LimitBy::Override => "by an operator",
        LimitBy::Adaptive => "as adapted to the observed latency (adaptive)",
        LimitBy::CrawlDelay => "by the Crawl-delay of its robots.txt",
    };
    let rate = match limits.every {
        Duration::ZERO => "no rate".to_owned(),
        every if every <= Duration::from_secs(1) => format!("rate {}/s", rate_of(1.0 / every.as_secs_f64())),
        every => format!("one request every {}", human(every)),
    };
    let (every_by, concurrency_by) = (by(limits.every_by), by(limits.concurrency_by));
    format!("The limits of {whom}: {rate} {every_by}, and concurrency {} {concurrency_by}.", limits.concurrency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_in_force_are_named_with_their_origin() {
        let limits = LimitsInForce {
            every: Duration::from_millis(100),
            every_by: LimitBy::Configuration,
            concurrency: 2,
            concurrency_by: LimitBy::Override,
        };
        assert_eq!(
            sentence("a.test", &limits),
            "The limits of a.test: rate 10/s by the configuration, and concurrency 2 by an operator."
        );
        let slow = LimitsInForce { every: Duration::from_secs(20), every_by: LimitBy::CrawlDelay, ..limits };
        assert!(sentence("a.test", &slow).contains("one request every 20.0 s by the Crawl-delay of its robots.txt,"));
        let free = LimitsInForce { every: Duration::ZERO, concurrency_by: LimitBy::Adaptive, ..limits };
        assert!(sentence("the run", &free).contains(": no rate by the configuration, and concurrency 2 as adapted to"));
    }
}
