//! Signals, the grace period, and `--fail-fast`.

use std::collections::BTreeSet;

use fetchd::error::Error;
use fetchd::item::{ErrorKind, Outcome};
use fetchd::pipeline::{End, FailFast, Order};
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Settling, SinkBehaviour, SourceEnd, SourceScript, hang, ms, ok, secs, status};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn after_the_first_signal_no_line_is_accepted(scenario in any::scenario(), at in any::up_to(secs(10))) {
        let report = on_paused_time(scenario.interrupts([at]).execute());
        if let Some(accepted) = accepted_at_the_first_signal(&report) {
            assert_eq!(report.status.counters().accepted.get(), accepted);
        }
    }

    #[test]
    fn with_grace_enough_every_accepted_line_is_finished_or_left_to_its_durable_source(mut scenario in any::scenario(), at in any::up_to(secs(10))) {
        (scenario.settings.grace, scenario.settings.fail_fast) = (secs(3600), FailFast::No);
        let report = on_paused_time(scenario.interrupts([at]).execute());
        assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
        assert!(report.records().iter().all(|entry| entry.outcome != Outcome::Canceled));
        let recorded: BTreeSet<_> = report.records().into_iter().map(|entry| entry.id).collect();
        let left: Vec<_> = report.accepted().into_iter().filter(|id| !recorded.contains(id)).collect();
        assert!(left.iter().all(|id| report.is_durable(id)), "{left:?}");
        assert_eq!(left.len() as u64, report.status.counters().left.get());
    }

    #[test]
    fn after_the_first_signal_no_request_of_a_durable_source_starts(scenario in any::scenario(), at in any::up_to(secs(10))) {
        let report = on_paused_time(scenario.interrupts([at]).execute());
        let stop = report.events.iter().find(|(_, event)| matches!(event, Event::Interrupted { .. })).map(|(at, _)| *at);
        // What was handed to a worker at that moment has started.
        for (at, event) in report.events.iter().filter(|(at, _)| stop.is_some_and(|stop| *at > stop)) {
            assert!(!matches!(event, Event::Asked(id) if report.is_durable(id)), "at {at:?}: {event:?}");
        }
    }

    #[test]
    fn after_the_first_signal_the_run_ends_within_grace_and_a_second(
        scenario in any::scenario(), hanging in prop::bool::ANY, at in any::up_to(secs(10))
    ) {
        let sink = if hanging { SinkBehaviour::Hangs { after: 3 } } else { SinkBehaviour::Slow(ms(300)) };
        let scenario = scenario.sinks([SinkBehaviour::Prompt, sink]).interrupts([at]);
        let report = on_paused_time(scenario.execute());
        assert!(report.took <= at + scenario.settings.grace + secs(1) + ms(1), "it took {:?}", report.took);
    }
}

fn accepted_at_the_first_signal(report: &Report) -> Option<u64> {
    report.events.iter().find_map(|(_, event)| match event {
        Event::Interrupted { accepted } => Some(*accepted),
        _ => None,
    })
}

/// An endless input of which every other line is never answered.
fn half_dead() -> SourceScript {
    SourceScript::of([ok(ms(1)).get(), hang().at(1).get()]).every(ms(1)).ending(SourceEnd::Repeats)
}

/// Attempts may take an hour, and one host takes no more than half of the workers.
fn patient(scenario: Scenario) -> Scenario {
    scenario.settings(|settings| {
        settings.schedule.timeout = secs(3600);
        settings.schedule.deadline = secs(7200);
        settings.schedule.any_host.concurrency = Concurrency::Fixed(4);
    })
}

#[test]
fn lines_that_are_not_finished_within_the_grace_are_canceled() {
    let scenario = patient(Scenario::of([half_dead()])).interrupts([secs(1)]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::GaveUp));
    assert_eq!(report.records().len(), report.accepted_count());
    for entry in report.records() {
        let want =
            if entry.id.seq % 2 == 1 { (Outcome::Ok, None) } else { (Outcome::Canceled, Some(ErrorKind::Canceled)) };
        assert_eq!((entry.outcome, entry.kind), want, "{entry:?}");
    }
    assert!(report.took >= secs(31) && report.took < secs(32), "it took {:?}", report.took);
}

/// Lines that take a second each, of which one host takes four at once.
fn seconds(count: usize) -> SourceScript {
    SourceScript::of((0..count).map(|_| ok(secs(1)).get()))
}

#[test]
fn a_durable_run_ends_with_what_is_on_the_wire() {
    let scenario = patient(Scenario::of([seconds(40).settling(Settling::Records)])).interrupts([ms(2500)]);
    let report = on_paused_time(scenario.execute());
    assert_eq!((report.end.as_ref().ok(), report.took), (Some(&End::Finished), secs(3)));
    assert_eq!((report.records().len(), report.settled().len()), (12, 12));
    assert_eq!(report.status.counters().left.get(), 28);
}

#[test]
fn other_sources_finish_their_lines_beside_a_durable_one() {
    let scenario = patient(Scenario::of([seconds(20).settling(Settling::Records), seconds(10)])).interrupts([ms(500)]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
    let of_source =
        |name: &str| report.records().iter().filter(|entry| entry.id.source.as_deref() == Some(name)).count();
    assert_eq!((of_source("s0"), of_source("s1")), (2, 10));
    assert_eq!(report.status.counters().left.get(), 18);
}

#[test]
fn a_retry_that_waits_is_left_and_ends_the_run_at_once() {
    let lines = SourceScript::of([status(503).get(), ok(ms(1)).get()]).settling(Settling::Records);
    let scenario = patient(Scenario::of([lines])).interrupts([ms(100)]);
    let scenario = scenario.settings(|settings| settings.schedule.retry.backoff = secs(60));
    let report = on_paused_time(scenario.execute());
    assert_eq!((report.end.as_ref().ok(), report.took), (Some(&End::Finished), ms(100)));
    assert_eq!((report.only_record().id.seq, report.status.counters().left.get()), (2, 1));
}

#[test]
fn in_order_a_record_behind_a_line_that_stays_is_written_at_the_end() {
    let lines = SourceScript::of([status(503).get(), ok(ms(1)).get(), ok(secs(2)).get(), ok(secs(3)).get()]);
    let scenario = patient(Scenario::of([lines.settling(Settling::Records)])).interrupts([secs(1)]);
    let scenario = scenario.settings(|settings| {
        settings.order = Order::Input;
        settings.schedule.retry.backoff = secs(60);
    });
    let report = on_paused_time(scenario.execute());
    assert_eq!((report.end.as_ref().ok(), report.took), (Some(&End::Finished), secs(3)));
    assert_eq!(report.records().iter().map(|entry| entry.id.seq).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_sink_that_hangs_does_not_keep_the_run_from_its_end() {
    let scenario = patient(Scenario::of([half_dead().settling(Settling::Records)]));
    let scenario = scenario.sinks([SinkBehaviour::Hangs { after: 10 }]).interrupts([secs(1)]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::GaveUp));
    assert_eq!(report.took, secs(32));
    assert!(report.status.counters().unfinished() > 0);
}

#[test]
fn the_second_signal_ends_the_run_at_once() {
    let scenario = patient(Scenario::of([half_dead()])).interrupts([secs(1), secs(2)]);
    let report = on_paused_time(scenario.execute());
    let Err(Error::Interrupted { unfinished }) = report.end else { panic!("{:?}", report.end) };
    assert_eq!(unfinished as usize, report.accepted_count() - report.records().len());
    assert_eq!(report.took, secs(2));
}

#[test]
fn a_signal_that_finds_the_input_ended_changes_nothing_but_the_limit() {
    let scenario = Scenario::of([SourceScript::of([ok(secs(2)).get()])]).interrupts([secs(1)]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
    assert_eq!(report.only_record().outcome, Outcome::Ok);
    assert_eq!(report.took, secs(2));
}

#[test]
fn lines_that_the_source_had_read_already_are_counted_as_unread() {
    let scenario = patient(Scenario::of([SourceScript::of((0..100).map(|_| hang().get()))])).interrupts([secs(1)]);
    let scenario = scenario.settings(|settings| settings.window = 10);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.accepted_count(), 10);
    assert_eq!(report.status.metrics().unread.get(), 90);
}

fn fail_fast(scenario: Scenario) -> Scenario {
    patient(scenario).settings(|settings| settings.fail_fast = FailFast::Yes)
}

#[test]
fn with_fail_fast_the_first_failure_cancels_the_rest_within_a_second() {
    let failing = SourceScript::of([status(404).at(2).get()]).every(ms(30)).ending(SourceEnd::StaysOpen);
    let report = on_paused_time(fail_fast(Scenario::of([half_dead(), failing])).execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::FailedFast));
    assert!(report.took >= ms(30) && report.took < ms(1030), "it took {:?}", report.took);
    assert_eq!(report.records().len(), report.accepted_count());
    let failed = report.records().iter().filter(|entry| entry.outcome == Outcome::HttpError).count();
    assert_eq!(failed, 1);
    assert!(report.status.metrics().canceled.get() > 0);
}

#[test]
fn with_fail_fast_a_failed_last_line_is_a_failure_too() {
    let report = on_paused_time(fail_fast(Scenario::of([SourceScript::of([status(404).get()])])).execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::FailedFast));
}

#[test]
fn with_fail_fast_a_run_without_a_failure_finishes() {
    let report =
        on_paused_time(fail_fast(Scenario::of([SourceScript::of((0..50).map(|_| ok(ms(5)).get()))])).execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
    assert_eq!(report.records().len(), 50);
}

#[test]
fn with_fail_fast_a_sink_that_hangs_is_waited_for_a_second() {
    let hanging = SourceScript::of((0..3).map(|_| hang().at(1).get()));
    let failing = SourceScript::of([status(404).at(2).get()]).every(ms(30));
    let scenario = fail_fast(Scenario::of([hanging, failing])).sinks([SinkBehaviour::Hangs { after: 1 }]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::FailedFast));
    assert_eq!(report.took, ms(1030));
}
