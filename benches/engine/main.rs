//! The engine alone: feed, schedule, drain and encoder around a fetch that answers at once (README.md has the results).
//!
//! ```text
//! cargo bench --bench engine                 time per line, and its growth with hosts and window (criterion)
//! cargo bench --bench engine -- guard        fails if a line takes more instructions than the baseline allows
//! cargo bench --bench engine -- record       writes a new baseline
//! cargo bench --bench engine -- turns        the longest turn of the scheduler for each question and verb
//! ```

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has nothing better to do than to stop")]

mod guard;
mod parts;
mod turns;

use std::io::Write;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

use parts::Load;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", lines, hosts] => parts::run(Load {
            lines: lines.parse().expect("a number of lines"),
            hosts: hosts.parse().expect("a number of hosts"),
            window: parts::WINDOW,
        }),
        ["guard"] => {
            turns::turns();
            guard::guard();
        }
        ["turns"] => turns::turns(),
        ["record"] => guard::record(),
        _ => growth(),
    }
}

/// What a line costs when there are more hosts, or more lines at once.
fn growth() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("line");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(8));
    for hosts in [1, 100, 10_000, 1_000_000] {
        let load = Load { lines: hosts.max(200_000), hosts, window: parts::WINDOW };
        group.throughput(Throughput::Elements(load.lines));
        group.bench_function(BenchmarkId::new("hosts", hosts), |bencher| bencher.iter(|| parts::run(load)));
    }
    for window in [64, 1_000, 100_000] {
        let load = Load { lines: 200_000, hosts: 1_000, window };
        group.throughput(Throughput::Elements(load.lines));
        group.bench_function(BenchmarkId::new("window", window), |bencher| bencher.iter(|| parts::run(load)));
    }
    group.finish();
    criterion.final_summary();
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("someone listens");
}
