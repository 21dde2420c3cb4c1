//! Whole-process measurements against a server on loopback (README.md has method and results).
//!
//! ```text
//! cargo bench --bench loopback -- speed      CPU per URL and URLs/s, against a bare reqwest loop
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
mod run;
mod smoke;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use run::{Cost, measure};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
        Some(("account", command)) => run::account(command).expect("an account is printed"),
        Some(("bare", [path])) => bare::run(path),
        Some((mode, [])) => measured(mode),
        _ => {
            for mode in ["speed", "memory", "durable", "latency"] {
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
        "latency" => latency::latency(origin),
        "smoke" => smoke::smoke(origin, dir.path()),
        other => say(&format!("there is no measurement `{other}`; choose speed, memory, durable, latency or smoke")),
    }
}

/// Rounds in turn, so that a machine that changes its speed changes it for all.
fn speed(origin: SocketAddr, dir: &Path) {
    const URLS: usize = 200_000;
    const ROUNDS: usize = 5;
    let list = urls(dir, origin, URLS);
    let me = std::env::current_exe().expect("this program").display().to_string();
    let candidates = [
        ("bare reqwest loop", vec![me, "bare".to_owned(), list.display().to_string()]),
        ("fetchd --body none", command(&list, &["--body", "none"])),
        ("fetchd", command(&list, &[])),
    ];
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, command), costs) in candidates.iter().zip(&mut costs) {
            costs.push(measure(command));
        }
    }
    say(&format!("{URLS} URLs, 64 connections, {ROUNDS} rounds in turn: median (min to max)"));
    say(&format!("{:<20} {:>24} {:>12} {:>10} {:>10}", "", "µs CPU/URL", "URLs/s", "MiB", "CPU ratio"));
    let per_url = |cost: &Cost| cost.cpu_seconds * 1e6 / URLS as f64;
    let yardstick = median(costs[0].iter().map(per_url));
    for ((name, _), costs) in candidates.iter().zip(&costs) {
        let cpu: Vec<f64> = costs.iter().map(per_url).collect();
        let (low, high) = (cpu.iter().copied().fold(f64::MAX, f64::min), cpu.iter().copied().fold(0.0, f64::max));
        let cpu = median(cpu.into_iter());
        say(&format!(
            "{name:<20} {:>24} {:>12.0} {:>10.1} {:>10.2}",
            format!("{cpu:.1} ({low:.1} to {high:.1})"),
            median(costs.iter().map(|cost| URLS as f64 / cost.seconds)),
            median(costs.iter().map(|cost| cost.rss_mib)),
            cpu / yardstick,
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
    command.extend(["--max-concurrency", "64", "--host-concurrency", "64"]);
    command.extend(more);
    command.into_iter().map(str::to_owned).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("someone listens");
}
