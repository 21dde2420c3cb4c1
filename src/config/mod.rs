//! The configuration: the components' own tables side by side. What was written is read with every problem noted, then
//! overridden by flags, completed, and checked as a whole; only then is anything opened.

mod check;
mod explain;
mod files;
mod inputs;
mod keys;
mod outputs;
mod parse;
mod prescan;
mod problem;
mod prune;
mod read;
mod redact;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use problem::{Problem, Report};

use crate::fetch::{DnsConfig, FetchConfig, NetworkConfig, TlsConfig};
use crate::item::CHUNK;
use crate::open_files;
use crate::pipeline::{OutputConfig, QueueConfig, ShutdownConfig};
use crate::schedule::{HealthConfig, HostConfig, LimitsConfig, RetryConfig, RobotsConfig};
use crate::sink::{Jsonl, SinkConfig, Stdout};
use crate::source::{File, SourceConfig, Stdin};
use crate::state::StateConfig;
use crate::telemetry::LogConfig;
use crate::units::{Concurrency, Size, Span};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// `[source.NAME.KIND]`
    pub sources: Vec<Named<SourceConfig>>,
    /// `[queue]`
    pub queue: QueueConfig,
    /// `[fetch]`
    pub fetch: FetchConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[hosts."PATTERN"]`
    pub hosts: BTreeMap<String, HostConfig>,
    /// `[retry]`
    pub retry: RetryConfig,
    /// `[health]`
    pub health: HealthConfig,
    /// `[robots]`
    pub robots: RobotsConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[dns]`
    pub dns: DnsConfig,
    /// `[network]`
    pub network: NetworkConfig,
    /// `[output]`
    pub output: OutputConfig,
    /// `[sink.NAME.KIND]`
    pub sinks: Vec<Named<SinkConfig>>,
    /// `[state]`
    pub state: StateConfig,
    /// `[shutdown]`
    pub shutdown: ShutdownConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `-H`: headers for the hosts of the lines' own URLs.
    pub headers: BTreeMap<String, String>,
}

/// A component with the name that the configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named<T> {
    /// Absent for a component that no configuration names.
    pub name: Option<String>,
    /// The component.
    pub component: T,
}

impl<T> Named<T> {
    fn unnamed(component: T) -> Self {
        Self { name: None, component }
    }
}

/// The limits of a host that nothing else is said of.
pub const ANY_HOST_CONCURRENCY: Concurrency = Concurrency::Fixed(8);

/// The most requests at once of a host whose number is found out.
pub const ANY_HOST_MAX_CONCURRENCY: u32 = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: vec![Named::unnamed(SourceConfig::Stdin(Stdin::default()))],
            queue: QueueConfig::default(),
            fetch: FetchConfig::default(),
            limits: LimitsConfig::default(),
            hosts: BTreeMap::new(),
            retry: RetryConfig::default(),
            health: HealthConfig::default(),
            robots: RobotsConfig::default(),
            tls: TlsConfig::default(),
            dns: DnsConfig::default(),
            network: NetworkConfig::default(),
            output: OutputConfig::default(),
            sinks: vec![Named::unnamed(SinkConfig::Stdout(Stdout::default()))],
            state: StateConfig::default(),
            shutdown: ShutdownConfig::default(),
            log: LogConfig::default(),
            headers: BTreeMap::new(),
        }
    }
}

/// A configuration as it was written, with what is wrong so far and where things stand.
#[derive(Debug, Default)]
pub struct Written {
    /// What could be read.
    pub config: Config,
    /// What could not.
    pub report: Report,
}

impl Written {
    /// Reads a file; without one, everything has its default.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn load(path: Option<&Path>) -> Result<Self, Report> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut report = Report::default();
            report.add(Problem::general(format!("cannot read the configuration {}: {error}", path.display())));
            report
        })?;
        Ok(Self::parse(path, &text, |name| std::env::var(name).ok()))
    }

    /// Reads a text as the content of `path`, with `${NAME}` taken from `env`.
    pub fn parse(path: &Path, text: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        read::read(path, text, &env)
    }

    /// Completes and checks the whole, for a process that may open as many files as this one.
    ///
    /// # Errors
    /// Every problem there is.
    pub fn check(mut self) -> Result<Config, Report> {
        let most_files = open_files::most();
        self.config.fill(most_files);
        check::check(&self.config, most_files, &mut self.report);
        if self.report.is_empty() { Ok(self.config) } else { Err(self.report) }
    }
}

impl Config {
    /// One file source that reads these paths replaces all sources.
    pub fn set_input(&mut self, paths: Vec<PathBuf>) {
        let source = match paths.as_slice() {
            [only] if only == Path::new("-") => SourceConfig::Stdin(Stdin::default()),
            _ => SourceConfig::File(File::new(paths)),
        };
        self.sources = vec![Named::unnamed(source)];
    }

    /// One sink replaces all sinks; `-` is standard output.
    pub fn set_output(&mut self, path: PathBuf) {
        let sink = if path == Path::new("-") {
            SinkConfig::Stdout(Stdout::default())
        } else {
            SinkConfig::Jsonl(Jsonl::new(path))
        };
        self.sinks = vec![Named::unnamed(sink)];
    }

    /// Gives every key that follows from others the value that it then has.
    fn fill(&mut self, most_files: u64) {
        let concurrency = self.limits.permits();
        let idle_connections = files::idle_connections(self, most_files);
        self.fetch.workers.get_or_insert(concurrency);
        self.fetch.idle_connections.get_or_insert(idle_connections);
        let needed = (u64::from(concurrency) * CHUNK).max(self.fetch.max_body.0.saturating_mul(2));
        self.limits.body_memory.get_or_insert(Size(needed.max(Size::mib(256).0)));
        let shorter = Span(self.fetch.connect_timeout.0 / 2).min(Span::secs(5));
        self.dns.timeout.get_or_insert(shorter);
        let any = self.hosts.entry("*".to_owned()).or_default();
        any.concurrency.get_or_insert(ANY_HOST_CONCURRENCY);
        any.max_concurrency.get_or_insert(ANY_HOST_MAX_CONCURRENCY);
        any.rate.get_or_insert(crate::units::Rate::Unlimited);
    }
}
