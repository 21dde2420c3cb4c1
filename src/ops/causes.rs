//! The causes for which a line waits, in words, and the key or command that changes each.

use std::time::Duration;

use serde::Serialize;

use super::moment::{Until, seconds};
use crate::schedule::{Cause, ConfiguredLimit, HostPace, Remedy, StallReason, WaitReason};
use crate::telemetry::human;
use crate::units::{Concurrency, counted, grouped, rate_of};

/// A cause, as responses show it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CauseShown {
    kind: &'static str,
    message: String,
    /// When it ends by itself.
    #[serde(flatten)]
    until: Option<Until>,
    /// The pace of the host, where the host's own limits hold the line back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceShown>,
    /// The key or the command that changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
}

impl CauseShown {
    pub fn of(cause: &Cause) -> Self {
        Self {
            kind: cause.reason.name(),
            message: cause.pace.map_or_else(|| message(cause.reason), |pace| paced(cause.reason, pace)),
            until: cause.left.map(Until::from_now),
            pace: cause.pace.map(PaceShown::of),
            change: cause.remedy.as_ref().map(change),
        }
    }

    pub fn all(causes: &[Cause]) -> Vec<Self> {
        causes.iter().map(Self::of).collect()
    }
}

/// The pace of a host, as responses show it; unknown values are absent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PaceShown {
    /// Seconds from one start to the next; 0 for no limit.
    every_s: f64,
    concurrency: u32,
    /// The mean duration of its last requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_s: Option<f64>,
    /// Requests a second that both limits allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_s: Option<f64>,
    /// The host's lines that wait or are on the wire, and how long they take.
    lines: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    takes_s: Option<f64>,
}

impl PaceShown {
    pub fn of(pace: HostPace) -> Self {
        Self {
            every_s: seconds(pace.every),
            concurrency: pace.at_once,
            request_s: pace.request.map(seconds),
            per_s: pace.per_second().map(|rate| (rate * 1000.0).round() / 1000.0),
            lines: pace.lines,
            takes_s: pace.takes.map(seconds),
        }
    }
}

/// The clause of [`message`] with the numbers of the host.
fn paced(reason: WaitReason, pace: HostPace) -> String {
    let lines = counted(pace.lines as u64, "line");
    let verb = if pace.lines == 1 { "takes" } else { "take" };
    let takes = pace.takes.map(|takes| format!(": {lines} {verb} {}", human(takes))).unwrap_or_default();
    // The time of the lines is that of the slower limit.
    let slower = match (reason, pace.is_slowed_by_rate(), pace.request) {
        (WaitReason::HostRate { .. }, Some(false), Some(request)) => {
            let (at_once, request) = (counted(pace.at_once.into(), "request"), human(request));
            format!("; its concurrency is slower, {at_once} at once that take {request} each")
        }
        (WaitReason::HostConcurrency { .. }, Some(true), _) => {
            format!("; its rate is slower, {}", frequency(pace.every))
        }
        _ => String::new(),
    };
    let own = match (reason, pace.request) {
        (WaitReason::HostConcurrency { .. }, Some(request)) => {
            let rate = rate_of(f64::from(pace.at_once) / request.as_secs_f64().max(1e-6));
            format!("; a request takes {} on average, so at most {rate}/s", human(request))
        }
        (WaitReason::HostRate { .. }, _) if !pace.every.is_zero() => format!(", {}", frequency(pace.every)),
        (WaitReason::CrawlDelay { .. }, _) => format!(", {}", human(pace.every)),
        _ => String::new(),
    };
    format!("{}{own}{slower}{takes}", message(reason))
}

/// An interval in words.
fn frequency(every: Duration) -> String {
    match every.as_secs_f64() {
        seconds if seconds <= 1.0 => format!("{}/s", rate_of(1.0 / seconds)),
        _ => format!("one every {}", human(every)),
    }
}

/// The cause as a clause that fits behind "waits for".
fn message(reason: WaitReason) -> String {
    match reason {
        WaitReason::Ready => "its turn among other lines".to_owned(),
        WaitReason::OnWire { .. } => "the response to its request".to_owned(),
        WaitReason::Stalled(StallReason::Output) => "the output, which takes no records".to_owned(),
        WaitReason::Stalled(_) => "its host, to which no request may start".to_owned(),
        WaitReason::RunPaused { .. } => "the end of a pause of the whole run by an operator".to_owned(),
        WaitReason::Paused { .. } => "the end of a pause of its host by an operator".to_owned(),
        WaitReason::Skipped => "its turn to be skipped: an operator skips the lines of its host".to_owned(),
        WaitReason::HostTable => "a place for its host among the hosts tracked at once".to_owned(),
        WaitReason::Rate { .. } => "the rate of the run".to_owned(),
        WaitReason::BodyMemory => "memory for its body".to_owned(),
        WaitReason::Concurrency { in_flight, limit } => {
            let (requests, limit) = (counted(in_flight as u64, "request"), grouped(limit.into()));
            format!("the end of a request; the run has {requests} on the wire, of at most {limit}")
        }
        WaitReason::HostRate { .. } => "the rate of its host".to_owned(),
        WaitReason::CrawlDelay { .. } => "the Crawl-delay in the robots.txt of its host".to_owned(),
        WaitReason::HostConcurrency { in_flight, limit } => {
            let (requests, limit) = (counted(in_flight.into(), "request"), grouped(limit.into()));
            format!("the end of a request to its host, which has {requests} on the wire, of at most {limit}")
        }
        WaitReason::HostPause { .. } => "the end of a pause that its host asked for (Retry-After, 429)".to_owned(),
        WaitReason::Quota { until: Some(_) } => "the reset of its host's quota".to_owned(),
        WaitReason::Quota { until: None } => "a response that says what is left of its host's quota".to_owned(),
        WaitReason::Token { until: Some(_) } => "a new token for its host, which refuses the current one".to_owned(),
        WaitReason::NoToken => "a new token for its host; none came within retry.refresh_wait".to_owned(),
        WaitReason::Token { until: None } => "a response that shows whether its host refuses the token".to_owned(),
        WaitReason::CircuitOpen { port, .. } => format!("port {port} of its host, which cannot be reached"),
        WaitReason::Robots { until: None } => "the robots.txt of its site, which is being fetched".to_owned(),
        WaitReason::Robots { until: Some(_) } => {
            "the next fetch of its site's robots.txt, which could not be fetched".to_owned()
        }
        WaitReason::Backoff { .. } => "the back-off before its retry".to_owned(),
    }
}

/// A remedy in words.
fn change(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Key { key, pattern, host } => {
            let pattern = pattern.as_ref().map_or("*".to_owned(), ToString::to_string);
            let name = key.strip_prefix("hosts.").map(|key| format!("hosts.\"{pattern}\".{key}"));
            let name = name.unwrap_or_else(|| (*key).to_owned());
            live_option(key).map_or_else(
                || name.clone(),
                |option| format!("fetchd ctl limits {} {option}, or {name}", host.as_deref().unwrap_or("--all")),
            )
        }
        Remedy::Robots { fails_in: Some(left) } => {
            format!("health.cool_down, or health.give_up, after which its lines fail (in {})", human(*left))
        }
        Remedy::Robots { fails_in: None } => "health.cool_down".to_owned(),
        Remedy::Token { files } => format!("a new token in {files}"),
        Remedy::Resume { host: Some(host) } => format!("fetchd ctl resume {host}"),
        Remedy::Resume { host: None } => "fetchd ctl resume".to_owned(),
        Remedy::Limits { host, configured } => {
            let host = host.as_deref().unwrap_or("--all");
            let (option, configured) = match configured {
                ConfiguredLimit::Every(every) if every.is_zero() => ("--rate N/s", "takes the limit away".to_owned()),
                ConfiguredLimit::Every(every) => ("--rate N/s", format!("brings back {}", frequency(*every))),
                ConfiguredLimit::Concurrency(Concurrency::Fixed(n)) => {
                    ("--concurrency N", format!("brings back {}", grouped((*n).into())))
                }
                ConfiguredLimit::Concurrency(Concurrency::Adaptive) => {
                    ("--concurrency N", "brings back the adaptive limit".to_owned())
                }
            };
            format!("fetchd ctl limits {host} {option}; --clear {configured}")
        }
    }
}

/// The option of `fetchd ctl limits` that sets this key for now, if there is one.
fn live_option(key: &str) -> Option<&'static str> {
    match key {
        "hosts.rate" | "limits.rate" => Some("--rate N/s"),
        "hosts.concurrency" | "limits.concurrency" => Some("--concurrency N"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_key_or_a_command_that_an_operator_can_type() {
        let resume = |host: Option<&str>| change(&Remedy::Resume { host: host.map(Into::into) });
        assert_eq!(resume(Some("a.test")), "fetchd ctl resume a.test");
        assert_eq!(resume(None), "fetchd ctl resume");
        let limits =
            |host: Option<&str>, configured| change(&Remedy::Limits { host: host.map(Into::into), configured });
        let every = |ms| ConfiguredLimit::Every(Duration::from_millis(ms));
        assert_eq!(limits(Some("a.test"), every(100)), "fetchd ctl limits a.test --rate N/s; --clear brings back 10/s");
        assert_eq!(limits(None, every(0)), "fetchd ctl limits --all --rate N/s; --clear takes the limit away");
        let at_once = ConfiguredLimit::Concurrency(Concurrency::Fixed(8));
        assert_eq!(limits(Some("a.test"), at_once), "fetchd ctl limits a.test --concurrency N; --clear brings back 8");
        let adaptive = ConfiguredLimit::Concurrency(Concurrency::Adaptive);
        assert!(
            limits(None, adaptive).ends_with("limits --all --concurrency N; --clear brings back the adaptive limit")
        );
        let key = |key, pattern: Option<&str>, host: Option<&str>| {
            let pattern = pattern.map(|pattern| pattern.parse().unwrap());
            change(&Remedy::Key { key, pattern, host: host.map(Into::into) })
        };
        assert_eq!(
            key("hosts.rate", Some("*.a.test"), Some("b.a.test")),
            "fetchd ctl limits b.a.test --rate N/s, or hosts.\"*.a.test\".rate"
        );
        assert_eq!(
            key("hosts.concurrency", None, Some("a.test")),
            "fetchd ctl limits a.test --concurrency N, or hosts.\"*\".concurrency"
        );
        assert_eq!(key("limits.rate", None, None), "fetchd ctl limits --all --rate N/s, or limits.rate");
        assert_eq!(key("hosts.quota", None, Some("a.test")), "hosts.\"*\".quota");
    }

    #[test]
    fn the_limit_of_a_host_is_shown_with_the_pace_of_the_host() {
        let pace = HostPace {
            request: Some(Duration::from_secs(2)),
            every: Duration::from_millis(100),
            at_once: 4,
            lines: 420,
            takes: Some(Duration::from_secs(210)),
        };
        let full = WaitReason::HostConcurrency { in_flight: 4, limit: 4 };
        assert_eq!(
            paced(full, pace),
            "the end of a request to its host, which has 4 requests on the wire, of at most 4; a request takes 2.0 s on \
             average, so at most 2/s: 420 lines take 3 min 30 s"
        );
        let unknown = HostPace { request: None, takes: None, ..pace };
        assert_eq!(paced(full, unknown), message(full));
        let rate = WaitReason::HostRate { until: Duration::ZERO };
        assert_eq!(paced(rate, unknown), "the rate of its host, 10/s");
        assert_eq!(
            paced(rate, pace),
            "the rate of its host, 10/s; its concurrency is slower, 4 requests at once that take 2.0 s each: 420 lines take \
             3 min 30 s"
        );
        let by_rate = HostPace { every: Duration::from_secs(1), takes: Some(Duration::from_secs(420)), ..pace };
        assert!(paced(full, by_rate).ends_with("so at most 2/s; its rate is slower, 1/s: 420 lines take 7 min 00 s"));
        let slow = HostPace { every: Duration::from_secs(90), lines: 1, takes: Some(Duration::from_secs(90)), ..pace };
        assert_eq!(paced(rate, slow), "the rate of its host, one every 1 min 30 s: 1 line takes 1 min 30 s");
        let delay = WaitReason::CrawlDelay { until: Duration::ZERO };
        assert!(paced(delay, slow).starts_with("the Crawl-delay in the robots.txt of its host, 1 min 30 s: 1 line"));
    }
}
