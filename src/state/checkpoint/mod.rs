//! The checkpoint file: the lines that are done, and the positions of outputs. It is replaced atomically.

mod v1;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoredHostState;
use crate::disk::{Disk, Mode, OutputPosition, SyncPoint, append_all};
use crate::error::{AtPath, BoxError};
use crate::item::{DoneRanges, Identity, RawJson};

/// The version written. Version 1 can be read, too.
const VERSION: u32 = 2;

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    /// The id in records of lines that this data directory numbers. It is unique, so no run mistakes the records of
    /// another directory for its own.
    pub state_id: Arc<str>,
    /// The durable sources by name; empty for the source without a name.
    pub sources: BTreeMap<String, SourceState>,
    /// The positions in the output files by sink; the last file is the active one.
    pub sinks: BTreeMap<String, Vec<OutputPosition>>,
    /// The configured output path by sink.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, String>,
    /// The hosts that are paused or have open circuits, by name.
    #[serde(default)]
    pub hosts: BTreeMap<String, StoredHostState>,
    /// The open round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<OpenRound>,
    /// The number of the last round that began; 0 if there was only the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_round: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The state of a durable source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// The kind of the source.
    pub kind: String,
    /// The id in records of its lines, if it differs from that of the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_id: Option<Arc<str>>,
    /// The position to resume from, as JSON of the source's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<RawJson>,
    /// The done lines by path. A source without files has one entry with an empty path.
    pub files: BTreeMap<String, DoneRanges>,
}

/// A round that fetches the lines of a list again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRound {
    /// The number, from 2: the first round reads the sources.
    pub number: u32,
    /// The selection of its lines.
    pub selection: String,
    /// The ordinals of done lines, from 1.
    pub done: DoneRanges,
}

/// The key that every version has.
#[derive(Deserialize)]
struct Version {
    version: NonZeroU32,
}

impl SourceState {
    /// The state of a new source.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), state_id: None, position: None, files: BTreeMap::new() }
    }
}

impl Checkpoint {
    /// An empty checkpoint with a new id.
    pub fn begin() -> Self {
        const LETTERS: usize = 8;
        let state_id: String = std::iter::repeat_with(fastrand::alphanumeric).take(LETTERS).collect();
        let (sources, sinks, hosts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let paths = BTreeMap::new();
        Self { version: VERSION, state_id: state_id.into(), sources, sinks, paths, hosts, round: None, last_round: 0 }
    }

    /// The id in records of a source's lines.
    pub fn state_id_of(&self, source: &str) -> &Arc<str> {
        self.sources.get(source).and_then(|source| source.state_id.as_ref()).unwrap_or(&self.state_id)
    }

    /// Whether this is a line of a durable source of this checkpoint.
    pub fn has_line(&self, id: &Identity) -> bool {
        let name = id.source.as_deref().unwrap_or_default();
        self.sources.contains_key(name) && id.state_id.as_ref() == Some(self.state_id_of(name))
    }

    /// Whether this is a line of a durable source that is not done in the first round.
    pub fn is_pending(&self, id: &Identity) -> bool {
        id.round == 0
            && self.has_line(id)
            && !self.is_done(id.source.as_deref().unwrap_or_default(), id.file.as_deref().unwrap_or_default(), id.seq)
    }

    /// Whether a line is done in the first round.
    pub fn is_done(&self, source: &str, file: &str, seq: u64) -> bool {
        let done = self.sources.get(source).and_then(|source| source.files.get(file));
        done.is_some_and(|done| done.contains(seq))
    }

    /// Ends the open round if all of its `lines` are done.
    pub fn end_finished_round(&mut self, lines: u64) {
        if self.round.as_ref().is_some_and(|round| round.done.through() >= lines) {
            self.round = None;
        }
    }

    /// Parses a checkpoint of any version up to the current one.
    ///
    /// # Errors
    /// When the checkpoint is damaged, or of a later version.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let damaged = |error: serde_json::Error| format!("damaged ({error})");
        let Version { version } = serde_json::from_slice(text).map_err(damaged)?;
        match version.get() {
            1 => serde_json::from_slice(text).map(v1::Checkpoint::into).map_err(damaged),
            VERSION => serde_json::from_slice(text).map_err(damaged),
            later => Err(format!(
                "of version {later}, and this fetchd reads versions up to {VERSION}; start the fetchd that wrote it, or a later one"
            )),
        }
    }

    /// Loads the checkpoint of a data directory; `None` if there is none.
    ///
    /// # Errors
    /// When the checkpoint cannot be read, is damaged, or is of a later version.
    pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, BoxError> {
        let path = path(dir);
        let text = match read(disk, &path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AtPath::new(&path, error).into()),
        };
        let checkpoint = Self::parse(&text)
            .map_err(|why| format!("{} is {why}; to start without what it remembers, move it away", path.display()))?;
        Ok(Some(checkpoint))
    }

    /// Replaces the checkpoint of a data directory.
    ///
    /// # Errors
    /// When the file cannot be written; the old checkpoint is kept.
    pub fn save(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let (path, new) = (path(dir), dir.join("checkpoint.new"));
        let text = serde_json::to_vec(self)?;
        let file = disk.open(&new, Mode::Append)?;
        file.set_len(0)?;
        append_all(file.as_ref(), &text, 0)?;
        file.sync(SyncPoint::CheckpointFile)?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir, SyncPoint::CheckpointName)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("checkpoint.json")
}

/// Reads a whole file.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    const PIECE: usize = 64 << 10;
    let file = disk.open(path, Mode::Read)?;
    let mut text = Vec::new();
    loop {
        let end = text.len();
        text.resize(end + PIECE, 0);
        let n = file.read_at(&mut text[end..], end as u64)?;
        text.truncate(end + n);
        if n == 0 {
            return Ok(text);
        }
    }
}
