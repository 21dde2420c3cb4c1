//! Each endpoint, with good and bad input.

use crate::common::origin::{Origin, Step};
use crate::place::{Place, read_until};
use std::io::Write;

#[test]
fn a_run_says_how_it_is_from_its_start_to_its_end() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    running.line(&origin.url("/ok/1"));
    running.line(&origin.url("/status/404"));
    running.line("ftp://a.test/");
    let mut outcomes: Vec<_> = (0..3).map(|_| running.record()["outcome"].as_str().unwrap().to_owned()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["http_error", "ok", "rejected"]);
    let status = place.wait_until(|status| status["lines"]["recorded"] == 3 && status["bottleneck"]["kind"] == "input");
    assert_eq!(status["state"], "running");
    assert_eq!(status["outcomes"], serde_json::json!({ "ok": 1, "http_error": 1, "rejected": 1 }), "{status:#}");
    assert_eq!(status["kinds"]["scheme_not_allowed"], 1, "{status:#}");
    assert!(status["how_it_is"].as_str().unwrap().starts_with("Running: 3 done · "), "{status:#}");
    assert_eq!(status["waits_for"], "Waiting for lines of the input.");
    assert_eq!((status["ready"].as_bool(), status["version"].as_str()), (Some(true), Some(env!("CARGO_PKG_VERSION"))));
    let failures = status["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2, "{status:#}");
    assert!(failures.iter().any(|failure| failure["status"] == 404 && failure["host"] == "127.0.0.1"), "{status:#}");
    assert!(status["since"].as_str().unwrap().ends_with('Z') && status["since_s"].as_f64().unwrap() >= 0.0);
    assert!(status.get("history").is_none());
    let history = place.get("/v1/status?history=1").json()["history"].clone();
    assert!(!history["rows"].as_array().unwrap().is_empty() && history["every_s"] == 5, "{history:#}");
    assert_eq!(running.finish("").code, Some(0));
    assert!(!place.socket().exists(), "the end removes the socket");
}

#[test]
fn a_run_is_ready_until_it_drains_and_healthy_to_the_end() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    running.line(&origin.play("/", vec![Step::Stall]));
    origin.wait_for_requests(1);
    place.wait_until(|status| status["state"] == "running");
    let ready = place.get("/readyz");
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)), "{ready:?}");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    place.wait_until(|status| status["state"] == "draining");
    let ready = place.get("/readyz");
    assert_eq!((ready.status, ready.json()["reasons"][0]["reason"].as_str()), (503, Some("draining")), "{ready:?}");
    let healthy = place.get("/healthz");
    assert_eq!((healthy.status, healthy.json()["healthy"].as_bool()), (200, Some(true)), "{healthy:?}");
    let events = place.get("/v1/events").json();
    let states: Vec<_> = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "state").collect();
    assert!(states.iter().any(|event| event["message"].as_str().unwrap().contains("takes lines")), "{events:#}");
    running.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(running.wait().code, Some(130));
}

#[test]
fn records_come_live_and_without_bodies() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let mut all = place.connect();
    all.write_all(b"GET /v1/records HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_until(&mut all, "application/x-ndjson");
    let mut failed = place.connect();
    failed.write_all(b"GET /v1/records?records=not_ok HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_until(&mut failed, "application/x-ndjson");
    running.line(&origin.url("/ok/1"));
    running.record();
    running.line(&origin.url("/status/500"));
    running.record();
    let live = read_until(&mut all, "/status/500");
    assert!(live.contains("\"outcome\":\"ok\"") && !live.contains("\"body\""), "{live}");
    let not_ok = read_until(&mut failed, "/status/500");
    assert!(!not_ok.contains("\"outcome\":\"ok\""), "{not_ok}");
    assert_eq!(running.finish("").code, Some(0), "readers do not hold up the end");
}

#[test]
fn the_configuration_is_shown_with_its_secrets_masked() {
    const CANARY: &str = "CANARY";
    let mut place =
        Place::with("[hosts.'a.test']\nheaders = { authorization = '${SECRET}' }\n[limits]\nrate = '7/s'\n");
    place.tables.push_str("[fetch]\nproxy = 'http://u:CANARY@127.0.0.1:1'\n");
    let mut running = place.fetchd().env("SECRET", CANARY).start();
    running.message("operators connect at");
    let config = place.get("/v1/config");
    assert_eq!(config.json()["values"]["limits"]["rate"], "7/s", "{config:?}");
    assert_eq!(config.json()["values"]["hosts"]["a.test"]["headers"]["authorization"], "***");
    assert!(!config.text.contains(CANARY), "{config:?}");
    assert_eq!(config.json()["digest"], place.status()["configuration"]["digest"]);
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn what_is_not_there_or_not_meant_so_is_said_in_a_sentence() {
    let place = Place::new();
    let mut running = place.start();
    for (method, path, body, status, part) in [
        ("GET", "/", "", 404, "there is nothing at /;"),
        ("GET", "/v1/statu", "", 404, "see /v1/status"),
        ("GET", "/v1/status/", "", 404, "there is nothing at"),
        ("POST", "/v1/status", "", 405, "does not take POST"),
        ("GET", "/v1/pause", "", 405, "does not take GET"),
        ("GET", "/v1/status?histroy=1", "", 400, "unknown field `histroy`; there are `history`"),
        ("GET", "/v1/status?history=maybe", "", 400, "`history` is neither"),
        ("GET", "/v1/records?records=some", "", 400, "`records` is none of `all`, `ok`, `not_ok`"),
        ("GET", "/v1/events?x=1", "", 400, "unknown field `x`"),
        ("POST", "/v1/pause", "{\"hots\":\"a\"}", 400, "unknown field `hots`; there are `host`, `for`"),
        ("POST", "/v1/pause", "{", 400, "not JSON"),
        ("POST", "/v1/limits", "{\"host\":\"a.test\",\"rate\":\"5\"}", 400, "`rate`: `5` is not a rate"),
    ] {
        let answer = place.request(method, path, "host: localhost\r\n", body);
        let said = answer.message();
        assert!(answer.status == status && said.contains(part), "{method} {path}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
    }
    let wrong = place.request("POST", "/v1/status", "host: localhost\r\n", "");
    assert!(wrong.head.contains("allow: get,head"), "{wrong:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn every_path_of_the_documentation_is_there() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let paths: Vec<_> = rows.filter_map(|cell| cell.split(' ').find(|word| word.starts_with('/'))).collect();
    let place = Place::new();
    let mut running = place.start();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let path = path.split('?').next().unwrap();
        // No path takes it, so nothing is changed by it.
        assert_eq!(place.request("PUT", path, "host: localhost\r\n", "").status, 405, "{path}");
    }
    assert_eq!(running.finish("").code, Some(0));
}
