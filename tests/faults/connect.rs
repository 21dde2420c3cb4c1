//! Connections that do not come to be, or do not last, and TLS that fails.
//!
//! Reservation elsewhere: names in `tests/daemon/names.rs` and `tests/daemon/look_ups.rs`, and in `tests/daemon/tls.rs` what each failed
//! handshake says and which of them are tried again.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::common::certs::{Identity, self_signed};
use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, Script, Step, ok_with, refusing_address, send};
use crate::scenario::{Fate, Trust, fates, fetchd, provoke, seen};

/// The fate of a line that failed at every one of its three attempts.
fn thrice(why: &str) -> Fate<'_> {
    ("failed", why, 3)
}

/// The fate of a line that failed and is not tried again.
fn once(why: &str) -> Fate<'_> {
    ("failed", why, 1)
}

fn post(url: &str) -> String {
    json!({ "url": url, "method": "POST", "body": "once" }).to_string()
}

#[test]
fn a_refused_connection_is_tried_again_whatever_the_method() {
    let url = format!("http://{}/", refusing_address());
    let records = provoke(fetchd([], ""), [url.clone(), post(&url)]);
    assert_eq!(fates(&records), [thrice("connect_refused"); 2]);
}

#[test]
fn an_unreachable_address_is_tried_again_whatever_the_method() {
    // A broadcast address, to which no packet of TCP is ever sent.
    let url = "http://127.255.255.255/";
    let records = provoke(fetchd([], ""), [url.to_owned(), post(url)]);
    assert_eq!(fates(&records), [thrice("connect_failed"); 2]);
}

/// A listener whose queue is full: the system answers no further connection.
struct Full {
    address: SocketAddr,
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl Full {
    fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 4], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self { address, _listener: listener, _queue: queue }
    }
}

#[test]
fn a_connection_that_nobody_answers_is_given_up_on_time_and_tried_again() {
    let full = Full::start();
    let url = format!("http://{}/", full.address);
    let records = provoke(fetchd(["--connect-timeout", "500ms"], ""), [url.clone(), post(&url)]);
    assert_eq!(fates(&records), [thrice("connect_timeout"); 2]);
    for record in &records {
        let elapsed = record["elapsed_ms"].as_f64().unwrap();
        assert!((1_500.0..10_000.0).contains(&elapsed), "{record:#}");
    }
}

#[test]
fn a_server_that_falls_silent_at_any_point_is_given_up_and_asked_again() {
    let origin = Origin::start();
    let (head, body) = ("HTTP/1.1 200 OK\r\nconte", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha");
    let urls = [
        origin.play("/", [Step::Stall]),
        origin.play("/head", [send(head), Step::Stall]),
        origin.play("/body", [send(body), Step::Stall]),
    ];
    let records = provoke(fetchd(["--timeout", "500ms"], "fetch.speed_time = '500ms'\n"), urls);
    assert_eq!(fates(&records), [thrice("timeout"); 3]);
    assert_eq!(seen(&origin), (9, 9));
}

#[test]
fn a_server_that_was_stopped_is_given_up_and_asked_again() {
    // The system still connects and takes bytes in for a process that does not run.
    let listener = TcpListener::bind("127.0.0.4:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let records = provoke(fetchd(["--timeout", "500ms"], ""), [url.clone(), post(&url)]);
    assert_eq!(fates(&records), [thrice("timeout"), once("timeout")]);
}

#[test]
fn hung_servers_hold_up_no_other_host() {
    let (hung, healthy) = (Origin::start_at([127, 0, 0, 4]), Origin::start());
    let mut fetchd = Fetchd::local().start();
    for n in 0..100 {
        fetchd.line(&hung.url(&format!("/hang?{n}")));
    }
    hung.wait_for_requests(8);
    for n in 0..100 {
        fetchd.line(&healthy.url(&format!("/ok/{n}")));
        assert_eq!(fetchd.record()["json"], json!({ "n": n }));
    }
    assert_eq!(hung.requests().len(), 8);
}

#[test]
fn a_connection_that_ends_before_the_answer_is_reset_and_only_what_may_be_repeated_is() {
    let origin = Origin::start();
    let head = || send("HTTP/1.1 200 OK\r\nconte");
    let urls = [
        origin.url("/reset"),
        origin.url("/close"),
        origin.play("/head/reset", [head(), Step::Reset]),
        origin.play("/head/close", [head(), Step::Close]),
    ];
    let records = provoke(fetchd([], ""), urls.iter().cloned().chain(urls.iter().map(|url| post(url))));
    assert_eq!(fates(&records)[..4], [thrice("reset"); 4]);
    assert_eq!(fates(&records)[4..], [once("reset"); 4]);
    assert_eq!(seen(&origin), (16, 16));
}

#[test]
fn a_connection_that_ends_as_soon_as_it_is_made_is_tried_again() {
    let origin = Origin::start();
    for end in [Step::Reset, Step::Close] {
        origin.on_accept([vec![end]]);
        let records = provoke(fetchd([], ""), [origin.url("/")]);
        // The end may be there before the client knows that there is a connection.
        let fate = fates(&records)[0];
        assert!([thrice("reset"), thrice("connect_failed")].contains(&fate), "{fate:?}");
    }
    assert_eq!(seen(&origin), (0, 6));
}

/// Two lines one after the other, the second when the first one's connection is back in the client's pool and the origin
/// has done `before` it.
fn one_after_the_other(origin: &Origin, second: &str, before: impl Fn()) -> Vec<serde_json::Value> {
    let elsewhere = Origin::start_at([127, 0, 0, 99]);
    let mut running = fetchd([], "").start();
    let first = [origin.url("/ok/1"), elsewhere.url("/ok/1")].map(|url| {
        running.line(&url);
        running.record()
    });
    before();
    running.line(second);
    vec![first[0].clone(), running.record()]
}

#[test]
fn a_connection_that_was_closed_while_idle_is_replaced_without_a_word() {
    let answer_and_close = |origin: &Origin| {
        origin.on_accept([vec![Step::Read, send(ok_with("", b"first")), Step::Close], vec![Step::Serve]]);
    };
    for line in [|url: &str| url.to_owned(), post] {
        let origin = Origin::start();
        answer_and_close(&origin);
        let records = one_after_the_other(&origin, &line(&origin.url("/ok/2")), || origin.wait_for_closes(1));
        assert_eq!(fates(&records), [("ok", "", 1); 2]);
        assert_eq!(seen(&origin), (2, 2));
    }
}

#[test]
fn a_handshake_that_fails_is_nobody_elses_affair() {
    let trust = Trust::new();
    let with = |identity: &Identity| Origin::start_tls([127, 0, 0, 1], identity.server());
    let playing = |script: Script| {
        let origin = Origin::start();
        origin.on_accept([script]);
        origin
    };
    let origins = [
        with(&trust.authority.expired(&["127.0.0.1"])),
        with(&trust.authority.identity(&["elsewhere.test"])),
        with(&self_signed(&["127.0.0.1"])),
        playing(vec![send("garbage, garbage, garbage"), Step::Stall]),
        playing(vec![send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), Step::Stall]),
        playing(vec![Step::Stall]),
    ];
    let urls = origins.iter().map(|origin| origin.url("/").replace("http:", "https:"));
    let records = provoke(fetchd(["--connect-timeout", "1s"], &trust.config), urls);
    assert_eq!(fates(&records)[..5], [once("tls_failed"); 5]);
    assert_eq!(fates(&records)[5], thrice("connect_timeout"));
    assert_eq!(origins.each_ref().map(seen), [(0, 1), (0, 1), (0, 1), (0, 1), (0, 1), (0, 3)]);
}
