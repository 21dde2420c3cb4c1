//! Lines that wait for a token: each has its record or is left for the next start, none keeps body memory, and none waits for
//! a token in vain while another line could tell that the token is good.

use std::time::Duration;

use fetchd::item::{ErrorKind, Identity, Outcome};
use fetchd::pipeline::{End, Order};
use proptest::prelude::*;

use crate::accounts::{
    each_line_is_written_at_most_once_to_each_sink, every_line_is_recorded_or_left, the_tally_agrees,
};
use crate::any;
use crate::log::Event;
use crate::memory::scenario_of_bodies;
use crate::scenario::{Scenario, on_paused_time};
use crate::script::{Exchange, Reply, Said, Settling, SourceScript, ms, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_line_has_one_record_or_is_left_for_the_next_start(scenario in any::scenario_with_tokens()) {
        let report = on_paused_time(scenario.execute());
        let sinks = scenario.sinks.len();
        each_line_is_written_at_most_once_to_each_sink(&report, sinks);
        if report.end.is_ok() {
            every_line_is_recorded_or_left(&report, sinks, true);
            the_tally_agrees(&report);
        }
        assert_eq!(report.memory_left, 0);
        if scenario.settings.order == Order::Input && report.end.as_ref().is_ok_and(|end| *end == End::Finished)
            && !report.was_interrupted()
        {
            assert_eq!(report.records().len(), report.accepted().len(), "no line is left out of the order");
        }
    }

    #[test]
    fn with_little_memory_a_page_that_is_always_refused_holds_up_no_other(
        scenario in scenario_of_bodies(), refused in 0usize..120
    ) {
        // Only a line that has no other beside it waits for so long.
        const LATE: Duration = secs(7200);
        let mut scenario = scenario.tokens([]).settings(|settings| settings.window = 1000);
        scenario.settings.schedule.retry.refresh_wait = LATE;
        let arrivals = scenario.sources.iter_mut().flat_map(|source| &mut source.arrivals);
        for (number, arrival) in arrivals.enumerate() {
            let (Said::Get(exchange) | Said::Post(exchange)) = &mut arrival.line else { continue };
            exchange.host = 0;
            for step in &mut exchange.steps {
                if let Reply::Response { status: 200, body } = step.reply {
                    step.reply = Reply::Token { good_from: if number == refused { usize::MAX } else { 0 }, body };
                }
            }
        }
        let report = on_paused_time(scenario.execute());
        let most = scenario.settings.body_memory + scenario.settings.largest_body;
        assert!(report.most_memory <= most && report.memory_left == 0);
        assert_eq!(report.records().len(), report.yielded().len());
        let bad: Vec<_> = report.records().into_iter().filter(|entry| entry.outcome != Outcome::Ok).collect();
        assert!(bad.len() <= 1 && bad.iter().all(|entry| entry.kind == Some(ErrorKind::HttpStatus)), "{bad:?}");
        for (at, event) in &report.events {
            let is_other = |id: &Identity| bad.iter().all(|entry| entry.id != *id);
            assert!(*at < LATE || !matches!(event, Event::Asked(id) if is_other(id)), "{event:?} at {at:?}");
        }
    }
}

#[test]
fn lines_that_wait_for_a_token_keep_no_memory_and_others_go_on() {
    let page =
        |good_from, host| Exchange::new([Reply::Token { good_from, body: 300_000 }.after(ms(10))]).at(host).get();
    let lines = (0..20).map(|_| page(1, 0)).chain((0..200).map(|_| page(0, 1)));
    let scenario = Scenario::of([SourceScript::of(lines).settling(Settling::Records)]).tokens([secs(300)]);
    // Two bodies of the size that all have.
    let scenario = scenario.settings(|settings| (settings.body_memory, settings.window) = (2 << 20, 500));
    let report = on_paused_time(scenario.execute());
    assert!(report.records().iter().all(|entry| entry.outcome == Outcome::Ok));
    let early = report.events.iter().filter(|(at, event)| *at < secs(60) && matches!(event, Event::Written { .. }));
    assert_eq!(early.count(), 200, "the other host is not held up");
    assert!(report.took > secs(300) && report.took < secs(310), "{:?}", report.took);
}
