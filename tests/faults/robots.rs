//! robots.txt (RFC 9309) over real bytes: how often it is asked for, with what, what it means, and what a hostile one does.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::codings::{encoded, gzip};
use crate::common::fetchd::{Fetchd, seq};
use crate::common::origin::{Origin, Request, Step, ok_with, send};
use crate::scene::{Fate, fate, fates, fetchd, provoke};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

const RULES: &str = "User-agent: *\nDisallow: /private\n";

const ALLOWED: Fate<'static> = ("ok", "", 1);
const DENIED: Fate<'static> = ("rejected", "robots_denied", 0);

/// What section 2.5 asks for at least, and what is read at most.
const MOST: usize = 500 << 10;

/// With retries at once, and obedient.
fn obedient<'a>(args: impl IntoIterator<Item = &'a str>) -> Fetchd {
    fetchd(args, "robots.enabled = true\n")
}

/// A server with this robots.txt, which is another host than the healthy one of `provoke`.
fn site(robots: impl Into<Vec<u8>>) -> Origin {
    let origin = Origin::start();
    origin.play("/robots.txt", [send(robots)]);
    origin
}

fn rules(text: &str) -> Vec<u8> {
    ok_with("content-type: text/plain\r\n", text.as_bytes())
}

/// A page that may be fetched, and one that may not by [`RULES`].
fn pages(origin: &Origin) -> [String; 2] {
    [origin.url("/ok/1"), origin.url("/private/1")]
}

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

fn paths(origin: &Origin) -> Vec<String> {
    origin.requests().iter().map(|request| request.path().to_owned()).collect()
}

fn requests_for_robots(origin: &Origin) -> Vec<Request> {
    origin.requests().into_iter().filter(|request| request.path() == "/robots.txt").collect()
}

#[test]
fn each_sites_file_is_asked_for_once_before_all_of_its_lines_and_is_no_record() {
    // Two sites of one host.
    let sites = [Origin::start(), Origin::start()];
    for origin in &sites {
        origin.play("/robots.txt", [Step::Wait(Duration::from_millis(100)), send(rules(RULES))]);
    }
    let lines: Vec<_> = (0..200).map(|n| sites[n % 2].url(&format!("/ok/{n}"))).collect();
    let records = provoke(obedient([]), &lines);
    for (record, line) in records.iter().zip(&lines) {
        assert_eq!((fate(record), &record["url"]), (ALLOWED, &json!(line)));
    }
    for origin in &sites {
        assert_eq!(origin.requests()[0].path(), "/robots.txt");
        assert_eq!((origin.requests_for("/robots.txt"), origin.requests().len()), (1, 101));
    }
}

#[test]
fn what_a_site_does_not_allow_is_rejected_and_never_asked_for() {
    let origin = site(rules("User-agent: *\nDisallow: /private\nAllow: /private/but\nDisallow: /*.pdf$\n"));
    for path in ["/private/but/1", "/a.pdf.html", "/robots.txt"] {
        origin.play(path, [send(rules("User-agent: *\nDisallow: /private\nAllow: /private/but\nDisallow: /*.pdf$\n"))]);
    }
    let lines = ["/private", "/private/1?q", "/privateer", "/a.pdf", "/private/but/1", "/a.pdf.html", "/robots.txt"];
    let records = provoke(obedient([]), lines.map(|path| origin.url(path)));
    assert_eq!(fates(&records), [[DENIED; 4].as_slice(), &[ALLOWED; 3]].concat());
    for record in &records[..4] {
        let expected = format!("{} does not let `fetchd` fetch it", origin.url("/robots.txt"));
        assert!(message(record).contains(&expected), "{record:#}");
    }
    assert!(paths(&origin).iter().all(|path| !lines[..4].contains(&path.as_str())), "{:?}", paths(&origin));
}

#[test]
fn without_a_file_everything_is_allowed_and_with_a_failing_server_nothing_is() {
    for (status, expected, asked) in [(404, ALLOWED, 1), (403, ALLOWED, 1), (500, DENIED, 3), (503, DENIED, 3)] {
        let origin = site(format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\n\r\n"));
        let records = provoke(obedient([]), (0..20).map(|n| origin.url(&format!("/ok/{n}"))));
        assert_eq!(fates(&records), [expected; 20], "{status}");
        assert_eq!(origin.requests_for("/robots.txt"), asked, "{status}");
        assert_eq!(origin.requests().len(), asked + if expected == ALLOWED { 20 } else { 0 });
    }
}

#[test]
fn a_file_is_obeyed_whatever_its_coding_and_whatever_records_show_of_bodies() {
    let args: [&[&str]; 4] = [&[], &["--body", "none"], &["--max-body", "10"], &["--ordered"]];
    for args in args {
        let long = format!("# {}\n{RULES}", "a".repeat(1000));
        for robots in [rules(&long), encoded("gzip", long.as_bytes()), encoded("gzip, br", &crate::common::codings::brotli(&gzip(long.as_bytes())))] {
            let origin = site(robots);
            let records = provoke(obedient(args.iter().copied()), pages(&origin));
            assert_eq!(fates(&records), [ALLOWED, DENIED], "{args:?}");
        }
    }
}

#[test]
fn of_a_huge_file_the_first_500_kib_count_and_no_more_is_kept() {
    let filling = |bytes: usize| format!("#{}\n", "a".repeat(bytes - 2));
    let huge = format!("{RULES}{}Disallow: /late\n{}", filling(MOST - RULES.len()), filling(1 << 21));
    let bomb = encoded("gzip", &gzip(format!("{RULES}{}", filling(64 << 20)).as_bytes()));
    let bomb = String::from_utf8_lossy(&bomb).is_empty();
    assert!(!bomb);
    let origin = site(rules(&huge));
    let records = provoke(obedient([]), [&pages(&origin)[..], &[origin.url("/late/1")]].concat());
    assert_eq!([fate(&records[0]), fate(&records[1])], [ALLOWED, DENIED]);
    assert_eq!(records[2]["outcome"], "http_error", "{:#}", records[2]);
    assert_eq!(origin.requests_for("/robots.txt"), 1);
}
