//! What was done to a run, and what it did by itself, is an event and a log line: who paused what, and when, is found also after
//! a restart.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::place::Place;

/// The messages of the events of a kind.
fn events(place: &Place, kind: &str) -> Vec<String> {
    let events = place.get("/v1/events").json();
    let of_kind = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn overrides_that_are_made_end_and_are_found_at_a_start_are_events_and_log_lines() {
    let place = Place::with("[state]\ndata_dir = 'state'\n[source.in.stdin]\ndurable = true\n");
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    assert_eq!(place.ctl(["limits", "gone.test", "--rate", "1/s", "--for", "100ms"]).code, 0);
    running.message("The limits of gone.test are rate 1/s for 100ms, then those of the configuration.");
    running.message("The rate override of gone.test has ended; the configuration holds again.");
    for n in 0..8 {
        assert_eq!(place.ctl(["pause", &format!("h{n}.test")]).code, 0);
        running.message(&format!("h{n}.test is paused until it is resumed"));
    }
    assert_eq!(place.ctl(["resume", "h0.test"]).code, 0);
    running.message("h0.test goes on.");
    let told = events(&place, "override");
    assert!(told.len() == 11 && told[1].contains("has ended") && told[10] == "resume: h0.test goes on.", "{told:#?}");
    assert_eq!(running.finish("").code, Some(0));

    let mut running = place.start();
    for n in 1..8 {
        running.message(&format!("h{n}.test is paused by an operator until it is resumed."));
    }
    assert_eq!(events(&place, "override").len(), 7);
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn reloads_are_events_however_they_came_and_ended_and_dry_runs_are_not() {
    let mut place = Place::with("[limits]\nrate = '7/s'\n");
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    place.write("[limits]\nrate = '8/s'\n");
    assert_eq!(place.ctl(["reload", "--dry-run"]).code, 0);
    assert_eq!(events(&place, "reload"), [""; 0]);
    running.signal(Signal::SIGHUP);
    running.message("The configuration was loaded; changed: limits.rate.");
    place.wait_until(|status| status["configuration"]["last_reload"]["result"] == "applied");
    place.write("[queue]\nwindow = 7\n");
    assert_eq!(place.ctl(["reload"]).code, 1);
    running.signal(Signal::SIGHUP);
    running.message("these need a restart");
    running.message("these need a restart");
    place.write("[limits]\nrate = '9/s'\n");
    assert_eq!(place.ctl(["reload"]).code, 0);
    let told = events(&place, "reload");
    let parts = ["changed: limits.rate", "need a restart", "need a restart", "changed: limits.rate"];
    assert!(told.len() == 4 && told.iter().zip(parts).all(|(event, part)| event.contains(part)), "{told:#?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn the_first_log_line_says_which_version_starts_as_which_process_with_which_file() {
    let place = Place::new();
    let mut running = place.fetchd().start();
    let line: Value = serde_json::from_str(&running.message("")).unwrap();
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"), "{line:#}");
    assert_eq!((&line["pid"], &line["path"]), (&running.pid.as_raw().into(), &place.file().to_str().unwrap().into()));
    assert_eq!(running.finish("").code, Some(0));
}
