//! When records are written: at once if no other line is under way, together with others if one is.

use std::time::Duration;

use fetchd::pipeline::Order;

use crate::log::Event;
use crate::scenario::{Scenario, on_paused_time};
use crate::script::{Said, SourceEnd, SourceScript, hang, ms, ok};

/// When each record was written.
fn writes(scenario: &Scenario, time: Duration) -> Vec<Duration> {
    let events = match on_paused_time(scenario.run_for(time)) {
        Ok(report) => report.events,
        Err(log) => log.events(),
    };
    events.into_iter().filter(|(_, event)| matches!(event, Event::Written { .. })).map(|(at, _)| at).collect()
}

#[test]
fn records_of_lines_that_come_alone_are_written_at_once() {
    let alone = SourceScript::of((0..20).map(|_| ok(ms(0)).get())).every(ms(1));
    assert_eq!(writes(&Scenario::of([alone]), ms(100)), (1..=20).map(ms).collect::<Vec<_>>());
}

#[test]
fn a_record_that_comes_after_a_pause_is_written_at_once_beside_others_under_way() {
    let lines = [hang().get(), ok(ms(10)).get(), ok(ms(20)).get()];
    assert_eq!(writes(&Scenario::of([SourceScript::of(lines)]), ms(100)), [ms(10), ms(20)]);
}

#[test]
fn records_that_come_in_quick_succession_are_written_together() {
    let lines = (0..20).map(|n| ok(ms(1)).at(n).get());
    let beside = SourceScript::of([hang().at(20).get()]);
    let writes = writes(&Scenario::of([beside, SourceScript::of(lines).every(ms(1))]), ms(100));
    assert_eq!(writes.len(), 20);
    let apart: Vec<_> = writes.windows(2).map(|two| two[1] - two[0]).filter(|apart| !apart.is_zero()).collect();
    assert!(apart.len() >= 5 && apart.iter().all(|apart| (ms(2)..=ms(3)).contains(apart)), "{writes:?}");
}

#[test]
fn a_record_that_others_wait_for_is_written_with_them_at_once() {
    let lines = [ok(ms(10)), ok(ms(11)).at(1), ok(ms(5)).at(2)].map(|exchange| exchange.get());
    let scenario = Scenario::of([SourceScript::of(lines).ending(SourceEnd::StaysOpen)]);
    let scenario = scenario.settings(|settings| settings.order = Order::Input);
    assert_eq!(writes(&scenario, ms(100)), [ms(10), ms(11), ms(11)]);
}

#[test]
fn a_full_batch_waits_for_nobody() {
    let lines = std::iter::once(hang().get()).chain((0..600).map(|_| Said::NotAUrl));
    let scenario =
        Scenario::of([SourceScript::of(lines)]).settings(|settings| (settings.window, settings.queue) = (1000, 1000));
    let writes = writes(&scenario, ms(100));
    assert_eq!(writes.iter().filter(|at| at.is_zero()).count(), 512, "{writes:?}");
    assert_eq!(writes.len(), 600);
}
