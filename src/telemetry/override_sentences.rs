//! Sentences about operators' overrides, for the log, the summary and the API.

use std::time::Duration;

use crate::pipeline::View;
use crate::schedule::{HostOverrides, LimitsOverride, Overrides, PauseOverride, SkipOverride};
use crate::units::Span;

/// One sentence for each override in a view, those of the whole run first.
pub fn override_sentences(view: &View) -> Vec<String> {
    let passed = view.as_of.map_or(Duration::ZERO, |as_of| as_of.elapsed());
    sentences(&view.overrides, view.run_time + passed)
}

/// One sentence for each of these overrides at time `now` of the run.
pub fn sentences(overrides: &Overrides, now: Duration) -> Vec<String> {
    let run = of("The run", &overrides.all, now);
    let hosts = overrides.hosts.iter().flat_map(|(name, host)| of(name, host, now));
    run.into_iter().chain(hosts).collect()
}

fn of(whom: &str, overrides: &HostOverrides, now: Duration) -> Vec<String> {
    let pause = overrides.pause.map(|pause| pause_sentence(whom, pause, now));
    let skip = overrides.skip.map(|skip| skip_sentence(whom, skip, now));
    let limits = overrides.limits.map(|limits| limits_sentence(whom, limits, now));
    [pause, skip, limits].into_iter().flatten().collect()
}

/// The sentence about a pause of `whom`, a host or `The run`.
pub fn pause_sentence(whom: &str, pause: PauseOverride, now: Duration) -> String {
    format!("{whom} is paused by an operator{}.", end(pause.until, "it is resumed", now))
}

/// The sentence about skipped lines of a host.
pub fn skip_sentence(whom: &str, skip: SkipOverride, now: Duration) -> String {
    format!("Lines of {whom} are skipped{}.", end(Some(skip.until), "", now))
}

/// The sentence about limits of `whom`, a host or `The run`.
pub fn limits_sentence(
    whom: &str,
    LimitsOverride { rate, concurrency, until }: LimitsOverride,
    now: Duration,
) -> String {
    let rate = rate.map(|rate| format!("rate {rate}"));
    let concurrency = concurrency.map(|concurrency| format!("concurrency {concurrency}"));
    let limits = rate.into_iter().chain(concurrency).collect::<Vec<_>>().join(" and ");
    format!("{whom} has limits by an operator{}: {limits}.", end(until, "they are cleared", now))
}

fn end(until: Option<Duration>, otherwise: &str, now: Duration) -> String {
    match until {
        Some(until) => {
            format!(" for another {}", Span(Duration::from_secs(until.saturating_sub(now).as_secs().max(1))))
        }
        None => format!(" until {otherwise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_override_is_a_sentence_with_its_end() {
        let at = Duration::from_secs;
        let of_run = HostOverrides { pause: Some(PauseOverride { until: None }), ..HostOverrides::default() };
        let limits = LimitsOverride { rate: "2/s".parse().ok(), concurrency: Some(3), until: Some(at(3610)) };
        let of_host = HostOverrides {
            skip: Some(SkipOverride { until: at(70) }),
            limits: Some(limits),
            ..HostOverrides::default()
        };
        let overrides = Overrides { all: of_run, hosts: [("a.test".into(), of_host)].into_iter().collect() };
        assert_eq!(
            sentences(&overrides, at(10)),
            [
                "The run is paused by an operator until it is resumed.",
                "Lines of a.test are skipped for another 1m.",
                "a.test has limits by an operator for another 1h: rate 2/s and concurrency 3.",
            ]
        );
    }
}
