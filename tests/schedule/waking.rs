//! When the core asks to be woken: neither too late, nor too early, nor for nothing.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{Core, HealthPolicy, RobotsConfig, Settings};
use proptest::prelude::*;

use crate::items::{answered_later, failed, get, limits, ms, redirected, url_of};
use crate::oracle::Oracle;
use crate::script::{Script, scripts, scripts_with_releases};
use crate::world::{Event, Rest, Until, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_sleeps_past_the_moment_at_which_it_may_start(script in scripts_with_releases()) {
        let script = script.without_backoff();
        let mut oracle = Oracle::new(&script);
        for event in play(&script) {
            oracle.follow(&event);
            if let What::Rests(Rest { until, .. }) = event.what {
                let next = oracle.next_start();
                let in_time = match until {
                    Until::Wakeup(at) | Until::Script(at) => next.is_none_or(|next| at <= next),
                    Until::End => next.is_none(),
                };
                prop_assert!(in_time, "a line may start at {next:?}; the driver sleeps from {:?} {until:?}", event.at);
            }
        }
    }

    #[test]
    fn at_every_wake_up_a_line_gets_ready_or_settles_or_a_host_is_forgotten(script in scripts_with_releases()) {
        let script = script.without_backoff();
        let mut oracle = Oracle::new(&script);
        let history = play(&script);
        for (i, event) in history.iter().enumerate() {
            oracle.follow(event);
            if let What::Rests(Rest { until: Until::Wakeup(at), hosts, .. }) = event.what {
                let woken = oracle.gets_ready_at(at) || changes_something(&history[i + 1..], hosts);
                prop_assert!(woken, "woken at {at:?} for nothing");
            }
        }
    }

    #[test]
    fn when_all_is_settled_each_host_asks_for_one_wake_up_at_most(script in scripts()) {
        let history = play(&script);
        let last = history.iter().rposition(|event| matches!(event.what, What::Settled(_))).expect("some line");
        let rests: Vec<Rest> = history[last..].iter().filter_map(rest).collect();
        let wakeups = rests.iter().filter(|rest| matches!(rest.until, Until::Wakeup(_))).count();
        prop_assert!(wakeups <= rests[0].hosts, "{wakeups} wake-ups for {} hosts", rests[0].hosts);
        prop_assert_eq!(rests.last().map(|rest| (rest.hosts, rest.until)), Some((0, Until::End)));
    }

    #[test]
    fn asking_whether_a_line_may_start_changes_nothing(script in scripts(), steps in 2u32..5) {
        let (mut asked, mut left_alone) = (core_of(&script), core_of(&script));
        let (from, until) = (ms(600), ms(900));
        for step in 0..steps {
            asked.peek(from + (until - from) * step / steps);
        }
        let ordinal = |core: &mut Core| core.take(until).map(|job| job.ticket.ordinal);
        prop_assert_eq!(ordinal(&mut asked), ordinal(&mut left_alone));
    }
}

fn rest(event: &Event) -> Option<Rest> {
    match event.what {
        What::Rests(rest) => Some(rest),
        _ => None,
    }
}

/// Whether anything is seen before the driver sleeps again.
fn changes_something(later: &[Event], hosts: usize) -> bool {
    let seen = later.iter().find(|event| matches!(event.what, What::Settled(_) | What::Rests(_)));
    match seen.map(|event| &event.what) {
        Some(What::Rests(rest)) => rest.hosts < hosts,
        seen => seen.is_some(),
    }
}

/// A core that took the script's lines in, and nothing else.
fn core_of(script: &Script) -> Core {
    let mut core = Core::new(script.settings.clone());
    for line in &script.lines {
        core.push(get(line.ordinal, url_of(line.host, line.path).as_str()), line.at);
    }
    core
}

#[test]
fn an_empty_core_asks_for_no_wake_up() {
    let mut core = Core::new(Settings { every: ms(10), ..Settings::default() });
    assert_eq!(core.next_wakeup(ms(5)), None);
    assert_eq!(core.peek(ms(5)), None);
}

#[test]
fn a_wake_up_lies_ahead_even_while_no_permit_is_free_to_take_what_is_due() {
    let any_host = limits(8, ms(100));
    let mut core = Core::new(Settings { any_host, ..Settings::default() });
    for ordinal in 0..2 {
        core.push(get(ordinal, "http://a.test/"), Duration::ZERO);
    }
    core.take(Duration::ZERO).expect("the first may start");
    let at = core.next_wakeup(Duration::ZERO).expect("the second may start later");
    assert_eq!(core.next_wakeup(at), None, "the second may start, and only the driver can change that");
}

#[test]
fn a_host_that_rests_wakes_the_core_when_its_rest_is_over() {
    let mut core = Core::new(Settings::default());
    for ordinal in 0..2 {
        core.push(get(ordinal, "http://a.test/"), Duration::ZERO);
    }
    let job = core.take(Duration::ZERO).expect("the first may start");
    core.complete(job, answered_later(429, ms(7000)), ms(10), ms(10));
    assert_eq!(core.peek(ms(10)), None);
    assert_eq!(core.next_wakeup(ms(10)), Some(ms(7010)));
    assert_eq!(core.take(ms(7010)).map(|job| job.ticket.ordinal), Some(0), "the line that was sent goes first");
}

#[test]
fn a_line_whose_errand_ends_at_a_host_that_is_given_up_wakes_those_that_waited_for_it() {
    let robots = RobotsConfig { enabled: true, ..RobotsConfig::default() }.policy("fetchd");
    let health = HealthPolicy { failures: 1, cool_down: ms(200), give_up: ms(100) };
    let mut core = Core::new(Settings { robots, health, ..Settings::default() });
    for ordinal in 0..2 {
        core.push(get(ordinal, "http://a.test/page"), ms(0));
    }
    let asks = core.take(ms(0)).expect("the first goes for the rules");
    core.complete(asks, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    let asks = core.take(ms(1)).expect("they are elsewhere");
    core.complete(asks, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(2));
    assert_eq!(core.next_wakeup(ms(2)), Some(ms(102)));
    let asks = core.take(ms(102)).expect("the second goes for them at once");
    assert_eq!((asks.ticket.ordinal, asks.call.request.url.as_str()), (1, "http://a.test/robots.txt"));
    assert_eq!(core.take_settled().and_then(|done| done.record.kind()), Some(ErrorKind::CircuitOpen));
}
