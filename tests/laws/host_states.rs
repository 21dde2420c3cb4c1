//! Hosts in trouble are told of soon, and seldom enough to be written down each time.

use std::time::Duration;

use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Exchange, Reply, SourceScript, ms, ok, secs};

/// When somebody was told, and of how many hosts.
fn told(report: &Report) -> Vec<(Duration, usize)> {
    let told = |(at, event): &(Duration, Event)| match event {
        Event::HostsInTrouble(hosts) => Some((*at, *hosts)),
        _ => None,
    };
    report.events.iter().filter_map(told).collect()
}

proptest! {
    #[test]
    fn hosts_in_trouble_are_told_of_at_most_once_a_second_and_once_more_at_the_end(scenario in any::scenario()) {
        let told = told(&on_paused_time(scenario.execute()));
        let but_the_last = &told[..told.len().saturating_sub(1)];
        prop_assert!(but_the_last.is_sorted_by(|(one, _), (next, _)| *one + secs(1) <= *next), "{told:?}");
    }
}

#[test]
fn every_host_that_asks_for_rest_is_told_of_within_a_second() {
    // One after the other in four seconds.
    let asks = |host| Exchange::new([Reply::AskForRest(secs(100)).after(ms(0)), ok(ms(0)).steps[0]]).at(host);
    let scenario = Scenario::of([SourceScript::of((0..40).map(|host| asks(host).get())).every(ms(100))]);
    let report = on_paused_time(scenario.execute());
    assert!(report.records().iter().all(|entry| entry.attempts == 2));
    let told = told(&report);
    let first = told.iter().find(|(_, hosts)| *hosts == 40);
    assert!(first.is_some_and(|(at, _)| *at <= secs(5)), "{told:?}");
    assert!(told.len() <= 6, "{told:?}");
}
