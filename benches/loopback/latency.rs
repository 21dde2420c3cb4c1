//! One line into an idle daemon: how long until its record is there, beyond the server's own time?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::table::ROUNDS;
use crate::{Spread, say};

const LINES: usize = 2_000;

/// Microseconds that a line may take beyond the server's own time, in the middle.
const MOST_MICROS: f64 = 1000.0;

/// Prints the distribution of both, in rounds in turn, and asserts the difference of their medians: about a quarter of
/// what it may be.
pub fn latency(origin: SocketAddr) {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| [server_alone(origin), through_fetchd(origin)]).collect();
    let micros =
        |which: usize, share| Spread::of(rounds.iter().map(|round| at(&round[which], share).as_micros() as f64));
    say("| µs | p50 | p90 | p99 |\n|---|---|---|---|");
    for (which, name) in ["the server alone", "a line through fetchd"].into_iter().enumerate() {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| micros(which, share).shown(0));
        say(&format!("| {name} | {p50} | {p90} | {p99} |"));
    }
    say("");
    let beyond = micros(1, 0.5).median - micros(0, 0.5).median;
    assert!(beyond <= MOST_MICROS, "a line takes {beyond} µs more than the server, and may take {MOST_MICROS}");
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
