//! Hosts that answer, and are slow or broken after that: it is a matter of the URL. curl says of the same URLs what it
//! makes of them.

use std::process::Command;
use std::time::Duration;

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::{Origin, Script, Step, send};
use crate::scenario::{fate, provoke};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 200000\r\n\r\n";

/// The head of an answer at once, and then a byte now and then.
fn drips() -> Script {
    vec![send(HEAD), Step::Repeat(vec![Step::Trickle(vec![b'x'], Duration::from_millis(50))])]
}

/// So many bad pages, and thirty good ones behind them.
fn pages(origin: &Origin, bad: &[Step], count: usize) -> Vec<String> {
    let bad = (0..count).map(|n| origin.play(&format!("/bad/{n}"), bad.to_vec()));
    bad.chain((0..30).map(|n| origin.url(&format!("/ok/{n}")))).collect()
}

/// What curl exits with when it has a second for this URL.
fn curl(url: &str) -> Option<i32> {
    let args = ["-sS", "-o", "/dev/null", "--noproxy", "*", "--max-time", "1"];
    Command::new("curl").args(args).arg(url).output().unwrap().status.code()
}

#[test]
fn pages_that_drip_fail_by_themselves_and_the_others_of_their_host_are_fetched() {
    let origin = Origin::start();
    let lines = pages(&origin, &drips(), 8);
    // 28 is the time-out.
    assert_eq!((curl(&lines[0]), curl(&lines[8])), (Some(28), Some(0)));
    let records =
        provoke(Fetchd::with(["--timeout", "1s", "--retries", "0"]).config("fetch.speed_time = '1s'\n"), lines);
    for (n, record) in records.iter().enumerate() {
        let expected = if n < 8 { ("failed", "timeout", 1) } else { ("ok", "", 1) };
        assert_eq!(fate(record), expected, "{record:#}");
        assert_eq!(record["status"], 200);
    }
}

#[test]
fn more_pages_that_drip_than_failures_open_a_circuit_leave_it_closed_with_retries_too() {
    let origin = Origin::start();
    let lines = pages(&origin, &drips(), 12);
    let records =
        provoke(Fetchd::with(["--timeout", "300ms", "--retries", "1"]).config("fetch.speed_time = '300ms'\n"), lines);
    assert!(records[..12].iter().all(|record| kind(record) == "timeout"), "{records:#?}");
    assert!(records[12..].iter().all(|record| fate(record) == ("ok", "", 1)), "{records:#?}");
}

#[test]
fn answers_that_break_after_the_head_and_answers_that_are_no_http_are_answers() {
    // 18 is a body that is too short; what curl does with a line that is no status line depends on its release.
    for (bad, expected, by_curl) in [
        (vec![send(HEAD), Step::Close], "body_incomplete", Some(18)),
        (vec![send("HTTP/1.1 two hundred\r\n\r\n"), Step::Close], "protocol", None),
    ] {
        let origin = Origin::start();
        let lines = pages(&origin, &bad, 20);
        assert!(by_curl.is_none_or(|code| curl(&lines[0]) == Some(code)), "{expected}: {:?}", curl(&lines[0]));
        let records = provoke(Fetchd::with(["--retries", "0"]), lines);
        assert!(records[..20].iter().all(|record| kind(record) == expected), "{records:#?}");
        assert!(records[20..].iter().all(|record| fate(record) == ("ok", "", 1)), "{records:#?}");
    }
}

#[test]
fn urls_that_are_never_answered_hold_up_the_others_until_one_of_these_probes_the_host() {
    let origin = Origin::start();
    let lines = pages(&origin, &[Step::Stall], 8);
    let config = "health = { cool_down = '200ms', give_up = '1h' }\n";
    let records = provoke(Fetchd::with(["--timeout", "400ms", "--retries", "0"]).config(config), lines);
    assert!(records[..8].iter().all(|record| kind(record) == "timeout"), "{records:#?}");
    assert!(records[8..].iter().all(|record| fate(record) == ("ok", "", 1)), "{records:#?}");
}
