//! The options of a round.

use std::path::PathBuf;

use clap::Args;

use super::lay_out;
use crate::rounds::Selection;

/// The selection of done lines to fetch again.
#[derive(Clone, Debug, Default, Args)]
#[command(mut_args(lay_out))]
pub struct AgainArgs {
    /// Fetch failed lines again: `not_ok`, or `timeout,401,5xx` [default: none]. Example: --again not_ok
    #[arg(long, value_name = "WHAT", help_heading = "Input and output")]
    pub again: Option<Selection>,
    /// Read records from this file, too (repeatable) [default: none]. Example: --again not_ok --from old.jsonl.zst
    #[arg(long, value_name = "FILE", help_heading = "Input and output", requires = "again")]
    pub from: Vec<PathBuf>,
    /// Skip lines whose records are not found [default: off]. Example: --again not_ok --partial
    #[arg(long, help_heading = "Input and output", requires = "again")]
    pub partial: bool,
}
