//! What a record shows of a response that failed after its head.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::fetchd::kind;
use crate::common::origin::{Origin, Script, Step, send};
use crate::scenario::{fetchd, provoke};

const SHOW_HEADERS: &str = "output.headers = true\nfetch.speed_time = '500ms'\n";

/// A head with these header lines, and all that a record shows of any head.
fn head(status: u16, lines: &str) -> Step {
    send(format!("HTTP/1.1 {status} Scripted\r\ncontent-type: text/odd\r\nx-odd: yes\r\n{lines}\r\n"))
}

/// A script of its own path, and what becomes of the line, by kind.
fn failures() -> Vec<(&'static str, u16, Script)> {
    let drip = Step::Repeat(vec![send("x"), Step::Wait(Duration::from_millis(20))]);
    vec![
        ("body_incomplete", 200, vec![head(200, "content-length: 9\r\n"), send("x"), Step::Close]),
        ("body_incomplete", 502, vec![head(502, "content-length: 9\r\n"), Step::Close]),
        ("body_incomplete", 404, vec![head(404, ""), send("x"), Step::Wait(Duration::from_millis(100)), Step::Reset]),
        ("body_incomplete", 200, vec![head(200, "transfer-encoding: chunked\r\n"), send("5\r\nab"), Step::Close]),
        ("body_incomplete", 200, vec![head(200, "content-encoding: gzip\r\n"), send("\x1f"), Step::Close]),
        ("body_too_large", 200, vec![head(200, "content-length: 9000\r\n")]),
        ("body_too_large", 500, vec![head(500, ""), send("x".repeat(9000))]),
        ("decode", 200, vec![head(200, "content-encoding: gzip\r\ncontent-length: 5\r\n"), send("plain")]),
        ("timeout", 200, vec![head(200, "content-length: 900\r\n"), send("x")]),
        ("timeout", 403, vec![head(403, ""), drip]),
        ("protocol", 200, vec![head(200, "transfer-encoding: chunked\r\n"), send("zz\r\n")]),
        ("protocol", 200, vec![head(200, "transfer-encoding: chunked\r\ncontent-length: 1\r\n"), send("1\r\na\r\n")]),
        ("protocol", 101, vec![head(101, "connection: upgrade\r\nupgrade: x\r\n")]),
    ]
}

/// The keys that come from a head.
fn shown(record: &Value) -> [&Value; 5] {
    ["status", "http", "ip", "content_type", "headers"].map(|key| record.get(key).unwrap_or(&Value::Null))
}

#[test]
fn a_failure_after_the_head_shows_all_that_the_head_said() {
    let origin = Origin::start();
    let failures = failures();
    let urls = failures.iter().enumerate().map(|(n, (_, _, script))| origin.play(&format!("/{n}"), script.clone()));
    let args = ["--retries", "0", "--max-body", "5000", "--timeout", "500ms"];
    let records = provoke(fetchd(args, SHOW_HEADERS), urls.collect::<Vec<_>>());
    for (record, (why, status, _)) in records.iter().zip(&failures) {
        assert_eq!((record["outcome"].as_str(), kind(record)), (Some("failed"), *why), "{record:#}");
        let [its_status, http, ip, content_type, headers] = shown(record);
        assert_eq!((its_status, http, ip), (&json!(status), &json!("1.1"), &json!("127.0.0.1")), "{record:#}");
        assert_eq!((content_type, &headers["x-odd"]), (&json!("text/odd"), &json!("yes")), "{record:#}");
        let length = headers.get("content-length").map(|length| length.as_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(record["content_length"].as_u64(), length, "{record:#}");
        assert!(record["ttfb_ms"].as_f64() < record["elapsed_ms"].as_f64(), "{record:#}");
        assert!(record.get("bytes").is_none() && record.get("body").is_none(), "{record:#}");
    }
}

#[test]
fn a_failure_before_the_head_shows_nothing_of_a_response() {
    let origin = Origin::start();
    let cut = origin.play("/cut", [send("HTTP/1.1 200 OK\r\ncontent-type: text/odd\r\n"), Step::Close]);
    let urls = [origin.url("/hang"), origin.url("/reset"), origin.url("/close"), cut];
    let records = provoke(fetchd(["--retries", "0", "--timeout", "500ms"], SHOW_HEADERS), urls);
    for record in &records {
        assert_eq!((shown(record), record.get("ttfb_ms")), ([&Value::Null; 5], None), "{record:#}");
    }
}

#[test]
fn a_hop_that_fails_shows_its_own_head_or_else_the_status_of_the_redirect() {
    let origin = Origin::start();
    let cut = origin.play("/cut", [head(502, "content-length: 9\r\n"), Step::Close]);
    let urls = [origin.redirect(302, &cut), origin.redirect(307, &origin.url("/reset"))];
    let records = provoke(fetchd(["--retries", "0"], ""), &urls);
    assert_eq!((kind(&records[0]), kind(&records[1])), ("body_incomplete", "reset"));
    assert_eq!((&records[0]["status"], &records[0]["content_type"]), (&json!(502), &json!("text/odd")));
    assert_eq!((&records[1]["status"], records[1].get("content_type")), (&json!(307), None));
    assert_eq!(records[0]["final_url"], cut);
}

#[test]
fn the_last_attempt_is_the_one_that_is_shown() {
    let origin = Origin::start();
    let cut = vec![head(200, "content-length: 9\r\n"), Step::Close];
    let then = |last: Script| [cut.clone(), last];
    let reset = origin.play_in_turn("/reset-then", then(vec![Step::Reset]));
    let missing = origin.play_in_turn("/missing-then", then(vec![head(410, "content-length: 0\r\n")]));
    let records = provoke(fetchd(["--retries", "1"], ""), [reset, missing]);
    assert_eq!((kind(&records[0]), records[0].get("status")), ("reset", None));
    assert_eq!((kind(&records[1]), &records[1]["status"]), ("http_status", &json!(410)));
}

/// Records wait for the first line, and each holds headers of some 60 KB.
#[test]
fn the_headers_of_failures_are_counted_in_body_memory() {
    const WAIT: Duration = Duration::from_millis(1500);
    let origin = Origin::start();
    let large = format!("x-large: {}\r\ncontent-length: 9\r\n", "a".repeat(60_000));
    origin.play("/large", [head(500, &large), Step::Close]);
    let input: String = (0..60).map(|n| origin.url(&format!("/large?{n}\n"))).collect();
    let config =
        format!("{SHOW_HEADERS}limits = {{ concurrency = 16, body_memory = '1MiB' }}\nfetch.max_body = '64KiB'\n");
    let args = ["--ordered", "--retries", "0", "--host-concurrency", "16"];
    let ended = fetchd(args, &config).run(origin.url(&format!("/slow/{}\n{input}", WAIT.as_millis())));
    assert_eq!((ended.records.len(), ended.count("failed")), (61, 60), "{}", ended.stderr);
    let requests = origin.requests();
    let first = requests.iter().find(|request| request.path().starts_with("/slow")).unwrap();
    let before = requests.iter().filter(|request| request.at < first.at + WAIT / 2).count();
    assert!(before <= (1 << 20) / 60_000 + 1, "{before} requests while none of their records was written");
}
