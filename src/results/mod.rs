//! Reads records back from files, and finds the newest one of each line.
//!
//! The input is record files of any name, plain, gzip or zstd, finished or not (`record_file`). `record_keys` parses
//! the relevant keys of a record, `line_key` identifies its line, and `external_sort` sorts by line in bounded memory.
//! `daemon::results` prints the records, and `daemon::again` selects lines for a round by them.

mod external_sort;
mod line_key;
mod record_file;
mod record_keys;

pub use external_sort::{ExternalSort, Rank};
pub use line_key::LineKey;
pub use record_file::{FoundRecord, RecordFile};
pub use record_keys::RecordKeys;

/// The memory limit of a sort in bytes.
pub const SORT_MEMORY: usize = 64 << 20;
