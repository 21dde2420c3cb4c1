//! A line that is released goes back to its source once, and never has a record; all others have theirs.

use std::collections::BTreeSet;

use fetchd::item::{Identity, Outcome};
use fetchd::pipeline::{End, Order};
use fetchd::schedule::ReleaseScope;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Settling, SinkBehaviour, SourceScript, ms, ok, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_accepted_line_is_recorded_or_released_or_left_to_its_source(scenario in any::scenario_with_releases()) {
        let report = on_paused_time(scenario.execute());
        let (recorded, released) = (recorded(&report), released(&report));
        assert!(recorded.is_disjoint(&released), "{:?}", recorded.intersection(&released).collect::<Vec<_>>());
        assert!(released.iter().all(|id| report.is_durable(id)), "a source that cannot take lines back got some");
        if let Ok(end) = &report.end {
            let ended: BTreeSet<_> = recorded.union(&released).cloned().collect();
            let left = report.accepted().into_iter().filter(|id| !ended.contains(id));
            let left: Vec<Identity> = left.collect();
            let is_stopped = *end != End::Finished || report.was_interrupted();
            assert!(left.iter().all(|id| report.is_durable(id) && is_stopped), "{left:?} is lost");
            let counters = report.status.counters();
            assert_eq!(counters.released.get(), released.len() as u64);
            assert_eq!(counters.accepted.get(), counters.recorded.get() + counters.released.get() + left.len() as u64);
            assert_eq!(counters.left.get() + counters.unfinished(), left.len() as u64);
        }
        assert_eq!(report.memory_left, 0, "body memory is kept by nobody");
    }

    #[test]
    fn a_released_line_is_not_settled(scenario in any::scenario_with_releases()) {
        let report = on_paused_time(scenario.execute());
        let settled: BTreeSet<_> = report.settled().into_iter().collect();
        assert!(settled.is_disjoint(&released(&report)));
    }
}

fn recorded(report: &Report) -> BTreeSet<Identity> {
    report.records().into_iter().map(|entry| entry.id).collect()
}

/// The released lines, each released once.
fn released(report: &Report) -> BTreeSet<Identity> {
    let all = report.released();
    let count = all.len();
    let released: BTreeSet<_> = all.into_iter().collect();
    assert_eq!(released.len(), count, "a line is released twice");
    released
}

/// Twenty lines of one host, of which two at once take a second each, released after 100 ms.
fn twenty_lines() -> Scenario {
    let lines = SourceScript::of((0..20).map(|_| ok(secs(1)).get())).settling(Settling::Records);
    Scenario::of([lines])
        .settings(|settings| settings.concurrency = 2)
        .releases([(ms(100), ReleaseScope::All { source: 0 })])
}

#[test]
fn lines_under_way_finish_and_those_that_wait_go_back() {
    let report = on_paused_time(twenty_lines().execute());
    assert_eq!((report.end.as_ref().ok(), report.took), (Some(&End::Finished), secs(1)));
    let outcomes: Vec<_> = report.records().into_iter().map(|entry| (entry.id.seq, entry.outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::Ok), (2, Outcome::Ok)]);
    assert_eq!(report.released().iter().map(|id| id.seq).collect::<Vec<_>>(), (3..=20).rev().collect::<Vec<_>>());
    let at = report.events.iter().find(|(_, event)| matches!(event, Event::Released(_))).map(|(at, _)| *at);
    assert_eq!(at, Some(ms(100)), "at once");
}

#[test]
fn released_lines_make_room_in_the_window_at_once() {
    let lines = SourceScript::of((0..100).map(|_| ok(secs(1)).get())).settling(Settling::Records);
    let scenario = Scenario::of([lines]).settings(|settings| (settings.concurrency, settings.window) = (2, 10));
    let report = on_paused_time(scenario.releases([(ms(100), ReleaseScope::All { source: 0 })]).execute());
    assert_eq!(report.released().len(), 8);
    let tenth = |event: &Event| matches!(event, Event::Yielded(id, _) if id.seq == 12);
    let at = report.events.iter().find(|(_, event)| tenth(event)).map(|(at, _)| *at);
    assert!(at.is_some_and(|at| at < ms(200)), "{at:?}");
}

#[test]
fn a_sink_that_stands_still_does_not_hold_up_a_release() {
    let stall = SinkBehaviour::Stalls { after: 0, time: secs(60) };
    let report = on_paused_time(twenty_lines().sinks([stall]).settings(|settings| settings.concurrency = 1).execute());
    assert_eq!((report.records().len(), report.released().len()), (1, 19));
}

#[test]
fn in_the_order_of_the_input_nothing_is_released() {
    let report = on_paused_time(twenty_lines().settings(|settings| settings.order = Order::Input).execute());
    assert_eq!((report.records().len(), report.released().len()), (20, 0));
}
