//! `fetchd state` and its options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::lay_out;

/// The commands of `fetchd state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Count the accepted, done and pending lines
    #[command(mut_args(lay_out))]
    Status {
        /// The data directory.
        #[command(flatten)]
        place: StateArgs,
        /// Write one JSON object [default: text]. Example: fetchd state status --data-dir state --json
        #[arg(long)]
        json: bool,
    },
    /// Print the pending lines as they were accepted
    #[command(mut_args(lay_out))]
    Dump {
        /// The data directory.
        #[command(flatten)]
        place: StateArgs,
    },
    /// Read all journals, and report lost lines
    #[command(mut_args(lay_out))]
    Check {
        /// The data directory.
        #[command(flatten)]
        place: StateArgs,
    },
}

/// The location of durable state.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The configuration with the data directory [default: none]. Example: -c fetchd.toml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory [default: none]. Example: --data-dir state
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data_dir: Option<PathBuf>,
}
