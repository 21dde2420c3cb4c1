//! Whole-process measurements against a server on loopback (README.md has method and results).
//!
//! ```text
//! cargo bench --bench loopback -- crawl      compressed pages of many hosts over TLS, against curl and aiohttp
//! cargo bench --bench loopback -- kill       a crawl that is killed halfway and run again: what is sent twice, lost or doubled
//! cargo bench --bench loopback -- speed      CPU per URL and URLs/s, against a bare reqwest loop and what else is installed
//! cargo bench --bench loopback -- scaling    URLs/s by connections, and the plot of it
//! cargo bench --bench loopback -- tls        HTTPS over connections that are kept, and over one for each URL
//! cargo bench --bench loopback -- hosts      a thousand hosts, a few of which have most lines, against the optimum
//! cargo bench --bench loopback -- memory     peak memory up to 10,000,000 lines, 1,000,000 hosts, and that of a host with work
//! cargo bench --bench loopback -- durable    what durable stdin costs, takes, and how it starts with many lines pending
//! cargo bench --bench loopback -- latency    one line into an idle daemon until its record is there
//! cargo bench --bench loopback -- api        throughput without an API, with an idle one, and with one that is abused
//! cargo bench --bench loopback -- crawl-origin DIR  the server of `crawl`, for single commands under a profiler
//! cargo bench --bench loopback -- smoke      what CI asserts of the release binary
//! ```

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has nothing better to do than to stop")]

mod api;
mod bare;
mod crawl;
mod durable;
mod hosts;
mod latency;
mod memory;
mod origin;
mod peers;
mod run;
mod scaling;
mod skew;
mod smoke;
mod table;
mod tls;

use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Requests at once.
const CONNECTIONS: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
        Some(("account", command)) => run::account(command).expect("an account is printed"),
        Some((client @ (bare::REQWEST | bare::HYPER_UTIL), arguments)) => bare::run(client, arguments),
        Some(("crawl-origin", [dir])) => crawl::serve(Path::new(dir)),
        Some((mode, [])) => measured(mode),
        _ => {
            for mode in ["crawl", "kill", "speed", "scaling", "tls", "hosts", "memory", "durable", "latency", "api"] {
                measured(mode);
            }
        }
    }
}

fn measured(mode: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let origin = origin::start(Ipv4Addr::LOCALHOST);
    match mode {
        "crawl" => crawl::crawl(dir.path()),
        "kill" => crawl::kill(dir.path()),
        "speed" => {
            let title = format!("distinct URLs of one host, 713-byte answers, {CONNECTIONS} kept connections");
            table::print(&title, &peers::candidates(origin, dir.path()));
        }
        "scaling" => scaling::scaling(origin, dir.path()),
        "tls" => tls::tls(dir.path()),
        "hosts" => skew::skew(dir.path()),
        "memory" => memory::memory(origin, dir.path()),
        "durable" => durable::durable(origin, dir.path(), &durable::FULL),
        "latency" => latency::latency(origin),
        "api" => api::api(origin, dir.path()),
        "smoke" => smoke::smoke(origin, dir.path()),
        other => {
            say(&format!(
                "there is no measurement `{other}`; choose crawl, kill, speed, scaling, tls, hosts, memory, durable, latency, api or smoke"
            ));
        }
    }
}

/// A list of so many distinct URLs below this one.
fn list(dir: &Path, base: &str, urls: usize) -> PathBuf {
    list_of(dir, &format!("{urls}.txt"), (1..=urls).map(|n| format!("{base}/{n}")))
}

/// A list of these URLs.
fn list_of(dir: &Path, name: &str, urls: impl Iterator<Item = String>) -> PathBuf {
    let path = dir.join(name);
    let mut to = BufWriter::new(std::fs::File::create(&path).expect("a list"));
    for url in urls {
        writeln!(to, "{url}").expect("the list is written");
    }
    to.flush().expect("the list is written");
    path
}

/// fetchd over a list, with so many connections to one host.
fn command(list: &Path, connections: usize, more: &[&str]) -> Vec<String> {
    let list = list.display().to_string();
    let mut command = vec![env!("CARGO_BIN_EXE_fetchd"), "-q", "--allow", "127.0.0.1", "-i", &list];
    let at_once = connections.to_string();
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
