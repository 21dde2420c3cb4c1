//! Which requests are sent again after the server may have seen them: by `retry.methods`, and by an Idempotency-Key.

use serde_json::{Value, json};

use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::scenario::{fate, provoke};

/// With two retries at once, and these methods, if any.
fn fetchd(methods: &str) -> Fetchd {
    let methods = if methods.is_empty() { String::new() } else { format!(", methods = {methods}") };
    let retry = format!("retry = {{ retries = 2, backoff = '1ms', budget = 'unlimited'{methods} }}\n");
    Fetchd::local().config(&format!("{retry}health.enabled = false\n"))
}

/// A status that another attempt may change, an answer that is cut, and no answer.
fn faults() -> [Script; 3] {
    [
        vec![send("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")],
        vec![send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), Step::Close],
        vec![Step::Close],
    ]
}

/// A line for each fault, which happens once, with what these keys say of its request.
fn lines(origin: &Origin, keys: &Value) -> Vec<String> {
    let line = |(n, fault): (usize, Script)| {
        let well = vec![send(ok_with("", b"at last"))];
        let mut line = keys.clone();
        line["url"] = json!(origin.play_in_turn(&format!("/{n}"), [fault, well.clone(), well]));
        line.to_string()
    };
    faults().into_iter().enumerate().map(line).collect()
}

fn records(methods: &str, keys: &Value) -> Vec<Value> {
    provoke(fetchd(methods), lines(&Origin::start(), keys))
}

const NOT_POST: &str = "not tried again, as POST is not in retry.methods, and the line has no Idempotency-Key header";

#[test]
fn a_method_that_is_not_idempotent_is_sent_once_and_its_record_says_so() {
    for records in [
        records("", &json!({ "method": "POST", "body": "x" })),
        records("['GET', 'PUT']", &json!({ "method": "post" })),
    ] {
        for (record, outcome) in records.iter().zip(["http_error", "failed", "failed"]) {
            assert_eq!((fate(record).0, fate(record).2), (outcome, 1));
            let message = record["error"]["message"].as_str().unwrap();
            assert!(message.ends_with(NOT_POST), "{message}");
        }
    }
}

#[test]
fn methods_that_the_configuration_names_are_sent_again() {
    for (methods, method) in
        [("", "PUT"), ("", "delete"), ("['get', 'post']", "POST"), ("['PATCH']", "patch"), ("['PROPFIND']", "PROPFIND")]
    {
        let records = records(methods, &json!({ "method": method, "body": "x" }));
        assert!(records.iter().all(|record| fate(record) == ("ok", "", 2)), "{methods} {method}: {records:#?}");
    }
    // A method of one's own is what its letters say.
    for (methods, method) in [("['POST']", "GET"), ("['PROPFIND']", "propfind")] {
        let records = records(methods, &json!({ "method": method }));
        assert!(records.iter().all(|record| fate(record).2 == 1), "{methods} {method}: {records:#?}");
    }
}

#[test]
fn a_request_with_an_idempotency_key_is_sent_again_with_it() {
    let origin = Origin::start();
    let keys = json!({ "method": "POST", "body": "x", "headers": { "Idempotency-Key": "\"8e03978e\"" } });
    let records = provoke(fetchd(""), lines(&origin, &keys));
    assert!(records.iter().all(|record| fate(record) == ("ok", "", 2)), "{records:#?}");
    let requests = origin.requests();
    assert_eq!(requests.len(), 6);
    assert!(requests.iter().all(|request| request.header("idempotency-key") == Some("\"8e03978e\"")));
}

#[test]
fn a_known_method_in_lower_case_is_sent_in_upper_case_and_one_that_is_never_sent_is_refused() {
    let origin = Origin::start();
    let line = |method: &str| json!({ "url": origin.url("/ok/1"), "method": method }).to_string();
    let records = provoke(fetchd(""), ["get", "Post", "HEAD", "connect", "trace"].map(line));
    let outcomes: Vec<_> = records.iter().map(|record| fate(record).0).collect();
    assert_eq!(outcomes, ["ok", "ok", "ok", "rejected", "rejected"]);
    assert_eq!((records[0].get("method"), &records[1]["method"]), (None, &json!("POST")));
    let mut sent: Vec<_> = origin.requests().iter().map(|request| request.method.clone()).collect();
    sent.sort();
    assert_eq!(sent, ["GET", "HEAD", "POST"]);
}

#[test]
fn what_is_no_method_is_refused_at_the_start() {
    for (methods, said) in
        [("['G T']", "`G T` is not an HTTP method"), ("['TRACE']", "the method TRACE is not allowed")]
    {
        let ended = fetchd(methods).run("");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("`retry.methods`") && ended.stderr.contains(said), "{}", ended.stderr);
    }
}
