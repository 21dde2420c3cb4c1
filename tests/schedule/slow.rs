//! A host that answers is not unreachable, however slow or broken its bodies are; and a URL that is never answered is one URL.

use std::time::Duration;

use fetchd::item::ErrorKind;
use fetchd::schedule::{HealthPolicy, RetryPolicy, Settings};
use fetchd::units::Concurrency;

use crate::items::{limits, ms};
use crate::simulation::{Manner, Seen, Simulation};

const GOOD: Manner = Manner::Serves { at_once: 8, time: ms(100) };

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings(retries: u32) -> Settings {
    let retry = RetryPolicy { retries, ..Settings::default().retry };
    Settings { retry, timeout: secs(5), ..Settings::default() }
}

/// Some bad pages of a host, and then thirty good ones; what was seen of both.
fn bad_pages_first(settings: Settings, bad: Manner, count: usize) -> (Seen, Seen) {
    let mut simulation = Simulation::new(settings, 256, vec![GOOD, bad]);
    (0..count).for_each(|_| simulation.push_page(0, 1));
    (0..30).for_each(|_| simulation.push_page(0, 0));
    simulation.play_until(secs(3600));
    (simulation.seen[0].clone(), simulation.seen[1].clone())
}

#[test]
fn pages_that_drip_cost_the_others_of_their_host_nothing_but_places() {
    for count in [1, 8, 40] {
        let (good, bad) = bad_pages_first(settings(0), Manner::Drips, count);
        assert_eq!((good.ok, good.requests), (30, 30), "{:?}", good.kinds);
        assert_eq!((bad.of_kind(ErrorKind::Timeout), bad.requests), (count, count), "{:?}", bad.kinds);
        let places = count.div_ceil(8) as u64;
        assert!(good.last <= secs(5 * places + 1), "{count} drip: {:?}", good.last);
    }
    let (good, bad) = bad_pages_first(settings(2), Manner::Drips, 8);
    assert_eq!((good.ok, bad.of_kind(ErrorKind::Timeout), bad.requests), (30, 8, 24), "{:?}", bad.kinds);
}

#[test]
fn bodies_that_break_and_answers_that_are_no_http_are_answers() {
    for (bad, kind) in [
        (Manner::Breaks, ErrorKind::BodyIncomplete),
        (Manner::Garbles, ErrorKind::Protocol),
        (Manner::Fails, ErrorKind::HttpStatus),
    ] {
        let (good, seen) = bad_pages_first(settings(0), bad.clone(), 50);
        assert_eq!((good.ok, seen.of_kind(kind), seen.requests), (30, 50, 50), "{bad:?}: {:?}", seen.kinds);
    }
}

#[test]
fn bodies_that_drip_do_not_lower_an_adaptive_limit() {
    let adaptive = fetchd::schedule::HostLimits { concurrency: Concurrency::Adaptive, ..limits(8, ms(0)) };
    let mut simulation =
        Simulation::new(Settings { any_host: adaptive, ..settings(0) }, 256, vec![GOOD, Manner::Drips]);
    for n in 0..4000 {
        simulation.push_page(0, usize::from(n % 100 == 0));
    }
    simulation.play_until(secs(3600));
    // At the limit of the server it takes 50 s, and the pages that drip have their places for 5 s each.
    assert!(simulation.seen[0].last < secs(120), "{:?}", simulation.seen[0].last);
    assert_eq!(simulation.seen[0].ok, 3960);
}

#[test]
fn urls_that_are_never_answered_close_their_host_until_the_first_other_line_probes_it() {
    for (count, bound) in [(8, 60), (12, 120)] {
        let (good, bad) = bad_pages_first(settings(2), Manner::Hangs, count);
        assert_eq!(good.ok, 30, "{count} hang: {:?}", good.kinds);
        assert!(good.last <= secs(bound), "{count} hang: {:?}", good.last);
        assert_eq!(bad.kinds.values().sum::<usize>(), count, "{:?}", bad.kinds);
    }
}

#[test]
fn a_probe_is_another_line_than_the_one_that_failed_last() {
    let health = HealthPolicy { failures: 1, ..Settings::default().health };
    let settings = Settings { health, any_host: limits(1, ms(0)), ..settings(2) };
    let mut simulation = Simulation::new(settings, 256, vec![Manner::Hangs, Manner::Hangs]);
    (0..2).for_each(|page| simulation.push_page(0, page));
    // Both have been sent, and failed.
    simulation.play_until(secs(17));
    simulation.change(0, GOOD);
    simulation.play_until(secs(40));
    let seen = &simulation.seen;
    assert!(seen[0].ok == 1 && seen[0].last < secs(21), "{:?} {:?}", seen[0].last, seen[0].kinds);
}
