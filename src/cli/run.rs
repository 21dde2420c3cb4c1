//! The options of `run`, and how they override the configuration.

use std::path::PathBuf;

use clap::Args;

use super::flags::{Flags, read_header};
use super::{AgainArgs, lay_out, mistakes};
use crate::config::{Config, Registry, Written};
use crate::diagnostics::{Problem, Report};
use crate::fetch::FetchConfig;
use crate::pipeline::Order;
use crate::sink::BodyFormat;
use crate::telemetry::{Format, Level, LimitFlags, ProgressMode};
use crate::units::{Concurrency, Network, Rate, Secret, Size, Span};

/// The options of `run`. Each overrides its configuration key.
#[derive(Clone, Debug, Default, Args)]
#[command(mut_args(lay_out))]
pub struct RunArgs {
    /// Read the configuration from this file [default: none]. Example: -c fetchd.toml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a key of the configuration (repeatable) [default: none]. Example: --set retry.backoff=1s
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Read lines from this file (repeatable), `-` is stdin [default: -]. Example: -i urls.txt
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub input: Vec<PathBuf>,
    /// Append records to this file, `-` is stdout [default: -]. Example: -o results.jsonl
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub output: Option<PathBuf>,
    /// Keep durable state here, so that the next run resumes [default: none]. Example: --data-dir state
    #[arg(long, value_name = "DIR", help_heading = "Input and output")]
    pub data_dir: Option<PathBuf>,
    /// Read changed files from the start, although lines of them are done [default: off]. Example: --anew
    #[arg(long, help_heading = "Input and output")]
    pub anew: bool,
    /// The selection of done lines to fetch again.
    #[command(flatten)]
    pub again: AgainArgs,
    /// Format of bodies in records [default: auto]. Example: --body none
    #[arg(long, value_name = "HOW", help_heading = "Input and output")]
    pub body: Option<BodyFormat>,
    /// Write records in the order of their lines [default: as they are done]. Example: --ordered
    #[arg(long, help_heading = "Input and output")]
    pub ordered: bool,
    /// Exit with 3 if an outcome is not `ok` [default: off]. Example: --fail
    #[arg(long, help_heading = "Input and output")]
    pub fail: bool,
    /// Stop at the first outcome that is not `ok`, exit with 3 [default: off]. Example: --fail-fast
    #[arg(long, help_heading = "Input and output")]
    pub fail_fast: bool,

    /// Requests on the wire at once, or `adaptive` [default: 256]. Example: --max-concurrency 64
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_concurrency: Option<Concurrency>,
    /// Requests on the wire at once, per host, or `adaptive` [default: 8]. Example: --host-concurrency 2
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub host_concurrency: Option<Concurrency>,
    /// Requests started per period, over all hosts [default: unlimited]. Example: --rate 200/s
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    pub rate: Option<Rate>,
    /// Requests started per period, per host [default: unlimited]. Example: --host-rate 5/s
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    pub host_rate: Option<Rate>,
    /// Time for one attempt until its response head: DNS, connect, TLS, request [default: 30s]. Example: --timeout 5s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub timeout: Option<Span>,
    /// Time for DNS, connect and TLS, a part of --timeout [default: 10s]. Example: --connect-timeout 3s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub connect_timeout: Option<Span>,
    /// Attempts after the first one [default: 2]. Example: --retries 5
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub retries: Option<u32>,
    /// Time that lines wait for an unreachable host [default: 60s]. Example: --give-up 5s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub give_up: Option<Span>,
    /// Longest body, decoded; a longer one fails [default: 16MiB]. Example: --max-body 1MiB
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub max_body: Option<Size>,
    /// Redirects followed, per line [default: 10]. Example: --max-redirects 0
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_redirects: Option<u32>,

    /// Send this header; credentials to the first line's host [default: none]. Example: -H 'accept: application/json'
    #[arg(short = 'H', long, value_name = "K: V", help_heading = "Requests")]
    pub header: Vec<String>,
    /// Send this user agent [default: fetchd/VERSION]. Example: -A 'my-crawler (me@example.com)'
    #[arg(short = 'A', long, value_name = "S", help_heading = "Requests")]
    pub user_agent: Option<String>,
    /// Send all requests through this proxy [default: none]. Example: -x http://127.0.0.1:3128
    #[arg(short = 'x', long, value_name = "URL", help_heading = "Requests")]
    pub proxy: Option<String>,
    /// Allow addresses that are not public (repeatable) [default: none]. Example: --allow 127.0.0.0/8
    #[arg(long, value_name = "CIDR", help_heading = "Requests")]
    pub allow: Vec<Network>,
    /// Fetch lines that are records only if they changed [default: off]. Example: --revalidate -i day1.jsonl
    #[arg(long, help_heading = "Requests")]
    pub revalidate: bool,
    /// Obey robots.txt [default: off]. Example: --robots
    #[arg(long, help_heading = "Requests")]
    pub robots: bool,

    /// Show the progress line on stderr [default: auto]. Example: --progress never
    #[arg(long, value_name = "WHEN", help_heading = "Messages")]
    pub progress: Option<ProgressMode>,
    /// Write only errors to stderr: no progress, no summary [default: off]. Example: -q
    #[arg(short, long, help_heading = "Messages", conflicts_with = "verbose")]
    pub quiet: bool,
    /// Write more to stderr, with -vv even more [default: off]. Example: -v
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,
    /// Format of log lines [default: auto]. Example: --log-format json
    #[arg(long, value_name = "FORMAT", help_heading = "Messages")]
    pub log_format: Option<Format>,

    /// URLs and files without an option, for an error message.
    #[arg(hide = true, value_name = "STRAY")]
    pub stray: Vec<String>,
}

/// A configuration in each stage of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The keys of the file and `--set`.
    pub file: Config,
    /// The keys after the other arguments have overridden them.
    pub written: Config,
    /// The completed and checked configuration.
    pub config: Config,
}

impl RunArgs {
    /// Loads the completed and checked configuration.
    ///
    /// # Errors
    /// All problems.
    pub fn config(&self) -> Result<Config, Report> {
        self.config_with(&Registry::default())
    }

    /// Like `config`, with these kinds of sources and sinks.
    ///
    /// # Errors
    /// All problems.
    pub fn config_with(&self, registry: &Registry) -> Result<Config, Report> {
        Ok(self.load(registry)?.config)
    }

    /// Reads the file, overrides keys by these arguments, and completes and checks the configuration.
    ///
    /// # Errors
    /// All problems.
    pub fn load(&self, registry: &Registry) -> Result<Loaded, Report> {
        let mut written = Written::load(self.config.as_deref(), &self.set, registry)?;
        let file = written.config.clone();
        if let Some(stray) = self.stray.first() {
            written.report.add(mistakes::stray(stray));
        }
        self.override_config(&mut written);
        Ok(Loaded { file, written: written.config.clone(), config: written.check()? })
    }

    fn override_config(&self, written: &mut Written) {
        let Written { config, report, .. } = written;
        if !self.input.is_empty() {
            config.set_input(self.input.clone());
        }
        if let Some(output) = &self.output {
            config.set_output(output.clone());
        }
        if self.anew {
            config.read_anew();
        }
        let any_host = config.hosts.entry("*".to_owned()).or_default();
        let mut flags = Flags(report);
        flags.set_some("--host-concurrency", "hosts.*.concurrency", &mut any_host.concurrency, self.host_concurrency);
        flags.set_some("--host-rate", "hosts.*.rate", &mut any_host.rate, self.host_rate);
        flags.set("--max-concurrency", "limits.concurrency", &mut config.limits.concurrency, self.max_concurrency);
        flags.set("--rate", "limits.rate", &mut config.limits.rate, self.rate);
        self.override_fetch(&mut config.fetch, &mut flags);
        flags.set_some("--data-dir", "state.data_dir", &mut config.state.data_dir, self.data_dir.clone());
        flags.set("--retries", "retry.retries", &mut config.retry.retries, self.retries);
        flags.set("--give-up", "health.give_up", &mut config.health.give_up, self.give_up);
        flags.set("--body", "output.body", &mut config.output.body, self.body);
        flags.set("--ordered", "output.order", &mut config.output.order, self.ordered.then_some(Order::Input));
        flags.set("--log-format", "log.format", &mut config.log.format, self.log_format);
        flags.set("--fail", "output.fail", &mut config.output.fail, self.fail.then_some(true));
        flags.set("--fail-fast", "output.fail_fast", &mut config.output.fail_fast, self.fail_fast.then_some(true));
        flags.set("--robots", "robots.enabled", &mut config.robots.enabled, self.robots.then_some(true));
        let (flag, is_given) = if self.quiet { ("--quiet", true) } else { ("--verbose", self.verbose > 0) };
        let level = self.level(config.log.level);
        flags.set(flag, "log.level", &mut config.log.level, is_given.then_some(level));
        let allow = [config.network.allow.as_slice(), &self.allow].concat();
        flags.set("--allow", "network.allow", &mut config.network.allow, (!self.allow.is_empty()).then_some(allow));
        for header in &self.header {
            match read_header(header) {
                Ok((name, value)) => drop(config.headers.insert(name, Secret::new(value))),
                Err(message) => report.add(Problem::general(message)),
            }
        }
    }

    fn override_fetch(&self, fetch: &mut FetchConfig, flags: &mut Flags<'_>) {
        flags.set("--timeout", "fetch.timeout", &mut fetch.timeout, self.timeout);
        flags.set("--connect-timeout", "fetch.connect_timeout", &mut fetch.connect_timeout, self.connect_timeout);
        flags.set("--max-body", "fetch.max_body", &mut fetch.max_body, self.max_body);
        flags.set("--max-redirects", "fetch.max_redirects", &mut fetch.max_redirects, self.max_redirects);
        flags.set("--revalidate", "fetch.revalidate", &mut fetch.revalidate, self.revalidate.then_some(true));
        flags.set("--user-agent", "fetch.user_agent", &mut fetch.user_agent, self.user_agent.clone());
        flags.set_some("--proxy", "fetch.proxy", &mut fetch.proxy, self.proxy.clone().map(Secret::new));
    }

    /// The flags that the names of limits show: with a configuration file, only those that are given.
    pub fn limit_flags(&self) -> LimitFlags {
        if self.config.is_none() {
            return LimitFlags::All;
        }
        let flags = [
            ("--host-concurrency", self.host_concurrency.is_some()),
            ("--host-rate", self.host_rate.is_some()),
            ("--max-concurrency", self.max_concurrency.is_some()),
            ("--rate", self.rate.is_some()),
        ];
        LimitFlags::Given(flags.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect())
    }

    /// When the progress line is shown.
    pub fn progress_mode(&self) -> ProgressMode {
        if self.quiet { ProgressMode::Never } else { self.progress.unwrap_or_default() }
    }

    fn level(&self, configured: Level) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Error,
            (false, 0) => configured,
            (false, 1) => Level::Debug,
            (false, _) => Level::Trace,
        }
    }
}
