//! The tour: the exercises of an async tutorial against an embedded server, with timings.
//!
//! Ten simulated users one after another, all at once, and three at a time; then a stream of 1,000 URLs over 20 hosts
//! with typical faults; then a paginated API; then a run with an API that explains why a host waits. Every part uses
//! `pipeline::run`.

mod asked;
mod pages;
mod server;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::time::Instant;

use crate::cli::RunArgs;
use crate::config::Config;
use crate::daemon;
use crate::error::BoxError;
use crate::item::{Identity, Input, Line, Outcome, Record, Text};
use crate::pipeline::{self, Parts, Status};
use crate::sink::{BodyFormat, Content, Encoder, Sink, Style, Wanted};
use crate::source::{Durability, Source};
use crate::telemetry::{self, Level, Progress, ProgressMode, Stats, Summary};
use server::{HOSTS, PAGES, Server, USER_DELAY};

/// The number of URLs in the stream.
const STREAM: u32 = 1000;

/// What happens after the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterTour {
    /// The process exits.
    End,
    /// The last run continues with its API until a signal.
    Serve,
}

/// Runs the tour, and returns the exit code.
pub async fn run(after: AfterTour) -> u8 {
    match tour(after).await {
        Ok(()) => 0,
        Err(error) => {
            // Nothing can be done if stderr is closed.
            let _ = writeln!(io::stderr(), "the demo failed: {error}");
            1
        }
    }
}

async fn tour(after: AfterTour) -> Result<(), BoxError> {
    let line = ProgressMode::Auto.line();
    let args = args(None);
    let mut config = args.config().map_err(|report| report.to_string())?;
    // The tour itself prints what happens.
    config.log.level = Level::Warn;
    let _logs = telemetry::init(&config.log, line.as_ref().and_then(telemetry::ProgressLine::bar));
    let server = Server::start().await?;
    say(&format!(
        "{}\n\nA small API runs on this machine, on {HOSTS} hosts from {} to {}.\n\n",
        bold("fetchd demo: a stream of URLs in, exactly one result per line out"),
        server.hosts[0].ip(),
        server.hosts[usize::from(HOSTS) - 1].ip(),
    ))?;
    ten_users(&server.hosts).await?;
    say(&format!(
        "\n{}\nSome URLs answer 429 with `Retry-After: 1`, some fail once with 500, three answer 404, and one host is slow.\n",
        bold(&format!(
            "Then a stream of {} URLs over {HOSTS} hosts, with the default limits",
            crate::units::grouped(STREAM.into())
        ))
    ))?;
    stream_of_urls(&server.hosts, line).await?;
    say(&format!(
        "\n{}\nThe Link header of a page contains the next URL. One page answers 429 once, and is retried.\n",
        bold(&format!("Then an API with {PAGES} pages, as an async generator would walk it"))
    ))?;
    pages::walk(server.hosts[0]).await?;
    say(&format!(
        "\nNow with your own URLs:\n  {}\n  {}\n",
        bold("cat urls.txt | fetchd > results.jsonl"),
        bold("fetchd -i urls.txt -o results.jsonl --host-rate 5/s"),
    ))?;
    say(&format!(
        "\n{}\nThe API of a run explains it, and names the key that changes it.\n",
        bold("At last: why does the slow host wait?")
    ))?;
    asked::run(&server.hosts, after).await
}

/// The arguments that a user would give; loopback addresses must be allowed.
fn args(max_concurrency: Option<u32>) -> RunArgs {
    let loopback = "127.0.0.0/8".parse().into_iter().collect();
    let at_once = max_concurrency.map(crate::units::Concurrency::Fixed);
    RunArgs { max_concurrency: at_once, host_concurrency: at_once, allow: loopback, ..RunArgs::default() }
}

async fn ten_users(hosts: &[SocketAddr]) -> Result<(), BoxError> {
    say(&format!("{}\n", bold(&format!("Ten users of one host, each of whom takes {} ms", USER_DELAY.as_millis()))))?;
    for (what, python, concurrency) in [
        ("one after another", "await in a loop", 1),
        ("all at once", "gather", 10),
        ("three at a time", "Semaphore(3)", 3),
    ] {
        say(&format!("  {what:<18} {python:<16} --max-concurrency {concurrency:<3} "))?;
        let urls = (1..=10).map(|n| format!("http://{}/users/{n}", hosts[0])).collect();
        let shown = Shown::default();
        let start = Instant::now();
        fetch(urls, &args(Some(concurrency)), &Status::default(), vec![Box::new(shown.clone())]).await?;
        let took = start.elapsed();
        say(&format!("{} users in {:.2} s  {}\n", shown.ok(), took.as_secs_f64(), bar(took)))?;
    }
    Ok(())
}

async fn stream_of_urls(hosts: &[SocketAddr], line: Option<telemetry::ProgressLine>) -> Result<(), BoxError> {
    let url = |n: u32| format!("http://{}/items/{n}", hosts[n as usize % hosts.len()]);
    let (status, stats, shown) = (Status::default(), Stats::default(), Shown::default());
    let start = Instant::now();
    let progress = line.map(|line| Progress::start(line, status.clone(), stats.clone()));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(shown.clone()), Box::new(stats.clone())];
    fetch((1..=STREAM).map(url).collect(), &args(None), &status, sinks).await?;
    drop(progress);
    say(&format!("\n{}", Summary::of(&status, &stats, start.elapsed())))?;
    say(&format!(
        "\n{}\n",
        bold("Three of the records: one without a retry, one with a retry, one that answered 404")
    ))?;
    for record in shown.examples() {
        say(&format!("{record}\n"))?;
    }
    Ok(())
}

/// Fetches URLs like `fetchd` with these arguments.
async fn fetch(urls: Vec<String>, args: &RunArgs, status: &Status, sinks: Vec<Box<dyn Sink>>) -> Result<(), BoxError> {
    let config = args.config().map_err(|report| report.to_string())?;
    run_with(&config, vec![source(urls)], status, sinks).await
}

async fn run_with(
    config: &Config,
    sources: Vec<Source>,
    status: &Status,
    sinks: Vec<Box<dyn Sink>>,
) -> Result<(), BoxError> {
    let parts = Parts {
        threads: None,
        releases: None,
        questions: None,
        overrides: Default::default(),
        shippers: Vec::new(),
        sources,
        fetch: Arc::new(daemon::http(config)?),
        sinks,
        settle: None,
        tokens: None,
        hosts: None,
    };
    pipeline::run(parts, &daemon::settings(config), status, stream::pending()).await?;
    Ok(())
}

fn source(urls: Vec<String>) -> Source {
    let line = |(url, seq): (String, u64)| {
        let id = Identity { state_id: None, source: None, file: None, seq, round: 0 };
        Ok(Input::Line(Line { id, text: Text::Whole(Bytes::from(url)), position: None }))
    };
    let lines = stream::iter(urls.into_iter().zip(1..).map(line)).boxed();
    Source::new(lines, Durability::Ephemeral)
}

/// A sink that counts records, and keeps an example of each sort.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    ok: u64,
    examples: [Option<String>; 3],
}

impl Shown {
    fn ok(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ok
    }

    fn examples(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).examples.iter().flatten().cloned().collect()
    }
}

impl Sink for Shown {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let style =
            Style { content: Content { body: BodyFormat::Auto, ..Content::default() }, epoch: jiff::Timestamp::now() };
        let encoder = Encoder::new(style, Wanted::All, None);
        for record in batch {
            kept.ok += u64::from(record.outcome == Outcome::Ok);
            let sort = match record.outcome {
                Outcome::Ok if record.attempts == 1 => 0,
                Outcome::Ok => 1,
                _ => 2,
            };
            if kept.examples[sort].is_none() {
                let mut text = Vec::new();
                let encoded = encoder.encode(record, &mut text);
                kept.examples[sort] =
                    encoded.ok().map(|()| String::from_utf8_lossy(text.trim_ascii_end()).into_owned());
            }
        }
        drop(kept);
        async { Ok(()) }.boxed()
    }
}

/// A bar with a block for each tenth of a second.
fn bar(took: Duration) -> String {
    "█".repeat((took.as_millis() / 100).clamp(1, 40) as usize)
}

fn bold(text: &str) -> String {
    if io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
