//! `fetchd ctl` and its options.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::lay_out;
use crate::units::{Concurrency, Rate, Span};

/// The socket of the run, and the command.
#[derive(Debug, Args)]
#[command(mut_args(lay_out))]
pub struct CtlArgs {
    /// Take the socket from api.socket of this file [default: none]. Example: fetchd ctl -c fetchd.toml status
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The socket [default: /run/fetchd/api/api.sock]. Example: fetchd ctl --socket api.sock status
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "config")]
    pub socket: Option<PathBuf>,
    /// Write the JSON of the API [default: text]. Example: fetchd ctl status --json
    #[arg(long, global = true)]
    pub json: bool,
    /// The command.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// The commands of `fetchd ctl`.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Show the state, bottleneck and estimated end of the run; exit code 1 if it is not ready
    #[command(mut_args(lay_out))]
    Status {
        /// Refresh every second [default: once]. Example: fetchd ctl status --watch
        #[arg(long)]
        watch: bool,
    },
    /// Show why the lines of a host, or one line, wait
    #[command(mut_args(lay_out))]
    Why(WhyArgs),
    /// List the hosts with the most waiting lines
    #[command(mut_args(lay_out))]
    Hosts(HostsArgs),
    /// Show the last hundred events
    Events,
    /// Start no new requests, for one host or for all
    #[command(mut_args(lay_out))]
    Pause {
        /// The host [default: all]. Example: fetchd ctl pause api.example.com
        #[arg(value_name = "HOST")]
        host: Option<String>,
        /// Duration [default: until resumed]. Example: fetchd ctl pause --for 1h
        #[arg(long, value_name = "TIME")]
        r#for: Option<Span>,
    },
    /// Resume paused hosts
    #[command(mut_args(lay_out))]
    Resume {
        /// The host [default: all]. Example: fetchd ctl resume api.example.com
        #[arg(value_name = "HOST")]
        host: Option<String>,
    },
    /// Settle the waiting lines of a host as `skipped`, without requests
    #[command(mut_args(lay_out))]
    Skip {
        /// The host [default: none]. Example: fetchd ctl skip api.example.com
        #[arg(value_name = "HOST")]
        host: String,
        /// Also skip lines that come within this time [default: none]. Example: fetchd ctl skip api.example.com --for
        /// 1h
        #[arg(long, value_name = "TIME")]
        r#for: Option<Span>,
        /// Stop skipping new lines [default: off]. Example: fetchd ctl skip api.example.com --clear
        #[arg(long, conflicts_with = "for")]
        clear: bool,
    },
    /// Show the limits of a host, or of the run, or change its rate or its concurrency
    #[command(mut_args(lay_out))]
    Limits(LimitsArgs),
    /// Stop the run in good order: it finishes what it has, and ends
    #[command(mut_args(lay_out))]
    Drain {
        /// Cancel lines that cannot be kept [default: refuse to stop]. Example: fetchd ctl drain --force
        #[arg(long)]
        force: bool,
    },
    /// Continue in new output files
    Rotate,
    /// Reload the configuration
    #[command(mut_args(lay_out))]
    Reload {
        /// Only show what would change [default: off]. Example: fetchd ctl reload --dry-run
        #[arg(long)]
        dry_run: bool,
    },
    /// Every key of the configuration that is in force, secrets as `***`
    Config,
    /// Show records as they come, without bodies, at most 100 a second
    #[command(mut_args(lay_out))]
    Tail {
        /// Only records that are not `ok` [default: all]. Example: fetchd ctl tail --not-ok
        #[arg(long)]
        not_ok: bool,
    },
}

/// A host, or a line.
#[derive(Debug, Default, Args)]
#[command(group(ArgGroup::new("what").args(["host", "seq"]).required(true)))]
pub struct WhyArgs {
    /// The host [default: none]. Example: fetchd ctl why api.example.com
    #[arg(value_name = "HOST", value_parser = host_name, conflicts_with_all = ["source", "file"])]
    pub host: Option<String>,
    /// The number of a line [default: none]. Example: fetchd ctl why --seq 17
    #[arg(long, value_name = "N")]
    pub seq: Option<u64>,
    /// The source of the line [default: the only one]. Example: fetchd ctl why --source urls --seq 17
    #[arg(long, value_name = "NAME", requires = "seq")]
    pub source: Option<String>,
    /// The file of the line [default: none]. Example: fetchd ctl why --source urls --file a.txt --seq 17
    #[arg(long, value_name = "PATH", requires = "seq")]
    pub file: Option<String>,
}

/// # Errors
/// A number is no host, though it could be read as an address: who writes one means a line.
fn host_name(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("a number is no host; for a line, write: fetchd ctl why --seq {text}"));
    }
    Ok(text.to_owned())
}

/// The filter and order of `hosts`.
#[derive(Debug, Args)]
pub struct HostsArgs {
    /// Sort order [default: waiting]. Example: fetchd ctl hosts --sort errors
    #[arg(long, value_name = "BY")]
    pub sort: Option<HostOrder>,
    /// Only hosts in this state [default: all]. Example: fetchd ctl hosts --state paused
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only this host, or its subdomains [default: all]. Example: fetchd ctl hosts --name '*.example.com'
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Number of hosts, at most 500 [default: 50]. Example: fetchd ctl hosts --limit 10
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// The sort order of hosts, descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the documentation")]
#[value(rename_all = "snake_case")]
pub enum HostOrder {
    Waiting,
    InFlight,
    Errors,
}

/// The limits to change, and their new values.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").args(["rate", "concurrency"]).multiple(true)))]
#[command(group(ArgGroup::new("whom").args(["host", "all"])))]
pub struct LimitsArgs {
    /// The host [default: none]. Example: fetchd ctl limits api.example.com --rate 2/s
    #[arg(value_name = "HOST", conflicts_with = "all")]
    pub host: Option<String>,
    /// Change the limits of the whole run [default: off]. Example: fetchd ctl limits --all --rate 100/s
    #[arg(long)]
    pub all: bool,
    /// Requests started per period [default: as before]. Example: fetchd ctl limits api.example.com --rate 2/s
    #[arg(long, value_name = "RATE", requires = "whom")]
    pub rate: Option<Rate>,
    /// Requests at once [default: as before]. Example: fetchd ctl limits api.example.com --concurrency 3
    #[arg(long, value_name = "N", requires = "whom")]
    pub concurrency: Option<Concurrency>,
    /// Duration [default: until cleared]. Example: fetchd ctl limits --all --rate 5/s --for 1h
    #[arg(long, value_name = "TIME", requires = "change")]
    pub r#for: Option<Span>,
    /// Restore the limits of the configuration [default: off]. Example: fetchd ctl limits api.example.com --clear
    #[arg(long, requires = "whom", conflicts_with_all = ["rate", "concurrency", "for"])]
    pub clear: bool,
}
