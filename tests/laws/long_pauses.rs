//! Pauses longer than `retry.max_retry_after`: a run ends for them only when nothing else is left, every line has its record or is left
//! for the next start, and a run that waits loses none.

use fetchd::item::ErrorKind;
use fetchd::pipeline::{End, Order};
use fetchd::schedule::LongPause;
use proptest::prelude::*;

use crate::accounts::{each_line_is_written_at_most_once_to_each_sink, every_line_is_accounted_for};
use crate::any;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Exchange, Reply, Settling, SinkBehaviour, SourceEnd, SourceScript, ms, ok, secs};

/// Any scenario with pauses that are too long, for which the run ends or does not.
fn scenario(long_pause: LongPause) -> impl Strategy<Value = Scenario> {
    (any::scenario_without_fail_fast(), any::up_to(secs(3))).prop_map(move |(scenario, max_retry_after)| {
        scenario.settings(|settings| {
            settings.schedule.any_host.long_pause = long_pause;
            settings.schedule.retry.max_retry_after = max_retry_after;
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_line_has_its_record_or_is_left(scenario in scenario(LongPause::End)) {
        let report = on_paused_time(scenario.execute());
        each_line_is_written_at_most_once_to_each_sink(&report, scenario.sinks.len());
        if report.end.is_ok() {
            every_line_is_accounted_for(&report, scenario.sinks.len());
        }
        let left = report.status.counters().left.get();
        let waits: usize = report.status.closed_hosts().iter().flat_map(|left| &left.hosts).map(|host| host.lines).sum();
        match report.end {
            Ok(End::Finished) => prop_assert_eq!((left, waits), (0, 0)),
            // Hosts without room in the table are not known to be closed.
            Ok(End::HostsClosed) => prop_assert!(waits > 0 && waits as u64 <= left, "{} of {}", waits, left),
            Ok(end) => prop_assert!(false, "{:?}", end),
            Err(_) => {}
        }
    }

    #[test]
    fn a_run_that_waits_finishes_every_line_of_a_durable_source(scenario in scenario(LongPause::Wait)) {
        let report = on_paused_time(scenario.execute());
        if report.end.is_ok() {
            every_line_is_accounted_for(&report, scenario.sinks.len());
            prop_assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
            prop_assert_eq!(report.status.counters().left.get(), 0);
        }
        for entry in report.records().iter().filter(|entry| entry.kind == Some(ErrorKind::RetryAfterTooLong)) {
            let source: usize = entry.id.source.as_deref().unwrap()[1..].parse().unwrap();
            prop_assert_eq!(scenario.sources[source].settling, Settling::Absent);
        }
    }
}

/// A line of host 0, which is closed for an hour by its first answer.
fn closes() -> Exchange {
    Exchange::new([Reply::AskForRest(secs(3600)).after(ms(1)), Reply::Response { status: 200, body: 0 }.after(ms(1))])
}

fn durable(lines: impl IntoIterator<Item = Exchange>) -> SourceScript {
    SourceScript::of(lines.into_iter().map(Exchange::get)).settling(Settling::Records)
}

fn run(source: SourceScript, long_pause: LongPause, order: Order, window: usize) -> Report {
    let scenario = Scenario::of([source]).settings(|settings| {
        settings.schedule.any_host.long_pause = long_pause;
        (settings.order, settings.window) = (order, window);
    });
    on_paused_time(scenario.execute())
}

/// Two lines of the closed host among others, and more of it than the window takes.
fn mixed() -> SourceScript {
    let others = || (0..20).map(|n| ok(secs(1)).at(1 + n % 3));
    durable([closes(), closes()].into_iter().chain(others()).chain((0..30).map(|_| closes())).chain(others()))
}

#[test]
fn a_run_ends_when_the_input_has_ended_and_only_closed_hosts_are_left() {
    for order in [Order::Completion, Order::Input] {
        let report = run(mixed(), LongPause::End, order, 100);
        assert_eq!(report.end.as_ref().ok(), Some(&End::HostsClosed));
        assert_eq!((report.records().len(), report.status.counters().left.get()), (40, 32));
        assert!(report.took < secs(60), "it took {:?}", report.took);
    }
}

#[test]
fn a_run_ends_when_the_window_is_full_of_lines_of_closed_hosts() {
    for (order, written) in [(Order::Completion, 20), (Order::Input, 18)] {
        let report = run(mixed(), LongPause::End, order, 20);
        assert_eq!(report.end.as_ref().ok(), Some(&End::HostsClosed), "{order:?}");
        let left = report.status.counters().left.get();
        assert_eq!((report.records().len(), left as usize), (written, report.accepted_count() - written));
        assert!(report.took < secs(60), "it took {:?}", report.took);
    }
}

#[test]
fn a_run_that_waits_goes_on_when_the_host_opens() {
    for (window, order) in [(100, Order::Completion), (20, Order::Completion), (20, Order::Input)] {
        let report = run(mixed(), LongPause::Wait, order, window);
        assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
        assert_eq!(report.records().len(), 72);
        assert!(report.records().iter().all(|entry| entry.kind.is_none()), "{:?}", report.records());
        assert!(report.took > secs(3600));
    }
}

#[test]
fn a_run_whose_input_is_open_and_whose_window_has_room_goes_on() {
    let report = run(mixed().ending(SourceEnd::StaysOpen), LongPause::End, Order::Completion, 20);
    assert_eq!(report.end.as_ref().ok(), Some(&End::HostsClosed), "the window is full");
    let open = durable([closes()]).ending(SourceEnd::StaysOpen);
    let scenario = Scenario::of([open]).settings(|settings| settings.schedule.any_host.long_pause = LongPause::End);
    assert!(on_paused_time(scenario.run_for(secs(1800))).is_err(), "it ended");
}

#[test]
fn a_run_goes_on_while_records_are_written_that_make_room_for_other_lines() {
    for order in [Order::Completion, Order::Input] {
        let others = (0..40).map(|n| ok(ms(1)).at(1 + n % 3));
        // In the order of the input, what is behind the closed host's line waits for it.
        let lines: Vec<_> = match order {
            Order::Completion => std::iter::once(closes()).chain(others).collect(),
            Order::Input => others.chain([closes()]).collect(),
        };
        let scenario = Scenario::of([durable(lines)]).sinks([SinkBehaviour::Slow(secs(1))]).settings(|settings| {
            settings.schedule.any_host.long_pause = LongPause::End;
            (settings.order, settings.window) = (order, 4);
        });
        let report = on_paused_time(scenario.execute());
        assert_eq!(report.end.as_ref().ok(), Some(&End::HostsClosed));
        assert_eq!(report.records().len(), 40, "{order:?}");
    }
}
