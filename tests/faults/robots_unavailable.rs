//! A robots.txt that cannot be had for a while: nothing of its site is fetched, its lines wait for the next attempt, and only
//! where that goes on for `health.give_up` are they rejected. Nor does it hold up another site of the same host.

use std::time::Duration;

use serde_json::Value;

use crate::common::codings::gzip;
use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, Script, Step, ok_with, refusing_address, send};
use crate::scenario::{Fate, Trust, fates, fetchd, provoke};

const ALLOWED: Fate<'static> = ("ok", "", 1);
const DENIED: Fate<'static> = ("rejected", "robots_denied", 0);
const UNAVAILABLE: Fate<'static> = ("rejected", "robots_unavailable", 0);

/// No retries: a second attempt is one of the next cool-down.
fn obedient(give_up: &str) -> Fetchd {
    let health = format!("health = {{ enabled = false, cool_down = '100ms', give_up = '{give_up}' }}\n");
    let retry = "retry = { retries = 0, backoff = '1ms' }\n";
    Fetchd::with(["--timeout", "300ms"]).config(&format!("robots.enabled = true\n{health}{retry}"))
}

fn status(status: u16, headers: &str) -> Script {
    vec![send(format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: 0\r\n\r\n"))]
}

fn rules() -> Script {
    vec![send(ok_with("", b"User-agent: *\nDisallow: /private\n"))]
}

fn lines(origin: &Origin) -> Vec<String> {
    let pages = (0..20).map(|n| origin.url(&format!("/ok/{n}")));
    pages.chain([origin.url("/private/1")]).collect()
}

/// What a server can do about one request for its file that says nothing of the next one.
fn passing() -> Vec<(&'static str, Script)> {
    let text = gzip(b"User-agent: *\nDisallow: /\n");
    vec![
        ("500", status(500, "")),
        ("502", status(502, "")),
        ("503 with Retry-After", status(503, "retry-after: 1\r\n")),
        ("429", status(429, "")),
        ("429 with Retry-After", status(429, "retry-after: 0\r\n")),
        ("reset", vec![Step::Reset]),
        ("closed", vec![Step::Close]),
        ("silence", vec![Step::Wait(Duration::from_millis(600)), Step::Close]),
        ("garbage", vec![send("SSH-2.0-OpenSSH_9.6\r\n"), Step::Close]),
        ("cut", vec![send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nUser-agent: *\nDisallow: /"), Step::Close]),
        ("corrupt", vec![send(ok_with("content-encoding: gzip\r\n", &text[..text.len() - 9])), Step::Close]),
    ]
}

#[test]
fn an_error_that_passes_is_no_ban() {
    for (name, error) in passing() {
        let origin = Origin::start();
        origin.play_in_turn("/robots.txt", [error.clone(), error, rules()]);
        let records = provoke(obedient("30s"), lines(&origin));
        assert_eq!(fates(&records), [[ALLOWED; 20].as_slice(), &[DENIED]].concat(), "{name}");
        let requests = origin.requests();
        let asks: Vec<_> = requests.iter().take_while(|request| request.path() == "/robots.txt").collect();
        assert_eq!((asks.len(), requests.len()), (3, 23), "{name}");
        // By Retry-After a server says itself when it may be asked again.
        for pair in asks.windows(2).filter(|_| !name.contains("Retry-After")) {
            let gap = pair[1].at - pair[0].at;
            assert!(gap >= Duration::from_millis(90), "{name}: asked again after {gap:?}");
        }
    }
}

#[test]
fn an_error_that_lasts_rejects_the_lines_and_names_the_file_and_the_error() {
    let errors = passing().into_iter().filter(|(name, _)| !name.contains("Retry-After"));
    for (name, error) in errors {
        let origin = Origin::start();
        origin.play("/robots.txt", error);
        let records = provoke(obedient("500ms"), lines(&origin));
        assert_eq!(fates(&records), [UNAVAILABLE; 21], "{name}");
        let asked = origin.requests().len();
        assert_eq!(asked, origin.requests_for("/robots.txt"), "{name}: a page was fetched");
        assert!((2..=8).contains(&asked), "{name}: asked {asked} times");
        for record in &records {
            let message = message(record);
            assert!(message.starts_with(&origin.url("/robots.txt could not be fetched for ")), "{name}: {message}");
        }
    }
}

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

#[test]
fn a_server_that_asks_for_a_pause_has_it_before_the_file_is_asked_for_again() {
    let origin = Origin::start();
    origin.play_in_turn("/robots.txt", [status(503, "retry-after: 2\r\n"), rules()]);
    let records = provoke(obedient("30s"), lines(&origin));
    assert_eq!(fates(&records)[..20], [ALLOWED; 20]);
    let requests = origin.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(1900));
}

/// The pause of the host is not one for each of its lines.
#[test]
fn lines_of_a_host_that_pauses_again_and_again_fail_together() {
    let origin = Origin::start();
    origin.play("/robots.txt", status(503, "retry-after: 1\r\n"));
    let health = "health = { cool_down = '100ms', give_up = '1500ms' }\nrobots.enabled = true\n";
    let records = provoke(Fetchd::with(["--retries", "2"]).config(health), lines(&origin));
    assert_eq!(fates(&records), [UNAVAILABLE].repeat(records.len()), "{records:#?}");
    let attempts = origin.requests().len();
    assert!((2..=4).contains(&attempts), "{attempts} requests for the file");
}

#[test]
fn another_site_of_the_host_is_fetched_meanwhile() {
    let (broken, fine) = (Origin::start(), Origin::start());
    broken.play("/robots.txt", status(500, ""));
    fine.play("/robots.txt", rules());
    let lines = (0..20).flat_map(|n| [broken.url(&format!("/ok/{n}")), fine.url(&format!("/ok/{n}"))]);
    let mut running = obedient("1s").start();
    let ended = running.finish(lines.collect::<Vec<_>>().join("\n"));
    let outcomes: Vec<_> = ended.records.iter().map(|record| record["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, [["ok"; 20], ["rejected"; 20]].concat(), "those of the other site did not wait");
}

#[test]
fn a_host_that_cannot_be_found_reached_or_trusted_is_no_matter_of_its_file() {
    let (trust, origin) = (Trust::new(), Origin::start());
    let untrusted = trust.origin();
    let lines = [
        "http://no-such-name.invalid/".to_owned(),
        format!("http://{}/", refusing_address()),
        untrusted.url("/ok/1"),
        origin.redirect(302, "http://10.1.2.3/"),
    ];
    origin.play("/robots.txt", rules());
    let servers = "dns.servers = ['127.0.0.1:1']\n";
    let records = provoke(fetchd([], &format!("robots.enabled = true\n{servers}")), &lines);
    let kinds: Vec<_> = records.iter().map(|record| record["error"]["kind"].as_str().unwrap()).collect();
    assert!(kinds[0].starts_with("dns_"), "{kinds:?}");
    assert_eq!(kinds[1..], ["connect_refused", "tls_failed", "forbidden_address"]);
    for record in &records[..3] {
        assert!(message(record).starts_with("its robots.txt could not be fetched: "), "{record:#}");
    }
}

#[test]
fn a_file_that_was_moved_to_a_host_that_fails_is_unavailable_and_comes_with_that_host() {
    let origin = Origin::start();
    let nowhere = format!("location: http://{}/robots.txt\r\n", refusing_address());
    let forbidden = "location: http://10.1.2.3/robots.txt\r\n";
    origin.play_in_turn("/robots.txt", [status(301, &nowhere), status(301, forbidden), rules()]);
    let records = provoke(obedient("30s"), lines(&origin));
    assert_eq!(fates(&records), [[ALLOWED; 20].as_slice(), &[DENIED]].concat());
    assert_eq!(origin.requests_for("/robots.txt"), 3);
}

#[test]
fn a_page_instead_of_rules_or_a_way_without_end_lets_everything_be_fetched() {
    let html = ok_with("content-type: text/html\r\n", b"<!doctype html>\n<title>Welcome</title>\n<p>User: agent *");
    let (page, loops) = (Origin::start(), Origin::start());
    page.play("/robots.txt", [send(html)]);
    let around = loops.url("/robots.txt");
    let to_itself = format!("location: {around}\r\n");
    loops.play("/robots.txt", status(302, &to_itself));
    for origin in [page, loops] {
        let records = provoke(obedient("30s"), lines(&origin)[..20].iter());
        assert_eq!(fates(&records), [ALLOWED; 20]);
        assert!(origin.requests_for("/robots.txt") <= 6);
    }
}
