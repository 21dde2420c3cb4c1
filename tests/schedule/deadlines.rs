//! A line that was sent is settled within its deadline, and does not wait for what would come too late.

use std::collections::BTreeMap;
use std::time::Duration;

use fetchd::item::{ErrorKind, Outcome};
use fetchd::schedule::{Change, Core, Overrides, Scope, Settings, StallReason};
use proptest::prelude::*;

use crate::items::{answered, answered_later, get, limits, ms};
use crate::script::{MAX_RETRY_AFTER, Reply, scripts, scripts_with_releases};
use crate::world::{What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_that_was_sent_settles_later_than_its_deadline(script in scripts_with_releases()) {
        let mut sent: BTreeMap<u64, Duration> = BTreeMap::new();
        for event in play(&script) {
            match event.what {
                What::Started { ordinal, .. } => {
                    let first = *sent.entry(ordinal).or_insert(event.at);
                    prop_assert!(event.at < first + script.settings.deadline, "line {ordinal} starts too late");
                }
                What::Settled(settled) => {
                    let late = sent.get(&settled.ordinal).filter(|first| event.at > **first + script.settings.deadline);
                    prop_assert_eq!(late, None, "line {} settles at {:?}", settled.ordinal, event.at);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_retry_after_that_would_pass_the_deadline_settles_the_line_at_once(script in scripts()) {
        let mut sent: BTreeMap<u64, Duration> = BTreeMap::new();
        // What must be settled before the driver rests, and with which status.
        let mut owed: BTreeMap<u64, u16> = BTreeMap::new();
        for event in play(&script) {
            match event.what {
                What::Started { ordinal, .. } => _ = sent.entry(ordinal).or_insert(event.at),
                What::Answered { ordinal, reply: Reply::RetryAfter(status, wait), .. }
                    if wait > MAX_RETRY_AFTER || event.at + wait >= sent[&ordinal] + script.settings.deadline =>
                {
                    owed.insert(ordinal, status);
                }
                What::Settled(settled) => {
                    if let Some(status) = owed.remove(&settled.ordinal) {
                        prop_assert_eq!((settled.status, settled.outcome), (Some(status), Outcome::HttpError));
                    }
                }
                What::Rests(_) => prop_assert!(owed.is_empty(), "still waiting: {owed:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_line_that_settles_when_it_is_answered_shows_its_answer(script in scripts()) {
        let mut last = None;
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => last = Some((ordinal, reply)),
                What::Settled(settled) => {
                    if let Some((ordinal, reply)) = last.take().filter(|(ordinal, _)| *ordinal == settled.ordinal) {
                        prop_assert_eq!(settled.status, shown(&reply, settled.kind), "line {}", ordinal);
                    }
                }
                _ => last = None,
            }
        }
    }
}

/// A redirect that was followed is no response any more, even if its line ends at once where it leads.
fn shown(reply: &Reply, kind: Option<ErrorKind>) -> Option<u16> {
    let ended_elsewhere =
        matches!(kind, Some(ErrorKind::RetryAfterTooLong | ErrorKind::CircuitOpen | ErrorKind::Canceled));
    reply.status().filter(|_| !(ended_elsewhere && matches!(reply, Reply::Redirect { .. })))
}

#[test]
fn a_pause_of_the_host_that_would_pass_the_deadline_settles_the_line_with_its_last_answer() {
    let mut core = Core::new(Settings { deadline: ms(1000), ..Settings::default() });
    for ordinal in 0..2 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let first = core.take(ms(0)).expect("the first starts");
    let second = core.take(ms(0)).expect("the second starts");
    core.complete(first, answered_later(429, ms(60_000)), ms(10), ms(10));
    core.complete(second, answered(500), ms(20), ms(20));
    for (ordinal, status) in [(0, 429), (1, 500)] {
        let done = core.take_settled().expect("both are settled at once");
        assert_eq!(done.ticket.ordinal, ordinal);
        assert_eq!(done.record.outcome, Outcome::HttpError);
        assert_eq!(done.record.received.head().map(|head| head.status.as_u16()), Some(status));
    }
}

#[test]
fn a_line_answered_after_its_host_closed_settles_with_that_answer_and_an_unsent_one_without() {
    let mut core = Core::new(Settings::default());
    for ordinal in 0..3 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let first = core.take(ms(0)).expect("the first starts");
    let second = core.take(ms(0)).expect("the second starts");
    core.complete(first, answered_later(503, ms(3_600_000)), ms(10), ms(10));
    core.complete(second, answered(500), ms(20), ms(20));
    let ends = std::iter::from_fn(|| core.take_settled()).map(|done| {
        assert_eq!(done.record.kind(), Some(ErrorKind::RetryAfterTooLong));
        let status = done.record.received.head().map(|head| head.status.as_u16());
        (done.ticket.ordinal, done.record.outcome, status)
    });
    let (http_error, failed) = (Outcome::HttpError, Outcome::Failed);
    assert_eq!(ends.collect::<Vec<_>>(), [(0, http_error, Some(503)), (2, failed, None), (1, http_error, Some(500))]);
}

#[test]
fn the_last_attempt_has_only_what_is_left_of_the_deadline() {
    let settings = Settings { deadline: ms(1000), timeout: ms(800), ..Settings::default() };
    let mut core = Core::new(settings);
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    assert_eq!(job.call.limits.timeout, ms(800));
    core.complete(job, answered_later(429, ms(600)), ms(100), ms(100));
    let job = core.take(ms(700)).expect("its Retry-After is over");
    assert_eq!(job.call.limits.timeout, ms(300));
}

#[test]
fn a_line_does_not_lose_its_time_while_records_cannot_be_written() {
    let mut core = Core::new(Settings { deadline: ms(1000), ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, answered(503), ms(10), ms(10));
    core.stall(StallReason::Output, ms(100));
    assert!(core.peek(ms(9_000)).is_none() && !core.has_settled(), "nothing starts, and no time passes for the line");
    core.resume(StallReason::Output, ms(9_000));
    let job = core.take(ms(9_000)).expect("it starts again");
    assert_eq!(job.call.limits.timeout, ms(900), "what was left when the stall began");
}

#[test]
fn a_pause_of_a_host_whose_many_lines_were_sent_before_takes_some_turns_and_none_of_their_time() {
    const MANY: u32 = 2_000;
    let host = || Scope::Host("a.test".into());
    for turns_in_the_pause in [0, 2, 99] {
        let deadline = ms(10_000);
        let mut core = Core::new(Settings { any_host: limits(MANY, ms(0)), deadline, ..Settings::default() });
        (0..MANY.into()).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
        let jobs: Vec<_> = std::iter::from_fn(|| core.take(ms(0))).collect();
        jobs.into_iter().for_each(|job| core.complete(job, answered_later(503, ms(3_000)), ms(1), ms(1)));
        let turn = |core: &mut Core, now| {
            assert!(core.work(now) <= 512);
            core.has_work()
        };
        let paused = Overrides::default().apply(Change::Pause(host(), None), 8, ms(1_000)).expect("it makes sense");
        core.set_overrides(&paused, ms(1_000));
        let worked = (0..turns_in_the_pause).take_while(|_| turn(&mut core, ms(1_000))).count();
        assert!(worked < 98, "it ends");
        core.next_wakeup(ms(50_000));
        assert!(!core.has_settled(), "the time of none is over in the pause");
        core.set_overrides(&Overrides::default(), ms(50_000));
        while turn(&mut core, ms(50_000)) {}
        core.next_wakeup(ms(58_999));
        assert!(!core.has_settled(), "each has the time that it had left");
        core.next_wakeup(ms(59_000));
        assert_eq!(std::iter::from_fn(|| core.take_settled()).count(), MANY as usize);
    }
}
