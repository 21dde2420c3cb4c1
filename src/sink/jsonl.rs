//! The sink `jsonl`: records as JSON lines in files that are locked during the run.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json_lines::JsonLines;
use super::opened::{FileSink, Lifetime};
use super::rotating::{RotatingSink, Rotation};
use super::stream::StreamSink;
use super::{BodyFormat, Content, Encoder, OpenedSink, Opening, SinkConfig, Target, Wanted};
use crate::diagnostics::Section;
use crate::disk::{Disk, FileId, resolved};
use crate::error::{AtPath, BoxError};
use crate::item::Needs;
use crate::output::{Compress, Files, Fsync, OpenedOutput, OutputSettings};
use crate::units::{Size, Span};

/// `[sink.NAME.jsonl]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// The file. It is created if it does not exist, and appended to if it does.
    pub path: PathBuf,
    /// The records to write.
    #[serde(default)]
    pub records: Wanted,
    /// The format of bodies; `output.body` by default.
    pub body: Option<BodyFormat>,
    /// The size at which a file is finished and the next one begins.
    pub rotate_size: Option<Size>,
    /// The time after a file's first record when it is finished and the next one begins.
    pub rotate_every: Option<Span>,
    /// How files are compressed.
    #[serde(default)]
    pub compress: Compress,
    /// When records are fsynced.
    #[serde(default)]
    pub fsync: Fsync,
}

impl Jsonl {
    /// A sink that writes all records to this file.
    pub fn new(path: PathBuf) -> Self {
        let (rotate_size, rotate_every) = (None, None);
        let (records, compress, fsync) = (Wanted::All, Compress::None, Fsync::Commit);
        Self { path, records, body: None, rotate_size, rotate_every, compress, fsync }
    }

    /// One file, or numbered files. A compressed file is numbered because it would look finished if it grew under its
    /// final name.
    fn files(&self) -> Files {
        self.files_like(self.path.clone())
    }

    /// The ending of a compressed file, and the value of `compress` for it, if the path has the ending without the
    /// compression. A FIFO or device may lead to a program that compresses.
    fn misleading_ending(&self) -> Option<(&'static str, &'static str)> {
        let is_plain = self.compress == Compress::None && self.path.metadata().map_or(true, |found| found.is_file());
        let ending = self.path.extension().filter(|_| is_plain)?;
        [("gz", "gzip"), ("zst", "zstd")].into_iter().find(|(known, _)| ending == *known)
    }

    /// The files for another spelling of the path.
    fn files_like(&self, path: PathBuf) -> Files {
        let is_one = self.rotate_size.is_none() && self.rotate_every.is_none() && self.compress == Compress::None;
        if is_one { Files::One(path) } else { Files::numbered(&path, self.compress) }
    }
}

impl SinkConfig for Jsonl {
    fn check(&self, section: &mut Section<'_>) {
        let table = section.table().to_owned();
        if self.rotate_size.is_some_and(|size| size.0 == 0) {
            let message =
                format!("`{table}.rotate_size` is 0, so no record fits into a file; write for example \"1GiB\"");
            section.add("rotate_size", message);
        }
        if let Some((ending, compress)) = self.misleading_ending() {
            let message = format!(
                "`{}` would hold plain JSON lines, though it ends in `.{ending}`; write compress = \"{compress}\" under [sink.NAME.jsonl] in a configuration, or leave the ending out",
                self.path.display()
            );
            section.add("path", message);
        }
        let key = format!("{table}.rotate_every");
        match self.rotate_every {
            Some(every) if every.0.is_zero() => {
                let message =
                    format!("`{key}` is zero, so no record gets into a file in time; write for example \"1h\"");
                section.add("rotate_every", message);
            }
            Some(every) if every > Span::LONGEST => {
                section.add("rotate_every", format!("`{key}` is {every}; it can be at most a year, `8760h`"));
            }
            Some(_) | None => {}
        }
    }

    fn target(&self) -> Target<'_> {
        Target::File(&self.path)
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files().to_come()
    }

    fn will_write_to(&self, path: &Path) -> bool {
        self.files_like(resolved(&self.path)).may_have(path)
    }

    fn has_file(&self, disk: &dyn Disk, file: FileId) -> bool {
        self.files().has(disk, file)
    }

    fn needs(&self, output: &Content) -> Needs {
        output.needs(self.body)
    }

    /// Opens and locks the file, and repairs a record that a killed process left partial.
    fn open(&self, opening: Opening) -> Result<OpenedSink, BoxError> {
        let encoder = Encoder::new(opening.style, self.records, self.body);
        let is_regular = self.path.metadata().map_or(true, |metadata| metadata.is_file());
        if !is_regular {
            if let Files::Numbered(..) = self.files() {
                return Err(AtPath::new(&self.path, no_file()).into());
            }
            // A FIFO or device cannot be locked, counted or repaired.
            let file = OpenOptions::new().append(true).open(&self.path);
            let file = file.map_err(|error| AtPath::new(&self.path, error))?;
            return Ok(OpenedSink::stream(StreamSink::start(self.path.display().to_string(), file, encoder)));
        }
        let Opening { name, disk, saved, .. } = opening;
        let (path, files, fsync) = (self.path.clone(), self.files(), self.fsync);
        let settings = OutputSettings { sink: name, path, files, fsync, disk, saved, reader: Arc::new(JsonLines) };
        let OpenedOutput { output, tail, note } = settings.open()?;
        let rotation = Rotation { size: self.rotate_size.map(|size| size.0), every: self.rotate_every.map(|s| s.0) };
        let start = Box::new(move |output, encoder| Ok(RotatingSink::start(output, encoder, rotation)?.into()));
        let lifetime = Lifetime::Kept;
        Ok(OpenedSink::file(FileSink { output, tail, encoder, start, lifetime }, note))
    }
}

fn no_file() -> io::Error {
    io::Error::other("it is no regular file, so it cannot be rotated or compressed")
}
