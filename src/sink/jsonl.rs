//! The sink `jsonl`: records as JSON lines, appended to a file that is locked while the run lasts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::writer::Writer;
use super::{Body, Encoder, Opened, Sink, Style, Wanted};
use crate::error::{AtPath, BoxError};
use crate::item::Record;
use crate::units::counted;

/// `[sink.NAME.jsonl]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// The file; it is created when it is not there, and appended to when it is.
    pub path: PathBuf,
    /// Which records.
    #[serde(default)]
    pub records: Wanted,
    /// How bodies are shown; by default as `output.body` says.
    pub body: Option<Body>,
}

impl Jsonl {
    /// All records into this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path, records: Wanted::All, body: None }
    }

    /// Opens and locks the file, and repairs a last line that a killed process left unfinished.
    ///
    /// # Errors
    /// When it cannot be opened, or another process writes to it.
    pub fn open(&self, style: Style) -> Result<Opened, BoxError> {
        let (file, found) = open(&self.path).map_err(|error| AtPath::new(&self.path, error))?;
        let encoder = Encoder::new(style, self.records, self.body);
        let sink = Open { path: self.path.clone(), writer: Writer::new(file), encoder };
        Ok(Opened { sink: Box::new(sink), note: found.note(&self.path) })
    }
}

struct Open {
    path: PathBuf,
    writer: Writer,
    encoder: Encoder,
}

impl Sink for Open {
    fn write<'a>(&'a mut self, batch: &'a [Record]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            let written = self.writer.write(batch, &self.encoder).await;
            written.map_err(|error| format!("cannot write to {}: {error}", self.path.display()).into())
        }
        .boxed()
    }
}

/// What was in the file already.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    records: u64,
    /// Bytes of an unfinished last line that were cut off.
    torn: u64,
}

impl Found {
    fn note(&self, path: &Path) -> Option<String> {
        let path = path.display();
        let records = counted(self.records, "record");
        match self {
            Self { records: 0, torn: 0 } => None,
            Self { torn: 0, .. } => Some(format!("appending to {path}, which has {records}")),
            Self { torn, .. } => Some(format!(
                "appending to {path}, which has {records}; its unfinished last line ({torn} bytes) was cut off"
            )),
        }
    }
}

fn open(path: &Path) -> io::Result<(File, Found)> {
    let is_regular = path.metadata().map_or(true, |metadata| metadata.is_file());
    let mut file = OpenOptions::new().read(is_regular).append(true).create(true).open(path)?;
    if !is_regular {
        // A FIFO or device: nothing to lock, to count or to repair.
        return Ok((file, Found::default()));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process is writing to this file")),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let found = examine(&mut file)?;
    Ok((file, found))
}

/// Counts the records and repairs the end: a whole record gets its missing LF, a torn one is cut off.
fn examine(file: &mut File) -> io::Result<Found> {
    /// A last line longer than this is not ours to judge.
    const LONGEST: u64 = 1 << 30;
    let (mut records, mut length, mut last_end) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 16];
    file.seek(SeekFrom::Start(0))?;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        for end in memchr::memchr_iter(b'\n', &buffer[..n]) {
            records += 1;
            last_end = length + end as u64 + 1;
        }
        length += n as u64;
    }
    if length == last_end {
        return Ok(Found { records, torn: 0 });
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(last_end))?;
    if length - last_end > LONGEST {
        return Err(io::Error::other(
            "its last line has no end and is longer than any record; is it another program's file?",
        ));
    }
    file.read_to_end(&mut tail)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&tail).is_ok() {
        file.write_all(b"\n")?;
        return Ok(Found { records: records + 1, torn: 0 });
    }
    if !tail.starts_with(b"{") {
        return Err(io::Error::other("it does not end with a JSON line; is it another program's file?"));
    }
    file.set_len(last_end)?;
    Ok(Found { records, torn: length - last_end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(before: &str) -> (io::Result<Found>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        std::fs::write(&path, before).unwrap();
        let found = open(&path).map(|(_, found)| found);
        (found, std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn records_that_are_there_are_counted_and_kept() {
        let (found, after) = opened("{\"seq\":1}\n{\"seq\":2}\n");
        assert_eq!(found.unwrap(), Found { records: 2, torn: 0 });
        assert_eq!(after, "{\"seq\":1}\n{\"seq\":2}\n");
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let whole = "{\"seq\":1}\n{\"seq\":22}\n";
        for cut in 11..whole.len() - 2 {
            let (found, after) = opened(&whole[..cut]);
            assert_eq!(found.unwrap(), Found { records: 1, torn: cut as u64 - 10 });
            assert_eq!(after, "{\"seq\":1}\n");
        }
    }

    #[test]
    fn a_whole_last_line_without_its_end_gets_it() {
        let (found, after) = opened("{\"seq\":1}\n{\"seq\":2}");
        assert_eq!(found.unwrap(), Found { records: 2, torn: 0 });
        assert!(after.ends_with("2}\n"));
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let (found, after) = opened("Dear diary,\nI met a torn line");
        assert!(found.is_err());
        assert_eq!(after, "Dear diary,\nI met a torn line");
    }

    #[test]
    fn a_file_that_is_being_written_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let _first = open(&path).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("another process"));
    }
}
