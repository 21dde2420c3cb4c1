//! What follows an answer: another attempt, a redirect, or nothing. Hostile answers are in `tests/faults/http.rs`.

use std::time::Duration;

use serde_json::json;

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;

/// Retries at once, so that no test waits for them.
const SOON: &str = "retry = { retries = 2, backoff = '1ms' }";

#[test]
fn a_retry_after_is_waited_for_and_the_next_answer_counts() {
    let origin = Origin::start();
    let ended = Fetchd::with(["--retries", "1"]).run(origin.url("/retry-after/429/1"));
    let record = ended.only_record();
    assert_eq!((&record["outcome"], &record["attempts"]), (&json!("ok"), &json!(2)), "{record:#}");
    let requests = origin.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_millis(990), "{waited:?}");
    assert!(record["wait_ms"].as_f64().unwrap() >= 990.0, "{record:#}");
}

#[test]
fn a_post_is_repeated_when_the_server_says_that_it_did_not_act_on_it() {
    let origin = Origin::start();
    let post = json!({ "url": origin.url("/retry-after/503/0"), "method": "POST", "body": "twice" });
    let ended = Fetchd::local().config(SOON).run(post.to_string());
    assert_eq!((ended.count("ok"), &ended.only_record()["attempts"]), (1, &json!(2)));
    let bodies: Vec<_> = origin.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [b"twice", b"twice"]);
}

#[test]
fn a_303_turns_a_post_into_a_get_without_its_body_and_a_307_repeats_it() {
    let origin = Origin::start();
    let echo_after = |status| {
        let url = origin.redirect(status, &origin.url("/echo"));
        let post = json!({ "url": url, "method": "POST", "json": { "a": 1 } });
        let ended = Fetchd::local().run(post.to_string());
        let echo = &ended.only_record()["json"];
        assert_eq!(ended.only_record()["method"], "POST");
        [&echo["method"], &echo["body"], &echo["headers"]["content-type"]]
            .map(|value| value.as_str().map(str::to_owned))
    };
    let get = [Some("GET"), Some(""), None].map(|value| value.map(str::to_owned));
    let post = [Some("POST"), Some("{\"a\":1}"), Some("application/json")].map(|value| value.map(str::to_owned));
    assert_eq!([echo_after(303), echo_after(301), echo_after(302)], [get.clone(), get.clone(), get]);
    assert_eq!([echo_after(307), echo_after(308)], [post.clone(), post]);
    assert_eq!(origin.requests().len(), 10);
}

#[test]
fn redirects_are_listed_and_not_counted_as_attempts() {
    let origin = Origin::start();
    let (last, second) = (origin.url("/ok/1"), origin.redirect(307, &origin.url("/ok/1")));
    let first = origin.redirect(301, &second);
    let ended = Fetchd::local().run(first.as_str());
    let record = ended.only_record();
    assert_eq!(record["hops"], json!([{ "url": first, "status": 301 }, { "url": second, "status": 307 }]));
    assert_eq!([&record["url"], &record["final_url"]], [first.as_str(), last.as_str()]);
    assert_eq!((&record["attempts"], &record["status"]), (&json!(1), &json!(200)));
}

#[test]
fn the_limit_of_redirects_is_kept_and_zero_takes_the_redirect_as_the_answer() {
    let origin = Origin::start();
    let url = origin.redirect(302, &origin.redirect(302, &origin.url("/ok/1")));
    let of = |most: &str| Fetchd::with(["--max-redirects", most]).run(url.as_str()).only_record().clone();
    assert_eq!(of("2")["outcome"], "ok");
    assert_eq!(kind(&of("1")), "too_many_redirects");
    assert_eq!((&of("0")["outcome"], &of("0")["status"]), (&json!("http_error"), &json!(302)));
}

#[test]
fn the_deadline_bounds_a_line_with_all_its_attempts() {
    let origin = Origin::start();
    let config = "fetch.deadline = '500ms'\nretry = { retries = 100, backoff = '1ms' }";
    let ended = Fetchd::with(["--timeout", "200ms"]).config(config).run(origin.url("/hang"));
    let record = ended.only_record();
    assert_eq!((kind(record), &record["outcome"]), ("deadline", &json!("failed")), "{record:#}");
    assert!((490.0..2_500.0).contains(&record["elapsed_ms"].as_f64().unwrap()), "{record:#}");
}

#[test]
fn a_name_is_fetched_only_where_its_addresses_are_allowed() {
    let origin = Origin::start();
    let url = origin.url("/ok/1").replace("127.0.0.1", "localhost");
    let refused = Fetchd::bare::<&str>([]).run(url.as_str());
    assert_eq!((kind(refused.only_record()), refused.count("rejected"), origin.accepts()), ("forbidden_address", 1, 0));
    let message = refused.only_record()["error"]["message"].as_str().unwrap();
    assert!(message.contains("network.allow"), "{message}");
    assert_eq!(Fetchd::local().run(url).count("ok"), 1);
}

#[test]
fn a_host_gets_no_more_requests_at_once_than_allowed_over_connections_that_are_used_again() {
    let origin = Origin::start();
    let input: String = (0..300).map(|n| origin.url(&format!("/slow/{}?{n}\n", n % 5))).collect();
    assert_eq!(Fetchd::with(["--host-concurrency", "3"]).run(input).count("ok"), 300);
    assert_eq!(origin.most_at_once(), 3);
    // A connection is back in the client's pool a moment after its answer is, so the next request may need a new one.
    assert!(origin.accepts() < 100, "{} connections for 300 requests", origin.accepts());
}

#[test]
fn a_host_gets_no_more_starts_than_its_rate() {
    let origin = Origin::start();
    let input: String = (0..21).map(|n| origin.url(&format!("/ok/1?{n}\n"))).collect();
    assert_eq!(Fetchd::with(["--host-rate", "20/s"]).run(input).count("ok"), 21);
    let requests = origin.requests();
    let took = requests[20].at - requests[0].at;
    assert!((900..3_000).contains(&took.as_millis()), "20 intervals of 50 ms took {took:?}");
}
