//! Reports overrides whose time is over, as events and log lines.

use std::sync::Arc;
use std::time::Duration;

use super::EventKind;
use super::scheduler::Scheduler;
use crate::schedule::{HostOverrides, Overrides};

impl Scheduler {
    /// Reports overrides whose time is over. The log lines have no `event`, so that none is suppressed as a repetition:
    /// operators look for each.
    pub(super) fn tell_of_override_ends(&mut self, now: Duration) {
        let overrides = self.core.overrides();
        if Arc::ptr_eq(&self.last_overrides, &overrides) {
            return;
        }
        for sentence in over(&self.last_overrides, now) {
            self.status.events().note(EventKind::Override, sentence.as_str());
            tracing::info!("{sentence}");
        }
        self.last_overrides = overrides;
    }
}

/// A sentence for each of these overrides that is over.
fn over(overrides: &Overrides, now: Duration) -> Vec<String> {
    let run = of("the run", &overrides.all, now);
    let hosts = overrides.hosts.iter().flat_map(|(host, overrides)| of(host, overrides, now));
    run.into_iter().chain(hosts).collect()
}

fn of(whom: &str, overrides: &HostOverrides, now: Duration) -> Vec<String> {
    let ends = [
        ("pause", overrides.pause.and_then(|pause| pause.until)),
        ("skip", overrides.skip.map(|skip| skip.until)),
        ("rate", overrides.rate.and_then(|rate| rate.until)),
        ("concurrency", overrides.concurrency.and_then(|concurrency| concurrency.until)),
    ];
    let over = ends.into_iter().filter(|(_, until)| until.is_some_and(|until| until <= now));
    let then = |what| match what {
        "rate" | "concurrency" => "; the configuration holds again",
        _ => "",
    };
    over.map(|(what, _)| format!("The {what} override of {whom} has ended{}.", then(what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{ConcurrencyOverride, PauseOverride, SkipOverride};

    #[test]
    fn each_override_whose_time_is_over_is_a_sentence() {
        let at = Duration::from_secs;
        let of_host = HostOverrides {
            pause: Some(PauseOverride { until: Some(at(9)) }),
            skip: Some(SkipOverride { until: at(10) }),
            rate: None,
            concurrency: Some(ConcurrencyOverride { limit: 2, until: Some(at(8)) }),
        };
        let of_run = HostOverrides { pause: Some(PauseOverride { until: None }), ..HostOverrides::default() };
        let overrides = Overrides { all: of_run, hosts: [("a.test".into(), of_host)].into_iter().collect() };
        let pause = "The pause override of a.test has ended.";
        let concurrency = "The concurrency override of a.test has ended; the configuration holds again.";
        assert_eq!(over(&overrides, at(9)), [pause, concurrency]);
    }
}
