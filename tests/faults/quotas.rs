//! Quotas that responses tell, by the origin's log: when the next request comes after nothing was left.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, send};
use crate::scenario::{fates, provoke};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

fn answer(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\n{headers}content-length: 0\r\n\r\n")
}

/// Two requests to one host, of which the first gets this answer: the records, and the time from one to the other.
fn two_requests(status: u16, headers: &str, lines: usize) -> (Vec<Value>, Duration) {
    let origin = Origin::start();
    let first = [send(answer(status, headers))];
    let url = origin.play_in_turn("/api", [first.to_vec(), vec![send(answer(200, ""))]]);
    let records = provoke(Fetchd::with(["--host-concurrency", "1"]), vec![url; lines]);
    let requests = origin.requests();
    assert_eq!(requests.len(), 2, "{headers}");
    (records, requests[1].at - requests[0].at)
}

/// The seconds of a clock that is an hour slow, and the header that says so.
fn slow_clock() -> (u64, String) {
    let there = SystemTime::now() - Duration::from_secs(3600);
    let seconds = there.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    (seconds, format!("date: {}\r\n", httpdate::fmt_http_date(there)))
}

#[test]
fn no_request_comes_after_the_last_of_a_quota_before_its_reset() {
    let (there, date) = slow_clock();
    for headers in [
        "ratelimit: \"default\";r=0;t=1\r\n".to_owned(),
        "RateLimit-Remaining: 0\r\nRateLimit-Reset: 1\r\n".to_owned(),
        "X-RateLimit-Remaining-Requests: 0\r\nX-RateLimit-Reset-Requests: 1.5s\r\n".to_owned(),
        format!("{date}x-rate-limit-remaining: 0\r\nx-rate-limit-reset: {}\r\n", there + 1),
        format!("{date}x-ratelimit-remaining: 0\r\nx-ratelimit-reset: {}000\r\n", there + 1),
    ] {
        let (records, gap) = two_requests(200, &headers, 2);
        assert_eq!(fates(&records), [("ok", "", 1); 2]);
        assert!(gap + TICK >= Duration::from_secs(2) && gap < Duration::from_secs(4), "{headers}: {gap:?}");
    }
}

#[test]
fn what_is_no_quota_of_the_whole_host_holds_up_nothing() {
    for headers in [
        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\nx-ratelimit-bucket: abc\r\n",
        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\nx-ratelimit-resource: search\r\n",
        "ratelimit-remaining: 0\r\nratelimit-reset: 60\r\nage: 5\r\n",
        "ratelimit-remaining: 0\r\nratelimit-reset: 1700000000\r\n",
        "ratelimit-remaining: 0\r\nratelimit-reset: 99999999\r\n",
        "ratelimit-remaining: 0\r\n",
        "ratelimit-remaining: 1\r\nratelimit-reset: 60\r\n",
    ] {
        let (records, gap) = two_requests(200, headers, 2);
        assert_eq!(fates(&records), [("ok", "", 1); 2]);
        assert!(gap < Duration::from_secs(1), "{headers}: {gap:?}");
    }
}

#[test]
fn a_403_or_429_of_a_used_up_quota_waits_for_the_reset_and_is_sent_again() {
    let quota = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1\r\nx-ratelimit-resource: core\r\n";
    for (status, headers) in [(403, quota), (429, quota), (403, "retry-after: 2\r\n")] {
        let (records, gap) = two_requests(status, headers, 1);
        assert_eq!(fates(&records), [("ok", "", 2)], "{status}");
        assert!(gap + TICK >= Duration::from_secs(2) && gap < Duration::from_secs(4), "{status}: {gap:?}");
    }
}

#[test]
fn a_403_without_either_is_an_answer() {
    let origin = Origin::start();
    let url = origin.play("/api", [send(answer(403, "x-ratelimit-remaining: 5\r\nx-ratelimit-reset: 1\r\n"))]);
    let records = provoke(Fetchd::local(), [url]);
    assert_eq!((fates(&records), origin.requests().len()), (vec![("http_error", "http_status", 1)], 1));
}

#[test]
fn a_quota_that_is_to_be_ignored_is() {
    let origin = Origin::start();
    let url = origin.play("/api", [send(answer(200, "ratelimit-remaining: 0\r\nratelimit-reset: 60\r\n"))]);
    let config = "[hosts.'127.0.0.1']\nconcurrency = 1\nquota = 'ignore'\n";
    assert_eq!(fates(&provoke(Fetchd::local().config(config), [url.clone(), url])), [("ok", "", 1); 2]);
    let requests = origin.requests();
    assert!(requests[1].at - requests[0].at < Duration::from_secs(1), "it waited for the reset");
}

#[test]
fn with_no_other_client_no_server_refuses_a_request_whatever_its_clock_says() {
    // Two resets, each a second late.
    const LINES: usize = 75;
    let origins = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]].map(Origin::start_at);
    let lines = (0..LINES * 3).map(|n| origins[n % 3].url(&format!("/quota/30/4/{}?{n}", n % 3)));
    let records = provoke(Fetchd::with(["--host-concurrency", "8"]), lines);
    assert_eq!(fates(&records), vec![("ok", "", 1); LINES * 3]);
    for origin in &origins {
        let mut requests = origin.requests();
        requests.sort_by_key(|request| request.at);
        assert_eq!(requests.len(), LINES);
        let overlap = requests.windows(2).filter(|pair| pair[1].at_once > 1).count();
        assert!(overlap > 0 && origin.most_at_once() <= 8, "they were sent one by one");
    }
}
