//! Body memory is never exceeded, and never waited for in vain.

use std::time::Duration;

use fetchd::item::{CHUNK, Outcome};
use fetchd::pipeline::Order;
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::any;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{
    Answers, Arrival, Exchange, Reply, Said, Settling, SinkBehaviour, SourceEnd, SourceScript, ms, ok, secs, with_body,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn body_memory_is_bounded_and_fails_no_line(scenario in scenario_of_bodies()) {
        let report = on_paused_time(scenario.execute());
        assert_memory_is_kept(&scenario, &report);
        for entry in report.records() {
            assert_eq!((entry.outcome, entry.kind), (Outcome::Ok, None), "{entry:?}");
        }
    }
}

#[track_caller]
fn assert_memory_is_kept(scenario: &Scenario, report: &Report) {
    let most = scenario.settings.body_memory + scenario.settings.largest_body;
    assert!(report.most_memory <= most, "{} of {most} bytes", report.most_memory);
    assert_eq!(report.memory_left, 0);
    assert_eq!(report.records().len(), report.yielded().len());
}

/// Budgets as small as `check` allows, and lines that end well if only they get their memory.
pub fn scenario_of_bodies() -> impl Strategy<Value = Scenario> {
    let limits = (1usize..5, 1u32..5, 1usize..4);
    (1u64..6, 0u64..4, limits, 1u64..4000).prop_flat_map(|(chunks, spare, (concurrency, per_host, max_hosts), slow)| {
        let max_body = chunks * CHUNK - 1024;
        let body_memory = (2 * max_body).max(concurrency as u64 * CHUNK) + spare * CHUNK;
        let order = prop_oneof![1 => Just(Order::Completion), 3 => Just(Order::Input)];
        let scripts = prop::collection::vec(bodies(max_body, ms(slow)), 1..3);
        let sink = prop_oneof![Just(SinkBehaviour::Prompt), any::up_to(ms(100)).prop_map(SinkBehaviour::Slow)];
        (scripts, order, sink, 2usize..60).prop_map(move |(scripts, order, sink, window)| {
            Scenario::of(scripts).sinks([sink]).settings(|settings| {
                (settings.workers, settings.concurrency) = (concurrency, concurrency);
                (settings.largest_body, settings.schedule.largest_body) = (max_body, max_body);
                (settings.body_memory, settings.order, settings.window) = (body_memory, order, window);
                (settings.schedule.any_host.concurrency, settings.schedule.max_hosts) =
                    (Concurrency::Fixed(per_host), max_hosts);
            })
        })
    })
}

fn bodies(max_body: u64, slow: Duration) -> impl Strategy<Value = SourceScript> {
    prop::collection::vec(body(max_body, slow), 1..40).prop_map(|arrivals| SourceScript {
        arrivals,
        ending: SourceEnd::Ends,
        settling: Settling::Absent,
        answers: Answers::Ignored,
    })
}

fn body(max_body: u64, slow: Duration) -> impl Strategy<Value = Arrival> {
    let after = prop_oneof![5 => Just(Duration::ZERO), 1 => any::up_to(ms(50))];
    let size = prop_oneof![1 => Just(0), 1 => Just(max_body), 3 => 0..=max_body];
    let time = prop_oneof![3 => Just(Duration::ZERO), 1 => any::up_to(slow)];
    let detour = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Reply::Response { status: 503, body: max_body / 2 })),
        1 => (0u8..3).prop_map(|host| Some(Reply::RedirectTo(host))),
        1 => Just(Some(Reply::AskForRest(secs(1)))),
    ];
    (after, size, time, detour, 0u8..3, prop::bool::weighted(0.2)).prop_map(
        |(after, body, time, detour, host, is_post)| {
            let last = Reply::Response { status: 200, body }.after(time);
            let exchange = Exchange::new(detour.map(|reply| reply.after(time)).into_iter().chain([last])).at(host);
            Arrival { after, line: if is_post { Said::Post(exchange) } else { Said::Get(exchange) } }
        },
    )
}

/// A budget of two bodies, and so many lines at once.
fn tight(scenario: Scenario, max_body: u64, concurrency: usize) -> Scenario {
    scenario.settings(|settings| {
        (settings.workers, settings.concurrency) = (concurrency, concurrency);
        (settings.largest_body, settings.schedule.largest_body) = (max_body, max_body);
        settings.body_memory = (2 * max_body).max(concurrency as u64 * CHUNK);
        settings.order = Order::Input;
    })
}

#[track_caller]
fn assert_all_ok(scenario: &Scenario) {
    let report = on_paused_time(scenario.execute());
    assert_memory_is_kept(scenario, &report);
    assert!(report.records().iter().all(|entry| entry.outcome == Outcome::Ok), "{:?}", report.records());
    assert!(report.took < secs(60), "it took {:?}", report.took);
}

#[test]
fn ordered_output_with_a_slow_first_line_and_big_bodies_does_not_starve() {
    let first = with_body(secs(4), 4 * CHUNK).get();
    let bodies = (0..60).map(|n| with_body(ms(10), 4 * CHUNK).at(n % 5).get());
    assert_all_ok(&tight(Scenario::of([SourceScript::of(std::iter::once(first).chain(bodies))]), 4 * CHUNK, 8));
}

/// While it waits for its retry, later lines of its host fill the memory with records that wait for it.
#[test]
fn the_oldest_line_is_retried_on_time_though_memory_is_full() {
    let again = [
        Reply::Response { status: 503, body: 0 }.after(ms(0)),
        Reply::Response { status: 200, body: CHUNK }.after(ms(0)),
    ];
    let bodies = (0..40).map(|_| with_body(ms(1), 2 * CHUNK).get());
    let lines = std::iter::once(Exchange::new(again).get()).chain(bodies);
    assert_all_ok(&tight(Scenario::of([SourceScript::of(lines)]), 2 * CHUNK, 2));
}

/// Both wait for memory at one host, and the one that came later asked first.
#[test]
fn the_oldest_line_goes_before_others_that_wait_for_memory_at_its_host() {
    let first = with_body(ms(500), 4 * CHUNK).get();
    let bodies = (0..40).map(|n| with_body(ms(n), 4 * CHUNK).get());
    assert_all_ok(&tight(Scenario::of([SourceScript::of(std::iter::once(first).chain(bodies))]), 4 * CHUNK, 8));
}

/// The records of the only tracked host fill the memory and wait for a line that has no place in the table.
#[test]
fn the_oldest_line_is_sent_though_memory_and_the_table_of_hosts_are_full() {
    let lines = (0..40).map(|n| with_body(ms(10), 2 * CHUNK).at(u8::from(n == 1)).get());
    let scenario = tight(Scenario::of([SourceScript::of(lines)]), 2 * CHUNK, 2);
    assert_all_ok(&scenario.settings(|settings| settings.schedule.max_hosts = 1));
}

#[test]
fn a_request_that_cannot_be_repeated_reserves_in_full_and_is_sent_once() {
    let exchanges = || (0..20).map(|n| with_body(ms(20), 3 * CHUNK).at(n % 3));
    let posts_and_gets =
        [SourceScript::of(exchanges().map(Exchange::post)), SourceScript::of(exchanges().map(Exchange::get))];
    let scenario = tight(Scenario::of(posts_and_gets), 3 * CHUNK, 6);
    let report = on_paused_time(scenario.execute());
    assert_memory_is_kept(&scenario, &report);
    for entry in report.records() {
        assert_eq!(entry.outcome, Outcome::Ok);
        if entry.id.source.as_deref() == Some("s0") {
            assert_eq!(report.times_asked(&entry.id), 1, "{entry:?}");
        }
    }
}

#[test]
fn memory_goes_home_when_a_record_is_written_and_not_before() {
    let lines = (0..30).map(|_| with_body(ms(1), CHUNK).get());
    let scenario = tight(Scenario::of([SourceScript::of(lines)]), CHUNK, 2)
        .sinks([SinkBehaviour::Stalls { after: 0, time: secs(10) }]);
    assert_all_ok(&scenario);
}

#[test]
fn lines_without_a_body_flow_while_others_wait_for_memory() {
    let big = SourceScript::of((0..20).map(|_| with_body(secs(1), 4 * CHUNK).get()));
    let small = SourceScript::of((0..20).map(|_| ok(ms(1)).at(1).get()));
    assert_all_ok(&tight(Scenario::of([big, small]), 4 * CHUNK, 8));
}
