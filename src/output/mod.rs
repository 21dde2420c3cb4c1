//! The file of frames that file-like sinks stand on: rotated, compressed, locked, and read back after a restart.
//!
//! In: text of records from a sink's thread, and the sink's [`RecordReader`], which alone knows what a record looks like.
//! Out: files, and marks for the checkpoint. `rotating_file` writes, and `external_changes` notices what others do to the file meanwhile; `open` finds, locks and repairs what earlier runs
//! left; `tail` reads what lies behind the checkpoint. Next is `sink::recover`, which makes several outputs agree.

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
