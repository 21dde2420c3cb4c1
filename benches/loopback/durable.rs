//! What durable standard input costs: per URL, per line that a producer pushes, and at a start with many lines pending.

use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::time::Instant;

use crate::run::{Cost, measure, peak_mib};
use crate::{Spread, list, say};

/// How much is measured, and what it must not exceed.
pub struct Scale {
    /// URLs fetched per round.
    pub urls: usize,
    /// Rounds of plain and durable input in turn.
    pub rounds: usize,
    /// The most CPU per URL, as a multiple of that of plain input.
    pub most_cpu: f64,
    /// Lines that are pushed, and then pending at a start.
    pub lines: usize,
    /// The fewest of them that are taken per second.
    pub fewest_taken: f64,
}

/// The figures that are aimed at.
pub const FULL: Scale = Scale { urls: 200_000, rounds: 5, most_cpu: 1.3, lines: 5_000_000, fewest_taken: 500_000.0 };

/// What a busy machine must reach, too.
pub const SMALL: Scale = Scale { urls: 50_000, rounds: 3, most_cpu: 1.6, lines: 1_000_000, fewest_taken: 250_000.0 };

pub fn durable(origin: SocketAddr, dir: &Path, scale: &Scale) {
    cpu(origin, dir, scale);
    intake_and_start(dir, scale);
}

fn cpu(origin: SocketAddr, dir: &Path, scale: &Scale) {
    let urls = list(dir, &format!("http://{origin}/item"), scale.urls).display().to_string();
    let (mut plain, mut durable): (Vec<Cost>, Vec<Cost>) = (Vec::new(), Vec::new());
    for round in 0..scale.rounds {
        for (costs, durable) in [(&mut plain, false), (&mut durable, true)] {
            let place = dir.join(format!("cpu-{round}-{durable}"));
            let config = config(&place, durable).display().to_string();
            let script = format!("exec \"$0\" -q -c \"{config}\" < \"{urls}\"");
            costs.push(measure(&["sh".into(), "-c".into(), script, env!("CARGO_BIN_EXE_fetchd").into()]));
        }
    }
    let per_url =
        |costs: &[Cost]| Spread::of(costs.iter().map(|cost| cost.cpu_seconds * 1e6 / scale.urls as f64)).median;
    let (plain, durable) = (per_url(&plain), per_url(&durable));
    let ratio = durable / plain;
    say(&format!("plain stdin {plain:.1} µs CPU/URL, durable {durable:.1}: {ratio:.2} times"));
    assert!(ratio <= scale.most_cpu, "durable input costs {ratio:.2} times as much, more than {}", scale.most_cpu);
}

fn intake_and_start(dir: &Path, scale: &Scale) {
    let place = dir.join("pending");
    let config = config(&place, true);
    // It accepts connections and answers nothing: lines are accepted, and not one is done.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = silent.local_addr().expect("its address");
    let text: String = (1..=scale.lines).map(|n| format!("http://{address}/item/{n}\n")).collect();
    let (mut child, stdin) = start(&config);
    let begin = Instant::now();
    let mut stdin = BufWriter::with_capacity(1 << 16, stdin);
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let accepted = || accepted(&place) == scale.lines as u64;
    while !accepted() {}
    let rate = scale.lines as f64 / begin.elapsed().as_secs_f64();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    say(&format!("{} lines taken at {rate:.0} lines/s", scale.lines));
    assert!(rate >= scale.fewest_taken, "that is less than {}", scale.fewest_taken);

    silent.set_nonblocking(true).expect("a listener");
    while silent.accept().is_ok() {}
    silent.set_nonblocking(false).expect("a listener");
    let begin = Instant::now();
    let (mut child, _stdin) = start(&config);
    drop(silent.accept().expect("a request"));
    let seconds = begin.elapsed().as_secs_f64();
    let rss = peak_mib(child.id());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    say(&format!("{} pending lines: the first request after {seconds:.3} s, {rss:.1} MiB", scale.lines));
    assert!(seconds < 1.0 && rss < 64.0, "a start with pending lines takes too long, or too much");
}

fn start(config: &Path) -> (Child, ChildStdin) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
    let mut child = command.arg("-q").arg("-c").arg(config).stdin(Stdio::piped()).spawn().expect("fetchd starts");
    let stdin = child.stdin.take().expect("its input");
    (child, stdin)
}

/// Lines accepted, by the journal's own account.
fn accepted(place: &Path) -> u64 {
    let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["journal", "status", "--json", "--data-dir"])
        .arg(place.join("state"))
        .output()
        .expect("an account");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    status["sources"]["urls"]["accepted"].as_u64().unwrap_or(0)
}

/// A configuration in a directory of its own, with 64 requests at once to one host.
fn config(place: &Path, durable: bool) -> PathBuf {
    std::fs::create_dir_all(place).expect("a directory");
    let (at, path) = (place.display(), place.join("fetchd.toml"));
    let state = if durable { format!("[state]\ndata_dir = \"{at}/state\"") } else { String::new() };
    let text = format!(
        "[source.urls.stdin]\ndurable = {durable}\n{state}\n[limits]\nconcurrency = 64\n[hosts.\"*\"]\nconcurrency = 64\n\
         [network]\nallow = [\"127.0.0.0/8\"]\n[sink.results.jsonl]\npath = \"{at}/results.jsonl\"\nbody = \"none\"\n"
    );
    std::fs::write(&path, text).expect("a configuration");
    path
}
