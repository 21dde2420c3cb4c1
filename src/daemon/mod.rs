//! The composition root: makes the parts of a run from a checked configuration, handles signals, and returns the exit
//! code. The only module that uses all others.

mod again;
mod api;
mod certificate_files;
mod check;
mod closed_hosts;
mod closing;
mod config_in_force;
mod end_signals;
mod known_inputs;
mod known_outputs;
mod late_orders;
mod open;
mod operator;
mod override_changes;
mod overrides_in_dir;
mod preflight;
mod recovery;
mod reload;
mod results;
mod round_selection;
mod service_manager;
mod settings;
mod signals;
mod staged;
mod state;
mod verb_replies;
mod warnings;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::runtime::{self, Runtime};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

pub use check::check;
pub use recovery::recover;
pub use results::results;
pub use round_selection::{Missing, NewRound, begin_round};
pub(crate) use settings::{http, settings};
pub use signals::{outlive_file_size_limit, unblock};
pub use state::state;

use self::certificate_files::CertificateFiles;
use self::config_in_force::InForce;
use self::open::Opened;
use self::operator::Steered;
use self::overrides_in_dir::OverridesDir;
use self::reload::{Generation, Reloader};
use self::signals::{CpuLimit, Hangup, Signals};
use self::warnings::log_warnings;
use crate::cli::{Loaded, RunArgs};
use crate::config::{Config, Registry};
use crate::error::Error;
use crate::hosts::HostPattern;
use crate::open_files;
use crate::ops::ServiceManager;
use crate::pipeline::{self, End, EventKind, Events, Parts, Status, View};
use crate::resource_limits;
use crate::schedule::Overrides;
use crate::telemetry::{self, Logs, Progress, ProgressLine, Stats, Summary};

/// Runs by the arguments and the configuration; returns the exit code.
pub async fn run(args: &RunArgs) -> u8 {
    run_with(args, &Registry::default()).await
}

/// Like [`run`], with these kinds of sources and sinks.
pub async fn run_with(args: &RunArgs, registry: &Registry) -> u8 {
    // First: a SIGUSR1 without a handler would end the process.
    let signals = Signals::listen(Hangup::of(args.config.as_deref()));
    let raised = open_files::raise_limit();
    let loaded = match args.load(registry) {
        Ok(loaded) => loaded,
        Err(report) => {
            say(&report);
            return 2;
        }
    };
    if let Err(error) = resource_limits::try_threads(most_threads(&loaded.config)) {
        say(&format_args!("error: {error}"));
        return 2;
    }
    let line = args.progress_mode().line();
    let logs = telemetry::init(&loaded.config.log, line.as_ref().and_then(ProgressLine::bar));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised to the hard limit; `ulimit -n` raises it");
    }
    signals.iter().for_each(Signals::tell_ignored);
    log_warnings(&loaded.config);
    hint(&loaded.config, args);
    run_logged(Invocation { args, registry, logs: &logs }, loaded, line, signals)
        .await
        .unwrap_or_else(|error| failed(&error))
}

/// The arguments, kinds and logs of a run.
#[derive(Clone, Copy)]
struct Invocation<'a> {
    args: &'a RunArgs,
    registry: &'a Registry,
    logs: &'a Logs,
}

/// Runs once logs are set up: opens everything, and runs the pipeline to its end.
async fn run_logged(
    invocation: Invocation<'_>,
    loaded: Loaded,
    line: Option<ProgressLine>,
    signals: io::Result<Signals>,
) -> Result<u8, Error> {
    let (args, config) = (invocation.args, loaded.config.clone());
    args.config.as_deref().into_iter().for_each(tell_start);
    let is_watched = config.api.is_on() || ServiceManager::is_there();
    let status = if is_watched { Status::watched() } else { Status::default() };
    let (stats, start) = (Stats::watching(patterns(&config), args.limit_flags()), Instant::now());
    let manager = service_manager::start(&status, &stats)?;
    // The API serves requests from here on, and is dropped last.
    let in_force = InForce::at_start(&config, args.config.as_ref().map(|path| path.display().to_string()));
    let api = api::start(&config, &in_force, &status, &stats)?;
    let live = api.as_ref().map(|api| &api.live);
    let Opened { mut parts, repeatable, http, kept } =
        open::open(&config, &stats, live, NewRound::of(&args.again, &config).as_ref())?;
    // The client is moved, so that its connections end with its last request.
    let present = Generation { certificates: CertificateFiles::read(&config), loaded, http };
    tell_overrides(&parts.overrides, &status);
    let steered = steer(invocation, present, in_force, &mut parts, kept, status.events())?;
    api.iter().for_each(|api| api.begin(&steered));
    let progress = line.map(|line| Progress::start(line, status.clone(), stats.clone()));
    let ended = drive(parts, &config, &status, signals, steered).await;
    drop(progress);
    let end = match ended {
        Ok(end) => end,
        Err(error) => return Ok(failed_amid(&config, &error)),
    };
    if !args.quiet {
        report(&config, invocation.logs, &Summary::of(&status, &stats, start.elapsed()));
    }
    again::say_what_repeats(repeatable, &stats);
    if args.again.again.is_none() {
        again::say_what_stays(repeatable, &stats);
    }
    closing::say_what_is_left(&config, args, &status);
    drop(manager);
    Ok(exit_code(end, &config, &status))
}

/// Starts the thread for operators' verbs; without a configuration file and an API there are none.
fn steer(
    Invocation { args, registry, logs }: Invocation<'_>,
    present: Generation,
    in_force: InForce,
    parts: &mut Parts,
    kept: Option<OverridesDir>,
    events: &Events,
) -> Result<Steered, Error> {
    if args.config.is_none() && !present.loaded.config.api.is_on() {
        return Ok(Steered::default());
    }
    let (args, registry, log_level) = (args.clone(), registry.clone(), logs.level());
    let (limits, fetch) = (&present.loaded.config.limits, &present.loaded.config.fetch);
    let workers = fetch.workers.unwrap_or(limits.permits());
    let reloader = Reloader { args, registry, workers, present, before: None, log_level, in_force };
    Steered::begin(parts, kept, reloader, events.clone())
}

/// Reports the overrides of the previous run that are still in force.
fn tell_overrides(overrides: &Overrides, status: &Status) {
    // The first view of the schedule comes a moment after the start.
    status.publish(View { overrides: Arc::new(overrides.clone()), ..View::default() });
    for sentence in telemetry::sentences(overrides, Duration::ZERO) {
        status.events().note(EventKind::Override, sentence.as_str());
        // Without an `event`, so that none is suppressed as a repetition.
        tracing::warn!("{sentence}");
    }
}

/// Logs the start of a service's run.
fn tell_start(path: &Path) {
    let (version, pid, path) = (env!("CARGO_PKG_VERSION"), std::process::id(), path.display());
    tracing::info!(version, pid, %path, "fetchd {version} starts as process {pid} with {path}");
}

/// The host patterns of `[hosts]`.
fn patterns(config: &Config) -> impl Iterator<Item = HostPattern> {
    config.hosts.keys().filter_map(|pattern| pattern.parse().ok())
}

/// Prints a message to stderr before logs are set up.
fn say(what: &dyn fmt::Display) {
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{what}\n"));
}

/// The most threads of a run besides the first: those of its sources and sinks, of logs and progress, of the
/// checkpoint, of the API, and of attempts.
fn most_threads(config: &Config) -> usize {
    // A durable source has three, a sink that ships has two; a round, token files and the service manager have one.
    let shippers = config.sinks.iter().filter(|sink| sink.component.ships()).count();
    3 * config.sources.len()
        + config.sinks.len()
        + shippers
        + 6
        + usize::from(config.api.is_on())
        + config.fetch.threads as usize
}

/// Logs why a run failed; returns the exit code.
fn failed(error: &Error) -> u8 {
    tracing::error!("{error}");
    error.exit_code()
}

/// Like [`failed`], for a run that had begun: a link created since may lead two outputs to one file, which is locked.
fn failed_amid(config: &Config, error: &Error) -> u8 {
    if let Err(shared) = preflight::reject_shared_outputs(config) {
        tracing::error!("{shared}");
    }
    failed(error)
}

async fn drive(
    parts: Parts,
    config: &Config,
    status: &Status,
    signals: io::Result<Signals>,
    Steered { orders, controls: of_operators, .. }: Steered,
) -> Result<End, Error> {
    let cannot = |what: &str| {
        let what = format!("cannot {what}");
        move |error: io::Error| Error::Open { what, source: error.into() }
    };
    let signals = signals.map_err(cannot("listen to signals"))?;
    let (cpu_seconds, cpu_limit) = (signals.cpu_seconds(), CpuLimit::default());
    let controls = signals.controls(cpu_limit.clone(), orders).map_err(cannot("listen to signals"))?;
    let controls =
        futures::stream::select(controls, futures::stream::iter(of_operators.map(ReceiverStream::new)).flatten());
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

/// The runtime for attempts; `None` if they run in the one thread of all other tasks.
fn threads(number: u32) -> io::Result<Option<Runtime>> {
    if number == 1 {
        return Ok(None);
    }
    runtime::Builder::new_multi_thread().worker_threads(number as usize).enable_all().build().map(Some)
}

/// Explains on a terminal that the program reads URLs from it.
fn hint(config: &Config, args: &RunArgs) {
    let reads_stdin =
        args.again.again.is_none() && config.sources.iter().any(|source| source.component.inputs().stdin > 0);
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
        End::GaveUp | End::HostsClosed | End::Unshipped => 4,
        End::Finished if config.output.fail && status.metrics().not_ok.get() > 0 => 3,
        End::Finished => 0,
    }
}
