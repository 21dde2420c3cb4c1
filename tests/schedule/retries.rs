//! What is tried again, how often, and what counts as an attempt.

use std::collections::BTreeMap;

use fetchd::item::{Attempt, CHUNK, Connection, Done, ErrorKind, Outcome, Sent};
use fetchd::schedule::{BottleneckKind, Core, HostLimits, RetryPolicy, Settings};
use http::Method;
use proptest::prelude::*;

use crate::items::{answered, answered_later, failed, get, job, ms, redirected, request};
use crate::script::{Reply, scripts};
use crate::world::{What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_is_charged_more_retries_than_the_policy_has(script in scripts()) {
        let script = script.without_circuits();
        let mut charged: BTreeMap<u64, u32> = BTreeMap::new();
        let mut last: BTreeMap<u64, Reply> = BTreeMap::new();
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => _ = last.insert(ordinal, reply),
                What::Started { ordinal, .. } if last.get(&ordinal).is_some_and(is_charged) => {
                    let charged = charged.entry(ordinal).or_default();
                    *charged += 1;
                    prop_assert!(*charged <= script.settings.retry.retries, "line {ordinal}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_post_is_repeated_only_when_nothing_was_sent_or_the_server_did_not_act_on_it(script in scripts()) {
        let mut last: BTreeMap<u64, Reply> = BTreeMap::new();
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => _ = last.insert(ordinal, reply),
                What::Started { ordinal, method: Method::POST, .. } => {
                    let repeatable = last.get(&ordinal).is_none_or(leaves_a_post_undone);
                    prop_assert!(repeatable, "line {ordinal} is sent again after {:?}", last[&ordinal]);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn attempts_are_the_requests_that_were_sent_redirects_not_counted(script in scripts()) {
        let mut attempts = vec![0; script.lines.len()];
        let mut is_hop = vec![false; script.lines.len()];
        for event in play(&script) {
            match event.what {
                What::Answered { ordinal, reply, .. } => {
                    let ordinal = ordinal as usize;
                    attempts[ordinal] += u32::from(was_sent(&reply) && !is_hop[ordinal]);
                    is_hop[ordinal] = match reply {
                        Reply::NoMemory | STALE => is_hop[ordinal],
                        reply => matches!(reply, Reply::Redirect { .. }),
                    };
                }
                What::Settled(settled) => {
                    prop_assert_eq!(settled.attempts, attempts[settled.ordinal as usize], "line {}", settled.ordinal);
                    if settled.attempts == 0 {
                        prop_assert_ne!(settled.outcome, Outcome::HttpError);
                    }
                }
                _ => {}
            }
        }
    }
}

const STALE: Reply = Reply::Fails(ErrorKind::Reset, Sent::Stale);

fn is_charged(last: &Reply) -> bool {
    matches!(last, Reply::Status(_) | Reply::Fails(..)) && *last != STALE
}

fn leaves_a_post_undone(last: &Reply) -> bool {
    match last {
        Reply::Status(status) => matches!(status, 429 | 503),
        Reply::RetryAfter(..) | Reply::Redirect { .. } => true,
        Reply::Fails(_, sent) => *sent == Sent::Nothing,
        Reply::NoMemory | Reply::Canceled => false,
    }
}

fn was_sent(reply: &Reply) -> bool {
    !matches!(reply, Reply::NoMemory | Reply::Canceled | Reply::Fails(_, Sent::Refused | Sent::Stale))
}

fn core_with(retries: u32) -> Core {
    let retry = RetryPolicy { retries, ..Settings::default().retry };
    Core::new(Settings { retry, ..Settings::default() })
}

/// Sends the line as often as the core allows, and gives it the same every time.
fn insist(core: &mut Core, attempt: impl Fn() -> Attempt) -> Done {
    let mut now = ms(0);
    loop {
        if let Some(job) = core.take(now) {
            core.complete(job, attempt(), ms(1), now);
        }
        if let Some(done) = core.take_settled() {
            return done;
        }
        now = core.next_wakeup(now).expect("a line that waits has a time");
    }
}

#[test]
fn a_line_is_tried_once_and_then_as_often_as_the_policy_says() {
    for retries in 0..4 {
        let mut core = core_with(retries);
        core.push(get(0, "http://a.test/"), ms(0));
        let done = insist(&mut core, || answered(500));
        assert_eq!(done.record.attempts, retries + 1);
        assert_eq!(done.record.kind(), Some(ErrorKind::HttpStatus));
    }
}

#[test]
fn a_retry_after_that_is_honoured_is_not_charged_and_the_deadline_bounds_it() {
    let mut core = core_with(1);
    core.push(get(0, "http://a.test/"), ms(0));
    let done = insist(&mut core, || answered_later(503, ms(100_000)));
    assert_eq!(done.record.attempts, 6, "at 0, 100 … 500 s of a deadline of 600 s");
    assert_eq!(done.record.outcome, Outcome::HttpError);
}

#[test]
fn retry_after_nought_still_waits_for_the_back_off() {
    let mut core = core_with(2);
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, answered_later(429, ms(0)), ms(1), ms(1));
    assert!(core.next_wakeup(ms(1)).is_some_and(|at| at >= ms(251)), "half of 500 ms at least");
}

#[test]
fn what_can_never_succeed_is_not_tried_again() {
    for kind in [
        ErrorKind::DnsNotFound,
        ErrorKind::TlsFailed,
        ErrorKind::Protocol,
        ErrorKind::BodyTooLarge,
        ErrorKind::Decode,
        ErrorKind::Panic,
    ] {
        let mut core = core_with(5);
        core.push(get(0, "http://a.test/"), ms(0));
        let done = insist(&mut core, || failed(kind, Sent::Something));
        assert_eq!((done.record.attempts, done.record.outcome), (1, Outcome::Failed), "{}", kind.name());
    }
}

#[test]
fn a_line_refused_here_is_rejected_and_one_refused_at_a_hop_has_failed() {
    let mut core = core_with(2);
    core.push(get(0, "http://a.test/"), ms(0));
    let done = insist(&mut core, || failed(ErrorKind::ForbiddenAddress, Sent::Refused));
    assert_eq!((done.record.attempts, done.record.outcome), (0, Outcome::Rejected));

    core.push(get(1, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, redirected(302, "http://10.0.0.1/"), ms(1), ms(1));
    let done = insist(&mut core, || failed(ErrorKind::ForbiddenAddress, Sent::Refused));
    assert_eq!((done.record.attempts, done.record.outcome), (1, Outcome::Failed));
}

#[test]
fn a_failed_hop_is_tried_again_at_that_hop() {
    let mut core = core_with(1);
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, redirected(302, "http://b.test/"), ms(1), ms(1));
    let job = core.take(ms(1)).expect("the hop starts");
    core.complete(job, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(2));
    let job = core.take(ms(60_000)).expect("it is tried again");
    assert_eq!(job.call.request.url.as_str(), "http://b.test/");
    core.complete(job, answered(200), ms(1), ms(60_001));
    let done = core.take_settled().expect("it is done");
    assert_eq!((done.record.attempts, done.record.hops.len()), (2, 1));
}

#[test]
fn a_body_without_memory_starts_over_at_once_uncharged_with_all_it_needs() {
    let mut core = core_with(0);
    core.push(get(0, "http://a.test/"), ms(0));
    assert_eq!(core.peek(ms(0)).map(|need| need.memory), Some(CHUNK));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, Attempt::NoMemory { need: 5 << 20 }, ms(1), ms(1));
    assert_eq!(core.peek(ms(1)).map(|need| need.memory), Some(5 << 20));
    let job = core.take(ms(1)).expect("it starts again");
    core.complete(job, answered(200), ms(1), ms(2));
    let done = core.take_settled().expect("it is done");
    assert_eq!((done.record.attempts, done.record.outcome), (1, Outcome::Ok));
}

#[test]
fn a_request_that_cannot_be_repeated_reserves_its_whole_body_first() {
    let mut core = core_with(0);
    core.push(job(0, request(Method::POST, "http://a.test/")), ms(0));
    assert_eq!(core.peek(ms(0)).map(|need| need.memory), Some(Settings::default().largest_body));
}

#[test]
fn an_attempt_that_ran_out_of_time_while_the_process_stood_still_is_not_charged() {
    let minute = ms(60_000);
    for (kind, method, again) in [
        (ErrorKind::Timeout, Method::GET, true),
        (ErrorKind::ConnectTimeout, Method::GET, true),
        (ErrorKind::Timeout, Method::POST, false),
        (ErrorKind::Reset, Method::POST, false),
    ] {
        let mut core = core_with(1);
        core.push(job(0, request(method.clone(), "http://a.test/")), ms(0));
        let stopped = core.take(ms(0)).expect("it starts");
        core.complete(stopped, failed(kind, Sent::Something), minute, minute);
        assert_eq!(core.take_settled().is_none(), again, "{method} {}", kind.name());
    }
    let mut core = core_with(0);
    core.push(get(0, "http://a.test/"), ms(0));
    let late = core.take(ms(0)).expect("it starts");
    let limit = late.call.limits.timeout + ms(4000);
    core.complete(late, failed(ErrorKind::Timeout, Sent::Something), limit, limit);
    assert!(core.take_settled().is_some(), "a machine that is busy is late, too");
}

#[test]
fn a_machine_without_files_is_asked_again_uncharged_and_less_and_less_often() {
    let mut core = core_with(0);
    core.push(get(0, "http://a.test/"), ms(0));
    let mut now = ms(0);
    for nth in 0..6 {
        let job = core.take(now).expect("it starts");
        core.complete(job, failed(ErrorKind::ConnectFailed, Sent::Starved), ms(0), now);
        assert_eq!(core.bottleneck(now), BottleneckKind::OpenFiles.into());
        let next = core.next_wakeup(now).expect("it is tried again");
        let full = ms(500 << nth).min(ms(10_000));
        assert!(next - now >= full / 2 && next - now <= full.min(ms(5000)), "{:?}", next - now);
        now = next;
    }
    let job = core.take(now).expect("it starts");
    core.complete(job, answered(200), ms(1), now);
    assert_eq!(core.take_settled().map(|done| done.record.attempts), Some(1));
}

#[test]
fn a_request_that_met_a_closing_connection_goes_out_at_once_on_a_new_one_uncharged() {
    let mut core = core_with(0);
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, redirected(302, "http://b.test/"), ms(1), ms(1));
    let job = core.take(ms(1)).expect("the hop starts");
    assert!(matches!(job.call.connection, Connection::Keep(_)));
    core.complete(job, failed(ErrorKind::Reset, Sent::Stale), ms(1), ms(2));
    let job = core.take(ms(2)).expect("it starts again at once");
    assert_eq!((job.call.request.url.as_str(), job.call.connection), ("http://b.test/", Connection::New));
    core.complete(job, answered(200), ms(1), ms(3));
    assert_eq!(core.take_settled().map(|done| done.record.attempts), Some(1));
}

#[test]
fn many_closing_connections_open_no_circuit_and_exhaust_no_budget() {
    let mut core = core_with(1);
    for n in 0..200 {
        core.push(get(n, "http://a.test/"), ms(0));
        let stale = core.take(ms(n)).expect("it starts");
        core.complete(stale, failed(ErrorKind::Reset, Sent::Stale), ms(1), ms(n));
        let again = core.take(ms(n)).expect("it starts again");
        core.complete(again, answered(200), ms(1), ms(n));
        assert_eq!(core.take_settled().map(|done| (done.record.outcome, done.record.attempts)), Some((Outcome::Ok, 1)));
    }
}

#[test]
fn a_request_that_is_sent_again_counts_against_its_hosts_rate() {
    let any_host = HostLimits { every: ms(100), ..Settings::default().any_host };
    let mut core = Core::new(Settings { any_host, ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    let stale = core.take(ms(0)).expect("it starts");
    core.complete(stale, failed(ErrorKind::Reset, Sent::Stale), ms(1), ms(1));
    assert!(core.take(ms(99)).is_none());
    assert!(core.take(ms(100)).is_some());
}

#[test]
fn what_must_not_be_sent_twice_has_a_new_connection() {
    for (method, keeps) in [(Method::GET, true), (Method::PUT, true), (Method::POST, false), (Method::PATCH, false)] {
        let mut core = core_with(0);
        core.push(job(0, request(method.clone(), "http://a.test/")), ms(0));
        let job = core.take(ms(0)).expect("it starts");
        assert_eq!(job.call.connection != Connection::New, keeps, "{method}");
    }
}
