//! Hosts that cannot be reached: their lines wait, one request a cool-down asks whether they are back, and nobody else
//! notices.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::common::fetchd::{Fetchd, kind, seq};
use crate::common::origin::{Origin, Request, Step, refusing_address};
use crate::scenario::{fate, provoke};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

const COOL_DOWN: Duration = Duration::from_millis(200);

/// Lines wait for less than two seconds, with a handful of probes.
const SHORT: &str = "health = { cool_down = '200ms', give_up = '1500ms' }\n";

/// Lines wait for longer than any test takes.
const PATIENT: &str = "health = { cool_down = '200ms', give_up = '1h' }\n";

/// Attempts that may be made until five have failed: those under way at once, and one more for each that failed.
const UNTIL_OPEN: usize = 8 + 4;

/// A server that plays this on every connection, after it has taken a request in.
fn dead_by(ending: Step) -> Origin {
    let origin = Origin::start_at([127, 0, 0, 5]);
    origin.on_accept([vec![Step::Read, ending]]);
    origin
}

/// So many lines for the server at this address.
fn lines(address: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("http://{address}/ok/{n}")).collect()
}

fn text(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}

fn attempts(records: &[Value]) -> usize {
    records.iter().map(|record| fate(record).2 as usize).sum()
}

/// Requests that came once the circuit must have been open: one at a time, a cool-down apart.
#[track_caller]
fn assert_probes(requests: &[Request]) {
    for pair in requests[requests.len().min(UNTIL_OPEN)..].windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap + TICK >= COOL_DOWN, "{gap:?} between two probes");
    }
}

#[track_caller]
fn assert_given_up(records: &[Value], last_error: &str) {
    for record in records {
        let (outcome, why, _) = fate(record);
        assert_eq!((outcome, why), ("failed", "circuit_open"), "{record:#}");
        let message = record["error"]["message"].as_str().unwrap();
        let expected = format!("; the last error was {last_error}: ");
        assert!(message.contains(" of the host could not be reached for ") && message.contains(&expected), "{message}");
    }
}

#[test]
fn lines_of_a_dead_host_wait_for_it_and_it_is_asked_little() {
    const LINES: usize = 200;
    for (ending, last_error) in [(Step::Reset, "reset"), (Step::Stall, "timeout")] {
        let origin = dead_by(ending);
        let fetchd = Fetchd::with(["--timeout", "400ms"]).config(SHORT);
        let records = provoke(fetchd, lines(&origin.authority(), LINES));
        assert_given_up(&records, last_error);
        let requests = origin.requests();
        let sent = attempts(&records);
        assert!(requests.len() <= sent && sent <= LINES / 10, "{} of {sent} requests came", requests.len());
        assert_probes(&requests);
    }
}

#[test]
fn lines_of_a_host_that_refuses_connections_wait_for_it() {
    let records = provoke(Fetchd::local().config(SHORT), lines(&refusing_address().to_string(), 200));
    assert_given_up(&records, "connect_refused");
    assert!(attempts(&records) <= 200 / 10, "{} attempts", attempts(&records));
}

/// A server that is down: its port is taken, and nobody listens there.
struct Down(Socket, SocketAddr);

impl Down {
    fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 5], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self(socket, address)
    }

    /// It comes up.
    fn up(self) -> Origin {
        self.0.listen(128).unwrap();
        Origin::start_on(TcpListener::from(self.0))
    }
}

#[test]
fn a_host_that_comes_back_in_time_loses_no_line() {
    let down = Down::start();
    let mut fetchd = Fetchd::with(["--progress", "always"]).config(PATIENT).start();
    let _producer = fetchd.write_all(text(&lines(&down.1.to_string(), 300)).into());
    fetchd.message("wait for health.give_up, at most");
    let origin = down.up();
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len(), ended.count("ok")), (Some(0), 300, 300), "{}", ended.stderr);
    assert_eq!(origin.requests().len(), 300);
}

#[test]
fn other_hosts_go_on_while_lines_wait_for_a_dead_one_and_a_signal_ends_the_waiting() {
    let (dead, healthy) = (dead_by(Step::Reset), Origin::start());
    let mut fetchd = Fetchd::local().config(&format!("{PATIENT}shutdown.grace = '500ms'\n")).start();
    for n in 0..200 {
        fetchd.line(&dead.url(&format!("/{n}")));
        fetchd.line(&healthy.url(&format!("/ok/{n}")));
    }
    for _ in 0..200 {
        let record = fetchd.record();
        assert_eq!(fate(&record), ("ok", "", 1), "{record:#}");
    }
    dead.wait_for_requests(8);
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len(), ended.count("canceled")), (Some(4), 200, 200), "{}", ended.stderr);
    assert_probes(&dead.requests());
}

#[test]
fn after_giving_up_lines_fail_at_once_and_probing_goes_on_until_the_host_is_back() {
    let origin = dead_by(Step::Reset);
    origin.on_accept([vec![vec![Step::Read, Step::Reset]; 25], vec![vec![Step::Serve]]].concat());
    let config = "health = { cool_down = '200ms', give_up = '1s' }\nretry.retries = 30\n";
    let mut fetchd = Fetchd::local().config(config).start();
    for line in lines(&origin.authority(), 10) {
        fetchd.line(&line);
    }
    assert_given_up(&(0..10).map(|_| fetchd.record()).collect::<Vec<_>>(), "reset");
    let back = (0..100_000).map(|n| {
        fetchd.line(&origin.url(&format!("/ok/{n}")));
        fetchd.record()
    });
    let failed: Vec<_> = back.take_while(|record| record["outcome"] != "ok").collect();
    assert_given_up(&failed, "reset");
    let requests = origin.requests();
    assert_eq!(requests.len(), 26);
    assert_probes(&requests);
    let ended = fetchd.finish(text(&lines(&origin.authority(), 100)));
    assert_eq!((ended.code, ended.count("ok")), (Some(0), 100), "{}", ended.stderr);
}

#[test]
fn switched_off_every_line_makes_all_its_attempts() {
    let origin = dead_by(Step::Reset);
    let config = "health.enabled = false\nretry = { backoff = '1ms', budget = 'unlimited' }\n";
    let records = provoke(Fetchd::local().config(config), lines(&origin.authority(), 50));
    assert!(records.iter().all(|record| fate(record) == ("failed", "reset", 3)), "{records:#?}");
    assert_eq!(origin.requests().len(), 150);
}

#[test]
fn in_order_the_lines_after_those_of_a_dead_host_come_after_them() {
    let (dead, healthy) = (dead_by(Step::Reset), Origin::start());
    let input: Vec<_> =
        (0..100).map(|n| if n % 4 == 0 { dead.url("/") } else { healthy.url(&format!("/ok/{n}")) }).collect();
    let ended = Fetchd::with(["--ordered"]).config(SHORT).run(text(&input));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.records.iter().map(seq).eq(1..=100));
    let (dead, others): (Vec<_>, Vec<_>) = ended.records.into_iter().partition(|record| seq(record) % 4 == 1);
    assert_given_up(&dead, "reset");
    assert!(others.iter().all(|record| fate(record) == ("ok", "", 1)));
}

#[test]
fn a_host_given_up_is_a_failure_that_fail_fast_ends_the_run_for() {
    let (dead, hung) = (dead_by(Step::Reset), Origin::start());
    let input = [lines(&dead.authority(), 20), vec![hung.url("/hang"); 3]].concat();
    let mut fetchd = Fetchd::with(["--fail-fast"]).config(SHORT).start();
    for line in &input {
        fetchd.line(line);
    }
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(3), 23), "{}", ended.stderr);
    assert_eq!(kind(&ended.records[0]), "circuit_open");
    let canceled = ended.records.iter().filter(|record| record["input"] == hung.url("/hang"));
    assert!(canceled.map(kind).eq(["canceled"; 3]));
}

#[test]
fn the_summary_names_the_host_that_was_waited_for() {
    let origin = dead_by(Step::Reset);
    let ended = Fetchd::local().config(SHORT).run(text(&lines(&origin.authority(), 50)));
    let port = origin.address().port();
    let limited_by = format!("limited by port {port} of 127.0.0.5, which cannot be reached (health)");
    assert_eq!(ended.summary()["limited_by"], limited_by);
}
