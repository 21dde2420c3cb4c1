//! Many good hosts among dead, silent, dripping and bombing ones: the good ones hardly notice.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::common::codings::{encoded, gzip};
use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::{Origin, Step, send};
use crate::scenario::most_memory;

const GOOD_HOSTS: u8 = 50;
const GOOD_LINES: usize = 10_000;

/// Of each kind.
const BAD_HOSTS: u8 = 5;
const BAD_LINES: usize = 1_000;

/// A good host answers so many requests at once, each after that time: that, and not this machine, makes 50 of them take
/// eight seconds.
const LIMITS: [&str; 4] = ["--host-concurrency", "4", "--retries", "0"];
const GOOD_PATH: &str = "/slow/160";

/// Bad hosts are known to be bad soon enough for a test.
const CONFIG: &str = "fetch = { timeout = '2s', speed_time = '1s', connect_timeout = '1s', max_body = '1MiB' }\n\
                      health = { cool_down = '1s', give_up = '5s' }\n";

/// Hosts that are no good to anyone, and stay so while this lives.
struct Bad {
    addresses: Vec<SocketAddr>,
    _origins: Vec<Origin>,
}

impl Bad {
    fn start() -> Self {
        let nobody = |n| TcpListener::bind(SocketAddr::from(([127, 0, 2, n], 0))).unwrap().local_addr().unwrap();
        let bomb = encoded("gzip", &gzip(&vec![0; 64 << 20]));
        let drip = vec![
            Step::Read,
            send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"),
            Step::Repeat(vec![Step::Wait(Duration::from_millis(50)), send("a")]),
        ];
        let scripts = [vec![Step::Stall], drip, vec![Step::Read, send(bomb), Step::Close]];
        let start = |kind: u8, n| {
            let origin = Origin::start_at([127, 0, 3 + kind, n]);
            origin.on_accept([scripts[usize::from(kind)].clone()]);
            origin
        };
        let origins: Vec<_> =
            (0..3).flat_map(|kind| (1..=BAD_HOSTS).map(move |n| (kind, n))).map(|(kind, n)| start(kind, n)).collect();
        let addresses = (1..=BAD_HOSTS).map(nobody).chain(origins.iter().map(Origin::address)).collect();
        Self { addresses, _origins: origins }
    }
}

/// What became of the lines of a run.
struct Run {
    records: Vec<Value>,
    /// From the start until the last good line was recorded.
    good_took: Duration,
    most_memory: u64,
}

fn run(lines: &[String], is_good: impl Fn(&Value) -> bool) -> Run {
    let mut fetchd = Fetchd::with(LIMITS).config(CONFIG).start();
    // A second handle keeps stdin open when all is written: a process that has ended has no memory to look at.
    let stdin = fetchd.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let start = Instant::now();
    let writer = fetchd.write_all((lines.join("\n") + "\n").into());
    let mut good_took = Duration::ZERO;
    let mut next = || {
        let record = fetchd.record();
        if is_good(&record) {
            good_took = start.elapsed();
        }
        record
    };
    let records = (0..lines.len()).map(|_| next()).collect();
    writer.join().unwrap();
    let most_memory = most_memory(fetchd.pid);
    drop(stdin);
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
    Run { records, good_took, most_memory }
}

#[test]
fn ten_thousand_lines_of_good_hosts_hardly_notice_a_thousand_of_bad_ones() {
    let good: Vec<_> = (1..=GOOD_HOSTS).map(|n| Origin::start_at([127, 0, 1, n])).collect();
    let bad = Bad::start();
    let good_lines: Vec<_> = (0..GOOD_LINES).map(|n| good[n % good.len()].url(&format!("{GOOD_PATH}?{n}"))).collect();
    let mixed: Vec<_> = (0..GOOD_LINES + BAD_LINES)
        .map(|n| match n % 11 {
            0 => format!("http://{}/{n}", bad.addresses[n / 11 % bad.addresses.len()]),
            _ => good_lines[n - n / 11 - 1].clone(),
        })
        .collect();
    let is_good = |record: &Value| record["input"].as_str().unwrap().contains(GOOD_PATH);

    let alone = run(&good_lines, is_good);
    let together = run(&mixed, is_good);
    for run in [&alone, &together] {
        let good: Vec<_> = run.records.iter().filter(|record| is_good(record)).collect();
        assert_eq!(good.len(), GOOD_LINES);
        assert!(good.iter().all(|record| record["outcome"] == "ok" && record["attempts"] == 1));
    }
    assert_eq!(together.records.len(), GOOD_LINES + BAD_LINES);
    let of_kind = |why: &str| together.records.iter().filter(|record| kind(record) == why).count();
    assert_eq!(of_kind("body_too_large"), BAD_LINES / 4);
    assert_eq!(together.records.iter().filter(|record| record["outcome"] == "failed").count(), BAD_LINES);
    assert!(
        together.good_took <= alone.good_took.mul_f64(1.5),
        "{:?}, and {:?} alone",
        together.good_took,
        alone.good_took
    );
    assert!(together.most_memory < 200 << 20, "{} MiB of memory", together.most_memory >> 20);
}
