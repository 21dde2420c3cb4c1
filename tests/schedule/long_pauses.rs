//! Pauses longer than `retry.max_retry_after`: lines of durable sources wait for their end, and their time stands still; lines of
//! other sources end at once. A run in which nothing else is left may end.

use std::time::Duration;

use fetchd::item::{Attempt, ErrorKind, Head, Quota, Received};
use fetchd::schedule::{ClosedHost, Core, HostLimits, LongPause, Opening, Settings, WaitReason};
use proptest::prelude::*;

use crate::items::{answered, answered_later, get, head, limits, ms, redirected, source_of, whole};
use crate::robots::{settled, take};
use crate::script::{obedience, scripts};
use crate::world::{Event, What, play};

const A: &str = "http://a.test/";
const B: &str = "http://b.test/";
const HOUR: Duration = Duration::from_secs(3600);

/// One request at once at a host; lines of even ordinals come from a durable source, the others do not.
fn settings() -> Settings {
    let any_host = HostLimits { long_pause: LongPause::End, ..limits(1, ms(0)) };
    Settings { any_host, durable: vec![true, false], deadline: Duration::from_secs(5), ..Settings::default() }
}

/// A core with these lines.
fn core(lines: &[(u64, &str)]) -> Core {
    let mut core = Core::new(settings());
    lines.iter().for_each(|(ordinal, url)| core.push(get(*ordinal, url), ms(0)));
    core
}

fn kinds(core: &mut Core) -> Vec<(u64, Option<ErrorKind>)> {
    let done = std::iter::from_fn(|| core.take_settled());
    done.map(|done| (done.ticket.ordinal, done.record.kind())).collect()
}

fn closed(lines: usize, until: Duration) -> Option<Vec<ClosedHost>> {
    Some(vec![ClosedHost { name: "a.test".into(), lines, opens: Opening::At(until) }])
}

/// Two ways of closing a host: on the refused line itself, and by what another answer says.
fn closing() -> [(Attempt, usize); 2] {
    let used_up = Quota { remaining: 0, reset: HOUR - Quota::MARGIN };
    [(answered_later(429, HOUR), 3), (whole(Head { quota: Some(used_up), ..head(200) }), 2)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_line_of_a_durable_source_ends_for_a_long_pause(script in scripts(), robots in obedience()) {
        let script = script.obeying_robots(robots).stopped_at(None, vec![true, false]);
        let mut ended = 0;
        for Event { what, .. } in play(&script) {
            if let What::Settled(settled) = what {
                ended += 1;
                let is_too_long = settled.kind == Some(ErrorKind::RetryAfterTooLong);
                prop_assert!(!is_too_long || source_of(settled.ordinal) == 1, "{:?}", settled);
            }
        }
        prop_assert_eq!(ended, script.lines.len());
    }
}

#[test]
fn lines_of_durable_sources_wait_until_a_host_opens_and_their_time_stands_still() {
    for (answer, left) in closing() {
        let mut core = core(&[(0, A), (2, A), (4, A)]);
        let first = take(&mut core, A, ms(0));
        core.complete(first, answer, ms(100), ms(100));
        let opens = HOUR + ms(100);
        let mut ended = kinds(&mut core);
        assert_eq!(core.counts().waiting, left);
        assert!(core.take(ms(100)).is_none());
        assert_eq!(core.next_wakeup(ms(100)), Some(opens), "and none for a deadline");
        assert_eq!(core.only_closed_hosts(ms(100)), closed(left, opens));
        assert_eq!(core.only_closed_hosts(opens), None);
        for nth in 0..left {
            let job = take(&mut core, A, opens);
            let left = if left == 3 && nth == 0 { 4_900 } else { 5_000 };
            assert_eq!(job.call.limits.time_left, ms(left), "line {}", job.ticket.ordinal);
            core.complete(job, answered(200), ms(0), opens);
        }
        ended.append(&mut kinds(&mut core));
        assert_eq!(ended, [(0, None), (2, None), (4, None)]);
    }
}

#[test]
fn lines_of_other_sources_end_those_that_wait_and_those_that_come() {
    for (answer, left) in closing() {
        let mut core = core(&[(0, A), (1, A), (2, A), (3, A)]);
        let first = take(&mut core, A, ms(0));
        core.complete(first, answer, ms(100), ms(100));
        core.push(get(5, A), ms(200));
        core.push(get(6, A), ms(200));
        let mut ended = kinds(&mut core);
        ended.retain(|(ordinal, _)| *ordinal > 0);
        let too_long = Some(ErrorKind::RetryAfterTooLong);
        assert_eq!(ended, [(1, too_long), (3, too_long), (5, too_long)]);
        assert_eq!(core.only_closed_hosts(ms(200)), closed(left, HOUR + ms(100)));
    }
    let mut core = core(&[(1, A)]);
    let refused = take(&mut core, A, ms(0));
    core.complete(refused, answered_later(503, HOUR), ms(100), ms(100));
    let done = settled(&mut core);
    assert_eq!(done.record.kind(), Some(ErrorKind::RetryAfterTooLong));
    assert!(matches!(done.record.received, Received::Response(_)), "with the answer");
    done.ticket.done();
}

#[test]
fn a_retry_and_a_redirect_to_a_closed_host_keep_their_places() {
    let mut core = core(&[(0, A), (2, A), (4, B)]);
    let (first, hops) = (take(&mut core, A, ms(0)), take(&mut core, B, ms(0)));
    core.complete(first, answered_later(429, HOUR), ms(0), ms(0));
    core.complete(hops, redirected(302, A), ms(100), ms(100));
    assert_eq!(core.only_closed_hosts(ms(100)), closed(3, HOUR));
    assert_eq!(core.why("a.test", ms(100)), Some(WaitReason::HostPause { until: HOUR }));
}

#[test]
fn nothing_ends_while_something_else_is_left() {
    let mut core = core(&[(0, A), (2, A), (4, B), (6, B)]);
    let (first, other) = (take(&mut core, A, ms(0)), take(&mut core, B, ms(0)));
    core.complete(first, answered_later(429, HOUR), ms(0), ms(0));
    assert_eq!(core.only_closed_hosts(ms(0)), None, "a request is on the wire");
    core.complete(other, answered_later(503, ms(1000)), ms(0), ms(0));
    assert_eq!(core.only_closed_hosts(ms(0)), None, "a line waits for a host that opens soon");
    let other = take(&mut core, B, ms(1000));
    core.complete(other, answered(200), ms(0), ms(1000));
    assert_eq!(core.only_closed_hosts(ms(1000)), None, "a record is not handed out");
    assert_eq!(kinds(&mut core).len(), 1);
    let other = take(&mut core, B, ms(1000));
    core.complete(other, answered(200), ms(0), ms(1000));
    assert_eq!(kinds(&mut core).len(), 1);
    assert_eq!(core.only_closed_hosts(ms(1000)), closed(2, HOUR));
}

#[test]
fn the_next_run_sends_nothing_before_the_host_opens() {
    let mut before = core(&[(0, A)]);
    let first = take(&mut before, A, ms(0));
    before.complete(first, answered_later(429, HOUR), ms(0), ms(0));
    let mut next = Core::new(settings());
    next.restore(before.host_states(ms(1000)), ms(0));
    next.push(get(0, A), ms(10));
    assert!(next.take(ms(10)).is_none());
    assert_eq!(next.only_closed_hosts(ms(10)), closed(1, HOUR - ms(1000)));
}

#[test]
fn a_host_for_which_the_run_is_to_wait_keeps_it_going() {
    let mut settings = settings();
    settings.any_host.long_pause = LongPause::Wait;
    let mut core = Core::new(settings);
    core.push(get(0, A), ms(0));
    let first = take(&mut core, A, ms(0));
    core.complete(first, answered_later(429, HOUR), ms(0), ms(0));
    assert_eq!(core.only_closed_hosts(ms(0)), None);
    assert_eq!(core.next_wakeup(ms(0)), Some(HOUR));
}
