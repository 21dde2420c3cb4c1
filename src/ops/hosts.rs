//! `GET /v1/hosts`: the hosts with the most lines, requests, or errors.

use std::sync::Arc;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Serialize;

use super::answer::{Answer, Failure, json};
use super::causes::{CauseShown, PaceShown};
use super::fields::Fields;
use super::host_name::host;
use super::moment::{Since, Until, seconds};
use super::state::ApiState;
use crate::pipeline::NoAnswer;
use crate::schedule::{
    HostOverrides, HostReport, HostStatus, HostsBy, HostsQuery, LimitBy, LimitsInForce, NameFilter, Overrides,
};

/// The default of `limit`.
const USUAL: u64 = 50;

/// The maximum of `limit`.
const MOST: u64 = 500;

#[derive(Serialize)]
struct Listed {
    hosts: Vec<HostShown>,
    /// How many hosts match; absent if they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<usize>,
}

/// A host, as responses show it.
#[derive(Serialize)]
struct HostShown {
    name: Arc<str>,
    waiting: usize,
    in_flight: u32,
    state: &'static str,
    /// Absent if the host is not tracked now.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceShown>,
    /// Absent if no line waits, or if the time depends on another event.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start: Option<Until>,
    causes: Vec<CauseShown>,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastErrorShown>,
}

/// The limits in force, and where each comes from.
#[derive(Serialize)]
pub(super) struct LimitsShown {
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
    /// A host without lines, of which only the overrides are known.
    fn untracked(name: &Arc<str>, status: HostStatus) -> Self {
        Self {
            name: Arc::clone(name),
            waiting: 0,
            in_flight: 0,
            state: status.name(),
            limits: None,
            pace: None,
            next_start: None,
            causes: Vec::new(),
            errors: 0,
            last_error: None,
        }
    }

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
            limits: Some(LimitsShown::of(&report.limits)),
            pace: Some(PaceShown::of(report.pace)),
            next_start: report.next_start.map(Until::from_now),
            causes: CauseShown::all(&report.causes),
            errors: report.errors,
            last_error,
        }
    }
}

impl LimitsShown {
    pub fn of(limits: &LimitsInForce) -> Self {
        let by = |by| match by {
            LimitBy::Configuration => "configuration",
            LimitBy::Override => "override",
            LimitBy::Adaptive => "adaptive",
            LimitBy::CrawlDelay => "crawl_delay",
        };
        Self {
            every_s: seconds(limits.every),
            every_by: by(limits.every_by),
            concurrency: limits.concurrency,
            concurrency_by: by(limits.concurrency_by),
        }
    }
}

/// The fields are `sort`, `state`, `name` and `limit`.
pub(super) async fn hosts(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    let query = query(Fields::of_query(uri.query())?)?;
    let answer = api.parts.desk.get()?.hosts(query.clone()).await.map_err(unanswered)?;
    let mut hosts: Vec<_> = answer.hosts.iter().map(HostShown::of).collect();
    let mut untracked = Vec::new();
    // The schedule's table may have more of these hosts than its reply.
    for (name, status) in asked_overridden(&query, &api.parts.status.view().overrides) {
        let is_listed = hosts.iter().any(|host| host.name == name);
        if !is_listed && hosts.len() + untracked.len() < query.limit {
            untracked.push((name, status));
        }
    }
    let matching = answer.matching.map(|matching| matching + untracked.len());
    hosts.extend(untracked.iter().map(|(name, status)| HostShown::untracked(name, *status)));
    Ok(json(&Listed { hosts, matching }))
}

/// The hosts that operators pause or skip, if the query has a state or a name. The schedule need not track those
/// without lines.
fn asked_overridden(query: &HostsQuery, overrides: &Overrides) -> Vec<(Arc<str>, HostStatus)> {
    let named = |name: &str| match &query.name {
        None => query.status.is_some(),
        Some(NameFilter::Exact(exact)) => name == &**exact,
        Some(NameFilter::Suffix(suffix)) => name.ends_with(&**suffix),
    };
    let status = |of: &HostOverrides| match (of.pause, of.skip) {
        (Some(_), _) => Some(HostStatus::Paused),
        (None, Some(_)) => Some(HostStatus::Skipped),
        (None, None) => None,
    };
    let hosts = overrides.hosts.iter().filter(|(name, _)| named(name));
    let hosts = hosts.filter_map(|(name, of)| Some((Arc::clone(name), status(of)?)));
    hosts.filter(|(_, status)| query.status.is_none_or(|asked| asked == *status)).collect()
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

/// Parses a name or `*.example.com`.
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

/// The error if the schedule does not reply.
pub(super) fn unanswered(why: NoAnswer) -> Failure {
    match why {
        NoAnswer::Busy => Failure::new(StatusCode::TOO_MANY_REQUESTS, "the schedule is busy; try again in a moment"),
        NoAnswer::Ended => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no schedule: the run has not begun or has ended; see /v1/status",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Change, Scope};
    use std::time::Duration;

    #[test]
    fn paused_and_skipped_hosts_without_lines_are_found_by_their_state() {
        let now = Duration::from_secs(1);
        let change = |overrides: Overrides, change| overrides.apply(change, 8, now).unwrap();
        let overrides = change(Overrides::default(), Change::Pause(Scope::Host("a.test".into()), None));
        let overrides = change(overrides, Change::Skip("b.test".into(), 2 * now));
        let found = |text| {
            let hosts = asked_overridden(&asked(text).unwrap(), &overrides);
            hosts.into_iter().map(|(name, status)| format!("{name} {}", status.name())).collect::<Vec<_>>()
        };
        assert_eq!(found("state=paused"), ["a.test paused"]);
        assert_eq!(found("name=*.test"), ["a.test paused", "b.test skipped"]);
        assert_eq!(found("name=b.test&state=paused"), Vec::<String>::new());
        assert_eq!(found(""), Vec::<String>::new(), "the hosts with the most lines have lines");
    }

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
