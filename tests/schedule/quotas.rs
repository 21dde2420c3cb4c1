//! Quotas that responses tell: no request is sent that is known to be refused, and no line loses its time to the wait.

use std::time::Duration;

use fetchd::item::{ErrorKind, Head, Quota};
use fetchd::schedule::{Core, HostLimits, QuotaPolicy, RetryConfig, RetryPolicy, Settings, WaitReason};
use proptest::prelude::*;

use crate::items::{answered, get, head, limits, ms, whole};
use crate::robots::take;
use crate::simulation::{Manner, Simulation};

const A: &str = "http://a.test/";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings(concurrency: u32) -> Settings {
    Settings { any_host: limits(concurrency, ms(0)), deadline: secs(5), ..Settings::default() }
}

fn left(remaining: u64, reset: u64) -> fetchd::item::Attempt {
    whole(Head { quota: Some(Quota { remaining, reset: secs(reset) }), ..head(200) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn with_no_other_client_no_request_is_refused_and_no_line_is_lost(
        // Windows that are shorter than the rounding cannot be told apart.
        most in 1u64..20, window in 4u64..20, time in 1u64..900, concurrency in 1u32..16, lines in 20usize..120,
        rounding in prop_oneof![Just(f64::ceil as fn(f64) -> f64), Just(f64::floor as fn(f64) -> f64)],
    ) {
        let manner = Manner::Limits { most, window: secs(window), time: ms(time), rounding };
        let mut simulation = Simulation::new(settings(concurrency), 64, vec![manner]);
        // What the first requests meet, nobody has said yet.
        simulation.push(0);
        simulation.play_until(secs(2));
        for _ in 1..lines {
            simulation.push(0);
        }
        simulation.play_until(secs(100_000));
        let seen = &simulation.seen[0];
        prop_assert_eq!((seen.ok, seen.requests), (lines - 1, lines - 1), "{:?}", seen.kinds);
        // Each window begins with a second of margin and one request alone; a slow host takes its own time besides.
        let windows = (lines as u64).div_ceil(most) as u32 + 1;
        let longest = windows * (secs(window + 2) + ms(2 * time)) + lines as u32 * ms(2 * time);
        prop_assert!(seen.last <= longest, "{:?}", seen.last);
    }
}

#[test]
fn while_a_quota_is_used_up_the_time_of_lines_stands_still() {
    let mut core = Core::new(settings(2));
    for ordinal in 0..2 {
        core.push(get(ordinal, A), ms(0));
    }
    let (failing, good) = (take(&mut core, A, ms(0)), take(&mut core, A, ms(0)));
    core.complete(failing, answered(500), ms(100), ms(100));
    core.complete(good, left(0, 100), ms(100), ms(100));
    assert_eq!(core.why("a.test", ms(200)), Some(WaitReason::Quota { until: Some(ms(101_100)) }));
    // One wake-up at the reset, and none for the deadline, which is five seconds of its own time.
    assert_eq!(core.next_wakeup(ms(200)), Some(ms(101_100)));
    let again = take(&mut core, A, ms(101_100));
    assert_eq!(again.call.limits.time_left, ms(4_900));
    core.complete(again, answered(500), ms(100), ms(101_200));
    assert!(core.next_wakeup(ms(101_200)).is_some_and(|at| at < ms(106_000)), "its time goes on");
}

#[test]
fn a_redirect_from_a_host_whose_clock_stood_still_takes_its_time_along() {
    let mut core = Core::new(settings(2));
    for ordinal in 0..2 {
        core.push(get(ordinal, A), ms(0));
    }
    let (hops, good) = (take(&mut core, A, ms(0)), take(&mut core, A, ms(0)));
    core.complete(good, left(0, 100), ms(1_000), ms(1_000));
    core.complete(hops, crate::items::redirected(302, "http://b.test/"), ms(3_000), ms(3_000));
    let there = take(&mut core, "http://b.test/", ms(3_000));
    assert_eq!(there.call.limits.time_left, ms(4_000), "one second before the clock stood still");
}

#[test]
fn a_reset_that_is_too_far_away_closes_the_host_and_lines_say_so() {
    let mut core = Core::new(settings(1));
    for ordinal in 0..3 {
        core.push(get(ordinal, A), ms(0));
    }
    let first = take(&mut core, A, ms(0));
    core.complete(first, left(0, 3_600), ms(10), ms(10));
    let mut kinds = Vec::new();
    while let Some(done) = core.take_settled() {
        kinds.push(done.record.kind());
        done.ticket.done();
    }
    assert_eq!(kinds, [None, Some(ErrorKind::RetryAfterTooLong), Some(ErrorKind::RetryAfterTooLong)]);
}

#[test]
fn a_quota_that_is_ignored_holds_nothing_up() {
    let any_host = HostLimits { quota: QuotaPolicy::Ignore, ..limits(1, ms(0)) };
    let mut core = Core::new(Settings { any_host, ..Settings::default() });
    for ordinal in 0..2 {
        core.push(get(ordinal, A), ms(0));
    }
    let first = take(&mut core, A, ms(0));
    core.complete(first, left(0, 100), ms(10), ms(10));
    assert!(core.take(ms(10)).is_some());
}

#[test]
fn the_next_run_waits_for_the_reset_too() {
    let retry = RetryPolicy::from(&RetryConfig::default());
    let settings = Settings { retry, ..settings(1) };
    let mut core = Core::new(settings.clone());
    core.push(get(0, A), ms(0));
    let first = take(&mut core, A, ms(0));
    core.complete(first, left(0, 100), ms(10), ms(10));
    let known = core.host_states(ms(1_010));
    let mut next = Core::new(settings);
    next.restore(known, ms(0));
    next.push(get(0, A), ms(0));
    assert_eq!(next.why("a.test", ms(0)), Some(WaitReason::HostPause { until: secs(100) }));
}
