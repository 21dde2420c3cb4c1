//! `fetchd ctl`: exit codes, text for people, JSON for programs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use serde_json::Value;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::origin::Origin;
use crate::place::{Place, Said, ctl_at};

fn ctl<'a>(args: impl IntoIterator<Item = &'a str>) -> Said {
    Command::new(env!("CARGO_BIN_EXE_fetchd")).arg("ctl").args(args).output().unwrap().into()
}

#[test]
fn the_status_is_shown_to_people_and_to_programs() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    running.line(&origin.url("/ok/1"));
    running.line(&origin.url("/status/404"));
    running.record();
    running.record();
    place.wait_until(|status| status["lines"]["recorded"] == 2 && status["bottleneck"]["kind"] == "input");
    let said = place.ctl(["status"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for part in [
        "Running: 2 done",
        "Waiting for lines of the input.",
        "ready",
        "2 accepted · 2 recorded",
        "ok 1",
        "/status/404",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.lines().all(|line| line.trim_end() == line), "{}", said.out);
    let json = place.ctl(["status", "--json"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &value["lines"]["recorded"]), (0, &2.into()));
    let events = place.ctl(["events"]);
    assert!(events.code == 0 && events.out.contains("The run takes lines."), "{events:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_status_that_is_not_ready_is_exit_code_1() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    running.line(&origin.play("/", vec![crate::common::origin::Step::Stall]));
    origin.wait_for_requests(1);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    place.wait_until(|status| status["state"] == "draining");
    let said = place.ctl(["status"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("no, draining "), "{said:?}");
    running.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(running.wait().code, Some(130));
}

#[test]
fn where_nobody_listens_the_exit_code_is_69() {
    let place = Place::new();
    for args in [&["status"][..], &["status", "--json"], &["status", "--watch"], &["tail"], &["pause"]] {
        let said = place.ctl(args.iter().copied());
        assert_eq!((said.code, said.out.as_str()), (69, ""), "{said:?}");
        assert!(said.err.contains("no fetchd listens at"), "{said:?}");
    }
    fs::create_dir(place.path("api")).unwrap();
    drop(UnixListener::bind(place.socket()).unwrap());
    assert_eq!(place.ctl(["status"]).code, 69, "a stale socket");
    let silent = UnixListener::bind(place.path("silent.sock")).unwrap();
    std::thread::spawn(move || drop(silent.accept().unwrap()));
    let said = ctl_at(&place.path("silent.sock"), ["status"]);
    assert!(said.code == 69 && said.err.contains("fetchd did not respond at"), "{said:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let long = "s".repeat(200);
    for args in [
        &["--socket", long.as_str(), "status"][..],
        &["-c", "/no/such/file", "status"],
        &["status", "--no-such"],
        &["skip"],
        &["why"],
        &["limits", "--rate", "2/s"],
        &["limits", "--concurrency", "2"],
        &["limits", "--clear"],
        &["limits", "a.test", "--rate", "2"],
        &["limits", "a.test", "--all", "--rate", "2/s"],
        &["limits", "a.test", "--clear", "--rate", "2/s"],
        &["pause", "--for", "soon"],
        &[],
    ] {
        let said = ctl(args.iter().copied());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}: {said:?}");
        assert!(!said.err.is_empty());
    }
    let place = Place::new();
    let mut running = place.start();
    let said = place.ctl(["pause", "http://a.test/"]);
    assert!(said.code == 2 && said.err.contains("`host` is not the name of a host"), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn limits_without_a_host_are_those_of_the_run_and_say_how_to_see_those_of_a_host() {
    let place = Place::with("[limits]\nrate = '7/s'\n");
    let mut running = place.start();
    place.wait_until(|status| status["state"] == "running");
    let (bare, all) = (place.ctl(["limits"]), place.ctl(["limits", "--all"]));
    assert_eq!((bare.code, all.code), (0, 0), "{bare:?} {all:?}");
    assert!(all.out.starts_with("The limits of the run: rate 7/s by the configuration"), "{all:?}");
    assert_eq!(bare.out, format!("{}Those of a host: fetchd ctl limits HOST\n", all.out));
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn nothing_of_the_file_but_the_socket_matters() {
    let place = Place::new();
    let mut running = place.start();
    let file = place.path("broken.toml");
    let text =
        "[fetch]\ntimeot = 5\n[hosts.'a.test']\nheaders = { a = '${file:/no/such}', b = '${NO_SUCH_}' }\nnonsense\n";
    fs::write(&file, format!("{text}[api]\nsocket = {:?}\n", place.socket())).unwrap();
    let said = ctl(["-c", file.to_str().unwrap(), "events"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let said = ctl(["events", "-c", file.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    fs::write(&file, "[fetch]\n").unwrap();
    let said = ctl(["-c", file.to_str().unwrap(), "events"]);
    assert!(said.code == 2 && said.err.contains("has no api.socket"), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_tail_shows_records_and_ends_with_the_run() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
    command.arg("ctl").arg("--socket").arg(place.socket()).args(["tail", "--not-ok"]).stdout(Stdio::piped());
    let mut tail = command.spawn().unwrap();
    let (first, shown) = sync_channel(1);
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_line(&mut text).unwrap();
        first.send(()).unwrap();
        out.read_to_string(&mut text).unwrap();
        text
    });
    // Nothing says when it begins to watch.
    let begin = Instant::now();
    while shown.try_recv().is_err() {
        running.line(&origin.url("/ok/1"));
        running.line(&origin.url("/status/404"));
        running.record();
        running.record();
        assert!(begin.elapsed() < PATIENCE, "no record is shown");
    }
    assert_eq!(running.finish("").code, Some(0));
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    let text = reader.join().unwrap();
    assert!(text.contains("http_error") && text.contains("/status/404") && !text.contains("/ok/1"), "{text}");
}

#[test]
fn a_watch_ends_when_nobody_reads_it() {
    let place = Place::new();
    let mut running = place.start();
    let script = "\"$0\" ctl --socket \"$1\" status --watch | head -n 1";
    let output =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_fetchd")]).arg(place.socket()).output().unwrap();
    let said = Said::from(output);
    assert!(said.out.contains(" done · "), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}
