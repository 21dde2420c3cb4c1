//! Lines of a journal that wait for room in the window: status, `why` and metrics show them.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::common::origin::Origin;
use crate::place::Place;

#[test]
fn lines_that_wait_in_the_journal_are_counted_and_found() {
    let mut place = Place::new();
    place.tables = format!(
        "[source.in.stdin]\ndurable = true\n[sink.out.stdout]\n[state]\ndata_dir = {:?}\n[queue]\nwindow = 4\n[hosts.'*']\nrate = '1/h'\n",
        place.path("state")
    );
    let origin = Origin::start();
    let mut running = place.start();
    (0..10).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    running.record();
    let is_full = |status: &serde_json::Value| {
        status["window"]["lines"] == 4 && status["sources"][0]["journal"]["waiting_lines"] == 5
    };
    let status = place.wait_until(is_full);
    let waits_for = status["waits_for"].as_str().unwrap();
    assert!(waits_for.contains("Lines of 127.0.0.1 are 4 of the 4 in the window"), "{waits_for}");
    let done_when = status["done_when"].as_str().unwrap();
    assert!(done_when.contains(" 5 more lines wait in the journal"), "{done_when}");
    let why = place.get("/v1/why?seq=8").json();
    assert_eq!(why["place"], json!("in_journal"), "{why:#}");
    assert!(why["message"].as_str().unwrap().ends_with("behind 2 lines."), "{why:#}");
    assert_eq!(place.get("/v1/why?seq=5").json()["place"], "waiting");
    assert_eq!(place.get("/v1/why?seq=11").json()["place"], "unread");
    let text = place.ctl(["status"]).out;
    assert!(text.contains("in 5, 5 wait in the journal"), "{text}");
    let metrics = place.get("/metrics").text;
    for sample in
        ["fetchd_journal_waiting_lines{source=\"in\"} 5", "fetchd_window_lines 4", "fetchd_window_limit_lines 4"]
    {
        assert!(metrics.lines().any(|line| line == sample), "{sample}: {metrics}");
    }
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(0));
}
