//! What breaks: one attempt is a record, a stage is the end of the run.

use fetchd::error::Error;
use fetchd::item::{ErrorKind, Outcome, Sent};

use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Exchange, Reply, Settling, SinkBehaviour, SourceEnd, SourceScript, hang, ms, ok, secs};

fn exchange(scenario: &Scenario) -> Report {
    on_paused_time(scenario.execute())
}

fn lines(n: usize) -> SourceScript {
    SourceScript::of((0..n).map(|_| ok(ms(5)).get()))
}

#[test]
fn a_panic_in_an_attempt_is_a_record_and_the_others_go_on() {
    let panics = || Exchange::new([Reply::Panic.after(ms(5))]).get();
    let lines = (0..40).map(|n| if n % 4 == 0 { panics() } else { ok(ms(5)).get() });
    let scenario =
        Scenario::of([SourceScript::of(lines)]).settings(|settings| (settings.workers, settings.concurrency) = (2, 2));
    let report = exchange(&scenario);
    assert!(report.end.is_ok());
    assert_eq!(report.records().len(), 40);
    for entry in report.records() {
        let want = if entry.id.seq % 4 == 1 { (Outcome::Failed, Some(ErrorKind::Panic)) } else { (Outcome::Ok, None) };
        assert_eq!((entry.outcome, entry.kind), want, "{entry:?}");
    }
}

#[track_caller]
fn assert_stage_failed(report: &Report, stage: &str, why: &str) {
    match &report.end {
        Err(Error::Stage { name, source }) => assert_eq!((name.as_str(), source.to_string().as_str()), (stage, why)),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_stage_panicked(report: &Report, stage: &str, why: &str) {
    match &report.end {
        Err(Error::Panic { name, message }) => assert_eq!((name.as_str(), message.as_str()), (stage, why)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_in_a_source_ends_the_run_and_names_the_feed() {
    let scenario = Scenario::of([lines(3).ending(SourceEnd::Breaks), lines(0).ending(SourceEnd::StaysOpen)]);
    assert_stage_failed(&exchange(&scenario), "feed", "the source broke");
}

#[test]
fn a_panic_in_a_source_ends_the_run_and_names_the_feed() {
    let scenario = Scenario::of([lines(3).ending(SourceEnd::Panics), lines(0).ending(SourceEnd::StaysOpen)]);
    assert_stage_panicked(&exchange(&scenario), "feed", "the source panicked");
}

#[test]
fn an_error_in_any_sink_ends_the_run_and_names_the_drain() {
    let scenario = Scenario::of([lines(90)]).sinks([SinkBehaviour::Prompt, SinkBehaviour::Fails { after: 10 }]);
    assert_stage_failed(&exchange(&scenario), "drain", "the sink is full");
}

#[test]
fn a_panic_in_any_sink_ends_the_run_and_names_the_drain() {
    let scenario = Scenario::of([lines(90)]).sinks([SinkBehaviour::Prompt, SinkBehaviour::Panics { after: 10 }]);
    assert_stage_panicked(&exchange(&scenario), "drain", "the sink fell down");
}

#[test]
fn an_error_in_settle_ends_the_run_and_names_it() {
    let scenario = Scenario::of([lines(1), lines(9).settling(Settling::Fails)]);
    assert_stage_failed(&exchange(&scenario), "settle", "the source forgot");
}

#[test]
fn a_panic_in_settle_ends_the_run_and_names_it() {
    let scenario = Scenario::of([lines(1), lines(9).settling(Settling::Panics)]);
    assert_stage_panicked(&exchange(&scenario), "settle", "the source lost its mind");
}

#[test]
fn a_broken_stage_waits_for_nobody() {
    let silent = SourceScript::of([hang().get()]).ending(SourceEnd::StaysOpen);
    let scenario = Scenario::of([silent, lines(30)]).sinks([SinkBehaviour::Fails { after: 0 }]);
    let report = exchange(&scenario);
    assert_stage_failed(&report, "drain", "the sink is full");
    assert_eq!(report.took, ms(5));
}

#[test]
fn a_sink_that_failed_has_settled_nothing_of_its_batch() {
    let scenario = Scenario::of([lines(40).every(ms(10)).settling(Settling::Records)]);
    let report = exchange(&scenario.sinks([SinkBehaviour::Prompt, SinkBehaviour::Fails { after: 10 }]));
    assert_eq!(report.settled().len(), 10);
}

#[test]
fn an_attempt_that_hangs_is_cut_at_the_time_limit_and_tried_again() {
    let scenario = Scenario::of([SourceScript::of([hang().get()])]);
    let report = exchange(&scenario);
    let entry = report.only_record();
    assert_eq!((entry.outcome, entry.kind, entry.attempts), (Outcome::Failed, Some(ErrorKind::Timeout), 3));
    // Three attempts of five seconds, and two waits of at most half a second and one.
    assert!(report.took >= secs(15) && report.took <= ms(16_600), "it took {:?}", report.took);
}

#[test]
fn a_post_that_hangs_is_cut_at_the_time_limit_and_not_tried_again() {
    let report = exchange(&Scenario::of([SourceScript::of([hang().post()])]));
    let entry = report.only_record();
    assert_eq!((entry.outcome, entry.kind, entry.attempts), (Outcome::Failed, Some(ErrorKind::Timeout), 1));
    assert_eq!(report.took, secs(5));
    assert_eq!(report.times_asked(&entry.id), 1);
}

#[test]
fn a_post_of_which_nothing_was_sent_is_tried_again() {
    let refused = Reply::Fail(ErrorKind::ConnectRefused, Sent::Nothing).after(ms(1));
    let then_ok = Reply::Response { status: 200, body: 0 }.after(ms(1));
    let entry = exchange(&Scenario::of([SourceScript::of([Exchange::new([refused, then_ok]).post()])])).only_record();
    assert_eq!((entry.outcome, entry.attempts), (Outcome::Ok, 2));
}

#[test]
fn attempts_that_hang_do_not_hold_the_others_up() {
    let scenario = Scenario::of([SourceScript::of((0..7).map(|_| hang().at(1).get())), lines(100)]);
    let scenario = scenario.settings(|settings| settings.window = 200);
    let report = exchange(&scenario);
    let last_ok = report.events.iter().rev().find_map(|(at, event)| match event {
        Event::Written { entry, .. } if entry.outcome == Outcome::Ok => Some(*at),
        _ => None,
    });
    assert!(last_ok.unwrap() < secs(1), "the last line came after {last_ok:?}");
}
