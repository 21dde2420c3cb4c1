//! URLs that always answer with a Retry-After: how often they are asked, by their own log. curl with as many retries asks as
//! often.

use std::process::Command;
use std::time::Duration;

use crate::common::fetchd::{Fetchd, seq};
use crate::common::origin::{Origin, send};
use crate::scenario::{fate, provoke};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

fn busy(origin: &Origin, status: u16, retry_after: &str) -> String {
    let answer = format!("HTTP/1.1 {status} Busy\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n");
    origin.play("/busy", [send(answer)])
}

#[test]
fn without_retries_a_url_is_asked_once_whatever_it_answers() {
    for (status, retry_after) in
        [(429, "1"), (503, "1"), (429, "0"), (503, "600"), (429, "Sun, 06 Nov 1994 08:49:37 GMT"), (429, "soon")]
    {
        let origin = Origin::start();
        let records = provoke(Fetchd::with(["--retries", "0"]), [busy(&origin, status, retry_after)]);
        assert_eq!((fate(&records[0]).0, fate(&records[0]).2), ("http_error", 1), "{records:#?}");
        assert_eq!((records[0]["status"].as_u64(), origin.requests().len()), (Some(status.into()), 1));
    }
}

#[test]
fn a_url_that_always_asks_for_a_second_is_asked_as_often_as_there_are_waits() {
    let by_curl = Origin::start();
    let args = ["-sS", "-o", "/dev/null", "--noproxy", "*", "--retry", "2"];
    Command::new("curl").args(args).arg(busy(&by_curl, 429, "1")).output().unwrap();
    let origin = Origin::start();
    let records = provoke(Fetchd::local().config("retry.max_waits = 2\n"), [busy(&origin, 429, "1")]);
    assert_eq!(fate(&records[0]), ("http_error", "http_status", 3));
    assert!(records[0].to_string().contains("after 2 waits (retry.max_waits)"), "{:#}", records[0]);
    let requests = origin.requests();
    assert_eq!((requests.len(), by_curl.requests().len()), (3, 3));
    for pair in requests.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap + TICK >= Duration::from_secs(1) && gap < Duration::from_secs(3), "{gap:?}");
    }
}

#[test]
fn a_retry_after_of_nothing_or_long_past_is_no_leave_to_ask_without_end() {
    for retry_after in ["0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let origin = Origin::start();
        let records = provoke(Fetchd::local().config("retry.backoff = '20ms'\n"), [busy(&origin, 503, retry_after)]);
        assert_eq!(fate(&records[0]), ("http_error", "http_status", 11));
        let requests = origin.requests();
        assert_eq!(requests.len(), 11);
        assert!(requests.windows(2).all(|pair| pair[1].at - pair[0].at + TICK >= Duration::from_millis(20)));
    }
}

#[test]
fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let origin = Origin::start();
    let fetchd = Fetchd::local().config("fetch.deadline = '5s'\nfetch.timeout = '2s'\nfetch.connect_timeout = '1s'\n");
    let records = provoke(fetchd, [busy(&origin, 429, "60")]);
    assert_eq!((fate(&records[0]), origin.requests().len()), (("http_error", "http_status", 1), 1));
}

#[test]
fn other_lines_of_the_host_go_on_after_each_pause() {
    let origin = Origin::start();
    let lines = [vec![busy(&origin, 429, "0")], (0..4).map(|n| origin.url(&format!("/ok/{n}"))).collect()].concat();
    let fetchd = Fetchd::with(["--host-concurrency", "1"]).config("retry = { backoff = '100ms', max_waits = 8 }\n");
    let ended = fetchd.run(lines.join("\n"));
    assert_eq!((ended.count("ok"), ended.records.last().map(seq)), (4, Some(1)), "{ended:?}");
}
