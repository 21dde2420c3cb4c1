//! A journal: the accepted lines of one durable source, in plain files of lines, until they are done.
//!
//! Lines come in batches. A batch is a head, which says how many lines follow, from which number on, and their checksum,
//! and then the lines as they were accepted. A head begins with a tab, which no line does, so `grep -v $'^\t'` shows the
//! lines. Batches fill segments, each a file with the number of its first line as its name. [`Writer`] appends,
//! [`Reader`] follows it, [`Shelf`] is what they share; segments go once their lines are done for good.

mod batch;
mod ending;
mod reader;
mod segments;
mod shelf;
mod walk;
mod writer;

pub use batch::Batch;
pub use ending::{Damaged, Ending, Torn};
pub use reader::{Reader, Taken};
pub use segments::{Segment, segments};
pub use shelf::{Shelf, State};
pub use walk::{Found, Walk, Whole};
pub use writer::{Opened, Writer};
