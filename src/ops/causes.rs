//! What holds a line back, in words: one sentence each, and what would change it.

use serde::Serialize;

use super::moment::Until;
use crate::schedule::{Cause, Remedy, StallReason, WaitReason};
use crate::units::{counted, grouped};

/// A cause as answers show it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CauseShown {
    kind: &'static str,
    message: String,
    /// When it ends by itself.
    #[serde(flatten)]
    until: Option<Until>,
    /// The key or the command that would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
}

impl CauseShown {
    pub fn of(cause: &Cause) -> Self {
        Self {
            kind: cause.reason.name(),
            message: message(cause.reason),
            until: cause.left.map(Until::from_now),
            change: cause.remedy.as_ref().map(change),
        }
    }

    pub fn all(causes: &[Cause]) -> Vec<Self> {
        causes.iter().map(Self::of).collect()
    }
}

/// A clause that fits behind "it waits for".
fn message(reason: WaitReason) -> String {
    match reason {
        WaitReason::Ready => "the turns of other lines".to_owned(),
        WaitReason::OnWire { .. } => "the answer to its request".to_owned(),
        WaitReason::Stalled(StallReason::Output) => "the output, which takes no records".to_owned(),
        WaitReason::Stalled(_) => "its host, at which nothing may start".to_owned(),
        WaitReason::RunPaused { .. } => "the end of a pause of the whole run by an operator".to_owned(),
        WaitReason::Paused { .. } => "the end of a pause of its host by an operator".to_owned(),
        WaitReason::Skipped => "its turn to be skipped, as an operator has asked for its host".to_owned(),
        WaitReason::HostTable => "a place for its host among the hosts tracked at once".to_owned(),
        WaitReason::Rate { .. } => "the rate of the run".to_owned(),
        WaitReason::BodyMemory => "memory for its body".to_owned(),
        WaitReason::Concurrency { in_flight, limit } => {
            format!(
                "one of {} on the wire to end; the run has {} at once",
                requests(in_flight as u64),
                grouped(limit.into())
            )
        }
        WaitReason::HostRate { .. } => "the rate of its host".to_owned(),
        WaitReason::CrawlDelay { .. } => "the Crawl-delay in the robots.txt of its host".to_owned(),
        WaitReason::HostConcurrency { in_flight, limit } => {
            format!(
                "one of {} to its host to end; the host has {} at once",
                requests(in_flight.into()),
                grouped(limit.into())
            )
        }
        WaitReason::HostPause { .. } => "the end of a pause that its host asked for (Retry-After, 429)".to_owned(),
        WaitReason::Quota { until: Some(_) } => "the reset of its host's quota".to_owned(),
        WaitReason::Quota { until: None } => "an answer that says what is left of its host's quota".to_owned(),
        WaitReason::Token { until: Some(_) } => "a new token for its host, which refuses the one it has".to_owned(),
        WaitReason::Token { until: None } => "an answer that says whether its host refuses the token".to_owned(),
        WaitReason::CircuitOpen { port, .. } => format!("port {port} of its host, which cannot be reached"),
        WaitReason::Robots => "the robots.txt of its site".to_owned(),
        WaitReason::Backoff { .. } => "the back-off before its retry".to_owned(),
    }
}

fn requests(n: u64) -> String {
    counted(n, "request")
}

/// A key, or a command.
fn change(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Key { key, pattern: Some(pattern) } => match key.strip_prefix("hosts.") {
            Some(key) => format!("hosts.\"{pattern}\".{key}"),
            None => (*key).to_owned(),
        },
        Remedy::Key { key, pattern: None } => match key.strip_prefix("hosts.") {
            Some(key) => format!("hosts.\"*\".{key}"),
            None => (*key).to_owned(),
        },
        Remedy::Verb { verb, host: Some(host) } => format!("fetchd ctl {}", with_host(verb, host)),
        Remedy::Verb { verb, host: None } => {
            format!("fetchd ctl {}", with_host(verb, if verb.starts_with("limits") { "--all" } else { "" }).trim_end())
        }
    }
}

/// `limits --clear` with a host is `limits HOST --clear`.
fn with_host(verb: &str, host: &str) -> String {
    let (verb, rest) = verb.split_once(' ').unwrap_or((verb, ""));
    format!("{verb} {host} {rest}").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_what_an_operator_would_write() {
        let verb = |verb, host: Option<&str>| change(&Remedy::Verb { verb, host: host.map(Into::into) });
        assert_eq!(verb("resume", Some("a.test")), "fetchd ctl resume a.test");
        assert_eq!(verb("resume", None), "fetchd ctl resume");
        assert_eq!(verb("limits --clear", Some("a.test")), "fetchd ctl limits a.test --clear");
        assert_eq!(verb("limits --clear", None), "fetchd ctl limits --all --clear");
        let key = |key, pattern: Option<&str>| {
            change(&Remedy::Key { key, pattern: pattern.map(|pattern| pattern.parse().unwrap()) })
        };
        assert_eq!(key("hosts.rate", Some("*.a.test")), "hosts.\"*.a.test\".rate");
        assert_eq!(
            (key("hosts.rate", None), key("limits.rate", None)),
            ("hosts.\"*\".rate".to_owned(), "limits.rate".to_owned())
        );
    }
}
