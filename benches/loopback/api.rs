//! What a run loses by its API: throughput and CPU without one, with one that nobody asks, and with one that is abused. Runs go in
//! turn, and what counts is the ratio to the run without an API in the same round.
//!
//! A run ends with its last record: afterwards the API still waits for clients that do not read their last answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use tokio::time::Instant;

use crate::run::cpu_seconds;
use crate::table::ROUNDS;
use crate::{CONNECTIONS, Spread, command, list, say};

/// Of the throughput without an API, so much must be left under abuse. The contract is 0.95; the clients that abuse it take
/// some of this machine's two cores themselves.
const LEAST: f64 = 0.90;

/// All threads but the API's own may take so much more CPU under abuse. Pairs of runs differ by a tenth where others use the
/// same caches, so this is far from what is measured in quiet (README.md).
const MOST_CPU: f64 = 1.15;

/// Of a core, the API's own thread may have so much, and this time at once (`src/ops/throttle.rs`); beyond it are the samples
/// that it takes.
const SHARE: f64 = 0.05;
const BURST: f64 = 0.06;

/// What the API is exposed to.
#[derive(Clone, Copy, PartialEq)]
enum Api {
    None,
    Idle,
    Abused,
}

/// What a run took.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// CPU time of the API's thread, and of all others.
    of_api: f64,
    of_run: f64,
}

/// Prints the throughputs, in rounds in turn, and asserts their ratios.
pub fn api(origin: SocketAddr, dir: &Path) {
    const URLS: usize = 60_000;
    let urls = list(dir, &format!("http://{origin}/item"), URLS);
    let states = [Api::None, Api::Idle, Api::Abused];
    let rounds: Vec<_> = (0..2 * ROUNDS + 1).map(|_| states.map(|api| cost(&urls, URLS, dir, api))).collect();
    say(
        "| API | URLs/s | of that without | µs CPU/URL, but for the API's thread | of that without | the API's thread, of a core |",
    );
    say("|---|---|---|---|---|---|");
    let per_round = |figure: &dyn Fn(&[Cost; 3]) -> f64| Spread::of(rounds.iter().map(figure));
    for (which, name) in ["none", "idle", "abused"].into_iter().enumerate() {
        let speed = per_round(&|round| URLS as f64 / round[which].seconds);
        let left = per_round(&|round| round[0].seconds / round[which].seconds);
        let cpu = per_round(&|round| round[which].of_run * 1e6 / URLS as f64);
        let ratio = per_round(&|round| round[which].of_run / round[0].of_run);
        let share = per_round(&|round| round[which].of_api / round[which].seconds);
        let (speed, left, cpu) = (speed.shown(0), left.shown(2), cpu.shown(1));
        say(&format!("| {name} | {speed} | {left} | {cpu} | {} | {} |", ratio.shown(2), share.shown(3)));
    }
    say("");
    assert_cheap(&rounds.iter().map(|[none, _, abused]| [*none, *abused]).collect::<Vec<_>>());
    let left = per_round(&|round| round[0].seconds / round[2].seconds).median;
    assert!(left >= LEAST, "abuse of the API leaves {left:.2} of the throughput, and must leave {LEAST}");
}

/// What CI asserts of it: CPU time, which other work on the machine changes little, in pairs of runs in turn.
pub fn smoke(origin: SocketAddr, dir: &Path) {
    const URLS: usize = 50_000;
    let urls = list(dir, &format!("http://{origin}/item"), URLS);
    let pairs: Vec<_> = (0..3).map(|_| [Api::None, Api::Abused].map(|api| cost(&urls, URLS, dir, api))).collect();
    assert_cheap(&pairs);
}

/// Pairs of runs, without an API and with one that is abused.
fn assert_cheap(pairs: &[[Cost; 2]]) {
    let ratio = Spread::of(pairs.iter().map(|[without, abused]| abused.of_run / without.of_run));
    let share = Spread::of(pairs.iter().map(|[_, abused]| (abused.of_api - BURST).max(0.0) / abused.seconds));
    say(&format!(
        "abuse of the API: the run takes {} times its CPU, and the API's thread {} of a core after its burst",
        ratio.shown(2),
        share.shown(3)
    ));
    let (ratio, share) = (ratio.median, share.median);
    assert!(ratio <= MOST_CPU, "a run takes {ratio:.2} times its CPU under abuse, and may take {MOST_CPU}");
    assert!(share <= SHARE, "the API's thread takes {share:.3} of a core under abuse, and may take {SHARE}");
}

/// What a run over the list takes until its last record.
fn cost(urls: &Path, lines: usize, dir: &Path, api: Api) -> Cost {
    let (socket, config) = (dir.join("api/api.sock"), dir.join("api.toml"));
    let table = if api == Api::None { String::new() } else { format!("[api]\nsocket = {socket:?}\n") };
    std::fs::write(&config, table).expect("a configuration");
    let config = config.display().to_string();
    let command = command(urls, CONNECTIONS, &["-c", &config]);
    let start = Instant::now();
    let mut run = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::piped()).spawn().expect("fetchd starts");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let abuse: &[fn(&Path)] =
            if api == Api::Abused { &[ask, connect_and_leave, hold_heads, watch_slowly] } else { &[] };
        for abuse in abuse {
            let (over, socket) = (&over, &socket);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    abuse(socket);
                }
            });
        }
        let cost = until_last_record(&mut run, lines, start);
        over.store(true, Ordering::Relaxed);
        assert!(run.wait().expect("it ends").success());
        cost
    })
}

fn until_last_record(run: &mut Child, lines: usize, start: Instant) -> Cost {
    let mut output = BufReader::with_capacity(1 << 16, run.stdout.take().expect("its output"));
    let mut left = lines;
    while left > 0 {
        let some = output.fill_buf().expect("records");
        assert!(!some.is_empty(), "{left} records are missing");
        left -= memchr::memchr_iter(b'\n', some).count();
        let taken = some.len();
        output.consume(taken);
    }
    let (of_api, of_run) = cpu_seconds(run.id(), "api");
    Cost { seconds: start.elapsed().as_secs_f64(), of_api, of_run }
}

/// Four times the questions that the API answers.
fn ask(socket: &Path) {
    for question in ["/v1/status?history=1", "/metrics", "/v1/hosts?sort=errors&limit=500", "/v1/why?seq=1"] {
        if let Ok(mut stream) = UnixStream::connect(socket) {
            let _ = send(&mut stream, question);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    park_timeout(Duration::from_millis(20));
}

fn connect_and_leave(socket: &Path) {
    drop(UnixStream::connect(socket));
    park_timeout(Duration::from_millis(2));
}

/// Takes places and sends heads that do not end.
fn hold_heads(socket: &Path) {
    let mut held: Vec<_> = (0..16).filter_map(|_| UnixStream::connect(socket).ok()).collect();
    for _ in 0..10 {
        held.iter_mut().for_each(|stream| drop(stream.write_all(b"G")));
        park_timeout(Duration::from_millis(10));
    }
}

/// Watches the records and reads a little of them.
fn watch_slowly(socket: &Path) {
    let mut watching: Vec<_> = (0..4).filter_map(|_| UnixStream::connect(socket).ok()).collect();
    watching.iter_mut().for_each(|stream| drop(send(stream, "/v1/records")));
    for stream in &mut watching {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
        let _ = stream.read(&mut [0; 100]);
    }
    park_timeout(Duration::from_millis(100));
}

fn send(stream: &mut UnixStream, path: &str) -> std::io::Result<()> {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}
