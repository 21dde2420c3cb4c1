//! `GET /v1/hosts`: the hosts with the most of something.

use std::sync::Arc;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Serialize;

use super::answer::{Answer, Failure, json};
use super::causes::CauseShown;
use super::fields::Fields;
use super::host_name::host;
use super::moment::{Since, Until, seconds};
use super::state::ApiState;
use crate::pipeline::NoAnswer;
use crate::schedule::{HostReport, HostStatus, HostsBy, HostsQuery, LimitBy, LimitsInForce, NameFilter};

/// Hosts where nobody says how many.
const USUAL: u64 = 50;

/// Hosts at most.
const MOST: u64 = 500;

#[derive(Serialize)]
struct Listed {
    hosts: Vec<HostShown>,
    /// How many there are like that; absent where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<usize>,
}

/// A host as answers show it.
#[derive(Serialize)]
struct HostShown {
    name: Arc<str>,
    waiting: usize,
    in_flight: u32,
    state: &'static str,
    limits: Limits,
    /// Absent where no line waits, or something else must happen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start: Option<Until>,
    causes: Vec<CauseShown>,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastErrorShown>,
}

#[derive(Serialize)]
struct Limits {
    /// Seconds from one start to the next; 0 for no limit.
    every_s: f64,
    every_by: &'static str,
    concurrency: u32,
    concurrency_by: &'static str,
}

#[derive(Serialize)]
struct LastErrorShown {
    kind: &'static str,
    message: Arc<str>,
    #[serde(flatten)]
    since: Since,
}

impl HostShown {
    fn of(report: &HostReport) -> Self {
        let last_error = report.last_error.as_ref().map(|error| LastErrorShown {
            kind: error.kind.name(),
            message: Arc::clone(&error.message),
            since: Since::ago(error.ago),
        });
        Self {
            name: Arc::clone(&report.name),
            waiting: report.waiting,
            in_flight: report.in_flight,
            state: report.status.name(),
            limits: limits(&report.limits),
            next_start: report.next_start.map(Until::from_now),
            causes: CauseShown::all(&report.causes),
            errors: report.errors,
            last_error,
        }
    }
}

fn limits(limits: &LimitsInForce) -> Limits {
    let by = |by| match by {
        LimitBy::Configuration => "configuration",
        LimitBy::Override => "override",
        LimitBy::Adaptive => "adaptive",
        LimitBy::CrawlDelay => "crawl_delay",
    };
    Limits {
        every_s: seconds(limits.every),
        every_by: by(limits.every_by),
        concurrency: limits.concurrency,
        concurrency_by: by(limits.concurrency_by),
    }
}

/// Takes `sort`, `state`, `name` and `limit`.
pub(super) async fn hosts(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    let query = query(Fields::of_query(uri.query())?)?;
    let answer = api.parts.desk.get()?.hosts(query).await.map_err(unanswered)?;
    let hosts = answer.hosts.iter().map(HostShown::of).collect();
    Ok(json(&Listed { hosts, matching: answer.matching }))
}

fn query(mut fields: Fields) -> Result<HostsQuery, Failure> {
    let orders = [("waiting", HostsBy::Waiting), ("in_flight", HostsBy::InFlight), ("errors", HostsBy::Errors)];
    let sort = fields.word("sort", &orders)?.unwrap_or(HostsBy::Waiting);
    let states = HostStatus::ALL.map(|status| (status.name(), status));
    let status = fields.word("state", &states)?;
    let name = fields.text("name")?.map(name_filter).transpose()?;
    let limit = fields.number("limit", 1, MOST)?.unwrap_or(USUAL) as usize;
    fields.end()?;
    Ok(HostsQuery { sort, status, name, limit })
}

/// An exact name, or `*.example.com`.
fn name_filter(name: String) -> Result<NameFilter, Failure> {
    let wrong =
        |_| Failure::bad("`name` is neither a host nor a suffix; write for example `example.com` or `*.example.com`");
    match name.strip_prefix('*') {
        Some(suffix) if suffix.len() > 1 && suffix.starts_with('.') => {
            let below = host(suffix.trim_start_matches('.')).map_err(wrong)?;
            Ok(NameFilter::Suffix(format!(".{below}").into()))
        }
        _ => Ok(NameFilter::Exact(host(name).map_err(wrong)?.into())),
    }
}

/// The schedule does not answer.
pub(super) fn unanswered(why: NoAnswer) -> Failure {
    match why {
        NoAnswer::Busy => {
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "the schedule has questions enough; try again in a moment")
        }
        NoAnswer::Ended => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no schedule: the run has not begun, or has ended; /v1/status says which",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<HostsQuery, String> {
        Fields::of_query(Some(text)).and_then(query).map_err(|failure| failure.message)
    }

    #[test]
    fn a_query_is_read_by_its_fields() {
        let usual = HostsQuery { sort: HostsBy::Waiting, status: None, name: None, limit: 50 };
        assert_eq!(asked(""), Ok(usual.clone()));
        assert_eq!(
            asked("sort=errors&state=paused&name=*.Example.com&limit=500"),
            Ok(HostsQuery {
                sort: HostsBy::Errors,
                status: Some(HostStatus::Paused),
                name: Some(NameFilter::Suffix(".example.com".into())),
                limit: 500
            })
        );
        assert_eq!(
            asked("name=A.test:81"),
            Ok(HostsQuery { name: Some(NameFilter::Exact("a.test:81".into())), ..usual })
        );
        for (text, part) in [
            ("sort=name", "`sort` is none of `waiting`, `in_flight`, `errors`"),
            ("state=sad", "`state` is none of `idle`"),
            ("name=*", "`name` is neither"),
            ("name=a.*.test", "`name` is neither"),
            ("limit=501", "`limit` is not a whole number from 1 to 500"),
            ("limit=0", "`limit` is not"),
            ("offset=1", "unknown field `offset`"),
        ] {
            let refused = asked(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
