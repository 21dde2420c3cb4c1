//! A sink that stands still holds the source back, and costs no line its outcome.

use fetchd::item::Outcome;
use fetchd::pipeline::Order;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Scenario, on_paused_time};
use crate::script::{Exchange, Reply, SinkBehaviour, SourceEnd, SourceScript, ms, ok, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stalled_sink_changes_no_outcome(
        scenario in any::scenario_without_fail_fast(), after in 0usize..20, time in any::up_to(secs(300))
    ) {
        // Whether a circuit opens depends on what else is on the wire at that moment.
        let scenario = scenario.settings(|settings| settings.schedule.health.failures = 0);
        let prompt = on_paused_time(scenario.clone().sinks([SinkBehaviour::Prompt]).execute());
        let stalled = on_paused_time(scenario.sinks([SinkBehaviour::Stalls { after, time }]).execute());
        assert_eq!(prompt.outcomes(), stalled.outcomes());
    }
}

#[test]
fn a_stalled_sink_stops_the_source_until_it_resumes() {
    let lines = SourceScript::of((0..1000).map(|_| ok(ms(10)).get()));
    let scenario = Scenario::of([lines]).sinks([SinkBehaviour::Stalls { after: 0, time: secs(3600) }]);
    let report = on_paused_time(scenario.execute());
    let yielded = |(at, event): &&_| *at < secs(3600) && matches!(event, Event::Yielded(..));
    assert_eq!(report.events.iter().filter(yielded).count(), scenario.settings.window);
    assert_eq!(report.records().len(), 1000);
    assert!(report.records().iter().all(|entry| entry.outcome == Outcome::Ok));
}

#[test]
fn a_sink_that_hangs_stops_an_endless_source_for_good() {
    let endless = SourceScript::of([ok(ms(1)).get()]).ending(SourceEnd::Repeats);
    let scenario = Scenario::of([endless]).sinks([SinkBehaviour::Prompt, SinkBehaviour::Hangs { after: 100 }]);
    let log = on_paused_time(scenario.run_for(secs(24 * 3600))).unwrap_err();
    let events = log.events();
    let yielded = events.iter().filter(|(_, event)| matches!(event, Event::Yielded(..))).count();
    // Batches are no larger than the window.
    assert!(yielded <= 100 + 2 * scenario.settings.window, "{yielded} lines");
}

#[test]
fn few_attempts_start_while_records_wait_for_a_stalled_sink() {
    let lines = SourceScript::of((0..2000).map(|_| ok(ms(10)).get()));
    let scenario = Scenario::of([lines]).sinks([SinkBehaviour::Stalls { after: 0, time: secs(3600) }]);
    let scenario = scenario.settings(|settings| settings.window = 2000);
    let report = on_paused_time(scenario.execute());
    let asked = |(at, event): &&_| *at < secs(3600) && matches!(event, Event::Asked(_));
    // The drain has a batch in hand and as many records before it; what waits behind them waits unsent.
    let asked = report.events.iter().filter(asked).count();
    assert!(asked <= 2 * 256 + scenario.settings.concurrency, "{asked} attempts");
    assert!(report.records().iter().all(|entry| entry.outcome == Outcome::Ok));
}

/// The wait for another attempt ends while records wait: it must neither be lost nor keep the scheduler awake, and the
/// line does not lose its time to the stall, however long that is.
#[test]
fn a_retry_that_falls_due_during_a_stall_is_made_after_it() {
    let flaky = Exchange::new([
        Reply::Response { status: 503, body: 0 }.after(ms(0)),
        Reply::Response { status: 200, body: 0 }.after(ms(0)),
    ]);
    let lines = std::iter::once(flaky.get()).chain((0..1000).map(|_| ok(ms(0)).get()));
    for order in [Order::Completion, Order::Input] {
        let scenario = Scenario::of([SourceScript::of(lines.clone())])
            .sinks([SinkBehaviour::Stalls { after: 0, time: secs(3600) }]);
        let scenario = scenario.settings(|settings| (settings.window, settings.order) = (2000, order));
        let report = on_paused_time(scenario.execute());
        assert!(report.records().iter().all(|entry| entry.outcome == Outcome::Ok));
    }
}
