//! The overrides that operators have set, as responses show them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::moment::Until;
use crate::pipeline::View;
use crate::schedule::HostOverrides;
use crate::telemetry::{limits_sentence, pause_sentence, skip_sentence};
use crate::units::Rate;

/// An override in force.
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
    /// The command that clears it.
    undo: String,
    message: String,
}

/// All overrides, those of the run first.
pub(super) fn all(view: &View) -> Vec<OverrideShown> {
    let now = view.run_time + view.as_of.map(|as_of| as_of.elapsed()).unwrap_or_default();
    let of_hosts = view.overrides.hosts.iter().flat_map(|(host, overrides)| shown(Some(host), overrides, now));
    shown(None, &view.overrides.all, now).into_iter().chain(of_hosts).collect()
}

/// The overrides of this host only, or of the run.
pub(super) fn of(view: &View, host: Option<&Arc<str>>) -> Vec<OverrideShown> {
    all(view).into_iter().filter(|one| one.host.as_ref() == host).collect()
}

/// The overrides of this host, and of the run.
pub(super) fn of_host(view: &View, host: Option<&Arc<str>>) -> Vec<OverrideShown> {
    let shown = all(view).into_iter();
    shown.filter(|one| one.host.is_none() || one.host.as_ref() == host).collect()
}

impl OverrideShown {
    /// The override as a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The entries of a host, or of the run.
fn shown(host: Option<&Arc<str>>, overrides: &HostOverrides, now: Duration) -> Vec<OverrideShown> {
    let (whom, named, all) = match host {
        None => ("The run", "", "--all"),
        Some(host) => (&**host, &**host, &**host),
    };
    let shown = |kind, until: Option<Duration>, message, undo: String| {
        let until = until.map(|until| Until::from_now(until.saturating_sub(now)));
        let undo = undo.trim_end().to_owned();
        OverrideShown { kind, host: host.cloned(), rate: None, concurrency: None, until, undo, message }
    };
    let pause = overrides.pause.map(|pause| {
        shown("pause", pause.until, pause_sentence(whom, pause, now), format!("fetchd ctl resume {named}"))
    });
    let skip = overrides.skip.map(|skip| {
        shown("skip", Some(skip.until), skip_sentence(whom, skip, now), format!("fetchd ctl skip {named} --clear"))
    });
    let limits = overrides.limits().into_iter().map(|limits| {
        let undo = format!("fetchd ctl limits {all} --clear");
        let shown = shown("limits", limits.until, limits_sentence(whom, limits, now), undo);
        OverrideShown { rate: limits.rate, concurrency: limits.concurrency, ..shown }
    });
    pause.into_iter().chain(skip).chain(limits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{ConcurrencyOverride, Overrides, PauseOverride, RateOverride, SkipOverride};

    #[test]
    fn each_override_is_shown_with_its_end_and_the_command_that_clears_it() {
        let at = Duration::from_secs;
        let mut overrides = Overrides::default();
        overrides.all.pause = Some(PauseOverride { until: None });
        let until = Some(at(100));
        let rate = Some(RateOverride { rate: "2/s".parse().unwrap(), until });
        let concurrency = Some(ConcurrencyOverride { limit: 3, until });
        let skip = Some(SkipOverride { until: at(70) });
        overrides.hosts.insert("a.test".into(), HostOverrides { pause: None, skip, rate, concurrency });
        let view = View { overrides: Arc::new(overrides), run_time: at(40), ..View::default() };
        let shown: Vec<_> = all(&view).into_iter().map(|one| (one.kind, one.message, one.undo)).collect();
        let expected = [
            ("pause", "The run is paused by an operator until it is resumed.", "fetchd ctl resume"),
            ("skip", "Lines of a.test are skipped for another 30s.", "fetchd ctl skip a.test --clear"),
            (
                "limits",
                "a.test has limits by an operator for another 1m: rate 2/s and concurrency 3.",
                "fetchd ctl limits a.test --clear",
            ),
        ];
        assert_eq!(shown, expected.map(|(kind, message, undo)| (kind, message.to_owned(), undo.to_owned())));
    }
}
