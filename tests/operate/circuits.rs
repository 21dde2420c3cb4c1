//! Hosts and robots.txt files that cannot be reached, and can be again: events and log lines.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use crate::common::fetchd::kind;
use crate::common::origin::{Origin, ok_with, send};
use crate::place::Place;

/// A port that refuses connections for as long as nobody listens there.
struct Refusing(TcpSocket);

impl Refusing {
    fn at(ip: Ipv4Addr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ip, 0))).unwrap();
        Self(socket)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// From now on a server listens there.
    fn comes_back(self) -> Origin {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(async { self.0.listen(64).unwrap().into_std().unwrap() });
        Origin::start_on(listener)
    }
}

/// The messages of the events on circuits.
fn events(place: &Place) -> Vec<String> {
    events_of(place, "circuit")
}

/// The messages of the events of this kind.
fn events_of(place: &Place, kind: &str) -> Vec<String> {
    let events = place.get("/v1/events").json();
    let of_kind = |event: &&Value| event["kind"] == kind;
    let message = |event: &Value| event["message"].as_str().unwrap().to_owned();
    events["events"].as_array().unwrap().iter().filter(of_kind).map(message).collect()
}

#[test]
fn a_circuit_that_opens_and_closes_is_two_events_and_two_log_lines() {
    let refusing = Refusing::at(Ipv4Addr::LOCALHOST);
    let port = refusing.port();
    let place = Place::with("[health]\nfailures = 2\ncool_down = '50ms'\n[retry]\nbackoff = '20ms'\n");
    let mut running = place.start();
    running.line(&format!("http://127.0.0.1:{port}/ok/1"));
    let opened = format!("127.0.0.1: the circuit of port {port} is open (connect_refused)");
    let log = running.message("is open");
    assert!(log.contains("\"WARN\"") && log.contains(&opened), "{log}");
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!((&log["event"], &log["host"]), (&json!("circuit_open"), &json!("127.0.0.1")), "{log:#}");
    assert_eq!((&log["port"], &log["kind"]), (&json!(port), &json!("connect_refused")), "{log:#}");
    assert!(matches!(&events(&place)[..], [event] if event.starts_with(&opened)), "{:?}", events(&place));
    let _origin = refusing.comes_back();
    assert_eq!(running.record()["outcome"], "ok");
    let log = running.message("is closed");
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!((&log["event"], &log["level"]), (&json!("circuit_closed"), &json!("INFO")), "{log:#}");
    assert_eq!((&log["host"], &log["port"]), (&json!("127.0.0.1"), &json!(port)), "{log:#}");
    let all = events(&place);
    let closed = format!("127.0.0.1: the circuit of port {port} is closed after ");
    assert!(all.len() == 2 && all[0].starts_with(&opened) && all[1].starts_with(&closed), "{all:?}");
    let said = place.ctl(["events"]);
    assert!(said.out.contains(&opened) && said.out.contains(&closed), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn circuits_that_open_in_a_row_are_five_log_lines_and_a_summary() {
    let refusing = Refusing::at(Ipv4Addr::UNSPECIFIED);
    let tables = "[health]\nfailures = 1\ngive_up = '0s'\n[retry]\nretries = 0\n";
    let lines: String = (1..=17).map(|n| format!("http://127.0.0.{n}:{}/\n", refusing.port())).collect();
    let ended = Place::with(tables).fetchd().run(lines);
    assert_eq!(ended.records.len(), 17);
    assert!(ended.records.iter().all(|record| kind(record) == "connect_refused"), "{ended:?}");
    let written = ended.stderr.lines().filter(|line| line.contains("is open (connect_refused)")).count();
    assert_eq!(written, 5, "{}", ended.stderr);
    let summary = ended.stderr.lines().find(|line| line.contains("more like this"));
    assert!(summary.is_some_and(|line| line.contains("12 more like this in ")), "{}", ended.stderr);
    assert!(summary.is_some_and(|line| line.contains(": circuit_open, 12 hosts")), "{}", ended.stderr);
}

#[test]
fn lines_that_waited_for_a_dead_port_in_vain_are_an_event_and_nobody_says_that_it_is_back() {
    let refusing = Refusing::at(Ipv4Addr::LOCALHOST);
    let place = Place::with(
        "[health]\nfailures = 1\ncool_down = '1h'\ngive_up = '2s'\n[retry]\nretries = 0\n[hosts.'*']\nconcurrency = 1\n",
    );
    let mut running = place.start();
    (0..4).for_each(|n| running.line(&format!("http://127.0.0.1:{}/{n}", refusing.port())));
    let kinds: Vec<_> = (0..4).map(|_| kind(&running.record()).to_owned()).collect();
    let in_vain = kinds.iter().filter(|kind| *kind == "circuit_open").count();
    let log = running.message("circuit_gave_up");
    let port = refusing.port();
    let lines = format!("127.0.0.1: port {port} stayed unreachable, and {in_vain} line");
    assert!(log.contains(&lines), "{log}");
    let all = events(&place);
    assert_eq!(in_vain, 3, "{kinds:?}");
    assert!(all.len() == 2 && all[0].contains("is open") && all[1].starts_with(&lines), "{all:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_robots_txt_that_becomes_unavailable_and_is_fetched_again_is_two_events_and_two_log_lines() {
    let origin = Origin::start();
    let failure = vec![send("HTTP/1.1 503 Scripted\r\ncontent-length: 0\r\n\r\n")];
    origin.play_in_turn("/robots.txt", [failure, vec![send(ok_with("", b""))]]);
    let place = Place::with("[robots]\nenabled = true\n[health]\ncool_down = '50ms'\n[retry]\nretries = 0\n");
    let mut running = place.start();
    running.line(&origin.url("/ok/1"));
    let site = origin.url("");
    let unavailable = format!("{site}/robots.txt cannot be fetched (");
    let log: Value = serde_json::from_str(&running.message("cannot be fetched")).unwrap();
    assert_eq!((&log["event"], &log["level"]), (&json!("robots_unavailable"), &json!("WARN")), "{log:#}");
    assert_eq!(log["host"], site.strip_prefix("http://").unwrap(), "{log:#}");
    assert_eq!(running.record()["outcome"], "ok");
    let log: Value = serde_json::from_str(&running.message("was fetched again")).unwrap();
    assert_eq!((&log["event"], &log["level"]), (&json!("robots_fetched"), &json!("INFO")), "{log:#}");
    let all = events_of(&place, "robots");
    let fetched = format!("{site}/robots.txt was fetched again after ");
    assert!(all.len() == 2 && all[0].starts_with(&unavailable) && all[1].starts_with(&fetched), "{all:?}");
    assert!(all[0].contains("503") && all[0].contains("health.cool_down"), "{all:?}");
    assert_eq!(running.finish("").code, Some(0));
}
