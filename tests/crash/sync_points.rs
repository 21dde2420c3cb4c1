//! The places where something is made to last, all of them, and what can be wrong with one.

use fetchd::disk::SyncPoint;

/// All places where something is made to last.
pub const SITES: [SyncPoint; 20] = [
    SyncPoint::DataDir,
    SyncPoint::JournalBatch,
    SyncPoint::JournalFound,
    SyncPoint::JournalName,
    SyncPoint::KeysFile,
    SyncPoint::KeysName,
    SyncPoint::Output,
    SyncPoint::OutputName,
    SyncPoint::OutputFound,
    SyncPoint::OutputCut,
    SyncPoint::RewriteFile,
    SyncPoint::RewriteName,
    SyncPoint::RewriteOutput,
    SyncPoint::RewriteRemoved,
    SyncPoint::RoundList,
    SyncPoint::RoundName,
    SyncPoint::CheckpointFile,
    SyncPoint::CheckpointName,
    SyncPoint::OverridesFile,
    SyncPoint::OverridesName,
];

/// The name of a point. A new one does not compile before it is in [`SITES`], too.
pub fn name(point: SyncPoint) -> &'static str {
    match point {
        SyncPoint::DataDir => "DataDir",
        SyncPoint::JournalBatch => "JournalBatch",
        SyncPoint::JournalFound => "JournalFound",
        SyncPoint::JournalName => "JournalName",
        SyncPoint::KeysFile => "KeysFile",
        SyncPoint::KeysName => "KeysName",
        SyncPoint::Output => "Output",
        SyncPoint::OutputName => "OutputName",
        SyncPoint::OutputFound => "OutputFound",
        SyncPoint::OutputCut => "OutputCut",
        SyncPoint::RewriteFile => "RewriteFile",
        SyncPoint::RewriteName => "RewriteName",
        SyncPoint::RewriteOutput => "RewriteOutput",
        SyncPoint::RewriteRemoved => "RewriteRemoved",
        SyncPoint::RoundList => "RoundList",
        SyncPoint::RoundName => "RoundName",
        SyncPoint::CheckpointFile => "CheckpointFile",
        SyncPoint::CheckpointName => "CheckpointName",
        SyncPoint::OverridesFile => "OverridesFile",
        SyncPoint::OverridesName => "OverridesName",
    }
}

/// What is wrong with the syncs of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// They do nothing.
    Ignored(SyncPoint),
    /// They fail, once so many were good.
    Fails(SyncPoint, u64),
}
