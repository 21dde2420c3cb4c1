//! `fetchd state` and its options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::lay_out;

/// What to look at in a data directory.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Count the lines that were accepted, are done, and are not
    #[command(mut_args(lay_out))]
    Status {
        /// Where.
        #[command(flatten)]
        place: StateArgs,
        /// Write one JSON object [default: text]. Example: fetchd state status --data-dir state --json
        #[arg(long)]
        json: bool,
    },
    /// Print the lines that are not done, as they were accepted
    #[command(mut_args(lay_out))]
    Dump {
        /// Where.
        #[command(flatten)]
        place: StateArgs,
    },
    /// Read everything, and say which lines are lost
    #[command(mut_args(lay_out))]
    Check {
        /// Where.
        #[command(flatten)]
        place: StateArgs,
    },
}

/// Where the durable state is.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The configuration that names the data directory [default: none]. Example: -c fetchd.toml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory [default: none]. Example: --data-dir state
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data_dir: Option<PathBuf>,
}
