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
    let pending: Vec<Pending> = (0..scale.rounds).map(|round| intake_and_start(dir, round, scale.lines)).collect();
    let spread = |value: fn(&Pending) -> f64| Spread::of(pending.iter().map(value));
    let (taken, start, rss) = (spread(|it| it.taken), spread(|it| it.start_seconds), spread(|it| it.start_mib));
    say(&format!("{} lines pushed: {} taken per second", scale.lines, taken.shown(0)));
    say(&format!("as many pending: the first request after {} s, {} MiB", start.shown(3), rss.shown(1)));
    assert!(taken.median >= scale.fewest_taken, "fewer than {} lines are taken per second", scale.fewest_taken);
    assert!(start.median < 1.0 && rss.median < 64.0, "a start with pending lines takes too long, or too much");
}

/// What lines cost that are not done.
struct Pending {
    /// Lines taken into the journal per second.
    taken: f64,
    /// From the next start to its first request.
    start_seconds: f64,
    /// Peak resident memory until then.
    start_mib: f64,
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
    let per_url = |costs: &[Cost]| Spread::of(costs.iter().map(|cost| cost.cpu_seconds * 1e6 / scale.urls as f64));
    let (plain, durable) = (per_url(&plain), per_url(&durable));
    let ratio = durable.median / plain.median;
    say(&format!("µs CPU/URL: plain stdin {}, durable {}: {ratio:.2} times", plain.shown(1), durable.shown(1)));
    assert!(ratio <= scale.most_cpu, "durable input costs {ratio:.2} times as much, more than {}", scale.most_cpu);
}

fn intake_and_start(dir: &Path, round: usize, lines: usize) -> Pending {
    let place = dir.join(format!("pending-{round}"));
    let config = config(&place, true);
    // It accepts connections and answers nothing: lines are accepted, and not one is done.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = silent.local_addr().expect("its address");
    let text: String = (1..=lines).map(|n| format!("http://{address}/item/{n}\n")).collect();
    let (mut child, stdin) = start(&config);
    let begin = Instant::now();
    let mut stdin = BufWriter::with_capacity(1 << 16, stdin);
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    while accepted(&place) < lines as u64 {}
    let taken = lines as f64 / begin.elapsed().as_secs_f64();
    child.kill().expect("it runs");
    child.wait().expect("it ends");

    silent.set_nonblocking(true).expect("a listener");
    while silent.accept().is_ok() {}
    silent.set_nonblocking(false).expect("a listener");
    let begin = Instant::now();
    let (mut child, _stdin) = start(&config);
    drop(silent.accept().expect("a request"));
    let start_seconds = begin.elapsed().as_secs_f64();
    let start_mib = peak_mib(child.id());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    std::fs::remove_dir_all(&place).expect("its files go");
    Pending { taken, start_seconds, start_mib }
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
        .args(["state", "status", "--json", "--data-dir"])
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
