//! One line, one record; in order if asked for; and nothing is done before it is written.

use std::collections::{BTreeMap, BTreeSet};

use fetchd::item::{Identity, Outcome};
use fetchd::pipeline::{End, Order};
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Said, Settling, SinkBehaviour, SourceEnd, SourceScript, hang, ms, ok, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_accepted_line_has_exactly_one_record(scenario in any::interrupted_scenario()) {
        let report = on_paused_time(scenario.execute());
        let sinks = scenario.sinks.len();
        each_line_is_written_at_most_once_to_each_sink(&report, sinks);
        if report.end.is_ok() {
            every_line_is_accounted_for(&report, sinks);
            the_tally_agrees(&report);
        }
        assert_eq!(report.memory_left, 0, "body memory is kept by nobody");
    }

    #[test]
    fn ordered_records_come_as_their_lines_were_accepted(mut scenario in any::interrupted_scenario()) {
        scenario.settings.order = Order::Input;
        let report = on_paused_time(scenario.execute());
        let places: BTreeMap<_, _> = report.yielded().into_iter().zip(0..).collect();
        for sink in 0..scenario.sinks.len() {
            let written: Vec<usize> = report.written_to(sink).iter().map(|entry| places[&entry.id]).collect();
            assert!(written.is_sorted(), "sink {sink} has {written:?}");
        }
    }

    #[test]
    fn no_line_is_settled_before_every_sink_has_taken_its_record(mut scenario in any::interrupted_scenario()) {
        for script in &mut scenario.sources {
            script.settling = Settling::Records;
        }
        let report = on_paused_time(scenario.execute());
        let mut taken = BTreeMap::<&Identity, usize>::new();
        for (_, event) in &report.events {
            match event {
                Event::Written { entry, .. } => *taken.entry(&entry.id).or_default() += 1,
                Event::Settled(id) => assert_eq!(taken.get(id), Some(&scenario.sinks.len()), "{id:?} was settled too early"),
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_settled_when_a_run_ends_well_is_committed(mut scenario in any::interrupted_scenario()) {
        for script in &mut scenario.sources {
            script.settling = Settling::Records;
        }
        let report = on_paused_time(scenario.execute());
        let last = |wanted: fn(&Event) -> bool| report.events.iter().rposition(|(_, event)| wanted(event));
        if report.end.as_ref().is_ok_and(|end| *end == End::Finished) {
            let settled = last(|event| matches!(event, Event::Settled(_)));
            assert!(settled < last(|event| matches!(event, Event::Committed)), "{:?}", report.events);
        }
    }
}

#[test]
fn a_sink_goes_on_in_another_file_between_two_commits() {
    let lines = SourceScript::of((0..20).map(|_| ok(ms(1)).get())).every(ms(10)).settling(Settling::Records);
    let scenario = Scenario::of([lines]).sinks([SinkBehaviour::Switches { after: 5 }]);
    let report = on_paused_time(scenario.execute());
    let kinds: Vec<_> = report.events.iter().map(|(_, event)| event).collect();
    let at = kinds.iter().position(|event| matches!(event, Event::Switched)).unwrap();
    assert!(at + 1 < kinds.iter().rposition(|event| matches!(event, Event::Written { .. })).unwrap());
    let between = |event: &&Event| matches!(event, Event::Committed | Event::Written { .. });
    let before = kinds[..at].iter().copied().rfind(between).unwrap();
    let after = kinds[at..].iter().copied().find(between).unwrap();
    assert!(matches!((before, after), (Event::Committed, Event::Committed)), "{before:?}, then {after:?}");
}

#[test]
fn a_rotation_reaches_every_sink_and_each_request_but_those_that_wait_for_the_same() {
    let lines = SourceScript::of((0..20).map(|_| ok(ms(1)).get())).every(ms(10)).settling(Settling::Records);
    let mut scenario = Scenario::of([lines]).sinks([SinkBehaviour::Prompt, SinkBehaviour::Slow(ms(25))]);
    scenario.rotations = vec![ms(45), ms(46), ms(47), ms(150)];
    let report = on_paused_time(scenario.execute());
    let at = |number| {
        let is_it = |event: &Event| matches!(event, Event::RotationRequested { sink } if *sink == number);
        report.events.iter().filter(|(_, event)| is_it(event)).map(|(at, _)| *at).collect::<Vec<_>>()
    };
    assert_eq!(at(0), at(1));
    assert!((2..=3).contains(&at(0).len()) && at(0)[0] >= ms(45), "{:?}", at(0));
    assert_eq!(report.records().len(), 20);
}

#[test]
fn records_are_committed_when_no_more_come_for_a_while() {
    let scenario = Scenario::of([SourceScript::of([ok(ms(1)).get(), ok(ms(1)).get()])
        .ending(SourceEnd::StaysOpen)
        .settling(Settling::Records)]);
    let report = on_paused_time(async { scenario.interrupts([secs(5)]).execute().await });
    let committed: Vec<_> = report.events.iter().filter(|(_, event)| matches!(event, Event::Committed)).collect();
    assert!(committed[0].0 < secs(1), "{committed:?}");
}

#[test]
fn records_are_committed_within_seconds_while_more_come() {
    let lines = (0..1000).map(|_| ok(ms(100)).get());
    let scenario = Scenario::of([SourceScript::of(lines).ending(SourceEnd::StaysOpen).settling(Settling::Records)]);
    let report = on_paused_time(async { scenario.interrupts([secs(20)]).execute().await });
    let committed: Vec<_> =
        report.events.iter().filter(|(_, event)| matches!(event, Event::Committed)).map(|(at, _)| *at).collect();
    assert!(committed[0] > secs(5) && committed[0] < secs(6), "{committed:?}");
}

pub fn each_line_is_written_at_most_once_to_each_sink(report: &Report, sinks: usize) {
    let accepted: BTreeSet<_> = report.accepted().into_iter().collect();
    for sink in 0..sinks {
        let mut seen = BTreeSet::new();
        for entry in report.written_to(sink) {
            assert!(accepted.contains(&entry.id), "{:?} was never accepted", entry.id);
            assert!(seen.insert(entry.id.clone()), "{:?} is written twice", entry.id);
        }
    }
}

/// A line without a record is one that its source will yield again.
pub fn every_line_is_accounted_for(report: &Report, sinks: usize) {
    let is_stopped = report.end.as_ref().ok() != Some(&End::Finished) || report.was_interrupted();
    every_line_is_recorded_or_left(report, sinks, is_stopped);
}

/// The same where lines may be left for another reason than a stop.
pub fn every_line_is_recorded_or_left(report: &Report, sinks: usize, may_be_left: bool) {
    let settled: BTreeSet<_> = report.settled().into_iter().collect();
    for sink in 0..sinks {
        let records: BTreeMap<_, _> =
            report.written_to(sink).into_iter().map(|entry| (entry.id, entry.outcome)).collect();
        for id in report.accepted() {
            match records.get(&id) {
                Some(outcome) => {
                    let is_durable = report.is_durable(&id);
                    assert!(!(is_durable && *outcome == Outcome::Canceled), "{id:?} is due again, yet has a record");
                    assert_eq!(settled.contains(&id), is_durable, "{id:?}");
                }
                None => {
                    assert!(report.is_durable(&id), "{id:?} has no record");
                    assert!(may_be_left, "{id:?} was left behind");
                    assert!(!settled.contains(&id), "{id:?} is settled without a record");
                }
            }
        }
    }
}

pub fn the_tally_agrees(report: &Report) {
    let (counters, metrics, records) = (report.status.counters(), report.status.metrics(), report.records());
    let count = |wanted: fn(Outcome) -> bool| records.iter().filter(|entry| wanted(entry.outcome)).count() as u64;
    assert_eq!(counters.recorded.get(), records.len() as u64);
    assert_eq!(metrics.not_ok.get(), count(|outcome| outcome != Outcome::Ok));
    assert_eq!(metrics.canceled.get(), count(|outcome| outcome == Outcome::Canceled));
    if report.end.as_ref().is_ok_and(|end| *end == End::Finished) {
        assert_eq!(counters.unfinished(), 0);
        assert_eq!(counters.left.get(), report.accepted_count() as u64 - counters.recorded.get());
    }
    // What a durable source has yielded is not lost when it is not accepted.
    let unread = report.yielded().into_iter().skip(report.accepted_count()).filter(|id| !report.is_durable(id));
    assert_eq!(metrics.unread.get(), unread.count() as u64);
}

#[test]
fn blank_lines_are_counted_and_are_owed_nothing() {
    let scenario = Scenario::of([SourceScript::of([Said::Blank, ok(ms(1)).get(), Said::Blank])]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.status.metrics().blank.get(), 2);
    assert_eq!(report.only_record().outcome, Outcome::Ok);
}

#[test]
fn a_line_given_up_is_left_to_a_durable_source_and_recorded_for_any_other() {
    let lines = || SourceScript::of([ok(ms(1)).get(), hang().get()]);
    let scenario = Scenario::of([lines().settling(Settling::Records), lines()]).interrupts([ms(10)]);
    let scenario = scenario.settings(|settings| settings.schedule.timeout = secs(1000));
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::GaveUp));
    let outcomes: Vec<_> =
        report.outcomes().into_iter().map(|(id, seen)| (id.source.unwrap(), id.seq, seen.0)).collect();
    let want = [("s0".into(), 1, Outcome::Ok), ("s1".into(), 1, Outcome::Ok), ("s1".into(), 2, Outcome::Canceled)];
    assert_eq!(outcomes, want);
    assert_eq!(report.settled().iter().map(|id| id.seq).collect::<Vec<_>>(), [1]);
    let counters = report.status.counters();
    assert_eq!((counters.left.get(), counters.unfinished()), (1, 0));
}
