//! A sink that stands still holds the source back, and costs no line its outcome.

use fetchd::item::Outcome;
use fetchd::pipeline::Order;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scene::{Scene, on_paused_time};
use crate::script::{Act, Ending, Manner, Play, Script, ms, ok, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stalled_sink_changes_no_outcome(
        scene in any::scene_without_fail_fast(), after in 0usize..20, time in any::up_to(secs(300))
    ) {
        // Whether a circuit opens depends on what else is on the wire at that moment.
        let scene = scene.settings(|settings| settings.schedule.health.failures = 0);
        let prompt = on_paused_time(scene.clone().sinks([Manner::Prompt]).play());
        let stalled = on_paused_time(scene.sinks([Manner::Stalls { after, time }]).play());
        assert_eq!(prompt.outcomes(), stalled.outcomes());
    }
}

#[test]
fn a_stalled_sink_stops_the_source_until_it_resumes() {
    let lines = Script::of((0..1000).map(|_| ok(ms(10)).get()));
    let scene = Scene::of([lines]).sinks([Manner::Stalls { after: 0, time: secs(3600) }]);
    let story = on_paused_time(scene.play());
    let yielded = |(at, event): &&_| *at < secs(3600) && matches!(event, Event::Yielded(..));
    assert_eq!(story.events.iter().filter(yielded).count(), scene.settings.window);
    assert_eq!(story.records().len(), 1000);
    assert!(story.records().iter().all(|entry| entry.outcome == Outcome::Ok));
}

#[test]
fn a_sink_that_hangs_stops_an_endless_source_for_good() {
    let endless = Script::of([ok(ms(1)).get()]).ending(Ending::Repeats);
    let scene = Scene::of([endless]).sinks([Manner::Prompt, Manner::Hangs { after: 100 }]);
    let log = on_paused_time(scene.play_for(secs(24 * 3600))).unwrap_err();
    let events = log.events();
    let yielded = events.iter().filter(|(_, event)| matches!(event, Event::Yielded(..))).count();
    // Batches are no larger than the window.
    assert!(yielded <= 100 + 2 * scene.settings.window, "{yielded} lines");
}

#[test]
fn few_attempts_start_while_records_wait_for_a_stalled_sink() {
    let lines = Script::of((0..2000).map(|_| ok(ms(10)).get()));
    let scene = Scene::of([lines]).sinks([Manner::Stalls { after: 0, time: secs(3600) }]);
    let scene = scene.settings(|settings| settings.window = 2000);
    let story = on_paused_time(scene.play());
    let asked = |(at, event): &&_| *at < secs(3600) && matches!(event, Event::Asked(_));
    // The drain has a batch in hand and as many records before it; what waits behind them waits unsent.
    let asked = story.events.iter().filter(asked).count();
    assert!(asked <= 2 * 256 + scene.settings.concurrency, "{asked} attempts");
    assert!(story.records().iter().all(|entry| entry.outcome == Outcome::Ok));
}

/// The wait for another attempt ends while records wait: it must neither be lost nor keep the scheduler awake, and the
/// line does not lose its time to the stall, however long that is.
#[test]
fn a_retry_that_falls_due_during_a_stall_is_made_after_it() {
    let flaky = Play::new([
        Act::Answer { status: 503, body: 0 }.after(ms(0)),
        Act::Answer { status: 200, body: 0 }.after(ms(0)),
    ]);
    let lines = std::iter::once(flaky.get()).chain((0..1000).map(|_| ok(ms(0)).get()));
    for order in [Order::Completion, Order::Input] {
        let scene = Scene::of([Script::of(lines.clone())]).sinks([Manner::Stalls { after: 0, time: secs(3600) }]);
        let scene = scene.settings(|settings| (settings.window, settings.order) = (2000, order));
        let story = on_paused_time(scene.play());
        assert!(story.records().iter().all(|entry| entry.outcome == Outcome::Ok));
    }
}
