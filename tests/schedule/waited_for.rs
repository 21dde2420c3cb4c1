//! The record names what its line waited for longest, not what it waited for last.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent, WaitedFor};
use fetchd::schedule::{Core, HealthPolicy, Settings, StallReason};

use crate::items::{answered, answered_later, failed, get, limits, ms, robots};
use crate::robots::{ALL, policy};

/// Starts and answers every line with 200 as soon as it may start, until then, with so many at once; says what the records
/// have, by ordinal.
fn served(core: &mut Core, from: Duration, until: Duration) -> Vec<(u64, Option<WaitedFor>)> {
    let mut now = from;
    loop {
        while let Some(job) = core.take(now) {
            let attempt = if job.call.request.url.path() == "/robots.txt" { robots(ALL) } else { answered(200) };
            core.complete(job, attempt, ms(0), now);
        }
        match core.next_wakeup(now).filter(|at| *at <= until) {
            Some(at) => now = at,
            None => break,
        }
    }
    let done = std::iter::from_fn(|| core.take_settled());
    let mut waited: Vec<_> = done.map(|done| (done.ticket.ordinal, done.record.times.waited_for)).collect();
    waited.sort_unstable_by_key(|(ordinal, _)| *ordinal);
    waited
}

fn with_lines(settings: Settings, lines: u64) -> Core {
    let mut core = Core::new(settings);
    for ordinal in 0..lines {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    core
}

const LATER: Duration = Duration::from_secs(1000);

#[test]
fn each_limit_has_its_word_and_a_line_that_did_not_wait_has_none() {
    let mut core = with_lines(Settings { any_host: limits(8, ms(100)), ..Settings::default() }, 2);
    assert_eq!(served(&mut core, ms(0), LATER), [(0, None), (1, Some(WaitedFor::HostRate))]);

    let mut core = with_lines(Settings { every: ms(100), ..Settings::default() }, 2);
    assert_eq!(served(&mut core, ms(0), LATER), [(0, None), (1, Some(WaitedFor::Rate))]);

    let mut core = with_lines(Settings { any_host: limits(1, ms(0)), ..Settings::default() }, 2);
    let first = core.take(ms(0)).expect("it starts");
    core.complete(first, answered(200), ms(50), ms(50));
    assert_eq!(served(&mut core, ms(50), LATER), [(0, None), (1, Some(WaitedFor::HostConcurrency))]);

    // No permit was free.
    let mut core = with_lines(Settings::default(), 1);
    assert_eq!(served(&mut core, ms(70), LATER), [(0, Some(WaitedFor::Concurrency))]);

    let mut core = with_lines(Settings { max_hosts: 1, ..Settings::default() }, 1);
    core.push(get(1, "http://b.test/"), ms(0));
    let first = core.take(ms(0)).expect("it starts");
    core.complete(first, answered(200), ms(50), ms(50));
    assert_eq!(served(&mut core, ms(50), LATER), [(0, None), (1, Some(WaitedFor::Hosts))]);

    let mut core = with_lines(Settings::default(), 1);
    core.stall(StallReason::Output, ms(0));
    core.resume(StallReason::Output, ms(90));
    assert_eq!(served(&mut core, ms(95), LATER), [(0, Some(WaitedFor::Output))]);
}

#[test]
fn a_retry_waited_for_its_back_off_or_for_the_pause_of_its_host() {
    for (attempt, reason) in [
        (answered(500), WaitedFor::Backoff),
        (answered_later(503, ms(2000)), WaitedFor::HostPause),
        (failed(ErrorKind::Reset, Sent::Something), WaitedFor::Backoff),
    ] {
        let mut core = with_lines(Settings::default(), 1);
        let job = core.take(ms(0)).expect("it starts");
        core.complete(job, attempt, ms(1), ms(1));
        assert_eq!(served(&mut core, ms(1), LATER), [(0, Some(reason))]);
    }
}

#[test]
fn the_longest_wait_counts_and_not_the_last() {
    let mut core = with_lines(Settings { any_host: limits(8, ms(100)), ..Settings::default() }, 30);
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, answered_later(503, ms(1000)), ms(1), ms(1));
    let waited = served(&mut core, ms(1), LATER);
    assert_eq!(waited[5], (5, Some(WaitedFor::HostPause)), "{waited:?}");
    assert_eq!(waited[29], (29, Some(WaitedFor::HostRate)), "{waited:?}");
}

#[test]
fn lines_that_fail_with_their_host_say_what_they_waited_for() {
    let health = HealthPolicy { failures: 1, cool_down: ms(2000), give_up: ms(900) };
    let mut core = with_lines(Settings { health, ..Settings::default() }, 3);
    let mut now = ms(0);
    loop {
        while let Some(job) = core.take(now) {
            core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(0), now);
        }
        let Some(at) = core.next_wakeup(now).filter(|at| *at < LATER) else { break };
        now = at;
    }
    let records: Vec<_> = std::iter::from_fn(|| core.take_settled()).map(|done| done.record).collect();
    assert_eq!(records.len(), 3);
    let unsent: Vec<_> = records.iter().filter(|record| record.attempts == 0).collect();
    assert_eq!(unsent.len(), 2);
    for record in unsent {
        assert_eq!((record.kind(), record.times.waited_for), (Some(ErrorKind::CircuitOpen), Some(WaitedFor::Circuit)));
    }
}

#[test]
fn a_robots_txt_and_its_crawl_delay_have_their_words() {
    let mut core = with_lines(Settings { robots: Some(policy()), ..Settings::default() }, 2);
    let fetches = core.take(ms(0)).expect("the robots.txt");
    core.complete(fetches, robots(&format!("{ALL}Crawl-delay: 2\n")), ms(3000), ms(3000));
    assert_eq!(served(&mut core, ms(3000), LATER)[1].1, Some(WaitedFor::Robots));

    let mut core = with_lines(Settings { robots: Some(policy()), ..Settings::default() }, 2);
    let fetches = core.take(ms(0)).expect("the robots.txt");
    core.complete(fetches, robots(&format!("{ALL}Crawl-delay: 2\n")), ms(50), ms(50));
    assert_eq!(served(&mut core, ms(50), LATER)[1].1, Some(WaitedFor::CrawlDelay));
}
