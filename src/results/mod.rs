//! Records read back from files: the newest one of each line.
//!
//! In: record files of any name, plain, gzip or zstd, also unfinished ones (`record_file`), and of each record the keys that
//! matter here (`record_keys`). `line_key` says which line a record is of, and `external_sort` sorts by that, in bounded
//! memory. Next: `daemon::results`, which prints them, and `daemon::again`, which selects lines for a round by them.

mod external_sort;
mod line_key;
mod record_file;
mod record_keys;

pub use external_sort::{ExternalSort, Rank};
pub use line_key::LineKey;
pub use record_file::{FoundRecord, RecordFile};
pub use record_keys::RecordKeys;

/// Memory that a sort may hold, in bytes.
pub const SORT_MEMORY: usize = 64 << 20;
