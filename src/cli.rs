//! The command line, and how its flags override the configuration.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use ipnet::IpNet;

use crate::config::{Config, Problem, Report, Written};
use crate::fetch::{NetworkConfig, parse_network};
use crate::item::parse_header;
use crate::pipeline::Order;
use crate::sink::Body;
use crate::telemetry::{Format, Level, ProgressMode};
use crate::units::{Rate, Size, Span};

/// A stream of URLs in, exactly one result per line out: live, polite, bounded, and nothing lost.
#[derive(Debug, Parser)]
#[command(
    name = "fetchd",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        cat urls.txt | fetchd > results.jsonl\n  \
        fetchd -i urls.txt -o results.jsonl --host-rate 5/s\n  \
        fetchd -c fetchd.toml\n  \
        fetchd demo"
)]
pub struct Cli {
    /// What to do; without a command, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read URLs, fetch, write records (the default: stdin to stdout, no configuration needed)
    Run(Box<RunArgs>),
    /// Validate a configuration: every problem at once, with its place; opens and sends nothing
    Check {
        /// The configuration. Example: fetchd check -c fetchd.toml
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// A self-contained tour against an embedded loopback server, in less than 20 seconds
    Demo,
    /// Print shell completions. Example: fetchd completions bash > /etc/bash_completion.d/fetchd
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page. Example: fetchd man | man -l -
    Man,
}

/// The options of `run`. Each overrides its configuration key.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// The configuration [default: none; none is searched for]. Example: -c fetchd.toml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read lines from this file; repeat for several, `-` is stdin [default: -]. Example: -i urls.txt
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub input: Vec<PathBuf>,
    /// Append records to this file; `-` is stdout [default: -]. Example: -o results.jsonl
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub output: Option<PathBuf>,
    /// How records show bodies [default: auto]. Example: --body none
    #[arg(long, value_name = "HOW", help_heading = "Input and output")]
    pub body: Option<Body>,
    /// Write records in the order of their lines [default: as they are done]. Example: --ordered
    #[arg(long, help_heading = "Input and output")]
    pub ordered: bool,
    /// Exit with 3 if any outcome is not `ok` [default: off]. Example: --fail
    #[arg(long, help_heading = "Input and output")]
    pub fail: bool,
    /// Let the first outcome that is not `ok` cancel the rest, and exit with 3 [default: off]. Example: --fail-fast
    #[arg(long, help_heading = "Input and output")]
    pub fail_fast: bool,

    /// Requests on the wire at once [default: 256]. Example: --max-concurrency 64
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_concurrency: Option<u32>,
    /// Requests on the wire at once, per host [default: 8]. Example: --host-concurrency 2
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub host_concurrency: Option<u32>,
    /// Starts of requests, over all hosts [default: unlimited]. Example: --rate 200/s
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    pub rate: Option<Rate>,
    /// Starts of requests, per host [default: unlimited]. Example: --host-rate 5/s
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    pub host_rate: Option<Rate>,
    /// One attempt: DNS, connect, TLS, request, whole body [default: 30s]. Example: --timeout 5s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub timeout: Option<Span>,
    /// DNS, connect and TLS [default: 10s]. Example: --connect-timeout 3s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub connect_timeout: Option<Span>,
    /// Attempts after the first [default: 2]. Example: --retries 5
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub retries: Option<u32>,
    /// The longest body, decoded [default: 16MiB]. Example: --max-body 1MiB
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub max_body: Option<Size>,
    /// Redirects followed per line [default: 10]. Example: --max-redirects 0
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_redirects: Option<u32>,

    /// A header for the hosts of the lines' own URLs [default: none]. Example: -H 'accept: application/json'
    #[arg(short = 'H', long, value_name = "K: V", help_heading = "Requests")]
    pub header: Vec<String>,
    /// The user agent [default: fetchd/VERSION]. Example: -A 'my-crawler (me@example.com)'
    #[arg(short = 'A', long, value_name = "S", help_heading = "Requests")]
    pub user_agent: Option<String>,
    /// A proxy for all requests [default: none, also not from the environment]. Example: -x http://127.0.0.1:3128
    #[arg(short = 'x', long, value_name = "URL", help_heading = "Requests")]
    pub proxy: Option<String>,
    /// Allow addresses that are not public; repeat for several [default: none]. Example: --allow 127.0.0.0/8
    #[arg(long, value_name = "CIDR", value_parser = parse_network, help_heading = "Requests")]
    pub allow: Vec<IpNet>,

    /// The progress line on stderr [default: auto, that is on a terminal]. Example: --progress never
    #[arg(long, value_name = "WHEN", help_heading = "Messages")]
    pub progress: Option<ProgressMode>,
    /// Only errors on stderr: no progress, no summary [default: off]. Example: -q
    #[arg(short, long, help_heading = "Messages", conflicts_with = "verbose")]
    pub quiet: bool,
    /// More on stderr; -vv for even more [default: off]. Example: -v
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,
    /// How log lines look [default: auto, text on a terminal and JSON otherwise]. Example: --log-format json
    #[arg(long, value_name = "FORMAT", help_heading = "Messages")]
    pub log_format: Option<Format>,

    /// Catches URLs and files given without an option, to say how they are given.
    #[arg(hide = true, value_name = "STRAY")]
    pub stray: Vec<String>,
}

impl RunArgs {
    /// The configuration that these arguments stand for, completed and checked.
    ///
    /// # Errors
    /// Every problem there is.
    pub fn config(&self) -> Result<Config, Report> {
        let mut written = Written::load(self.config.as_deref())?;
        if let Some(problem) = self.stray_problem() {
            written.report.add(problem);
        }
        self.override_config(&mut written);
        written.check()
    }

    fn stray_problem(&self) -> Option<Problem> {
        let stray = self.stray.first()?;
        let message = if Cli::command().find_subcommand(stray).is_some() {
            format!("the command comes before its options; write: fetchd {stray} [OPTIONS]")
        } else if stray.contains("://") {
            format!("URLs are read from the input, not from the command line; write: echo '{stray}' | fetchd")
        } else {
            format!("files are given with -i; write: fetchd -i {stray}")
        };
        Some(Problem::general(message))
    }

    fn override_config(&self, written: &mut Written) {
        let Written { config, report } = written;
        if !self.input.is_empty() {
            config.set_input(self.input.clone());
        }
        if let Some(output) = &self.output {
            config.set_output(output.clone());
        }
        let any_host = config.hosts.entry("*".to_owned()).or_default();
        any_host.concurrency = self.host_concurrency.or(any_host.concurrency);
        any_host.rate = self.host_rate.or(any_host.rate);
        set(&mut config.limits.concurrency, self.max_concurrency);
        set(&mut config.limits.rate, self.rate);
        set(&mut config.fetch.timeout, self.timeout);
        set(&mut config.fetch.connect_timeout, self.connect_timeout);
        set(&mut config.fetch.max_body, self.max_body);
        set(&mut config.fetch.max_redirects, self.max_redirects);
        set(&mut config.fetch.user_agent, self.user_agent.clone());
        set(&mut config.retry.retries, self.retries);
        set(&mut config.output.body, self.body);
        set(&mut config.output.order, self.ordered.then_some(Order::Input));
        set(&mut config.log.format, self.log_format);
        config.fetch.proxy = self.proxy.clone().or(config.fetch.proxy.take());
        config.output.fail |= self.fail;
        config.output.fail_fast |= self.fail_fast;
        config.log.level = self.level(config.log.level);
        allow(&mut config.network, &self.allow);
        for header in &self.header {
            match read_header(header) {
                Ok((name, value)) => drop(config.headers.insert(name, value)),
                Err(message) => report.add(Problem::general(message)),
            }
        }
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

fn set<T>(key: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *key = value;
    }
}

fn allow(network: &mut NetworkConfig, more: &[IpNet]) {
    network.allow.extend_from_slice(more);
}

/// Reads `K: V`. The value is not shown in messages: it may be a token.
fn read_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| "a header of -H has no colon; write for example -H 'accept: application/json'".to_owned())?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
    parse_header(&name, &value)?;
    Ok((name, value))
}
