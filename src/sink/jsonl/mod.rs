//! The sink `jsonl`: records as JSON lines, appended to a file that is locked while the run lasts.
//!
//! `rotating_file` writes the files, `sink` is the [`Sink`] around it, `tail` reads the end of an output after a restart.

mod cursor;
mod file_names;
mod frames;
mod fsync_policy;
mod open;
mod repair;
mod rotating_file;
mod scan;
mod sink;
mod tail;

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use frames::Compress;
pub use rotating_file::RotatingFile;
pub use scan::RecordHead;
#[cfg(test)]
pub use scan::head_of;
pub use tail::Tail;

use self::file_names::FileNames;
use self::rotating_file::Files;
use self::sink::{JsonlSink, StreamSink};
use super::stream::Stream;
use super::writer::Writer;
use super::{Body, Content, Encoder, Opened, Opening, Sink, SinkConfig, Target, Wanted};
use crate::diagnostics::Section;
use crate::disk::{Disk, FileId, Mode};
use crate::error::{AtPath, BoxError};
use crate::item::Needs;
use crate::units::{Size, Span};

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
    /// A file of this size is finished, and the next one begun.
    pub rotate_size: Option<Size>,
    /// A file that got its first record so long ago is finished, and the next one begun.
    pub rotate_every: Option<Span>,
    /// How files are compressed.
    #[serde(default)]
    pub compress: Compress,
    /// When records are made to last.
    #[serde(default)]
    pub fsync: Fsync,
}

/// When records are made to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before something relies on them: a checkpoint, or the final name of a file.
    #[default]
    Commit,
    /// After every batch.
    Batch,
    /// When the system does it: they survive this process, but perhaps not the machine.
    Never,
}

/// An open output before its run: what earlier ones left can be read.
pub struct Open {
    /// Where records go.
    pub(super) output: RotatingFile,
    /// What came after the last checkpoint.
    pub(super) tail: Tail,
    pub(super) encoder: Encoder,
    rotation: Rotation,
}

/// When a file is finished.
#[derive(Clone, Copy, Debug)]
struct Rotation {
    size: Option<u64>,
    every: Option<Duration>,
}

impl Jsonl {
    /// All records into this file.
    pub fn new(path: PathBuf) -> Self {
        let (rotate_size, rotate_every) = (None, None);
        let (records, compress, fsync) = (Wanted::All, Compress::None, Fsync::Commit);
        Self { path, records, body: None, rotate_size, rotate_every, compress, fsync }
    }

    /// One file, or several with numbers: a compressed file that goes on growing under its final name would look finished.
    fn files(&self) -> Files {
        let is_one = self.rotate_size.is_none() && self.rotate_every.is_none() && self.compress == Compress::None;
        if is_one { Files::One(self.path.clone()) } else { Files::Numbered(FileNames::like(&self.path), self.compress) }
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
        match self.files() {
            Files::One(path) => vec![path],
            Files::Numbered(names, compress) => names.to_come(compress),
        }
    }

    fn has_file(&self, disk: &dyn Disk, file: FileId) -> bool {
        let paths = match self.files() {
            Files::One(path) => vec![path],
            Files::Numbered(names, _) => {
                names.list(disk).unwrap_or_default().into_iter().map(|numbered| numbered.path).collect()
            }
        };
        // What cannot be opened is reported when it is opened to be written.
        let is_it = |path: &PathBuf| path.is_file() && disk.open(path, Mode::Read).is_ok_and(|f| f.id() == file);
        paths.iter().any(is_it)
    }

    fn needs(&self, output: &Content) -> Needs {
        output.needs(self.body)
    }

    /// Opens and locks the file, and repairs what a killed process left unfinished.
    fn open(&self, opening: Opening) -> Result<Opened, BoxError> {
        let encoder = Encoder::new(opening.style, self.records, self.body);
        let is_regular = self.path.metadata().map_or(true, |metadata| metadata.is_file());
        if !is_regular {
            if let Files::Numbered(..) = self.files() {
                return Err(AtPath::new(&self.path, no_file()).into());
            }
            // A FIFO or device: nothing to lock, to count or to repair.
            let file = OpenOptions::new().append(true).open(&self.path);
            let file = file.map_err(|error| AtPath::new(&self.path, error))?;
            let sink = StreamSink { path: self.path.clone(), writer: Writer::new(Stream(file)), encoder };
            return Ok(Opened::stream(Box::new(sink)));
        }
        let open::OpenedOutput { output, tail, note } = open::open(self, &opening)?;
        let rotation = Rotation { size: self.rotate_size.map(|size| size.0), every: self.rotate_every.map(|s| s.0) };
        Ok(Opened::file(Open { output, tail, encoder, rotation }, note))
    }
}

fn no_file() -> io::Error {
    io::Error::other("it is no regular file, so it cannot be rotated or compressed")
}

impl Open {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// What the system says of the files.
    pub(super) fn start(mut self) -> io::Result<Box<dyn Sink>> {
        self.output.finish_old_files()?;
        Ok(Box::new(JsonlSink::start(self)?))
    }
}
