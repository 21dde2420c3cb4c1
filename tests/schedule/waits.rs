//! Waits that are not charged against `retries` have a number of their own: a server that always answers with a Retry-After is
//! not asked for as long as the deadline is.

use std::collections::BTreeMap;
use std::time::Duration;

use fetchd::item::{Attempt, ErrorKind, Outcome, Sent};
use fetchd::schedule::{Core, RetryPolicy, Settings};
use proptest::prelude::*;

use crate::items::{answered, answered_later, failed, get, limits, ms};
use crate::robots::{settled, take};
use crate::script::{Reply, scripts};
use crate::world::{What, play};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// One request at a time, so that the order of starts is that of turns.
fn core_with(retry: RetryPolicy) -> Core {
    Core::new(Settings { retry, any_host: limits(1, ms(0)), ..Settings::default() })
}

fn usual() -> RetryPolicy {
    Settings::default().retry
}

/// Sends the lines as the core says, with this answer for each; says what was sent, and when.
fn play_core(core: &mut Core, answer: impl Fn(&str) -> Attempt) -> Vec<(Duration, String)> {
    let (mut starts, mut now) = (Vec::new(), ms(0));
    loop {
        while let Some(job) = core.take(now) {
            let path = job.call.request.url.path().to_owned();
            core.complete(job, answer(&path), ms(0), now);
            starts.push((now, path));
        }
        let Some(at) = core.next_wakeup(now).filter(|_| core.counts().waiting > 0) else { return starts };
        now = at;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_waits_more_often_than_the_policy_says(script in scripts()) {
        let retry = &script.settings.retry;
        let (mut waits, mut last) = (BTreeMap::<u64, u32>::new(), BTreeMap::<u64, Reply>::new());
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => _ = last.insert(ordinal, reply),
                What::Started { ordinal, .. } if matches!(last.get(&ordinal), Some(Reply::RetryAfter(..))) => {
                    let waits = waits.entry(ordinal).or_default();
                    *waits += 1;
                    prop_assert!(*waits <= retry.max_waits, "line {}", ordinal);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn without_retries_a_line_is_one_request_but_for_redirects_and_body_memory(script in scripts()) {
        let mut script = script.without_circuits();
        script.settings.retry.retries = 0;
        let mut last: BTreeMap<u64, Reply> = BTreeMap::new();
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => _ = last.insert(ordinal, reply),
                What::Started { ordinal, .. } => {
                    let again = last.get(&ordinal);
                    let allowed = again.is_none_or(|last| {
                        matches!(last, Reply::Redirect { .. } | Reply::NoMemory | Reply::Fails(_, Sent::Stale))
                    });
                    prop_assert!(allowed, "line {} is sent again after {:?}", ordinal, again);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_url_that_always_asks_for_a_second_is_asked_eleven_times_a_second_apart() {
    for status in [429, 503] {
        let mut core = core_with(usual());
        core.push(get(0, "http://a.test/busy"), ms(0));
        let starts = play_core(&mut core, |_| answered_later(status, secs(1)));
        assert!(starts.iter().map(|(at, _)| *at).eq((0..11).map(secs)), "{starts:?}");
        let record = settled(&mut core).record;
        assert_eq!(
            (record.outcome, record.kind(), record.attempts),
            (Outcome::HttpError, Some(ErrorKind::HttpStatus), 11)
        );
        assert_eq!(record.received.head().map(|head| head.status.as_u16()), Some(status));
        let message = record.error.map(|(_, message)| message).unwrap_or_default();
        assert!(message.contains("after 10 waits (retry.max_waits)"), "{message}");
    }
}

#[test]
fn a_retry_after_of_nothing_waits_for_the_back_off_which_does_not_double() {
    let mut core = core_with(usual());
    core.push(get(0, "http://a.test/busy"), ms(0));
    let starts = play_core(&mut core, |_| answered_later(429, ms(0)));
    assert!(starts.iter().map(|(at, _)| *at).eq((0..11).map(|n| ms(500 * n))), "{starts:?}");
}

#[test]
fn without_retries_or_without_waits_the_first_answer_is_the_record() {
    for retry in [RetryPolicy { retries: 0, ..usual() }, RetryPolicy { max_waits: 0, ..usual() }] {
        for wait in [0, 1, 60] {
            let mut core = core_with(retry.clone());
            core.push(get(0, "http://a.test/busy"), ms(0));
            let starts = play_core(&mut core, |_| answered_later(503, secs(wait)));
            assert_eq!((starts.len(), settled(&mut core).record.outcome), (1, Outcome::HttpError));
        }
    }
}

#[test]
fn a_429_without_a_retry_after_is_charged_as_before() {
    let mut core = core_with(usual());
    (0..5).for_each(|ordinal| core.push(get(ordinal, &format!("http://a.test/{ordinal}")), ms(0)));
    let starts = play_core(&mut core, |_| answered(429));
    assert_eq!(starts.len(), 15);
}

#[test]
fn where_one_url_alone_is_refused_the_others_go_on_after_each_pause() {
    let mut core = core_with(usual());
    core.push(get(0, "http://a.test/busy"), ms(0));
    (1..=20).for_each(|ordinal| core.push(get(ordinal, "http://a.test/fine"), ms(0)));
    let busy = |path: &str| path == "/busy";
    let starts = play_core(&mut core, |path| if busy(path) { answered_later(429, secs(1)) } else { answered(200) });
    let waits = starts.iter().filter(|(_, path)| busy(path)).count();
    assert_eq!((waits, starts.len()), (11, 31));
    // From the second refusal on, one of the others goes before it after each pause.
    for second in 2..10 {
        let path = |n: usize| starts.iter().filter(|(at, _)| *at == secs(second)).nth(n).map(|(_, path)| path.as_str());
        assert_eq!((path(0), path(1)), (Some("/fine"), Some("/busy")), "second {second}: {starts:?}");
    }
}

#[test]
fn where_all_are_refused_lines_that_were_sent_go_on_being_tried() {
    let mut core = core_with(RetryPolicy { max_waits: 4, ..usual() });
    (0..50).for_each(|ordinal| core.push(get(ordinal, &format!("http://a.test/{ordinal}")), ms(0)));
    let starts = play_core(&mut core, |_| answered_later(503, secs(1)));
    assert_eq!(starts.len(), 50 * 5);
    let firsts: Vec<_> = starts.iter().take(60).map(|(_, path)| path.clone()).collect();
    assert!(firsts.iter().filter(|path| **path == "/0").count() == 5, "the first is done by then: {firsts:?}");
}

#[test]
fn a_long_run_with_such_a_url_lasts_no_longer_than_its_waits() {
    let mut core = Core::new(Settings::default());
    core.push(get(0, "http://a.test/busy"), ms(0));
    (1..10_000).for_each(|ordinal| core.push(get(ordinal, &format!("http://h{}.test/", ordinal % 100)), ms(0)));
    let starts =
        play_core(&mut core, |path| if path == "/busy" { answered_later(429, secs(1)) } else { answered(200) });
    assert_eq!(starts.last().map(|(at, path)| (*at, path.as_str())), Some((secs(10), "/busy")));
}

#[test]
fn attempts_that_outlast_a_sleep_of_the_machine_are_waits_too() {
    let mut core = Core::new(Settings { retry: RetryPolicy { max_waits: 2, ..usual() }, ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    let mut now = ms(0);
    for _ in 0..3 {
        let job = take(&mut core, "http://a.test/", now);
        now += secs(60);
        core.complete(job, failed(ErrorKind::Timeout, Sent::Something), secs(60), now);
        now = core.next_wakeup(now).unwrap_or(now);
    }
    assert_eq!(settled(&mut core).record.attempts, 3);
}
