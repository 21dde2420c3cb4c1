//! The composition root: from a checked configuration to the parts of a run, its signals, and its exit code. The only
//! file that knows every module.

mod open;
mod preflight;
mod recovery;
mod signals;
mod state;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::time::Instant;
use url::Url;

pub use recovery::recover;
pub use signals::{outlive_file_size_limit, unblock};
pub use state::state;

use self::signals::{CpuLimit, Signals};
use crate::cli::RunArgs;
use crate::config::{ANY_HOST_CONCURRENCY, ANY_HOST_MAX_CONCURRENCY, Config, Registry};
use crate::error::{BoxError, Error};
use crate::fetch::{Guard, HeaderTable, HostTls, Http, HttpSettings, IdentityFiles, Resolver, Verify};
use crate::hosts::HostPattern;
use crate::item::{BodyNeed, CHUNK, ResponseRules};
use crate::open_files;
use crate::pipeline::{self, End, FailFast, Parts, Settings, Status};
use crate::resource_limits;
use crate::schedule::{self, HealthPolicy, HostConfig, HostLimits, HostRule, RetryPolicy};
use crate::source::Source;
use crate::telemetry::{self, Logs, Progress, ProgressMode, Stats, Summary};
use crate::units::Concurrency;

/// Runs as the arguments and the configuration say; the number is the exit code.
pub async fn run(args: &RunArgs) -> u8 {
    run_with(args, &Registry::default()).await
}

/// The same with these kinds of sources and sinks.
pub async fn run_with(args: &RunArgs, registry: &Registry) -> u8 {
    // From the first moment on: a SIGUSR1 without a listener would end the process.
    let signals = Signals::listen();
    let raised = open_files::raise_limit();
    let config = match args.config_with(registry) {
        Ok(config) => config,
        Err(report) => {
            say(&report);
            return 2;
        }
    };
    if let Err(error) = resource_limits::try_threads(most_threads(&config)) {
        say(&format_args!("error: {error}"));
        return 2;
    }
    let mode = if args.quiet { ProgressMode::Never } else { args.progress.unwrap_or_default() };
    let line = mode.line();
    let logs = telemetry::init(&config.log, line.as_ref().and_then(telemetry::ProgressLine::bar));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised to the hard limit; `ulimit -n` raises it");
    }
    hint(&config);
    let (status, stats, start) = (Status::default(), Stats::default(), Instant::now());
    let parts = match open::open(&config, &stats) {
        Ok(parts) => parts,
        Err(error) => return failed(&error),
    };
    let total = total_bytes(&parts.sources);
    let progress = line.map(|line| Progress::start(line, status.clone(), stats.clone(), total));
    let ended = drive(parts, &config, &status, signals).await;
    drop(progress);
    let end = match ended {
        Ok(end) => end,
        Err(error) => return failed(&error),
    };
    if !args.quiet {
        report(&config, &logs, &Summary::of(&status, &stats, start.elapsed()));
    }
    config.state.data_dir.iter().for_each(|dir| state::say_what_is_left(&config, dir));
    exit_code(end, &config, &status)
}

/// Says something while nothing is set up yet, not even a log.
fn say(what: &dyn fmt::Display) {
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{what}\n"));
}

/// How many threads a run has, at most, besides the first: those of its sources and sinks, of logs and progress, of the
/// checkpoint, and of attempts.
fn most_threads(config: &Config) -> usize {
    // A durable source has two.
    2 * config.sources.len() + config.sinks.len() + 3 + config.fetch.threads as usize
}

/// Reports why a run failed; the number is the exit code.
fn failed(error: &Error) -> u8 {
    tracing::error!("{error}");
    error.exit_code()
}

/// Checks a configuration without doing anything; the number is the exit code.
pub fn check(path: Option<&Path>) -> u8 {
    let args = RunArgs { config: path.map(Path::to_owned), ..RunArgs::default() };
    let (text, code) = match args.config() {
        Ok(_) if path.is_none() => ("no configuration was given; write: fetchd check -c FILE\n".to_owned(), 0),
        Ok(_) => ("the configuration is valid\n".to_owned(), 0),
        Err(report) => (format!("{report}\n"), 2),
    };
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
    code
}

pub(crate) fn http(config: &Config) -> Result<Http, BoxError> {
    let guard = Arc::new(Guard::new(&config.network));
    let proxy_host = config
        .fetch
        .proxy
        .as_ref()
        .and_then(|proxy| Url::parse(proxy.expose()).ok())
        .and_then(|url| url.host_str().map(str::to_owned));
    if proxy_host.is_some() {
        tracing::info!(
            "requests go through a proxy, which resolves their names: only literal addresses are checked here"
        );
    }
    // Half of the back-off is the shortest wait that its jitter leaves.
    let first_retry = config.retry.backoff.0 / 2;
    let resolver = Resolver::new(
        &config.dns,
        Arc::clone(&guard),
        proxy_host.as_deref(),
        first_retry,
        config.fetch.connect_timeout.0,
    );
    let hosts =
        config.hosts.iter().filter_map(|(text, host)| Some((text.parse::<HostPattern>().ok()?, host.headers.clone())));
    let settings = HttpSettings {
        headers: HeaderTable::new(&config.fetch, hosts, &config.headers)?,
        tls: config.tls.clone(),
        hosts: host_tls(config),
        needs: config.needs(),
        concurrency: config.limits.permits() as usize,
        idle_per_host: widest_host(config) as usize,
    };
    Http::new(&config.fetch, settings, guard, &resolver)
}

/// What `[hosts]` says of TLS; where certificates are not verified, that is said.
fn host_tls(config: &Config) -> Vec<(HostPattern, HostTls)> {
    let insecure: Vec<_> =
        config.hosts.iter().filter(|(_, host)| host.insecure == Some(true)).map(|(text, _)| text.as_str()).collect();
    if !insecure.is_empty() {
        tracing::warn!("the certificates of {} are not verified (hosts.\"NAME\".insecure)", insecure.join(", "));
    }
    let of = |host: &HostConfig| HostTls {
        verify: host.insecure.map(|insecure| if insecure { Verify::No } else { Verify::Yes }),
        identity: host.client_cert.clone().zip(host.client_key.clone()).map(|(cert, key)| IdentityFiles { cert, key }),
    };
    config.hosts.iter().filter_map(|(text, host)| Some((text.parse().ok()?, of(host)))).collect()
}

/// The most requests at once that some host may have.
fn widest_host(config: &Config) -> u32 {
    let widths = config.hosts.values().filter_map(|host| match host.concurrency? {
        Concurrency::Fixed(n) => Some(n),
        Concurrency::Adaptive => Some(host.max_concurrency.unwrap_or(ANY_HOST_MAX_CONCURRENCY)),
    });
    widths.max().unwrap_or(1)
}

/// The pipeline's settings for a checked configuration.
pub(crate) fn settings(config: &Config) -> Settings {
    let concurrency = config.limits.permits() as usize;
    Settings {
        queue: config.queue.capacity as usize,
        window: config.queue.window as usize,
        window_bytes: usize::try_from(config.queue.window_bytes.0).unwrap_or(usize::MAX),
        workers: config.fetch.workers.map_or(concurrency, |workers| workers as usize),
        concurrency,
        body_memory: config.body_memory(),
        largest_body: config.largest_body(),
        order: config.output.order,
        fail_fast: if config.output.fail_fast { FailFast::Yes } else { FailFast::No },
        grace: config.shutdown.grace.0,
        schedule: schedule_settings(config),
    }
}

fn schedule_settings(config: &Config) -> schedule::Settings {
    let concurrency = config.limits.permits();
    schedule::Settings {
        every: config.limits.rate.every(),
        hosts: config.hosts.iter().filter_map(|(text, host)| Some((text.parse().ok()?, rule(host)))).collect(),
        responses: config
            .hosts
            .iter()
            .map(|(text, host)| (text, response_rules(host)))
            .filter(|(_, rules)| *rules != ResponseRules::default())
            .filter_map(|(text, rules)| Some((text.parse().ok()?, rules)))
            .collect(),
        any_host: any_host(config),
        adaptive: (config.limits.concurrency == Concurrency::Adaptive).then_some(concurrency),
        max_hosts: config.limits.hosts as usize,
        retry: RetryPolicy::from(&config.retry),
        budget: config.retry.budget(),
        host_budget: config.retry.host_budget(),
        health: HealthPolicy::from(&config.health),
        robots: config.robots.policy(&config.fetch.user_agent),
        timeout: config.fetch.timeout.0,
        min_speed: config.fetch.min_speed.0,
        max_body: config.fetch.max_body.0,
        connect_timeout: config.fetch.connect_timeout.0,
        deadline: config.fetch.deadline.0,
        max_redirects: config.fetch.max_redirects,
        idle_connections: config.fetch.idle_connections.unwrap_or(concurrency) as usize,
        largest_body: if config.needs().body == BodyNeed::Decoded { config.largest_body() } else { CHUNK },
        seed: fastrand::u64(..),
    }
}

/// What one pattern says of the responses of its hosts.
fn response_rules(host: &HostConfig) -> ResponseRules {
    ResponseRules {
        timeout: host.timeout.map(|timeout| timeout.0),
        min_speed: host.min_speed.map(|speed| speed.0),
        max_body: host.max_body.map(|size| size.0),
    }
}

/// What one pattern says of its hosts.
fn rule(host: &HostConfig) -> HostRule {
    HostRule {
        concurrency: host.concurrency,
        max_concurrency: host.max_concurrency,
        every: host.rate.map(crate::units::Rate::every),
    }
}

/// The limits of hosts that no pattern but `*` names.
fn any_host(config: &Config) -> HostLimits {
    let any = config.hosts.get("*");
    HostLimits {
        concurrency: any.and_then(|host| host.concurrency).unwrap_or(ANY_HOST_CONCURRENCY),
        max_concurrency: any.and_then(|host| host.max_concurrency).unwrap_or(ANY_HOST_MAX_CONCURRENCY),
        every: Duration::ZERO,
    }
}

async fn drive(parts: Parts, config: &Config, status: &Status, signals: io::Result<Signals>) -> Result<End, Error> {
    let cannot = |what: &str| {
        let what = format!("cannot {what}");
        move |error: io::Error| Error::Open { what, source: error.into() }
    };
    let signals = signals.map_err(cannot("listen to signals"))?;
    let (cpu_seconds, cpu_limit) = (signals.cpu_seconds(), CpuLimit::default());
    let controls = signals.controls(cpu_limit.clone()).map_err(cannot("listen to signals"))?;
    let threads = threads(config.fetch.threads).map_err(cannot("start the threads of `fetch.threads`"))?;
    let parts = Parts { threads: threads.as_ref().map(|threads| threads.handle().clone()), ..parts };
    let end = pipeline::run(parts, &settings(config), status, controls).await;
    if let Some(threads) = threads {
        threads.shutdown_background();
    }
    match (end, cpu_seconds) {
        (Ok(_), Some(seconds)) if cpu_limit.is_reached() => Err(Error::CpuTime { seconds }),
        (end, _) => end,
    }
}

/// Threads for attempts, when they are to have more than the one of all the rest.
fn threads(number: u32) -> io::Result<Option<Runtime>> {
    if number == 1 {
        return Ok(None);
    }
    runtime::Builder::new_multi_thread().worker_threads(number as usize).enable_all().build().map(Some)
}

fn total_bytes(sources: &[Source]) -> Option<u64> {
    sources.iter().map(|source| source.extent.map(|extent| extent.bytes)).sum()
}

/// The first thing that people do is to start the program and wait.
fn hint(config: &Config) {
    let reads_stdin = config.sources.iter().any(|source| source.component.inputs().stdin > 0);
    if reads_stdin && io::stdin().is_terminal() {
        tracing::info!(
            "reading URLs from the terminal, one a line; end with Ctrl-D (or give a file with -i, or pipe them in)"
        );
    }
}

fn report(config: &Config, logs: &Logs, summary: &Summary) {
    if config.log.format.is_json() {
        summary.log();
    } else {
        logs.say(summary.to_string());
    }
}

fn exit_code(end: End, config: &Config, status: &Status) -> u8 {
    match end {
        End::FailedFast => 3,
        End::GaveUp => 4,
        End::Finished if config.output.fail && status.metrics().not_ok.get() > 0 => 3,
        End::Finished => 0,
    }
}
