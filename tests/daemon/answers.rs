//! What follows an answer: another attempt, a redirect, or nothing.

use std::time::Duration;

use serde_json::json;

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;

/// Retries at once, so that no test waits for them.
const SOON: &str = "retry = { retries = 2, backoff = '1ms' }";

#[test]
fn a_retry_after_is_waited_for_and_the_next_answer_counts() {
    let origin = Origin::start();
    let ended = Fetchd::with(["--retries", "0"]).run(origin.url("/retry-after/429/1"));
    let record = ended.only_record();
    assert_eq!((&record["outcome"], &record["attempts"]), (&json!("ok"), &json!(2)), "{record:#}");
    let requests = origin.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_millis(990), "{waited:?}");
    assert!(record["wait_ms"].as_f64().unwrap() >= 990.0, "{record:#}");
}

#[test]
fn a_retry_after_beyond_the_limit_settles_the_line_and_closes_the_host() {
    let origin = Origin::start();
    let input = format!("{}\n{}", origin.url("/retry-after/503/3600"), origin.url("/ok/1"));
    let ended = Fetchd::with(["--host-concurrency", "1", "--ordered"]).run(input);
    let got: Vec<_> = ended.records.iter().map(|record| (record["outcome"].as_str().unwrap(), kind(record))).collect();
    assert_eq!(got, [("http_error", "retry_after_too_long"), ("failed", "retry_after_too_long")]);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_get_is_retried_after_a_reset_and_a_post_is_not() {
    let origin = Origin::start();
    let post = json!({ "url": origin.url("/reset"), "method": "POST", "body": "once" });
    let ended = Fetchd::with(["--ordered"]).config(SOON).run(format!("{}\n{post}", origin.url("/reset")));
    let got: Vec<_> = ended.records.iter().map(|record| (kind(record), record["attempts"].as_u64())).collect();
    assert_eq!(got, [("reset", Some(3)), ("reset", Some(1))]);
    assert_eq!(origin.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[test]
fn a_post_is_repeated_when_the_server_says_that_it_did_not_act_on_it() {
    let origin = Origin::start();
    let post = json!({ "url": origin.url("/retry-after/503/0"), "method": "POST", "body": "twice" });
    let ended = Fetchd::local().config(SOON).run(post.to_string());
    assert_eq!((ended.count("ok"), &ended.only_record()["attempts"]), (1, &json!(2)));
    assert!(origin.requests().iter().all(|request| request.body == b"twice"));
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
fn redirects_that_lead_nowhere_good_are_refused_with_their_reason() {
    let origin = Origin::start();
    let forbidden = Origin::start_at([127, 0, 0, 66]);
    let there = origin.redirect(302, &origin.url("/b"));
    origin.script("/a", "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n");
    origin.script("/b", "HTTP/1.1 302 Found\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n");
    let cases = [
        (there, "redirect_loop"),
        (origin.redirect(302, "file:///etc/passwd"), "scheme_not_allowed"),
        (origin.redirect(302, "http://u:p@127.0.0.1/"), "credentials_in_url"),
        (origin.redirect(302, &forbidden.url("/ok/1")), "forbidden_address"),
    ];
    for (url, why) in cases {
        let ended = Fetchd::local().config("network.deny = ['127.0.0.66']").run(url);
        let record = ended.only_record();
        assert_eq!((&record["outcome"], kind(record)), (&json!("failed"), why), "{record:#}");
        assert_eq!(record["status"], 302, "{record:#}");
    }
    assert_eq!(forbidden.accepts(), 0);
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
fn a_server_that_does_not_speak_http_is_a_protocol_error_and_not_asked_again() {
    let origin = Origin::start();
    let answers = [
        "garbage\r\n\r\n",
        "HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname with space: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ];
    let urls = answers.iter().enumerate().map(|(n, answer)| origin.script(&format!("/{n}"), *answer));
    let ended = Fetchd::with(["--ordered"]).run(urls.collect::<Vec<_>>().join("\n"));
    for (record, answer) in ended.records.iter().zip(answers) {
        assert_eq!((kind(record), record["attempts"].as_u64()), ("protocol", Some(1)), "{answer:?}\n{record:#}");
    }
    assert_eq!(ended.records.len(), answers.len());
}

#[test]
fn an_early_hint_is_not_the_answer() {
    let origin = Origin::start();
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let url = origin.script("/", format!("{hint}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let ended = Fetchd::local().run(url);
    assert_eq!((&ended.only_record()["status"], &ended.only_record()["body"]), (&json!(200), &json!("ok")));
}

#[test]
fn a_server_that_takes_too_long_is_given_up_and_asked_again() {
    let origin = Origin::start();
    let ended = Fetchd::with(["--timeout", "200ms"]).config(SOON).run(origin.url("/hang"));
    let record = ended.only_record();
    assert_eq!((kind(record), record["attempts"].as_u64()), ("timeout", Some(3)));
    assert!(record["elapsed_ms"].as_f64().unwrap() >= 600.0, "{record:#}");
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
