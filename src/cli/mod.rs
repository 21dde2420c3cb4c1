//! The command line, and how its flags override the configuration.

mod again;
mod check;
mod ctl;
mod flags;
mod man_page;
mod mistakes;
mod results;
mod run;
mod state;

use clap::{Arg, Parser, Subcommand};

pub use again::AgainArgs;
pub use check::CheckArgs;
pub use ctl::{CtlArgs, CtlCommand, HostOrder, HostsArgs, LimitsArgs, WhyArgs};
pub use man_page::MAN_PAGE_END;
pub use results::{By, ResultsArgs};
pub use run::{Loaded, RunArgs};
pub use state::{StateArgs, StateCommand};

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
    /// The command; `run` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

impl Cli {
    /// Parses the arguments of the process, or exits with an error.
    pub fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|error| mistakes::explained(error).exit())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read URLs, fetch them, write records (the default)
    Run(Box<RunArgs>),
    /// Report every problem of a configuration, and send nothing
    Check(Box<CheckArgs>),
    /// Inspect durable state: accepted, done and pending lines
    State {
        /// The command.
        #[command(subcommand)]
        command: StateCommand,
    },
    /// Print the newest record of each line from record files
    #[command(mut_args(lay_out))]
    Results(ResultsArgs),
    /// Watch and steer a running fetchd through its API
    Ctl(Box<CtlArgs>),
    /// Take a tour against an embedded server, in less than 20 seconds
    #[command(mut_args(lay_out))]
    Demo {
        /// Keep the last run of the tour running, with its API, until Ctrl-C [default: no]. Example: fetchd demo
        /// --serve
        #[arg(long)]
        serve: bool,
    },
    /// Print shell completions
    #[command(after_help = "Example: fetchd completions bash > /etc/bash_completion.d/fetchd")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example: fetchd man | man -l -")]
    Man,
}

/// Splits the help of an option: the short help has the effect and the default, the long help also has the example.
fn lay_out(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match help.split_once(". Example: ") {
        Some((what, example)) => arg.help(what.to_owned()).long_help(format!("{what}\nExample: {example}")),
        None => arg,
    }
}
