//! A line is answered without another one, and a pipeline that waits is at rest.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fetchd::item::{CHUNK, Outcome};
use fetchd::pipeline::{Status, run};
use fetchd::units::Concurrency;
use futures::stream;
use tokio::time::timeout;

use crate::log::{Event, Ledger, Log};
use crate::scenario::{Scenario, on_paused_time};
use crate::script::{
    Exchange, Reply, Said, SinkBehaviour, SourceEnd, SourceScript, hang, ms, ok, secs, status, with_body,
};

#[test]
fn one_line_of_a_source_that_stays_open_is_recorded_at_once() {
    let scenario = Scenario::of([open([ok(ms(20)).get()])]);
    let log = on_paused_time(scenario.run_for(secs(3600))).unwrap_err();
    let written = log.events().into_iter().find_map(|(at, event)| match event {
        Event::Written { entry, .. } => Some((at, entry.outcome)),
        _ => None,
    });
    assert_eq!(written, Some((ms(20), Outcome::Ok)));
}

fn open(lines: impl IntoIterator<Item = Said>) -> SourceScript {
    SourceScript::of(lines).ending(SourceEnd::StaysOpen)
}

/// How often anything woke the runtime in an hour, after a minute to get there. Paused time leaps from timer to timer,
/// so without wake-ups an hour is a handful of leaps (Tokio's timer wheel takes a long way in a few steps).
fn wake_ups_in_an_hour(scenario: &Scenario) -> u64 {
    let parks = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&parks);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .on_thread_park(move || _ = counter.fetch_add(1, Ordering::Relaxed))
        .build()
        .unwrap();
    runtime.block_on(async {
        let (status, parts) = (Status::default(), scenario.parts(&Log::start(), &Ledger::default()));
        let mut run = pin!(run(parts, &scenario.settings, &status, stream::pending()));
        assert!(timeout(secs(60), &mut run).await.is_err(), "the run is over");
        let before = parks.load(Ordering::Relaxed);
        assert!(timeout(secs(3600), &mut run).await.is_err(), "the run is over");
        parks.load(Ordering::Relaxed) - before
    })
}

#[track_caller]
fn assert_at_rest(scenario: &Scenario) {
    let wake_ups = wake_ups_in_an_hour(scenario);
    assert!(wake_ups < 60, "{wake_ups} wake-ups in an hour");
}

#[test]
fn a_pipeline_whose_source_is_silent_is_at_rest() {
    assert_at_rest(&Scenario::of([open((0..100).map(|_| ok(ms(5)).get()))]));
}

#[test]
fn a_pipeline_whose_sink_hangs_is_at_rest() {
    let lines = (0..1000).map(|n| if n % 10 == 0 { status(503).get() } else { ok(ms(5)).get() });
    assert_at_rest(&Scenario::of([open(lines)]).sinks([SinkBehaviour::Hangs { after: 0 }]));
}

/// More settled lines than fit on the way to the sink, and timers that fall due meanwhile.
#[test]
fn a_pipeline_whose_sink_hangs_is_at_rest_while_retries_fall_due() {
    let lines = (0..1000).map(|n| if n % 10 == 0 { status(503).get() } else { ok(ms(5)).get() });
    let scenario = Scenario::of([open(lines)]).sinks([SinkBehaviour::Hangs { after: 0 }]);
    assert_at_rest(&scenario.settings(|settings| settings.window = 1000));
}

#[test]
fn a_pipeline_whose_body_memory_is_held_by_a_sink_that_hangs_is_at_rest() {
    let lines = (0..40).map(|n| with_body(ms(n), 4 * CHUNK).get());
    let scenario = Scenario::of([open(lines)]).sinks([SinkBehaviour::Hangs { after: 0 }]);
    assert_at_rest(&scenario.settings(|settings| {
        (settings.largest_body, settings.schedule.largest_body) = (4 * CHUNK, 4 * CHUNK);
        settings.body_memory = 8 * CHUNK;
        settings.schedule.deadline = secs(10_000);
    }));
}

#[test]
fn a_pipeline_whose_host_asked_for_rest_is_at_rest() {
    let rest = Exchange::new([Reply::AskForRest(secs(7200)).after(ms(5))]);
    let lines = std::iter::once(rest.get()).chain((0..20).map(|_| ok(ms(5)).get()));
    let scenario = Scenario::of([open(lines)]).settings(|settings| {
        settings.schedule.retry.max_retry_after = secs(10_000);
        settings.schedule.deadline = secs(10_000);
        settings.schedule.any_host.concurrency = Concurrency::Fixed(1);
    });
    assert_at_rest(&scenario);
}

#[test]
fn a_pipeline_whose_workers_are_all_on_the_wire_is_at_rest_while_a_retry_falls_due() {
    let lines = std::iter::once(status(503).get()).chain((0..20).map(|n| hang().at(n).get()));
    let scenario = Scenario::of([open(lines)]).settings(|settings| {
        settings.schedule.timeout = secs(7200);
        settings.schedule.deadline = secs(10_000);
    });
    assert_at_rest(&scenario);
}

#[test]
fn the_board_tells_of_lines_that_come_after_a_pause() {
    let scenario = Scenario::of([open([hang().get()]).every(secs(10))]);
    let view = on_paused_time(async {
        let (status, parts) = (Status::default(), scenario.parts(&Log::start(), &Ledger::default()));
        let run = run(parts, &scenario.settings, &status, stream::pending());
        assert!(timeout(secs(11), run).await.is_err(), "the run is over");
        status.view().clone()
    });
    assert_eq!(view.counts.in_flight, 1);
    assert!(view.oldest.and_then(|oldest| oldest.host).is_some_and(|host| host.in_flight == 1));
}
