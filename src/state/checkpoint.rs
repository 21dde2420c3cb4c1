//! The checkpoint file: which lines are done and up to where outputs are accounted for. It is replaced atomically.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoredHostState;
use crate::disk::{Disk, Mode, OutputPosition, SyncPoint, append_all};
use crate::error::{AtPath, BoxError};
use crate::item::DoneRanges;

/// The shape of the file; a later one may differ.
const VERSION: u32 = 1;

/// What is remembered, as of the moment that it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    /// The name that records of lines carry which are remembered here. Another directory has another one, so that no run
    /// takes the records of another for those of its own lines.
    #[serde(rename = "journal")]
    pub state_id: Arc<str>,
    /// The durable sources by name; the one without a name has an empty one.
    pub sources: BTreeMap<String, SourceState>,
    /// By sink, up to where the files of its output are accounted for; the last of them is the one that it goes on with.
    pub sinks: BTreeMap<String, Vec<OutputPosition>>,
    /// Hosts in trouble by name.
    #[serde(default)]
    pub hosts: BTreeMap<String, StoredHostState>,
}

/// What is remembered of a durable source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// Its kind: a journal is not read as files are.
    pub kind: String,
    /// By path, which of its lines are done. A source without files has one entry with an empty path.
    pub files: BTreeMap<String, DoneRanges>,
}

impl Checkpoint {
    /// Nothing is remembered, under a new name.
    pub fn begin() -> Self {
        const LETTERS: usize = 8;
        let state_id: String = std::iter::repeat_with(fastrand::alphanumeric).take(LETTERS).collect();
        let (sources, sinks, hosts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { version: VERSION, state_id: state_id.into(), sources, sinks, hosts }
    }

    /// Reads the checkpoint of a data directory; `None` if there is none yet.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, BoxError> {
        let path = path(dir);
        let text = match read(disk, &path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AtPath::new(&path, error).into()),
        };
        let advice = "to start without what it remembers, move it away";
        let checkpoint: Self = serde_json::from_slice(&text)
            .map_err(|error| format!("{} is damaged ({error}); {advice}", path.display()))?;
        if checkpoint.version != VERSION {
            let version = checkpoint.version;
            return Err(
                format!("{} was written by another fetchd (version {version}); {advice}", path.display()).into()
            );
        }
        Ok(Some(checkpoint))
    }

    /// Replaces the checkpoint of a data directory.
    ///
    /// # Errors
    /// What the system says; the old one is still there then.
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

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
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
