//! The configuration: a table for each component. It is read while all problems are collected, overridden by flags,
//! completed with defaults, and checked as a whole before anything is opened.

mod api_socket;
mod bounds;
mod check;
mod credentials;
mod expand;
mod explain;
mod file_values;
mod files;
mod keys;
mod parse;
mod paths;
mod prescan;
mod prune;
mod read;
mod redact;
mod reload;
mod set;
mod tls;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::BitOr;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use api_socket::api_socket;
pub use credentials::{suspicious_headers, useless_refreshes};
use expand::Surroundings;
pub use expand::refuse_file_in_flag;
pub use file_values::FileValues;
pub use reload::{Changes, EFFECTS, Effect, changes, effect};
use set::Assignment;
pub use set::keys_like;

use crate::diagnostics::{Problem, Report};
use crate::fetch::{DnsConfig, FetchConfig, NetworkConfig, TlsConfig};
use crate::item::{CHUNK, Needs};
use crate::open_files;
use crate::ops::ApiConfig;
use crate::pipeline::{OutputConfig, QueueConfig, ShutdownConfig};
use crate::registry::{Kind, Named};
use crate::schedule::{HealthConfig, HostConfig, LimitsConfig, RetryConfig, RobotsConfig};
use crate::sink::{self, Content, SinkConfig};
use crate::source::{self, SourceConfig};
use crate::state::StateConfig;
use crate::telemetry::LogConfig;
use crate::units::{Concurrency, Secret, Size, Span};

/// A complete configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// `[source.NAME.KIND]`
    pub sources: Vec<Named<dyn SourceConfig>>,
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
    pub sinks: Vec<Named<dyn SinkConfig>>,
    /// `[state]`
    pub state: StateConfig,
    /// `[shutdown]`
    pub shutdown: ShutdownConfig,
    /// `[api]`
    pub api: ApiConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `-H`: headers for the hosts of the lines' own URLs.
    pub headers: BTreeMap<String, Secret<String>>,
    /// The files in values.
    #[serde(skip)]
    pub file_values: FileValues,
}

/// The default concurrency of a host.
pub const ANY_HOST_CONCURRENCY: Concurrency = Concurrency::Fixed(8);

/// The default maximum of a host's adaptive concurrency.
pub const ANY_HOST_MAX_CONCURRENCY: u32 = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: vec![source::standard_input()],
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
            sinks: vec![sink::standard_output()],
            state: StateConfig::default(),
            shutdown: ShutdownConfig::default(),
            api: ApiConfig::default(),
            log: LogConfig::default(),
            headers: BTreeMap::new(),
            file_values: FileValues::default(),
        }
    }
}

/// The kinds of sources and sinks that a configuration can name.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The kinds of sources.
    pub sources: Vec<Kind<dyn SourceConfig>>,
    /// The kinds of sinks.
    pub sinks: Vec<Kind<dyn SinkConfig>>,
}

impl Default for Registry {
    /// The built-in kinds.
    fn default() -> Self {
        Self { sources: source::KINDS.to_vec(), sinks: sink::KINDS.to_vec() }
    }
}

/// A configuration that was read but not checked, with the problems so far.
#[derive(Debug, Default)]
pub struct Written {
    /// The valid part.
    pub config: Config,
    /// The problems.
    pub report: Report,
    /// The path of the file.
    pub file: Option<PathBuf>,
}

impl Written {
    /// Reads a file and overrides keys by `--set`; without a file, other keys have their defaults.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(path: Option<&Path>, set: &[String], registry: &Registry) -> Result<Self, Report> {
        let text = path.map_or_else(|| Ok(String::new()), read_text).map_err(|error| {
            let mut report = Report::default();
            let path = path.unwrap_or(Path::new("")).display();
            report.add(Problem::general(format!("cannot read the configuration {path}: {error}")));
            report
        })?;
        let env = |name: &str| std::env::var(name).ok();
        let mut wrong = Vec::new();
        let first_problem = |toml: &str| {
            let surroundings = Surroundings::of_flag(&env);
            let report = read::read(registry, Path::new("--set"), toml, &[], surroundings).report;
            report.problems().first().map(|problem| problem.message.clone())
        };
        let read = |text: &String| Assignment::read(text, first_problem).map_err(|message| wrong.push(message)).ok();
        let assignments: Vec<_> = set.iter().filter_map(read).collect();
        let file = path.unwrap_or(Path::new(""));
        let written = read::read(registry, file, &text, &assignments, Surroundings::of_file(file, &env));
        let mut written = Self { file: path.map(Path::to_owned), ..written };
        wrong.into_iter().for_each(|message| written.report.add(Problem::general(message)));
        Ok(written)
    }

    /// Parses a text as the content of `path`, with environment variables from `env`.
    pub fn parse(path: &Path, text: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        Self::parse_with(&Registry::default(), path, text, env)
    }

    /// Like `parse`, with these kinds of sources and sinks.
    pub fn parse_with(registry: &Registry, path: &Path, text: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        read::read(registry, path, text, &[], Surroundings::of_file(path, &env))
    }

    /// Completes and checks the configuration for the open-file limit of this process.
    ///
    /// # Errors
    /// All problems.
    pub fn check(mut self) -> Result<Config, Report> {
        let most_files = open_files::most();
        self.config.fill(most_files);
        check::check(&self.config, self.file.as_deref(), most_files, &mut self.report);
        if self.report.is_empty() { Ok(self.config) } else { Err(self.report) }
    }
}

/// Reads a file of at most 16 MiB.
fn read_text(path: &Path) -> io::Result<String> {
    const MOST: u64 = 16 << 20;
    let mut text = String::new();
    File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::Error::other("it is longer than 16 MiB; is it the right file?"));
    }
    Ok(text)
}

impl Config {
    /// Replaces all sources by one that reads these paths.
    pub fn set_input(&mut self, paths: Vec<PathBuf>) {
        self.sources = vec![source::reading(paths)];
    }

    /// Replaces all sinks by one that writes to this path.
    pub fn set_output(&mut self, path: PathBuf) {
        self.sinks = vec![sink::writing(path)];
    }

    /// Lets sources read changed files from the start.
    pub fn read_anew(&mut self) {
        for source in &mut self.sources {
            if let Some(component) = source.component.anew() {
                source.component = component;
            }
        }
    }

    /// The parts of responses that any sink or source needs.
    pub fn needs(&self) -> Needs {
        let content = self.content();
        let sinks = self.sinks.iter().map(|sink| sink.component.needs(&content));
        sinks.chain(self.sources.iter().map(|source| source.component.needs())).fold(Needs::default(), Needs::bitor)
    }

    /// The content of records according to `[output]`.
    pub fn content(&self) -> Content {
        Content { body: self.output.body, headers: self.output.headers, digest: self.output.digest }
    }

    /// The most bytes of bodies held at once.
    pub fn body_memory(&self) -> u64 {
        self.limits.body_memory.unwrap_or(Size::mib(256)).0
    }

    /// The largest `max_body` of a line: two such bodies fit into memory.
    pub fn largest_body(&self) -> u64 {
        self.body_memory() / 2
    }

    /// The `max_body` keys with their values.
    fn max_bodies(&self) -> impl Iterator<Item = (String, Size)> {
        let of_host =
            |(pattern, host): (&String, &HostConfig)| Some((format!("hosts.{pattern}.max_body"), host.max_body?));
        std::iter::once(("fetch.max_body".to_owned(), self.fetch.max_body)).chain(self.hosts.iter().filter_map(of_host))
    }

    /// Sets the defaults that depend on other keys.
    fn fill(&mut self, most_files: u64) {
        let concurrency = self.limits.permits();
        let idle_connections = files::idle_connections(self, most_files);
        self.fetch.workers.get_or_insert(concurrency);
        self.fetch.idle_connections.get_or_insert(idle_connections);
        let longest = self.max_bodies().map(|(_, max_body)| max_body.0).max().unwrap_or_default();
        let needed = (u64::from(concurrency) * CHUNK).max(longest.saturating_mul(2));
        self.limits.body_memory.get_or_insert(Size(needed.max(Size::mib(256).0)));
        // The rest is for connecting, which is fast for a reachable host.
        let most = Span(self.fetch.connect_timeout.0 * 4 / 5);
        self.dns.timeout.get_or_insert(most);
        let any = self.hosts.entry("*".to_owned()).or_default();
        any.concurrency.get_or_insert(ANY_HOST_CONCURRENCY);
        any.max_concurrency.get_or_insert(ANY_HOST_MAX_CONCURRENCY);
        any.rate.get_or_insert(crate::units::Rate::Unlimited);
    }
}
