//! Logging: the level and format of log lines.

use std::io::{self, IsTerminal};

use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::log_summaries::{LogSummaries, Summarised};
use super::stderr::Stderr;

/// `[log]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The least severe level that is logged.
    pub level: Level,
    /// The format of log lines.
    pub format: Format,
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Whether log lines, and the summary, are JSON.
    pub fn is_json(self) -> bool {
        match self {
            Self::Auto => !io::stderr().is_terminal(),
            Self::Text => false,
            Self::Json => true,
        }
    }
}

/// The handle of logging; flushes stderr when dropped.
#[must_use]
pub struct Logs {
    stderr: Stderr,
    summaries: LogSummaries,
    level: LogLevel,
}

/// Changes the log level.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    /// Sets the log level.
    pub fn set(&self, level: Level) {
        // This fails if another subscriber is installed, as in tests.
        let _ = self.0.reload(ours(level));
    }
}

/// A filter for fetchd's own lines: those of the HTTP client may contain server data, or passwords in URLs.
fn ours(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target("fetchd", level)
}

impl Logs {
    /// A handle to change the log level.
    pub fn level(&self) -> LogLevel {
        self.level.clone()
    }

    /// Writes text that is no log line to stderr.
    pub fn say(&self, text: String) {
        self.stderr.say(text.into_bytes());
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.summaries.log_all();
        self.stderr.flush();
    }
}

/// Starts logging, once per process.
pub fn init(config: &LogConfig, bar: Option<ProgressBar>) -> Logs {
    let summaries = LogSummaries::new();
    let stderr = Stderr::start(bar, summaries.clone());
    let (ours, level) = reload::Layer::new(ours(config.level));
    let layer = fmt::layer().with_target(false).with_writer(stderr.clone());
    let layer = if config.format.is_json() {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_ansi(io::stderr().is_terminal()).boxed()
    };
    let layer = Summarised { layer, summaries: summaries.clone() };
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    log_panics();
    Logs { stderr, summaries, level: LogLevel(level) }
}

/// Logs panics; the code that catches a panic decides what happens next.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = crate::error::panic_message(panic.payload());
        let place = panic.location().map(ToString::to_string);
        tracing::error!(event = "panic", place, "panic: {message}");
    }));
}
