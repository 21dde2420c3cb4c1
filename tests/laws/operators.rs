//! What operators do, in the whole pipeline: storms lose no line, a pause holds from the reply on and outlasts a kill and the
//! end of the input, and a stop does not wait for an operator.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetchd::item::{CHUNK, ErrorKind, Outcome};
use fetchd::pipeline::{Desk, End, Order, Parts, Status, run};
use fetchd::schedule::{Change, LineAnswer, LineKey, Overrides, PauseOverride, Remedy, Scope, StallReason, WaitReason};
use futures::stream;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

use crate::accounts::{
    each_line_is_written_at_most_once_to_each_sink, every_line_is_recorded_or_left, the_tally_agrees,
};
use crate::any;
use crate::log::{Event, Ledger, Log};
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Answers, Settling, SinkBehaviour, SourceScript, hang, ms, ok, secs, with_body};
use crate::verbs::{Verb, host, storm};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn in_a_storm_every_line_has_its_record_or_is_left(scenario in any::interrupted_scenario(), storm in storm()) {
        let sinks = scenario.sinks.len();
        let report = on_paused_time(scenario.verbs(storm).execute());
        each_line_is_written_at_most_once_to_each_sink(&report, sinks);
        if report.end.is_ok() {
            let is_stopped = report.end.as_ref().ok() != Some(&End::Finished) || report.was_interrupted();
            every_line_is_recorded_or_left(&report, sinks, is_stopped);
            the_tally_agrees(&report);
        }
        assert_eq!(report.memory_left, 0, "body memory is kept by nobody");
    }

    #[test]
    fn no_paused_host_is_asked_after_the_reply(scenario in any::interrupted_scenario(), storm in storm()) {
        let report = on_paused_time(scenario.verbs(storm).execute());
        let mut overrides = Overrides::default();
        for (at, event) in &report.events {
            // Timers tick in milliseconds, and what ends by itself may have ended that much before.
            overrides = overrides.at(*at + ms(2));
            match event {
                Event::Overridden(new) => overrides = new.clone(),
                Event::Reached(host) => {
                    let of_host = overrides.hosts.get(&**host).and_then(|host| host.pause);
                    prop_assert!(overrides.all.pause.is_none() && of_host.is_none(), "{host} is asked at {at:?}");
                }
                _ => {}
            }
        }
    }
}

fn pause_all() -> (Duration, Verb) {
    (ms(50), Verb::Change(Change::Pause(Scope::All, None)))
}

fn pause_host() -> (Duration, Verb) {
    (ms(50), Verb::Change(Change::Pause(Scope::Host(host(0)), None)))
}

fn lines(count: u64) -> SourceScript {
    SourceScript::of((0..count).map(|_| ok(ms(1)).get())).every(ms(10))
}

fn asked(events: &[(Duration, Event)]) -> usize {
    events.iter().filter(|(_, event)| matches!(event, Event::Asked(_))).count()
}

#[test]
fn what_was_paused_when_the_run_was_killed_stays_paused_and_the_end_of_the_input_lifts_no_pause() {
    let pause = PauseOverride { until: None };
    let (mut all, mut of_host) = (Overrides::default(), Overrides::default());
    all.all.pause = Some(pause);
    of_host.hosts.entry(host(0)).or_default().pause = Some(pause);
    for overrides in [all, of_host] {
        let scenario = Scenario { overrides, ..Scenario::of([lines(20).settling(Settling::Records)]) };
        let log = on_paused_time(scenario.run_for(secs(24 * 3600))).expect_err("it ended");
        assert_eq!(asked(&log.events()), 0);
    }
}

#[test]
fn a_stop_of_a_paused_run_waits_only_for_what_is_on_the_wire() {
    for pause in [pause_all(), pause_host()] {
        let slow = || SourceScript::of((0..20).map(|_| ok(secs(2)).get())).every(ms(10));
        let scenario = Scenario::of([slow().settling(Settling::Records), slow()]).verbs([pause]);
        let report = on_paused_time(scenario.interrupts([secs(1)]).execute());
        assert_eq!(report.end.as_ref().ok(), Some(&End::GaveUp));
        assert!(report.took < secs(5), "it took {:?}", report.took);
        let canceled = report.records().into_iter().filter(|entry| entry.outcome == Outcome::Canceled);
        let canceled: Vec<_> = canceled.map(|entry| entry.id.source).collect();
        assert!(!canceled.is_empty() && canceled.iter().all(|source| source.as_deref() == Some("s1")), "{canceled:?}");
        assert!(report.status.counters().left.get() > 0);
        every_line_is_recorded_or_left(&report, 1, true);
    }
}

#[test]
fn a_skip_ends_the_lines_that_wait_as_failed() {
    let scenario = Scenario::of([lines(20)]).verbs([pause_host(), (secs(5), Verb::Skip(host(0)))]);
    let report: Report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
    let skipped = report.records().into_iter().filter(|entry| entry.kind == Some(ErrorKind::Skipped)).count();
    assert!(skipped > 10 && skipped + asked(&report.events) == 20, "{skipped}");
}

#[test]
fn a_thousand_reloads_lose_no_line_and_leave_nothing_behind() {
    let mut scenario = Scenario::of([lines(500), lines(500).settling(Settling::Records)]);
    let reload = |n: u32| {
        let mut settings = scenario.settings.schedule.clone();
        settings.any_host.every = ms(u64::from(n % 3));
        settings.permits = 1 + n % 8;
        settings.health.failures = n % 2;
        (ms(5) * n, Verb::Reload(Box::new(settings)))
    };
    scenario.verbs = (1..=1000).map(reload).collect();
    let report = on_paused_time(scenario.execute());
    assert_eq!(report.end.as_ref().ok(), Some(&End::Finished));
    assert!(report.records().len() == 1000 && report.records().iter().all(|entry| entry.outcome == Outcome::Ok));
    assert_eq!(report.memory_left, 0);
}

/// What is said of a line at this time.
fn why(scenario: &Scenario, seq: u64, at: Duration) -> LineAnswer {
    let answer = Arc::new(Mutex::new(None));
    on_paused_time(async {
        let (log, memory, status) = (Log::start(), Ledger::default(), Status::default());
        let (desk, questions) = Desk::open();
        let parts = Parts { questions: Some(questions), ..scenario.parts(&log, &memory) };
        let ask = async {
            sleep(at).await;
            let key = LineKey::Identity { source: Some("s0".into()), file: None, seq };
            *answer.lock().unwrap() = desk.why_line(key).await.ok();
        };
        let run = run(parts, &scenario.settings, &status, stream::pending());
        let _ = timeout(at + secs(1), async { tokio::join!(run, ask) }).await;
    });
    answer.lock().unwrap().take().expect("an answer")
}

#[test]
fn a_line_that_has_left_the_schedule_says_whether_it_waits_for_another_or_for_a_sink() {
    let source = SourceScript::of([hang().get(), ok(ms(1)).get()]);
    let ordered = Scenario::of([source]).settings(|settings| {
        settings.order = Order::Input;
        settings.schedule.timeout = secs(1000);
    });
    assert!(matches!(why(&ordered, 1, secs(9)), LineAnswer::OnTheWire { ordinal: 0, .. }));
    assert_eq!(why(&ordered, 2, secs(9)), LineAnswer::HeldForOrder { behind: 0 });
    assert_eq!(why(&ordered, 3, secs(9)), LineAnswer::NotHere);
    let stuck = Scenario::of([lines(600)]).sinks([SinkBehaviour::Hangs { after: 1 }]);
    let stuck = stuck.settings(|settings| settings.window = 1000);
    for seq in [2, 3, 250] {
        assert_eq!(why(&stuck, seq, secs(60)), LineAnswer::WaitingForSink, "line {seq}");
    }
    let LineAnswer::Waiting { causes, .. } = why(&stuck, 599, secs(60)) else { panic!("it waits") };
    assert_eq!(causes[0].reason, WaitReason::Stalled(StallReason::Output));
}

#[test]
fn a_line_whose_answer_its_source_reads_says_so_and_those_behind_a_sink_say_that() {
    let page = || SourceScript::of([ok(ms(1)).get()]).settling(Settling::Records).answers(Answers::Read(secs(60)));
    let reads = Scenario::of([page(), lines(3)]);
    assert_eq!(why(&reads, 1, secs(30)), LineAnswer::ReadBySource);
    assert_eq!(why(&reads, 2, secs(30)), LineAnswer::NotHere, "the source has not come to it");
    let stuck = Scenario::of([lines(900), page()]).sinks([SinkBehaviour::Hangs { after: 1 }]);
    let stuck = stuck.settings(|settings| settings.window = 1000);
    for seq in [2, 250, 400, 500] {
        assert_eq!(why(&stuck, seq, secs(60)), LineAnswer::WaitingForSink, "line {seq}");
    }
    assert!(matches!(why(&stuck, 899, secs(60)), LineAnswer::Waiting { .. }));
}

#[test]
fn a_line_that_waits_for_body_memory_names_the_key_that_would_change_it() {
    let posts = SourceScript::of((0..9).map(|_| with_body(secs(500), CHUNK).post()));
    let tight = Scenario::of([posts]).settings(|settings| {
        (settings.workers, settings.concurrency) = (8, 8);
        (settings.largest_body, settings.schedule.largest_body) = (4 * CHUNK, 4 * CHUNK);
        settings.body_memory = 8 * CHUNK;
        settings.schedule.timeout = secs(1000);
    });
    assert!(matches!(why(&tight, 1, secs(9)), LineAnswer::OnTheWire { .. }));
    for seq in [5, 9] {
        let LineAnswer::Waiting { causes, .. } = why(&tight, seq, secs(9)) else { panic!("it waits") };
        let key = Remedy::Key { key: "limits.body_memory", pattern: None, host: None };
        let of_memory = causes.iter().find(|cause| cause.reason == WaitReason::BodyMemory);
        assert_eq!(of_memory.map(|cause| &cause.remedy), Some(&Some(key)), "{causes:?}");
    }
}
