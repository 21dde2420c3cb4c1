//! One line into an idle daemon: how long until its record is there, beyond the server's own time?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::say;

const LINES: usize = 2_000;

/// What a line may take beyond the server's own time, in the middle.
const MOST: Duration = Duration::from_millis(1);

/// Prints the distribution of both, and asserts the difference of their medians: about a quarter of what it may be.
pub fn latency(origin: SocketAddr) {
    let (server, line) = (server_alone(origin), through_fetchd(origin));
    say("| | p50 | p90 | p99 |\n|---|---|---|---|");
    for (name, times) in [("the server alone", &server), ("a line through fetchd", &line)] {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| at(times, share).as_micros());
        say(&format!("| {name} | {p50} µs | {p90} µs | {p99} µs |"));
    }
    say("");
    let beyond = at(&line, 0.5).saturating_sub(at(&server, 0.5));
    assert!(beyond <= MOST, "a line takes {beyond:?} more than the server, and may take {MOST:?}");
}

/// The time that this share of them does not exceed.
fn at(times: &[Duration], share: f64) -> Duration {
    times[((times.len() - 1) as f64 * share) as usize]
}

fn server_alone(origin: SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(origin).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = [0; 4096];
    timed(|| {
        stream.write_all(b"GET /item/1 HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
        let n = stream.read(&mut buffer).expect("an answer");
        assert!(n > 713);
    })
}

fn through_fetchd(origin: SocketAddr) -> Vec<Duration> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["-q", "--allow", "127.0.0.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fetchd starts");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut record = String::new();
    let times = timed(|| {
        writeln!(input, "http://{origin}/item/1").expect("it reads");
        record.clear();
        output.read_line(&mut record).expect("a record");
        assert!(record.contains("\"ok\""), "{record}");
    });
    drop(input);
    assert!(child.wait().expect("it ends").success());
    times
}

/// The times of many calls, in order.
fn timed(mut call: impl FnMut()) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..LINES)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    times
}
