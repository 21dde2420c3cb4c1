//! `fetchd results` and its options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The files to read, and the identity of a line.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// Identity of a line [default: line]. Example: fetchd results --by id old.jsonl new.jsonl
    #[arg(long, value_name = "WHAT", default_value = "line", hide_default_value = true)]
    pub by: By,
    /// Files of records: plain, gzip or zstd; `-` is stdin [default: none]. Example: fetchd results results.jsonl
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// The identity of a line, which also decides which record is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Source, file, number and state; the newest record is that of the last round
    Line,
    /// The `id` of the line; the newest record is the last one in the order of the files
    Id,
}
