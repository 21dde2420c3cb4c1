//! Paths of shipping in a data directory: segments are `staging/SINK-000001.jsonl` and so on, dead letters
//! `dead/SINK.dead.jsonl`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Mode};
use crate::output::{Compress, Files};

/// The paths of one sink.
#[derive(Clone, Debug)]
pub struct StagingPlace {
    /// The directory of all segments.
    pub dir: PathBuf,
    /// The path that the names of the sink's segments derive from.
    pub path: PathBuf,
    /// The dead-letter file.
    pub dead_letters: PathBuf,
}

impl StagingPlace {
    /// The paths of a sink in a data directory.
    pub fn of(data_dir: &Path, sink: &str) -> Self {
        let dir = staging(data_dir);
        let path = dir.join(format!("{sink}.jsonl"));
        Self { dir, path, dead_letters: data_dir.join("dead").join(format!("{sink}.dead.jsonl")) }
    }

    /// The segments.
    pub fn files(&self) -> Files {
        Files::numbered(&self.path, Compress::None)
    }
}

fn staging(data_dir: &Path) -> PathBuf {
    data_dir.join("staging")
}

/// Segments of a sink that is not configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The name of the sink.
    pub sink: String,
    /// The number of segments, finished or not.
    pub segments: u64,
    /// The path of one of them.
    pub path: PathBuf,
}

/// Finds segments with records that belong to none of these sinks.
///
/// # Errors
/// When the segments cannot be listed or opened.
pub fn orphans(disk: &dyn Disk, data_dir: &Path, sinks: &[&str]) -> io::Result<Vec<Orphan>> {
    let known: Vec<Files> = sinks.iter().map(|sink| StagingPlace::of(data_dir, sink).files()).collect();
    let found = match disk.list(&staging(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut orphans = BTreeMap::<String, Orphan>::new();
    for path in found {
        let Some(sink) = sink_of(&path).filter(|_| !known.iter().any(|files| files.may_have(&path))) else { continue };
        if disk.open(&path, Mode::Read)?.length()? > 0 {
            let new = || Orphan { sink: sink.clone(), segments: 0, path };
            orphans.entry(sink.clone()).or_insert_with(new).segments += 1;
        }
    }
    Ok(orphans.into_values().collect())
}

/// Parses the sink's name from the path of a segment.
fn sink_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".part").unwrap_or(name).strip_suffix(".jsonl")?;
    let (sink, number) = name.rsplit_once('-')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| sink.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn segments_are_orphans_when_they_have_records_and_no_sink() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(orphans(&RealDisk, dir.path(), &[]).unwrap(), []);
        fs::create_dir(dir.path().join("staging")).unwrap();
        for (name, text) in [
            ("a-000001.jsonl", "{}\n"),
            ("a-000002.jsonl.part", "{}\n"),
            ("a-1-000001.jsonl", "{}\n"),
            ("b-000001.jsonl.part", ""),
            ("c.dead.jsonl", "{}\n"),
        ] {
            fs::write(dir.path().join("staging").join(name), text).unwrap();
        }
        let found = |sinks: &[&str]| -> Vec<(String, u64)> {
            let found = orphans(&RealDisk, dir.path(), sinks).unwrap();
            found.into_iter().map(|orphan| (orphan.sink, orphan.segments)).collect()
        };
        assert_eq!(found(&[]), [("a".to_owned(), 2), ("a-1".to_owned(), 1)]);
        assert_eq!(found(&["a"]), [("a-1".to_owned(), 1)]);
        assert_eq!(found(&["a-1", "a", "x"]), []);
    }
}
