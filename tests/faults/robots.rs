//! robots.txt (RFC 9309) over real bytes: how often it is asked for, with what, what it means, and what a hostile one does.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::codings::{brotli, encoded, gzip};
use crate::common::fetchd::{Fetchd, seq};
use crate::common::origin::{Origin, Request, Step, ok_with, send};
use crate::scenario::{Fate, fate, fates, fetchd, provoke};

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
    for path in ["/private/but/1", "/a.pdf.html", "/privateer/1"] {
        origin.play(path, [send(ok_with("", b"allowed"))]);
    }
    let lines = ["/private", "/private/1?q", "/privateer", "/a.pdf", "/private/but/1", "/a.pdf.html", "/robots.txt"];
    let records = provoke(obedient([]), lines.map(|path| origin.url(path)));
    assert_eq!(fates(&records), [[DENIED; 4].as_slice(), &[ALLOWED; 3]].concat());
    for record in &records[..4] {
        let expected = format!("{} does not let `fetchd` fetch it (robots.enabled)", origin.url("/robots.txt"));
        assert!(message(record).contains(&expected), "{record:#}");
    }
    assert!(paths(&origin).iter().all(|path| !lines[..4].contains(&path.as_str())), "{:?}", paths(&origin));
}

#[test]
fn without_a_file_everything_is_allowed() {
    for status in [400, 401, 403, 404, 410, 451] {
        let origin = site(format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\n\r\n"));
        let records = provoke(obedient([]), (0..20).map(|n| origin.url(&format!("/ok/{n}"))));
        assert_eq!(fates(&records), [ALLOWED; 20], "{status}");
        assert_eq!((origin.requests_for("/robots.txt"), origin.requests().len()), (1, 21), "{status}");
    }
}

#[test]
fn a_file_is_obeyed_whatever_its_coding_and_whatever_records_show_of_bodies() {
    let args: [&[&str]; 4] = [&[], &["--body", "none"], &["--max-body", "10"], &["--ordered"]];
    let long = format!("# {}\n{RULES}", "a".repeat(1000));
    let twice = encoded("gzip, br", &brotli(&gzip(long.as_bytes())));
    for robots in [rules(&long), encoded("gzip", &gzip(long.as_bytes())), twice] {
        for args in args {
            let origin = site(robots.clone());
            let records = provoke(obedient(args.iter().copied()), pages(&origin));
            assert_eq!(fates(&records), [ALLOWED, DENIED], "{args:?}");
        }
    }
}

#[test]
fn of_a_huge_file_the_first_500_kib_count_and_no_more_is_kept() {
    let filling = |bytes: usize| format!("#{}\n", "a".repeat(bytes - 2));
    let huge = format!("{RULES}{}Disallow: /ok\n{}", filling(MOST - RULES.len()), filling(2 << 20));
    let bomb = gzip(format!("{RULES}{}", filling(64 << 20)).as_bytes());
    let endless = Origin::start();
    let head = send(format!("HTTP/1.1 200 OK\r\n\r\n{RULES}"));
    endless.play("/robots.txt", [head, Step::Repeat(vec![send(filling(4096))])]);
    for origin in [site(rules(&huge)), site(encoded("gzip", &bomb)), endless] {
        let records = provoke(obedient([]), pages(&origin));
        assert_eq!(fates(&records), [ALLOWED, DENIED]);
        assert_eq!(requests_for_robots(&origin).len(), 1);
    }
}

#[test]
fn a_file_may_be_found_by_redirects_that_lead_to_another_host() {
    let (origin, elsewhere) = (Origin::start(), Origin::start_at([127, 0, 0, 5]));
    let there = elsewhere.play("/rules", [send(rules(RULES))]);
    let moved = format!("HTTP/1.1 301 Moved\r\nlocation: {there}\r\ncontent-length: 0\r\n\r\n");
    origin.play("/robots.txt", [send(moved)]);
    let records = provoke(obedient([]), pages(&origin));
    assert_eq!(fates(&records), [ALLOWED, DENIED]);
    assert!(records.iter().all(|record| record.get("hops").is_none()), "{records:#?}");
    assert_eq!(
        (paths(&origin), paths(&elsewhere)),
        (vec!["/robots.txt".into(), "/ok/1".into()], vec!["/rules".into()])
    );
}

#[test]
fn a_redirect_is_followed_only_where_the_rules_of_its_target_allow() {
    let (origin, target) = (site(rules("")), Origin::start_at([127, 0, 0, 5]));
    target.play("/robots.txt", [send(rules(RULES))]);
    let lines = pages(&target).map(|page| origin.redirect(302, &page));
    let records = provoke(obedient([]), lines);
    assert_eq!(fates(&records), [ALLOWED, ("failed", "robots_denied", 1)]);
    assert_eq!(records[1]["final_url"], target.url("/private/1"));
    assert_eq!(paths(&target), ["/robots.txt", "/ok/1"]);
}

#[test]
fn the_crawl_delay_of_a_site_spaces_the_requests_that_it_gets() {
    const DELAY: Duration = Duration::from_millis(500);
    /// What may be between the start of a request and the moment when the server has read it.
    const ON_THE_WAY: Duration = Duration::from_millis(250);
    let origin = site(rules("User-agent: *\nCrawl-delay: 0.5\n"));
    let records = provoke(obedient([]), (0..5).map(|n| origin.url(&format!("/ok/{n}"))));
    assert_eq!(fates(&records), [ALLOWED; 5]);
    let times: Vec<_> = origin.requests().iter().skip(1).map(|request| request.at).collect();
    for (n, pair) in times.windows(2).enumerate() {
        assert!(pair[1] - pair[0] + ON_THE_WAY >= DELAY, "{:?} between two", pair[1] - pair[0]);
        assert!(pair[1] - times[0] + ON_THE_WAY >= DELAY * (n as u32 + 1), "{:?} since the first", pair[1] - times[0]);
    }
}

#[test]
fn the_question_carries_nothing_of_the_line_that_asks_it() {
    for method in ["HEAD", "POST", "PUT"] {
        let origin = site(rules(RULES));
        let headers = json!({ "authorization": "Bearer s3cret", "cookie": "a=b", "x-own": "1" });
        let line = json!({ "url": origin.url("/ok/1?q#f"), "method": method, "headers": headers });
        let line = match method {
            "HEAD" => line,
            _ => json!({ "url": line["url"], "method": method, "headers": headers, "body": "its own" }),
        };
        let records = provoke(obedient(["--user-agent", "fetchd/x"]), [line.to_string()]);
        assert_eq!(fates(&records), [ALLOWED]);
        let requests = origin.requests();
        let (asks, page) = (&requests[0], &requests[1]);
        assert_eq!((asks.method.as_str(), asks.target.as_str(), asks.body.len()), ("GET", "/robots.txt", 0));
        for (name, value) in headers.as_object().unwrap() {
            assert_eq!((asks.header(name), page.header(name)), (None, value.as_str()));
        }
        assert_eq!((asks.header("user-agent"), asks.header("content-length")), (Some("fetchd/x"), None));
        assert_eq!((page.method.as_str(), page.body.is_empty()), (method, method == "HEAD"));
    }
}

#[test]
fn the_first_word_of_the_user_agent_is_the_name_by_which_rules_speak_of_it() {
    let text =
        "User-agent: *\nDisallow: /\n\nUser-agent: MyBot\nDisallow: /private\n\nUser-agent: bot\nDisallow: /ok\n";
    for (agent, expected) in [
        ("mybot/1.0 (+https://bot.example)", [ALLOWED, DENIED]),
        ("MyBotter/1.0", [DENIED; 2]),
        ("other (mybot)", [DENIED; 2]),
    ] {
        let origin = site(rules(text));
        let records = provoke(obedient(["--user-agent", agent]), pages(&origin));
        assert_eq!(fates(&records), expected, "{agent}");
        assert_eq!(requests_for_robots(&origin)[0].header("user-agent"), Some(agent));
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_file_that_does_not_come() {
    let origin = Origin::start();
    origin.play("/robots.txt", [Step::Stall]);
    let mut fetchd = fetchd([], "robots.enabled = true\nshutdown.grace = '300ms'\n").start();
    let lines: Vec<_> = (0..20).map(|n| origin.url(&format!("/ok/{n}"))).collect();
    for line in &lines {
        fetchd.line(line);
    }
    origin.wait_for_requests(1);
    fetchd.signal(Signal::SIGTERM);
    let mut ended = fetchd.wait();
    assert_eq!((ended.code, ended.count("canceled")), (Some(4), ended.records.len()), "{}", ended.stderr);
    assert_eq!(ended.summary()["lines"], ended.records.len());
    ended.records.sort_by_key(seq);
    for (record, line) in ended.records.iter().zip(&lines) {
        assert_eq!((&record["url"], fate(record).2), (&json!(line), 0));
    }
    assert_eq!(paths(&origin), ["/robots.txt"]);
}
