//! The journal of a durable stdin or a source `http`: a write-ahead log that holds accepted lines in text files until
//! they are done.
//!
//! Lines come in batches. A batch is a head (number of lines, first sequence number, checksum) and then the accepted
//! lines. A head begins with a tab, which no line does, so `grep -v $'^\t'` shows the lines. Batches fill segments,
//! each a file named after the number of its first line. [`Writer`] appends, [`Reader`] follows it, both share the
//! [`SegmentIndex`]; a segment is deleted once all of its lines are done in the checkpoint.

mod batch;
mod keys;
mod reader;
mod scan;
mod segment_index;
mod segments;
mod tail_recovery;
mod writer;

pub use batch::{Batch, BatchLines};
pub use keys::{BatchKey, KeyTable, KeyedBatch};
pub use reader::{ReadBatch, Reader};
pub use scan::{Scanned, SegmentScan, ValidBatch};
pub use segment_index::{SegmentIndex, WriterState};
pub use segments::{Segment, segments};
pub use tail_recovery::{Damaged, SegmentTail, TornTail};
pub use writer::{OpenedJournal, Writer};
