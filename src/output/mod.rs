//! The output files of sinks: rotated, compressed, locked, and read back after a restart.
//!
//! The input is encoded records from a sink's thread, and the sink's [`RecordReader`], which parses its format. The
//! result is files, and marks for the checkpoint. `rotating_file` writes, and `external_changes` detects changes by
//! other programs. `open` finds, locks and repairs the files of earlier runs; `tail` reads the records after the
//! checkpoint. Then `sink::recover` makes several outputs consistent.

mod deleted_end;
mod external_changes;
mod file_names;
mod frames;
mod fsync_policy;
mod open;
mod record_reader;
mod repair;
mod rewrite;
mod rotating_file;
mod scan;
mod tail;

pub use file_names::Files;
pub use frames::{Compress, Cursor};
pub use fsync_policy::Fsync;
pub use open::{OpenedOutput, OutputSettings, SavedPosition};
pub use record_reader::{BodyShown, Examined, FileEnd, Parsed, RecordHead, RecordReader};
pub use rotating_file::{FilePlace, RotatingFile};
pub use tail::Tail;
