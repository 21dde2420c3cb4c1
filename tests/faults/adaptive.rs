//! `adaptive` concurrency against a server that serves so many at once and lets the others wait in line.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::{Origin, Step, ok_with, send};

/// What the server serves at once, each in this time.
const KNEE: usize = 8;
const TIME: Duration = Duration::from_millis(200);

/// More than the limit takes to settle.
const LINES: usize = 400;

fn server() -> Origin {
    let origin = Origin::start();
    let wait = Step::WaitInLine(Arc::new(Semaphore::new(KNEE)), TIME);
    origin.play("/", vec![wait, send(ok_with("", b"at last"))]);
    origin
}

/// What the server saw at once on average, late in the run but while there still were lines to spare.
fn settled(origin: &Origin) -> f64 {
    let requests = origin.requests();
    let last = &requests[LINES * 5 / 8..LINES * 7 / 8];
    last.iter().map(|request| request.at_once as f64).sum::<f64>() / last.len() as f64
}

fn fetch(fetchd: Fetchd, origin: &Origin, lines: usize) -> Ended {
    let ended = fetchd.run(format!("{}\n", origin.url("/")).repeat(lines));
    assert_eq!((ended.code, ended.count("ok")), (Some(0), lines), "{}", ended.stderr);
    ended
}

/// Far from one, with which it begins, and from the most that it may be. On a busy machine answers take longer for no
/// fault of the server, which makes the limit smaller.
#[track_caller]
fn assert_near_the_knee(settled: f64) {
    let knee = KNEE as f64;
    assert!((knee / 4.0..=knee * 2.0).contains(&settled), "{settled:.2} at once, where {KNEE} are served");
}

#[test]
fn an_adaptive_limit_settles_near_what_the_host_serves_at_once() {
    let origin = server();
    let ended = fetch(Fetchd::local().config("[hosts.'*']\nconcurrency = 'adaptive'\n"), &origin, LINES);
    assert_near_the_knee(settled(&origin));
    let limited_by = ended.summary()["limited_by"].to_string();
    assert!(limited_by.contains("limited by adaptive host-concurrency of 127.0.0.1 "), "{limited_by}");
}

#[test]
fn an_adaptive_limit_of_the_whole_run_settles_there_too() {
    let origin = server();
    fetch(Fetchd::with(["--max-concurrency", "adaptive", "--host-concurrency", "1000"]), &origin, LINES);
    assert_near_the_knee(settled(&origin));
}

#[test]
fn the_flag_does_the_same_and_its_most_is_never_exceeded() {
    let origin = server();
    let config = "[hosts.'*']\nmax_concurrency = 3\n";
    fetch(Fetchd::with(["--host-concurrency", "adaptive"]).config(config), &origin, 60);
    assert_eq!(origin.most_at_once(), 3);
}

#[test]
fn check_refuses_what_is_no_number_of_requests_and_says_what_is() {
    for table in ["hosts.'*'", "limits"] {
        for nonsense in ["'adaptiv'", "'8'", "-1", "1.5", "true", "[]"] {
            let said = refused(&format!("[{table}]\nconcurrency = {nonsense}\n"));
            let fix = "; write a number without quotes, or \"adaptive\" in quotes\n";
            assert!(said.contains(fix) && said.contains("fetchd.toml:2:15"), "{table} {nonsense}: {said}");
        }
        let said = refused(&format!("[{table}]\nconcurrency = 'adaptive'\nmax_concurrency = 0\n"));
        assert!(said.contains("max_concurrency` is 0; it "), "{said}");
    }
    let ended = Fetchd::bare(["--host-concurrency", "much"]).run("");
    let said = "`much` is not a number of requests; write for example `8` or `adaptive`";
    assert!(ended.code == Some(2) && ended.stderr.contains(said), "{}", ended.stderr);
}

fn refused(config: &str) -> String {
    let ended = Fetchd::bare(["check"]).config(config).run("");
    assert_eq!(ended.code, Some(2), "{config}: {}", ended.stderr);
    ended.stderr
}
