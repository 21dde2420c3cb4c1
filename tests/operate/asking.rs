//! What an operator who is new to a run asks, and is told.

use std::fs;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::origin::{Origin, Step};
use crate::place::{Place, ctl_at};

/// A run that remembers its lines, which come from stdin.
fn durable() -> Place {
    Place::with("[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n")
}

#[test]
fn a_line_is_recorded_or_unread_also_after_a_restart_and_its_source_need_not_be_named() {
    let (place, origin) = (durable(), Origin::start());
    let mut running = place.start();
    (1..=3).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    (1..=3).for_each(|_| drop(running.record()));
    place.wait_until(|status| status["lines"]["recorded"] == 3);
    let place_of = |seq: &str| place.ctl(["why", "--seq", seq, "--json"]);
    let named = |said: &str| serde_json::from_str::<Value>(said).unwrap()["place"].clone();
    assert_eq!((named(&place_of("3").out), named(&place_of("4").out)), (json!("recorded"), json!("unread")));
    assert_eq!(running.finish("").code, Some(0));

    let mut running = place.start();
    let status = place.wait_until(|status| status["state"] == "running");
    assert_eq!((&status["sources"][0]["accepted"], &status["sources"][0]["done_before"]), (&json!(0), &json!(3)));
    assert_eq!((named(&place_of("3").out), named(&place_of("4").out)), (json!("recorded"), json!("unread")));
    let status = place.ctl(["status"]);
    assert!(status.out.contains("urls 0 in this run, 3 done before"), "{}", status.out);
    let headline = status.out.lines().next().unwrap();
    assert!(headline.ends_with(" · 3 done before."), "{headline}");
    let misspelt = place.ctl(["why", "--source", "url", "--seq", "3"]);
    assert!(misspelt.code == 2 && misspelt.err.contains("there is no source \"url\"; there is: urls"), "{misspelt:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn the_last_sentence_of_a_run_without_an_end_is_of_the_lines_that_wait() {
    let (place, origin) = (Place::with("[hosts.'*']\nrate = '1/10s'\n"), Origin::start());
    let mut running = place.start();
    (0..4).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    running.record();
    let status = place.wait_until(|status| {
        status["lines"]["waiting"] == 3 && status["done_when"].as_str().is_some_and(|said| said.contains("3 lines"))
    });
    let said = status["done_when"].as_str().unwrap();
    assert!(said.starts_with("The input has no end; the lines in the window take about "), "{said}");
    assert!(said.ends_with("(127.0.0.1: 3 lines at 0.1/s)."), "{said}");
    assert_eq!((&status["eta"], &status["backlog"]["host"]), (&Value::Null, &json!("127.0.0.1")));
    let why = place.ctl(["why", "127.0.0.1"]);
    for part in ["the rate of its host, one every 10.0 s: 3 lines take ", "fetchd ctl limits 127.0.0.1 --rate N/s, or "]
    {
        assert!(why.out.contains(part), "{part}: {}", why.out);
    }
    let authority = origin.url("/").replace("http://", "").replace('/', "");
    let with_port = place.ctl(["why", authority.as_str()]);
    assert!(with_port.out.contains("The run tracks this host as 127.0.0.1. 3 lines"), "{with_port:?}");
    let limits = place.ctl(["limits", "127.0.0.1"]);
    assert!(limits.out.contains("one request every 10.0 s by the configuration, and concurrency"), "{limits:?}");
    running.kill();
}

#[test]
fn each_limit_keeps_its_own_end_and_the_reply_has_both() {
    let place = durable();
    let running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let first = place.ctl(["limits", "a.test", "--concurrency", "2", "--for", "10m"]);
    assert!(
        first.out.contains("The limits of a.test are concurrency 2 for 10m, then those of the configuration."),
        "{first:?}"
    );
    assert!(first.err.contains("No line of a.test waits now."), "{first:?}");
    let second = place.ctl(["limits", "a.test", "--rate", "5/s"]);
    assert!(second.out.contains("are rate 5/s until they are cleared, and concurrency 2 for "), "{second:?}");
    running.kill();

    let mut running = place.start();
    running.message("a.test has limits by an operator until they are cleared: rate 5/s.");
    running.message("concurrency 2.");
    let status = place.wait_until(|status| status["overrides"].as_array().is_some_and(|all| all.len() == 2));
    assert_eq!((&status["overrides"][0]["rate"], &status["overrides"][1]["concurrency"]), (&json!("5/s"), &json!(2)));
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_paused_host_without_lines_is_found_by_name_by_state_and_by_metrics() {
    let place = Place::new();
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    assert_eq!(place.ctl(["pause", "a.test"]).code, 0);
    let why = place.ctl(["why", "a.test"]);
    assert!(
        why.out.contains("a.test has no waiting line. a.test is paused by an operator until it is resumed."),
        "{why:?}"
    );
    assert!(why.out.contains("fetchd ctl resume a.test"), "{why:?}");
    let hosts = place.ctl(["hosts", "--state", "paused"]);
    assert!(hosts.out.contains("a.test"), "{hosts:?}");
    assert_eq!(place.ctl(["hosts"]).out, "No host has lines now.\n");
    let metrics = place.get("/metrics").text;
    assert!(
        metrics.contains("fetchd_overrides{kind=\"pause\"} 1") && metrics.contains("{kind=\"skip\"} 0"),
        "{metrics}"
    );
    let resume = place.ctl(["resume"]);
    assert!(resume.code == 1 && resume.err.contains("paused hosts: a.test (fetchd ctl resume HOST)"), "{resume:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_report_of_several_lines_is_shown_in_several_lines_and_its_first_problem_in_the_status() {
    let mut place = Place::new();
    let running = place.start();
    place.wait_until(|status| status["state"] == "running");
    place.write("nonsense = 1\n");
    let reload = place.ctl(["reload"]);
    assert_eq!((reload.code, reload.err.contains("\\n")), (1, false), "{reload:?}");
    assert!(reload.err.lines().count() > 2, "{reload:?}");
    let status = place.ctl(["status"]);
    let line = status.out.lines().find(|line| line.starts_with("configuration")).unwrap();
    let said = "Nothing changed, because the configuration is wrong: error: unknown table `nonsense`; ";
    assert!(line.contains(said) && line.ends_with(" …"), "{line}");
    running.kill();
}

#[test]
fn failures_are_told_apart_by_their_status() {
    let (place, origin) = (Place::with("[retry]\nretries = 0\n"), Origin::start());
    let mut running = place.start();
    for path in ["/status/500", "/status/401"] {
        running.line(&origin.url(path));
        running.record();
    }
    place.wait_until(|status| status["failures"].as_array().is_some_and(|all| all.len() == 2));
    let status = place.ctl(["status"]).out;
    assert!(status.contains("http_status 500") && status.contains("http_status 401"), "{status}");
    // A host is tracked for as long as it has lines.
    running.line(&origin.url("/hang/1"));
    origin.wait_for_requests(3);
    let hosts = place.ctl(["hosts", "--sort", "errors"]).out;
    assert!(hosts.contains("last error"), "{hosts}");
    running.kill();
}

#[test]
fn what_cannot_be_written_and_what_is_no_fetchd_is_exit_code_1() {
    let place = Place::new();
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut ctl = Command::new(env!("CARGO_BIN_EXE_fetchd"));
    let ended = ctl.arg("ctl").arg("--socket").arg(place.socket()).arg("status").stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot write to standard output"), "{ended:?}");
    assert_eq!(running.finish("").code, Some(0));
    let foreign = UnixListener::bind(place.path("foreign.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in foreign.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            // Whoever closes with bytes unread resets the connection.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    for args in [&["pause"][..], &["status"], &["hosts"], &["events", "--json"]] {
        let said = ctl_at(&place.path("foreign.sock"), args.iter().copied());
        assert!(said.code == 1 && said.out.is_empty() && said.err.contains("is no fetchd"), "{said:?}");
    }
    fs::write(place.path("file"), "").unwrap();
    let said = ctl_at(&place.path("file"), ["status"]);
    assert!(said.code == 2 && said.err.contains("is no socket"), "{said:?}");
}

#[test]
fn what_is_meant_for_a_run_is_said_with_its_command() {
    let said = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (args, part) in [
        (&["reload"][..], "write: fetchd ctl reload"),
        (&["status"], "write: fetchd ctl status"),
        (&["stop"], "write: fetchd ctl drain"),
        (&["ctl", "stop"], "to stop the run, write: fetchd ctl drain"),
        (&["ctl", "why"], "<HOST|--seq <N>>"),
        (&["ctl", "why", "4"], "a number is no host; for a line, write: fetchd ctl why --seq 4"),
    ] {
        assert!(said(args).contains(part), "{args:?}: {}", said(args));
    }
}

#[test]
fn a_rotation_without_a_file_says_so_and_a_body_that_is_too_long_is_refused_at_once() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    running.line(&origin.play("/", vec![Step::Stall]));
    place.wait_until(|status| status["state"] == "running");
    assert!(place.ctl(["rotate"]).out.contains("No output of the run is a file"));
    let head =
        "POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999999999999\r\nconnection: close\r\n\r\n";
    assert_eq!(place.send(head.as_bytes()).unwrap().status, 413);
    running.kill();
}

#[test]
fn a_line_of_the_only_file_needs_no_name_of_the_file() {
    let origin = Origin::start();
    let mut place = Place::new();
    let list = place.path("urls.txt");
    let lines: String = (0..3).map(|n| origin.url(&format!("/ok/{n}")) + "\n").collect();
    fs::write(&list, lines).unwrap();
    place.tables = format!(
        "[source.urls.file]\npaths = [{list:?}]\n[sink.out.stdout]\n[state]\ndata_dir = {:?}\n[hosts.'*']\nrate = '1/h'\n",
        place.path("state")
    );
    let running = place.start();
    place.wait_until(|status| status["lines"]["waiting"] == 2);
    for file in [String::new(), format!("&file={}", list.display())] {
        let why = place.get(&format!("/v1/why?seq=3{file}")).json();
        assert_eq!(why["place"], "waiting", "{why:#}");
    }
    assert_eq!(place.get("/v1/why?seq=9").json()["place"], "unread");
    running.kill();
}
