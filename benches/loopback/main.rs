//! Whole-process measurements against a server on loopback (README.md has method and results).
//!
//! ```text
//! cargo bench --bench loopback -- speed      CPU per URL and URLs/s, against a bare reqwest loop and what else is installed
//! cargo bench --bench loopback -- hosts      a thousand hosts, a few of which have most lines, against the optimum
//! cargo bench --bench loopback -- memory     peak memory at 100,000 and 1,000,000 lines
//! cargo bench --bench loopback -- durable    what durable stdin costs, takes, and how it starts with many lines pending
//! cargo bench --bench loopback -- latency    one line into an idle daemon until its record is there
//! cargo bench --bench loopback -- smoke      what CI asserts of the release binary
//! ```

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has nothing better to do than to stop")]

mod bare;
mod durable;
mod hosts;
mod latency;
mod origin;
mod peers;
mod run;
mod skew;
mod smoke;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use run::{Cost, measure};

/// Requests at once.
const CONNECTIONS: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
        Some(("account", command)) => run::account(command).expect("an account is printed"),
        Some((bare::NAME, [path])) => bare::run(path),
        Some((mode, [])) => measured(mode),
        _ => {
            for mode in ["speed", "hosts", "memory", "durable", "latency"] {
                measured(mode);
            }
        }
    }
}

fn measured(mode: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let origin = origin::start(Ipv4Addr::LOCALHOST);
    match mode {
        "speed" => speed(origin, dir.path()),
        "memory" => memory(origin, dir.path(), 100_000, 1_000_000),
        "durable" => durable::durable(origin, dir.path(), &durable::FULL),
        "hosts" => skew::skew(dir.path()),
        "latency" => latency::latency(origin),
        "smoke" => smoke::smoke(origin, dir.path()),
        other => {
            say(&format!("there is no measurement `{other}`; choose speed, hosts, memory, durable, latency or smoke"));
        }
    }
}

/// Rounds in turn, so that a machine that changes its speed changes it for all.
fn speed(origin: SocketAddr, dir: &Path) {
    const ROUNDS: usize = 5;
    let candidates = peers::candidates(origin, dir);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, costs) in candidates.iter().zip(&mut costs) {
            costs.push(measure(&candidate.command));
        }
    }
    say(&format!("{CONNECTIONS} connections, {ROUNDS} rounds in turn: median (min to max); ratios to the first"));
    say(&format!(
        "{:<28} {:>8} {:>26} {:>30} {:>10} {:>10} {:>10}",
        "", "URLs", "µs CPU/URL", "URLs/s", "peak MiB", "CPU ratio", "URLs/s ratio"
    ));
    let spread = |costs: &[Cost], value: &dyn Fn(&Cost) -> f64| Spread::of(costs.iter().map(value));
    let of = |number: usize| {
        let urls = candidates[number].urls as f64;
        let cpu = spread(&costs[number], &|cost| cost.cpu_seconds * 1e6 / urls);
        let speed = spread(&costs[number], &|cost| urls / cost.seconds);
        (cpu, speed, spread(&costs[number], &|cost| cost.rss_mib))
    };
    let (yardstick_cpu, yardstick_speed, _) = of(0);
    for (number, candidate) in candidates.iter().enumerate() {
        let (cpu, speed, rss) = of(number);
        say(&format!(
            "{:<28} {:>8} {:>26} {:>30} {:>10.1} {:>10.2} {:>10.2}",
            candidate.name,
            candidate.urls,
            cpu.shown(1),
            speed.shown(0),
            rss.median,
            cpu.median / yardstick_cpu.median,
            speed.median / yardstick_speed.median,
        ));
    }
}

/// Peak memory over few and many lines, with 64 connections and no bodies: it must not follow the number of lines.
fn memory(origin: SocketAddr, dir: &Path, few: usize, many: usize) {
    let [less, more] = [few, many].map(|n| measure(&command(&urls(dir, origin, n), &["--body", "none"])).rss_mib);
    say(&format!("peak memory: {less:.1} MiB for {few} lines, {more:.1} MiB for {many}"));
    assert!(more <= 64.0, "{more} MiB is more than 64");
    assert!(more - less <= 16.0, "memory grows with the lines: {less} MiB, then {more} MiB");
}

/// A list of so many distinct URLs.
fn urls(dir: &Path, origin: SocketAddr, n: usize) -> PathBuf {
    let path = dir.join(format!("{n}.txt"));
    let text: String = (1..=n).map(|n| format!("http://{origin}/item/{n}\n")).collect();
    std::fs::write(&path, text).expect("the list is written");
    path
}

/// fetchd over a list, with 64 connections to one host.
fn command(list: &Path, more: &[&str]) -> Vec<String> {
    let list = list.display().to_string();
    let mut command = vec![env!("CARGO_BIN_EXE_fetchd"), "-q", "--allow", "127.0.0.1", "-i", &list];
    let at_once = CONNECTIONS.to_string();
    command.extend(["--max-concurrency", &at_once, "--host-concurrency", &at_once]);
    command.extend(more);
    command.into_iter().map(str::to_owned).collect()
}

/// The middle of some values, and how far they lie apart.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self { low: values[0], median: values[values.len() / 2], high: values[values.len() - 1] }
    }

    fn shown(&self, decimals: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
    }
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("someone listens");
}
