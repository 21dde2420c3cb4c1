//! What operators have changed, one entry for each change.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::moment::Until;
use crate::pipeline::View;
use crate::schedule::HostOverrides;
use crate::units::{Rate, Span};

/// A change that holds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OverrideShown {
    /// `pause`, `skip` or `limits`.
    kind: &'static str,
    /// Absent for the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// When it ends by itself.
    #[serde(flatten)]
    until: Option<Until>,
    /// The command that takes it back.
    undo: String,
    message: String,
}

/// All that hold, those of the run first.
pub(super) fn all(view: &View) -> Vec<OverrideShown> {
    let now = view.run_time + view.as_of.map(|as_of| as_of.elapsed()).unwrap_or_default();
    let of_hosts = view.overrides.hosts.iter().flat_map(|(host, overrides)| of(Some(host), overrides, now));
    of(None, &view.overrides.all, now).into_iter().chain(of_hosts).collect()
}

/// Those of a host, or of the run.
fn of(host: Option<&Arc<str>>, overrides: &HostOverrides, now: Duration) -> Vec<OverrideShown> {
    let (name, whom) = (host.map_or("the run", |host| host), host.map_or("", |host| host));
    let all = host.map_or("--all", |host| host);
    let shown = |kind, until: Option<Duration>, what: String, undo: String| {
        let left = until.map(|until| until.saturating_sub(now));
        let end = left.map_or(String::new(), |left| format!(" for {}", Span(Duration::from_secs(left.as_secs()))));
        let message = format!("{name} {what}{end}");
        let (host, until) = (host.cloned(), left.map(Until::from_now));
        OverrideShown { kind, host, rate: None, concurrency: None, until, undo, message }
    };
    let pause = overrides.pause.map(|pause| {
        shown("pause", pause.until, "is paused".to_owned(), format!("fetchd ctl resume {whom}").trim_end().to_owned())
    });
    let skip = overrides.skip.map(|skip| {
        shown("skip", Some(skip.until), "is skipped".to_owned(), format!("fetchd ctl skip {whom} --clear"))
    });
    let limits = overrides.limits.map(|limits| {
        let rate = limits.rate.map(|rate| format!("rate {rate}"));
        let concurrency = limits.concurrency.map(|concurrency| format!("concurrency {concurrency}"));
        let what = rate.into_iter().chain(concurrency).collect::<Vec<_>>().join(" and ");
        let shown = shown("limits", limits.until, format!("has {what}"), format!("fetchd ctl limits {all} --clear"));
        OverrideShown { rate: limits.rate, concurrency: limits.concurrency, ..shown }
    });
    [pause, skip, limits].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{LimitsOverride, Overrides, PauseOverride, SkipOverride};

    #[test]
    fn each_change_is_shown_with_its_end_and_what_takes_it_back() {
        let at = Duration::from_secs;
        let mut overrides = Overrides::default();
        overrides.all.pause = Some(PauseOverride { until: None });
        let limits = LimitsOverride { rate: Some("2/s".parse().unwrap()), concurrency: Some(3), until: Some(at(100)) };
        let skip = Some(SkipOverride { until: at(70) });
        overrides.hosts.insert("a.test".into(), HostOverrides { pause: None, skip, limits: Some(limits) });
        let view = View { overrides: Arc::new(overrides), run_time: at(40), ..View::default() };
        let shown: Vec<_> = all(&view).into_iter().map(|one| (one.kind, one.message, one.undo)).collect();
        let expected = [
            ("pause", "the run is paused", "fetchd ctl resume"),
            ("skip", "a.test is skipped for 30s", "fetchd ctl skip a.test --clear"),
            ("limits", "a.test has rate 2/s and concurrency 3 for 1m", "fetchd ctl limits a.test --clear"),
        ];
        assert_eq!(shown, expected.map(|(kind, message, undo)| (kind, message.to_owned(), undo.to_owned())));
    }
}
