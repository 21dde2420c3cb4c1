//! The options of a round.

use std::path::PathBuf;

use clap::Args;

use super::lay_out;
use crate::rounds::Selection;

/// Which lines that are done are fetched once more.
#[derive(Clone, Debug, Default, Args)]
#[command(mut_args(lay_out))]
pub struct AgainArgs {
    /// Fetch failed lines once more: `not_ok`, or `timeout,401,5xx` [default: none]. Example: --again not_ok
    #[arg(long, value_name = "WHAT", help_heading = "Input and output")]
    pub again: Option<Selection>,
    /// Find records in this file, too (repeatable) [default: none]. Example: --again not_ok --from old.jsonl.zst
    #[arg(long, value_name = "FILE", help_heading = "Input and output", requires = "again")]
    pub from: Vec<PathBuf>,
    /// Leave lines out whose records are not found [default: off]. Example: --again not_ok --partial
    #[arg(long, help_heading = "Input and output", requires = "again")]
    pub partial: bool,
}
