//! Hosts that say 429 and nothing more, and hosts that fail: how long they are left alone, and what retries may cost them.

use std::time::Duration;

use tokio::time::Instant;

use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::scenario::{fate, fates, provoke};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

const BACKOFF: Duration = Duration::from_millis(200);

/// A tenth of the first requests, and nothing besides.
const TENTH: &str = "retry = { backoff = '1ms', floor = '1/h', host_floor = '1/h' }\n";

fn refusals(count: usize) -> Vec<Script> {
    vec![vec![send("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")]; count]
}

fn served() -> Vec<Script> {
    vec![vec![send(ok_with("", b"at last"))]]
}

/// Times from one request to the next.
fn gaps(origin: &Origin) -> Vec<Duration> {
    let times: Vec<Instant> = origin.requests().iter().map(|request| request.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_host_that_says_429_is_left_alone_for_twice_as_long_each_time_until_it_serves() {
    let origin = Origin::start();
    let busy = origin.play_in_turn("/busy", [refusals(4), served(), refusals(1), served()].concat());
    let fetchd = Fetchd::with(["--retries", "4", "--host-concurrency", "1"]).config("retry.backoff = '200ms'\n");
    let records = provoke(fetchd, [&busy, &busy]);
    assert_eq!(fates(&records), [("ok", "", 5), ("ok", "", 2)]);
    let gaps = gaps(&origin);
    for (nth, gap) in (0..).zip(&gaps[..4]) {
        assert!(*gap + TICK >= BACKOFF * (1 << nth) / 2, "pause {nth} of {gap:?}");
    }
    // Not forgotten, it would be the fifth.
    let forgotten = gaps[5];
    assert!(forgotten + TICK >= BACKOFF / 2 && forgotten < BACKOFF * 16 / 2, "{forgotten:?} after success");
}

#[test]
fn the_pause_after_a_429_holds_for_all_lines_of_the_host() {
    let origin = Origin::start();
    let busy = origin.play_in_turn("/busy", [refusals(2), served()].concat());
    let fetchd = Fetchd::with(["--host-concurrency", "1"]).config("retry.backoff = '200ms'\n");
    let records = provoke(fetchd, [busy, origin.url("/ok/1"), origin.url("/ok/2")]);
    assert!(records.iter().all(|record| fate(record).0 == "ok"), "{records:#?}");
    let requests = origin.requests();
    let refused: Vec<_> = (0..requests.len() - 1).filter(|n| requests[*n].path() == "/busy").take(2).collect();
    for n in refused {
        assert!(gaps(&origin)[n] + TICK >= BACKOFF / 2, "{:?}", gaps(&origin));
    }
}

#[test]
fn retries_of_a_host_that_fails_are_a_tenth_of_its_requests_and_a_line_says_why_it_was_not_tried_again() {
    const LINES: usize = 200;
    let origin = Origin::start();
    let urls = (0..LINES).map(|n| match n % 2 {
        0 => origin.url(&format!("/status/500?{n}")),
        _ => origin.play(&format!("/{n}"), [Step::Reset]),
    });
    // On a kept connection, a reset would be no attempt.
    let config = format!("{TENTH}health.enabled = false\nfetch.idle_connections = 0\n");
    let records = provoke(Fetchd::local().config(&config), urls);
    // What was counted is forgotten after ten seconds at least, and may count twice then.
    let requests = origin.requests().len();
    assert!((LINES + 1..=LINES + 2 * LINES / 10).contains(&requests), "{requests} requests for {LINES} lines");
    let mut unpaid = 0;
    for (record, last_error) in records.iter().zip([("http_error", "http_status"), ("failed", "reset")].iter().cycle())
    {
        let (outcome, why, attempts) = fate(record);
        assert_eq!((outcome, why), *last_error, "{record:#}");
        let message = record["error"]["message"].as_str().unwrap();
        let says_so = message.contains("127.0.0.1 is used up (retry.budget)");
        assert_eq!(says_so, attempts < 3, "{record:#}");
        unpaid += usize::from(says_so);
    }
    assert!(unpaid > LINES / 2, "{unpaid} lines were not tried again");
}

#[test]
fn retries_of_all_hosts_together_keep_to_a_budget_too() {
    let origins: Vec<_> = (20..30).map(|n| Origin::start_at([127, 0, 0, n])).collect();
    let urls: Vec<_> = (0..200).map(|n| origins[n % 10].url("/status/500")).collect();
    let config = "retry = { backoff = '1ms', floor = '1/h' }\n";
    let records = provoke(Fetchd::local().config(config), urls);
    let requests: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    assert!((201..=240).contains(&requests), "{requests} requests for 200 lines");
    let said = records.iter().filter(|record| record.to_string().contains("all hosts is used up (retry.budget)"));
    assert!(said.count() > 100);
}

#[test]
fn waiting_as_a_server_asks_is_not_charged_to_the_budget() {
    let origin = Origin::start();
    let later = "HTTP/1.1 503 Later\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    for n in 0..20 {
        origin.play_in_turn(&format!("/{n}"), [vec![vec![send(later)]], served()].concat());
    }
    let urls = (0..20).map(|n| origin.url(&format!("/{n}")));
    let records = provoke(Fetchd::local().config(TENTH), urls);
    assert_eq!(fates(&records), [("ok", "", 2); 20]);
}
