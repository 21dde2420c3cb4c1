//! A thousand hosts, of which a few have most of the lines: does the slowest of them wait for anybody?
//!
//! A host with n lines, each of which takes it d seconds, two at a time, needs n · d / 2. No client can be done before
//! the host that needs longest; this one should be done hardly later.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::run::measure;
use crate::{Spread, say};

const HOSTS: u32 = 1_000;
const LINES: usize = 10_000;
const PER_HOST: u32 = 2;
const ROUNDS: u64 = 5;

/// Every fiftieth host is in trouble: slow, or dead.
const TROUBLED: u32 = 50;

/// What a host is like.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Answers(Duration),
    /// Nobody listens at its port.
    Dead,
}

/// How long the server was busy with each host's requests.
type Busy = Arc<Mutex<HashMap<Ipv4Addr, Duration>>>;

/// Prints the time to finish, and its ratio to the optimum.
pub fn skew(dir: &Path) {
    let mut ratios = Vec::new();
    for seed in 1..=ROUNDS {
        let (port, busy) = serve();
        let list = dir.join(format!("skew-{seed}.txt"));
        std::fs::write(&list, script(seed, port)).expect("the list is written");
        let cost = measure(&command(&list));
        let longest = busy.lock().expect("the server's account").values().max().copied().unwrap_or_default();
        let optimum = longest.as_secs_f64() / f64::from(PER_HOST);
        ratios.push(cost.seconds / optimum);
        say(&format!(
            "{LINES} lines for {HOSTS} hosts, seed {seed}: {:.2} s, the optimum is {optimum:.2} s",
            cost.seconds
        ));
    }
    say(&format!("time to finish, in optima: {}", Spread::of(ratios.into_iter()).shown(3)));
}

fn command(list: &Path) -> Vec<String> {
    let list = list.display().to_string();
    let per_host = PER_HOST.to_string();
    let command = [
        env!("CARGO_BIN_EXE_fetchd"),
        "-q",
        "--allow",
        "127.0.0.0/8",
        "-i",
        &list,
        "--body",
        "none",
        "--host-concurrency",
        &per_host,
        "--max-concurrency",
        "1000",
        "--retries",
        "0",
    ];
    command.into_iter().map(str::to_owned).collect()
}

/// Lines for hosts by Zipf's law: the n-th has one n-th of the lines of the first.
fn script(seed: u64, port: u16) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let manners: Vec<Manner> = (1..=HOSTS).map(|host| manner(host, &mut random)).collect();
    let mut sums: Vec<f64> = (1..=HOSTS).map(|host| 1.0 / f64::from(host)).collect();
    for n in 1..sums.len() {
        sums[n] += sums[n - 1];
    }
    let all = sums[sums.len() - 1];
    let mut text = String::new();
    for line in 0..LINES {
        let drawn = random.f64() * all;
        let host = sums.partition_point(|sum| *sum < drawn);
        let address = address(host as u32);
        match manners[host] {
            Manner::Answers(delay) => text.push_str(&format!("http://{address}:{port}/{}/{line}\n", delay.as_micros())),
            Manner::Dead => text.push_str(&format!("http://{address}:1/{line}\n")),
        }
    }
    text
}

/// 5 to 500 ms, as many of one magnitude as of the next; the host with most lines is not among the troubled.
fn manner(host: u32, random: &mut fastrand::Rng) -> Manner {
    let delay = 0.005 * 100_f64.powf(random.f64());
    match host % TROUBLED {
        0 if (host / TROUBLED).is_multiple_of(2) => Manner::Dead,
        0 => Manner::Answers(Duration::from_secs(1)),
        _ => Manner::Answers(Duration::from_secs_f64(delay)),
    }
}

fn address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 2, 0, 1)) + host)
}

/// Starts a server on every loopback address, which answers when the time in the path is over.
fn serve() -> (u16, Busy) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let port = listener.local_addr().expect("its address").port();
    let busy = Busy::default();
    let account = Arc::clone(&busy);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(accept(listener, account));
    });
    (port, busy)
}

#[expect(clippy::disallowed_methods, reason = "connections end with the process")]
async fn accept(listener: std::net::TcpListener, busy: Busy) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&busy)));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers until the connection ends.
async fn answer(mut stream: TcpStream, busy: Busy) -> std::io::Result<()> {
    let SocketAddr::V4(address) = stream.local_addr()? else { return Ok(()) };
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let start = Instant::now();
        let micros = buffer.split(|byte| *byte == b'/').nth(1).and_then(|part| std::str::from_utf8(part).ok());
        sleep(Duration::from_micros(micros.and_then(|micros| micros.parse().ok()).unwrap_or_default())).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        *busy.lock().expect("the account").entry(*address.ip()).or_default() += start.elapsed();
        buffer.drain(..end + 4);
    }
}
