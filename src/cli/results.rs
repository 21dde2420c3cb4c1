//! `fetchd results` and its options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to read, and what a line is known by.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// What tells lines apart [default: line]. Example: fetchd results --by id old.jsonl new.jsonl
    #[arg(long, value_name = "WHAT", default_value = "line", hide_default_value = true)]
    pub by: By,
    /// Files of records: plain, gzip or zstd; `-` is stdin [default: none]. Example: fetchd results results.jsonl
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// What tells lines apart, and which of their records is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Source, file, number and state; the newest is that of the last round
    Line,
    /// What the line gave as `id`; the newest is the last in the order of the files
    Id,
}
