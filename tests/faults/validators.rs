//! Validators are chosen by servers: odd ones, hostile ones and absurdly long ones, in the answers of one day and the requests of
//! the next.

use serde_json::{Value, json};

use crate::common::origin::{Origin, Step, send};
use crate::scenario::{fates, fetchd, provoke};

const ON: [&str; 1] = ["--revalidate"];

/// Answers each path with this on the first day, and with 304 on the second.
fn two_days(origin: &Origin, heads: &[Vec<u8>]) -> Vec<String> {
    let answer = |head: &Vec<u8>| [b"HTTP/1.1 200 OK\r\n", head.as_slice(), b"content-length: 5\r\n\r\nwhole"].concat();
    let not_modified = || vec![send("HTTP/1.1 304 Not Modified\r\n\r\n")];
    let play = |(n, head)| origin.play_in_turn(&format!("/{n}"), [vec![send(answer(head))], not_modified()]);
    heads.iter().enumerate().map(play).collect()
}

/// What the last request for each path said under this name.
fn sent(origin: &Origin, name: &str, paths: usize) -> Vec<Option<String>> {
    let requests = origin.requests();
    let last = |n: usize| requests.iter().rfind(|request| request.path() == format!("/{n}")).unwrap();
    (0..paths).map(|n| last(n).header(name).map(str::to_owned)).collect()
}

fn texts(records: &[Value]) -> Vec<String> {
    records.iter().map(Value::to_string).collect()
}

#[test]
fn an_etag_is_recorded_as_it_came_and_sent_back_only_if_it_is_one() {
    let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let tag = |tag: &str| [b"etag: ", tag.as_bytes(), b"\r\n"].concat();
    let (longest, too_long) = (long(1024), long(1025));
    let cases: Vec<(Vec<u8>, Option<&str>, bool)> = vec![
        (tag("\"a\""), Some("\"a\""), true),
        (tag("W/\"a\""), Some("W/\"a\""), true),
        (tag("\"a,b\""), Some("\"a,b\""), true),
        (tag("\"\""), Some("\"\""), true),
        (tag("5f3e-1"), Some("5f3e-1"), true),
        (tag("\"a\"\r\netag: \"a\""), Some("\"a\""), true),
        (tag("\"a\"\r\netag: \"b\""), None, false),
        (tag("*"), Some("*"), false),
        (tag("\"a\", \"b\""), Some("\"a\", \"b\""), false),
        (tag("\"a b\""), Some("\"a b\""), false),
        (tag("\"a\"b\""), Some("\"a\"b\""), false),
        (tag("\"a"), Some("\"a"), false),
        (tag(""), Some(""), false),
        (tag("\"é\""), Some("\"é\""), false),
        (b"etag: \"\xe9\"\r\n".to_vec(), Some("\"é\""), false),
        (tag("\"a\r\n x: y\""), Some("\"a x: y\""), false),
        (tag(&longest), Some(&longest), true),
        (tag(&too_long), None, false),
        (tag(&long(100_000)), None, false),
    ];
    let origin = Origin::start();
    let urls = two_days(&origin, &cases.iter().map(|(head, ..)| head.clone()).collect::<Vec<_>>());
    let first = provoke(fetchd([], ""), &urls);
    let second = provoke(fetchd(ON, ""), texts(&first));
    let sent = sent(&origin, "if-none-match", cases.len());
    for (n, (head, recorded, is_sent)) in cases.iter().enumerate() {
        let (head, [first, second]) = (head.escape_ascii(), [&first[n], &second[n]]);
        let etag = first.get("etag").map(|etag| etag.as_str().unwrap());
        assert_eq!(etag, *recorded, "{head}");
        assert_eq!(sent[n].as_deref(), etag.filter(|_| *is_sent), "{head}");
        let outcome = if *is_sent { "ok" } else { "http_error" };
        assert_eq!((&second["outcome"], second.get("unchanged").is_some()), (&json!(outcome), *is_sent), "{head}");
    }
}

#[test]
fn a_last_modified_is_recorded_as_it_came_and_sent_back_only_if_it_is_a_past_date() {
    let cases = [
        ("Wed, 21 Oct 2015 07:28:00 GMT", true),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", true),
        ("Wed Oct 21 07:28:00 2015", true),
        ("Thu, 01 Jan 1970 00:00:00 GMT", true),
        ("Fri, 31 Dec 9999 23:59:59 GMT", false),
        ("Wed, 21 Oct 2015 07:28:00 +0200", false),
        ("1445412480", false),
        ("never", false),
        ("", false),
    ];
    let origin = Origin::start();
    let heads = cases.map(|(date, _)| format!("last-modified: {date}\r\n").into_bytes());
    let first = provoke(fetchd([], ""), two_days(&origin, &heads));
    let second = provoke(fetchd(ON, ""), texts(&first));
    let sent = sent(&origin, "if-modified-since", cases.len());
    for (n, (date, is_sent)) in cases.into_iter().enumerate() {
        assert_eq!(first[n]["last_modified"], date);
        assert_eq!(sent[n].as_deref(), Some(date).filter(|_| is_sent));
        assert_eq!(second[n]["outcome"], if is_sent { "ok" } else { "http_error" }, "{:#}", second[n]);
    }
}

#[test]
fn a_record_that_somebody_wrote_injects_nothing() {
    let origin = Origin::start();
    let url = origin.url("/echo");
    let record = |key: &str, value: Value| {
        json!({ "input": url, "url": url, "outcome": "ok", "started": "2026-01-01T00:00:00Z", key: value }).to_string()
    };
    let lines = [
        record("etag", json!("\"a\"\r\nx-evil: 1")),
        record("etag", json!("\"a\"\nx-evil: 1")),
        record("etag", json!("x-evil: 1\r\n\r\nGET / HTTP/1.1")),
        record("last_modified", json!("Wed, 21 Oct 2015 07:28:00 GMT\r\nx-evil: 1")),
        record("last_modified", json!("\r\nWed, 21 Oct 2015 07:28:00 GMT")),
        record("etag", json!({ "x-evil": 1 })),
        record("etag", json!(["\"a\""])),
        record("sha256", json!("zz".repeat(32))),
        record("sha256", json!(7)),
        record("url", json!("http://127.0.0.1:1/\r\nx-evil: 1")),
        record("started", json!("2026-01-01T00:00:00Z\r\nx-evil: 1")),
    ];
    let records = provoke(fetchd(ON, ""), &lines);
    assert_eq!(fates(&records), vec![("ok", "", 1); lines.len()]);
    for request in origin.requests() {
        let has = |name| request.header(name).is_some();
        assert!(!["x-evil", "if-none-match", "if-modified-since"].into_iter().any(has), "{request:?}");
    }
    assert_eq!(origin.requests().len(), lines.len());
}

#[test]
fn a_304_ends_where_its_head_ends_whatever_that_says_of_a_body() {
    let origin = Origin::start();
    let whole = || vec![send("HTTP/1.1 200 OK\r\netag: \"v\"\r\ncontent-length: 5\r\n\r\nwhole")];
    let not_modified = [
        "content-length: 5\r\ncontent-encoding: gzip\r\n",
        "transfer-encoding: chunked\r\n",
        "etag: \"w\"\r\nlast-modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
        "location: /elsewhere\r\n",
        "retry-after: 3600\r\n",
    ];
    let play = |(n, head): (usize, &&str)| {
        let answer = vec![send(format!("HTTP/1.1 304 Not Modified\r\n{head}\r\n"))];
        origin.play_in_turn(&format!("/{n}"), [whole(), answer])
    };
    let urls: Vec<_> = not_modified.iter().enumerate().map(play).collect();
    let first = provoke(fetchd([], ""), &urls);
    let second = provoke(fetchd(ON, ""), texts(&first));
    assert_eq!(fates(&second), vec![("ok", "", 1); urls.len()], "{second:#?}");
    for record in &second {
        assert_eq!((&record["status"], &record["unchanged"]), (&json!(304), &json!(true)), "{record:#}");
        assert!(record.get("body").is_none() && record.get("bytes").is_none(), "{record:#}");
    }
    assert_eq!((&second[0]["etag"], &second[2]["etag"]), (&json!("\"v\""), &json!("\"w\"")));
}

#[test]
fn a_304_with_a_body_leaves_nothing_for_the_next_request() {
    let origin = Origin::start();
    let whole = || vec![send("HTTP/1.1 200 OK\r\netag: \"v\"\r\ncontent-length: 5\r\n\r\nwhole")];
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let lying = vec![
        send(format!("HTTP/1.1 304 Not Modified\r\ncontent-length: {}\r\n\r\n{poison}", poison.len())),
        Step::Close,
    ];
    let url = origin.play_in_turn("/lies", [whole(), lying]);
    let first = provoke(fetchd([], ""), [url]);
    let lines = [first[0].to_string(), origin.url("/ok/1")];
    let second = provoke(fetchd(["--revalidate", "--host-concurrency", "1"], ""), lines);
    assert_eq!(fates(&second), [("ok", "", 1); 2]);
    assert_eq!((&second[0]["unchanged"], &second[1]["json"]), (&json!(true), &json!({ "n": 1 })));
}

#[test]
fn what_answers_a_condition_besides_a_304_is_what_it_always_is() {
    let origin = Origin::start();
    let answer =
        |status: u16| vec![send(format!("HTTP/1.1 {status} Scripted\r\netag: \"v\"\r\ncontent-length: 2\r\n\r\nhi"))];
    let statuses = [200, 204, 412, 404, 500];
    let urls: Vec<_> = statuses
        .iter()
        .map(|status| origin.play_in_turn(&format!("/{status}"), [answer(200), answer(*status)]))
        .collect();
    let first = provoke(fetchd([], ""), &urls);
    let second = provoke(fetchd(ON, "[sink.out.stdout]\n"), texts(&first));
    let error = ("http_error", "http_status", 1);
    assert_eq!(fates(&second), [("ok", "", 1), ("ok", "", 1), error, error, ("http_error", "http_status", 3)]);
    assert!(second.iter().all(|record| record.get("unchanged").is_none()), "{second:#?}");
}
