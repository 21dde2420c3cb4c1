//! Metrics over any run: counters never fall, there are never more series than promised, and at the end the counts agree with
//! what the parts saw.

use std::collections::BTreeMap;
use std::time::Duration;

use fetchd::pipeline::{Status, run};
use fetchd::sink::metered;
use fetchd::telemetry::Stats;
use fetchd::telemetry::metrics::{Metered, text};
use futures::stream;
use proptest::prelude::*;
use tokio::time::{MissedTickBehavior, interval};

use crate::any::scenario;
use crate::log::{Event, Ledger, Log};
use crate::scenario::{Scenario, on_paused_time};

/// The series of each scrape, by name with labels.
type Scrape = BTreeMap<String, f64>;

fn scrape(status: &Status, stats: &Stats) -> Scrape {
    let text = text(Metered::of(status, stats));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    let scrape: Scrape = series.collect();
    assert_eq!(scrape.len(), text.lines().filter(|line| !line.starts_with('#')).count(), "no series comes twice");
    scrape
}

/// Runs it with Stats and metered sinks, and scrapes it every so often.
async fn watch(scenario: &Scenario) -> (Vec<Scrape>, Log, Status) {
    let (log, memory, status, stats) = (Log::start(), Ledger::default(), Status::watched(), Stats::default());
    let mut parts = scenario.parts(&log, &memory);
    let sinks = std::mem::take(&mut parts.sinks).into_iter().enumerate();
    parts.sinks = sinks.map(|(number, sink)| metered(format!("sink{number}").into(), sink)).collect();
    parts.sinks.push(Box::new(stats.clone()));
    parts.sources.iter_mut().enumerate().for_each(|(number, source)| source.name = format!("source{number}").into());
    let mut scrapes = vec![scrape(&status, &stats)];
    let mut ended = std::pin::pin!(run(parts, &scenario.settings, &status, stream::pending()));
    let mut tick = interval(Duration::from_millis(300));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Some last for hours.
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => break,
            _ = tick.tick(), if scrapes.len() < 200 => scrapes.push(scrape(&status, &stats)),
        }
    }
    scrapes.push(scrape(&status, &stats));
    (scrapes, log, status.clone())
}

fn is_counter(series: &str) -> bool {
    let name = series.split('{').next().unwrap();
    ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end))
}

/// The sum of a metric over all its labels.
fn sum(scrape: &Scrape, name: &str) -> f64 {
    let of_name = |series: &&String| series.split('{').next() == Some(name);
    scrape.keys().filter(of_name).map(|series| scrape[series]).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn counters_never_fall_and_series_are_as_many_as_promised(scenario in scenario()) {
        let (scrapes, _, _) = on_paused_time(watch(&scenario));
        let most = 300 + 10 * scenario.sources.len() + 6 * scenario.sinks.len();
        for pair in scrapes.windows(2) {
            for (series, before) in pair[0].iter().filter(|(series, _)| is_counter(series)) {
                let now = pair[1].get(series).copied();
                prop_assert!(now.is_some_and(|now| now >= *before), "{series} was {before} and is {now:?}");
            }
            prop_assert!(pair[1].len() <= most, "{} series", pair[1].len());
        }
    }

    #[test]
    fn at_the_end_the_counts_are_what_the_parts_saw(scenario in scenario()) {
        let (scrapes, log, status) = on_paused_time(watch(&scenario));
        let (last, counters) = (scrapes.last().unwrap(), status.counters());
        let equal = |name: &str, expected: u64| {
            prop_assert_eq!(sum(last, name), expected as f64, "{}", name);
            Ok(())
        };
        equal("fetchd_lines_accepted_total", counters.accepted.get())?;
        equal("fetchd_accepted_bytes_total", status.metrics().accepted_bytes.get())?;
        equal("fetchd_records_total", counters.recorded.get())?;
        let asked = log.events().iter().filter(|(_, event)| matches!(event, Event::Asked(_))).count();
        let requests = sum(last, "fetchd_requests_total");
        prop_assert!(requests <= asked as f64, "{requests} counted, {asked} made");
        let states = sum(last, "fetchd_lines");
        prop_assert_eq!(states, counters.unfinished() as f64);
    }
}
