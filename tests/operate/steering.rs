//! What holds lines back, and verbs that change it, on a run with lines that wait.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::fetchd::{Running, kind};
use crate::common::origin::Origin;
use crate::place::Place;

/// A run with lines of which one starts in an hour.
fn slow() -> (Place, Origin, Running) {
    let (place, origin) = (Place::with("[hosts.'*']\nrate = '1/h'\n"), Origin::start());
    let mut running = place.start();
    (0..5).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    running.record();
    place.wait_until(|status| status["lines"]["waiting"] == 4);
    (place, origin, running)
}

/// Stops a run at once; the same signal in the same moment would be a repetition.
fn abort(place: &Place, mut running: Running) {
    running.signal(Signal::SIGTERM);
    place.wait_until(|status| status["state"] == "draining");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, Some(130));
}

fn hosts(place: &Place, query: &str) -> Vec<Value> {
    let answer = place.get(&format!("/v1/hosts{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["hosts"].as_array().unwrap().clone()
}

#[test]
fn hosts_are_shown_with_what_holds_them_and_the_key_that_would_change_it() {
    let (place, _origin, running) = slow();
    let all = hosts(&place, "");
    assert_eq!((all.len(), &all[0]["name"], &all[0]["waiting"]), (1, &json!("127.0.0.1"), &json!(4)), "{all:#?}");
    assert_eq!((&all[0]["state"], &all[0]["limits"]["every_s"]), (&json!("limited"), &json!(3600.0)), "{all:#?}");
    let causes = all[0]["causes"].as_array().unwrap();
    assert!(
        causes.iter().any(|cause| cause["kind"] == "host_rate"
            && cause["change"] == "fetchd ctl limits 127.0.0.1 --rate N/s, or hosts.\"*\".rate"
            && cause["pace"]["per_s"].is_number()),
        "{causes:#?}"
    );
    assert!(causes.iter().any(|cause| cause["until_s"].as_f64().is_some_and(|left| left > 3000.0)), "{causes:#?}");
    for (query, found) in [
        ("?name=127.0.0.1", 1),
        ("?name=127.0.0.2", 0),
        ("?name=*.test", 0),
        ("?state=limited&sort=errors", 1),
        ("?state=paused", 0),
        ("?sort=in_flight&limit=1", 1),
    ] {
        assert_eq!(hosts(&place, query).len(), found, "{query}");
    }
    let shown = place.ctl(["hosts"]);
    assert!(
        shown.code == 0 && shown.out.starts_with("host ") && shown.out.contains("the rate of its host"),
        "{shown:?}"
    );
    abort(&place, running);
}

#[test]
fn why_answers_for_a_host_and_for_each_of_its_lines() {
    let (place, _origin, running) = slow();
    let host = place.get("/v1/why?host=127.0.0.1").json();
    assert_eq!((&host["waiting"], &host["causes"][0]["kind"]), (&json!(4), &json!("host_rate")), "{host:#}");
    let nobody = place.get("/v1/why?host=a.test").json();
    assert_eq!((&nobody["waiting"], &nobody["causes"]), (&json!(0), &json!([])), "{nobody:#}");
    let line = |seq: u64| place.get(&format!("/v1/why?seq={seq}")).json();
    assert_eq!(line(2)["place"], "waiting", "{:#}", line(2));
    assert_eq!((&line(5)["place"], &line(5)["lines_ahead"]), (&json!("waiting"), &json!(3)), "{:#}", line(5));
    assert_eq!((&line(1)["place"], &line(99)["place"]), (&json!("recorded"), &json!("unread")));
    let said = place.ctl(["why", "127.0.0.1"]);
    assert!(said.code == 0 && said.out.contains("4 lines of 127.0.0.1 wait for:"), "{said:?}");
    assert!(said.out.contains("to change it: fetchd ctl limits 127.0.0.1 --rate N/s, or hosts.\"*\".rate"), "{said:?}");
    let said = place.ctl(["why", "--seq", "5"]);
    assert!(said.code == 0 && said.out.contains("behind 3 lines of its host"), "{said:?}");
    abort(&place, running);
}

#[test]
fn limits_beat_the_configuration_until_they_are_cleared() {
    let (place, origin, mut running) = slow();
    let said = place.ctl(["limits", "127.0.0.1", "--rate", "unlimited", "--concurrency", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("only until fetchd ends"), "{said:?}");
    (0..4).for_each(|_| assert_eq!(running.record()["outcome"], "ok"));
    let overrides = place.wait_until(|status| status["overrides"][0]["kind"] == "limits")["overrides"].clone();
    assert_eq!(
        (&overrides[0]["host"], &overrides[0]["rate"]),
        (&json!("127.0.0.1"), &json!("unlimited")),
        "{overrides:#}"
    );
    let shown = place.ctl(["status"]);
    assert!(
        shown
            .out
            .contains("127.0.0.1 has limits by an operator until they are cleared: rate unlimited and concurrency 1."),
        "{}",
        shown.out
    );
    assert_eq!(place.ctl(["limits", "127.0.0.1", "--clear"]).code, 0);
    let again = place.ctl(["limits", "127.0.0.1", "--clear"]);
    assert!(again.code == 1 && again.err.contains("error: "), "{again:?}");
    assert_eq!(origin.requests().len(), 5);
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_pause_holds_every_line_and_is_named_everywhere() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let said = place.ctl(["pause"]);
    assert_eq!(said.code, 0, "{said:?}");
    (0..3).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    let status = place.wait_until(|status| status["lines"]["waiting"] == 3 && status["bottleneck"]["kind"] == "paused");
    assert_eq!(status["reasons"][0]["reason"], "paused", "{status:#}");
    assert_eq!((place.get("/readyz").status, place.get("/healthz").status), (503, 200));
    let why = place.get("/v1/why?host=127.0.0.1").json();
    let pause = why["causes"].as_array().unwrap().iter().find(|cause| cause["kind"] == "run_paused");
    assert_eq!(pause.map(|cause| &cause["change"]), Some(&json!("fetchd ctl resume")), "{why:#}");
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(place.ctl(["status"]).code, 1);
    assert_eq!(place.ctl(["resume"]).code, 0);
    (0..3).for_each(|_| assert_eq!(running.record()["outcome"], "ok"));
    let events = place.ctl(["events"]);
    assert!(events.out.contains("pause: The run is paused") && events.out.contains("resume: "), "{events:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn skipped_lines_end_unsent_and_are_counted() {
    for more in [&[][..], &["--for", "1h"]] {
        let (place, origin, mut running) = slow();
        let said = place.ctl([&["skip", "127.0.0.1"], more].concat());
        assert!(said.code == 0 && said.out.contains("4 lines of 127.0.0.1"), "{said:?}");
        for _ in 0..4 {
            let record = running.record();
            assert_eq!((record["outcome"].as_str(), kind(&record)), (Some("failed"), "skipped"), "{record:#}");
            let message = record["error"]["message"].as_str().unwrap();
            assert!(message.ends_with("lines of 127.0.0.1; feed them again to fetch them"), "{message}");
        }
        assert_eq!(origin.requests().len(), 1);
        assert_eq!(running.finish("").code, Some(0));
    }
}

#[test]
fn a_drain_ends_the_run_and_a_rotation_begins_a_file() {
    let mut place = Place::new();
    let output = place.path("out.jsonl");
    place.tables = format!("[source.in.stdin]\n[sink.out.jsonl]\npath = {output:?}\nrotate_size = '1MiB'\n");
    let origin = Origin::start();
    let mut running = place.start();
    running.line(&origin.url("/ok/1"));
    place.wait_until(|status| status["lines"]["recorded"] == 1);
    let files = || {
        fs::read_dir(place.path(""))
            .unwrap()
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_str().unwrap().starts_with("out")
            })
            .count()
    };
    assert_eq!(place.ctl(["rotate"]).code, 0);
    running.line(&origin.url("/ok/2"));
    place.wait_until(|status| status["lines"]["recorded"] == 2 && files() == 2);
    let sinks = place.status()["sinks"].clone();
    assert_eq!((&sinks[0]["name"], &sinks[0]["records"]), (&json!("out"), &json!(2)), "{sinks:#}");
    let said = place.ctl(["drain"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_reload_says_what_it_changes_and_then_changes_it() {
    let (place, origin) = (Place::new(), Origin::start());
    let file = place.path("fetchd.toml");
    let write = |tables: &str| {
        let api = format!("[api]\nsocket = {:?}\n", place.socket());
        fs::write(&file, format!("[network]\nallow = ['127.0.0.0/8']\n{tables}\n{api}")).unwrap();
    };
    write("[hosts.'*']\nrate = '1/h'");
    let mut running = crate::common::fetchd::Fetchd::bare(["-c", file.to_str().unwrap()]).start();
    running.message("operators connect at");
    running.line(&origin.url("/ok/1"));
    running.record();
    running.line(&origin.url("/ok/2"));
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    write("[hosts.'*']\nrate = 'unlimited'");
    let dry = place.ctl(["reload", "--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("rate"), "{dry:?}");
    assert_eq!(place.get("/v1/config").json()["values"]["hosts"]["*"]["rate"], "1/h");
    write("[hosts.'*']\nrat = 'unlimited'");
    let wrong = place.ctl(["reload"]);
    assert!(wrong.code == 1 && wrong.err.contains("unknown key `rat`"), "{wrong:?}");
    write("[hosts.'*']\nrate = 'unlimited'");
    let applied = place.ctl(["reload"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(running.record()["outcome"], "ok");
    let status = place.status();
    assert_eq!(status["configuration"]["last_reload"]["result"], "applied", "{status:#}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn after_a_limit_was_raised_the_status_names_the_new_one() {
    let (place, origin) = (Place::with("[hosts.'*']\nconcurrency = 1\n"), Origin::start());
    let mut running = place.start();
    (0..20).for_each(|_| running.line(&origin.url("/hang")));
    place.wait_until(|status| status["bottleneck"]["kind"] == "host_concurrency" && status["lines"]["in_flight"] == 1);
    for limit in ["4", "8"] {
        assert_eq!(place.ctl(["limits", "127.0.0.1", "--concurrency", limit]).code, 0);
        let said = place.status()["waits_for"].as_str().unwrap().to_owned();
        assert!(said.starts_with(&format!("Limited by host-concurrency {limit} of 127.0.0.1 (set by")), "{said}");
    }
    abort(&place, running);
}
