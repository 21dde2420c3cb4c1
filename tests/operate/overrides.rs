//! What operators change outlasts a kill, or is refused; and verbs under load lose no line.

use std::fs;
use std::io::Write;

use nix::sys::signal::Signal;

use crate::common::fetchd::{Ended, Running, seq};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::place::Place;

/// A run that remembers its lines, which come from stdin.
fn durable() -> Place {
    Place::with("[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n")
}

/// Two hosts of one server.
fn urls(origin: &Origin, path: &str) -> [String; 2] {
    let url = origin.url(path);
    [url.replace("127.0.0.1", "localhost"), url]
}

#[test]
fn a_host_that_is_paused_stays_paused_after_a_kill_until_it_is_resumed() {
    let (place, origin) = (durable(), Origin::start());
    let [of_host, _] = urls(&origin, "/ok/1");
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let said = place.ctl(["pause", "localhost"]);
    assert_eq!((said.code, said.out.contains("localhost is paused until it is resumed")), (0, true), "{said:?}");
    assert_eq!(place.ctl(["limits", "127.0.0.1", "--rate", "1000/s", "--for", "1h"]).code, 0);
    running.line(&of_host);
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    running.kill();

    let mut running = place.start();
    running.message("127.0.0.1 has limits by an operator for another");
    running.message("localhost is paused by an operator until it is resumed.");
    let status = place.status();
    assert_eq!(status["overrides"].as_array().map(Vec::len), Some(2), "{status:#}");
    running.line(&origin.url("/ok/2"));
    assert_eq!(running.record()["json"]["n"], 2, "other hosts go on");
    let status = place.wait_until(|status| status["lines"]["waiting"] == 1);
    assert_eq!(status["overrides"].as_array().unwrap().len(), 2, "{status:#}");
    assert_eq!(origin.requests().len(), 1, "the paused host gets no request");
    assert_eq!(place.ctl(["resume", "localhost"]).code, 0);
    assert_eq!(running.record()["json"]["n"], 1);
    let Ended { code, stderr, .. } = running.finish("");
    assert_eq!(code, Some(0));
    assert!(stderr.contains("127.0.0.1 has limits by an operator"), "the summary names what still holds: {stderr}");
    assert!(!fs::read_to_string(place.path("state/overrides.json")).unwrap().contains("localhost"));
}

#[test]
fn what_cannot_be_kept_does_not_hold() {
    let (place, origin) = (durable(), Origin::start());
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    // A directory where the file is to be: nothing can be written there.
    fs::create_dir(place.path("state/overrides.new")).unwrap();
    let said = place.ctl(["pause"]);
    assert!(said.code == 1 && said.err.contains("Nothing has changed, as it could not be saved"), "{said:?}");
    running.line(&origin.url("/ok/1"));
    assert_eq!(running.record()["outcome"], "ok");
    fs::remove_dir(place.path("state/overrides.new")).unwrap();
    assert_eq!(place.ctl(["pause"]).code, 0);
    running.line(&origin.url("/ok/2"));
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, origin.requests().len()), (Some(0), 1), "{ended:?}");
}

#[test]
fn a_file_of_overrides_that_is_damaged_ends_the_start() {
    let place = durable();
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/overrides.json"), "{").unwrap();
    let ended = place.fetchd().run("");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("overrides.json") && ended.stderr.contains("remove it to start without"),
        "{ended:?}"
    );
}

#[test]
fn without_a_data_directory_overrides_hold_until_the_end_and_that_is_said() {
    let place = Place::new();
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let said = place.ctl(["pause", "a.test"]);
    assert!(said.err.contains("this holds only until fetchd ends"), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_drain_that_would_cancel_paused_lines_needs_force() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    assert_eq!(place.ctl(["pause", "127.0.0.1"]).code, 0);
    running.line(&origin.url("/ok/1"));
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    let said = place.ctl(["drain"]);
    assert!(said.code == 1 && said.err.contains("1 line would be canceled"), "{said:?}");
    assert_eq!(place.status()["state"], "running");
    assert_eq!(place.ctl(["drain", "--force"]).code, 0);
    let ended = running.wait();
    assert_eq!((ended.code, ended.count("canceled")), (Some(4), 1), "{ended:?}");
}

#[test]
fn a_drain_finishes_what_is_on_the_wire() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let slow = vec![Step::Wait(std::time::Duration::from_millis(300)), send(ok_with("", b"ok"))];
    running.line(&origin.play("/slow", slow));
    origin.wait_for_requests(1);
    assert_eq!(place.ctl(["drain"]).code, 0);
    let ended = running.wait();
    assert_eq!((ended.code, ended.count("ok")), (Some(0), 1), "{ended:?}");
}

/// Gives one verb after the other until the run has ended.
fn verbs(place: &Place, seed: u64) -> usize {
    const VERBS: [&[&str]; 9] = [
        &["pause", "localhost", "--for", "100ms"],
        &["resume", "localhost"],
        &["pause", "--for", "50ms"],
        &["resume"],
        &["limits", "127.0.0.1", "--concurrency", "1", "--for", "100ms"],
        &["limits", "--all", "--rate", "3000/s", "--concurrency", "3"],
        &["limits", "--all", "--clear"],
        &["reload"],
        &["rotate"],
    ];
    let (mut random, mut given) = (fastrand::Rng::with_seed(seed), 0);
    while given < 40 {
        let said = place.ctl(VERBS[random.usize(..VERBS.len())].iter().copied());
        // 1: there was nothing to resume, or others were being carried out.
        assert!(matches!(said.code, 0 | 1), "{said:?}");
        given += 1;
    }
    given
}

#[test]
fn verbs_from_several_operators_under_load_lose_no_line_and_double_none() {
    const LINES: u64 = 6000;
    let (place, origin) = (durable(), Origin::start());
    let mut running: Running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let lines: String = (0..LINES).map(|n| urls(&origin, &format!("/ok/{n}\n"))[n as usize % 2].clone()).collect();
    let mut stdin = running.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        stdin.write_all(lines.as_bytes()).unwrap();
        stdin
    });
    std::thread::scope(|scope| {
        let operators: Vec<_> = (0..3)
            .map(|seed| {
                scope.spawn({
                    let place = &place;
                    move || verbs(place, seed)
                })
            })
            .collect();
        assert_eq!(operators.into_iter().map(|operator| operator.join().unwrap()).sum::<usize>(), 120);
    });
    for verb in [&["resume"][..], &["resume", "localhost"], &["limits", "--all", "--clear"]] {
        place.ctl(verb.iter().copied());
    }
    let mut seen: Vec<u64> = (0..LINES).map(|_| seq(&running.record())).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=LINES), "each line has one record");
    drop(writer.join().unwrap());
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{ended:?}");
}

#[test]
fn a_port_that_is_no_host_of_its_own_is_refused_and_the_name_of_one_that_is_holds_for_it() {
    let origin = Origin::start();
    let port = origin.address().port();
    let place = Place::with(&format!("[hosts.'127.0.0.1:{port}']\nconcurrency = 2\n"));
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    for verb in
        [vec!["pause", "127.0.0.1:1"], vec!["skip", "a.test:8080"], vec!["limits", "127.0.0.1:1", "--rate", "1/s"]]
    {
        let said = place.ctl(verb.iter().copied());
        assert!(said.code == 1 && said.err.contains("as one host"), "{said:?}");
    }
    assert_eq!(place.ctl(["pause", "127.0.0.1"]).code, 0);
    running.line(&origin.url("/ok/1"));
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    let why = place.ctl(["why", "127.0.0.1"]);
    assert!(why.out.contains("1 line of") && why.out.contains("pause"), "{why:?}");
    assert_eq!(place.ctl(["skip", "127.0.0.1"]).code, 0);
    assert_eq!(running.record()["error"]["kind"], "skipped");
    assert_eq!(running.finish("").code, Some(0));
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn an_address_of_ipv6_is_a_host_with_or_without_brackets() {
    let place = Place::new();
    let running = place.start();
    place.wait_until(|status| status["state"] == "running");
    for name in ["::1", "[::1]"] {
        let said = place.ctl(["pause", name]);
        assert!(said.code == 0 && said.out.contains("[::1] is paused"), "{said:?}");
    }
    running.kill();
}
