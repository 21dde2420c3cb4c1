//! The places where something is made to last, all of them, and what can be wrong with one.

use fetchd::disk::Site;

/// All places where something is made to last.
pub const SITES: [Site; 10] = [
    Site::DataDir,
    Site::JournalBatch,
    Site::JournalFound,
    Site::JournalName,
    Site::Output,
    Site::OutputName,
    Site::OutputFound,
    Site::OutputCut,
    Site::CheckpointFile,
    Site::CheckpointName,
];

/// The name of a site. A new one does not compile before it is in [`SITES`], too.
pub fn name(site: Site) -> &'static str {
    match site {
        Site::DataDir => "DataDir",
        Site::JournalBatch => "JournalBatch",
        Site::JournalFound => "JournalFound",
        Site::JournalName => "JournalName",
        Site::Output => "Output",
        Site::OutputName => "OutputName",
        Site::OutputFound => "OutputFound",
        Site::OutputCut => "OutputCut",
        Site::CheckpointFile => "CheckpointFile",
        Site::CheckpointName => "CheckpointName",
    }
}

/// What is wrong with the syncs of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// They do nothing.
    Ignored(Site),
    /// They fail, once so many were good.
    Fails(Site, u64),
}
