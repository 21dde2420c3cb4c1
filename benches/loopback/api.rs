//! What a run loses by its API: throughput without one, with one that nobody asks, and with one that is abused.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use tokio::time::Instant;

use crate::table::ROUNDS;
use crate::{CONNECTIONS, Spread, command, list, say};

const URLS: usize = 60_000;

/// Of the throughput without an API, so much must be left under abuse. The contract is 0.95; the clients that abuse it take
/// some of this machine's two cores themselves.
const LEAST: f64 = 0.90;

/// What the API is exposed to.
#[derive(Clone, Copy)]
enum Api {
    None,
    Idle,
    Abused,
}

/// Prints the throughputs, in rounds in turn, and asserts their ratio.
pub fn api(origin: SocketAddr, dir: &Path) {
    let urls = list(dir, &format!("http://{origin}/item"), URLS);
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| [Api::None, Api::Idle, Api::Abused].map(|api| URLS as f64 / seconds(&urls, dir, api)))
        .collect();
    let of = |which: usize| Spread::of(rounds.iter().map(|round| round[which]));
    say("| API | URLs/s | of that without |\n|---|---|---|");
    let ratios = |which: usize| Spread::of(rounds.iter().map(|round| round[which] / round[0]));
    for (which, name) in ["none", "idle", "abused"].into_iter().enumerate() {
        say(&format!("| {name} | {} | {} |", of(which).shown(0), ratios(which).shown(2)));
    }
    say("");
    let left = ratios(2).median;
    assert!(left >= LEAST, "abuse of the API leaves {left:.2} of the throughput, and must leave {LEAST}");
}

/// How long a run over the list takes.
fn seconds(urls: &Path, dir: &Path, api: Api) -> f64 {
    let (socket, config) = (dir.join("api/api.sock"), dir.join("api.toml"));
    let table = if matches!(api, Api::None) { String::new() } else { format!("[api]\nsocket = {socket:?}\n") };
    std::fs::write(&config, table).expect("a configuration");
    let config = config.display().to_string();
    let command = command(urls, CONNECTIONS, &["-c", &config, "-o", "/dev/null"]);
    let start = Instant::now();
    let run = Command::new(&command[0]).args(&command[1..]).spawn().expect("fetchd starts");
    match api {
        Api::None | Api::Idle => end(run),
        Api::Abused => abused(run, &socket),
    }
    start.elapsed().as_secs_f64()
}

fn end(mut run: Child) {
    assert!(run.wait().expect("it ends").success());
}

/// Abuses the API until the run ends.
fn abused(run: Child, socket: &Path) {
    let (over, begin) = (AtomicBool::new(false), Instant::now());
    while !socket.exists() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the API listens");
        park_timeout(Duration::from_millis(1));
    }
    std::thread::scope(|scope| {
        let abuse: [fn(&Path); 4] = [ask, connect_and_leave, hold_heads, watch_slowly];
        for abuse in abuse {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    abuse(socket);
                }
            });
        }
        end(run);
        over.store(true, Ordering::Relaxed);
    });
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
