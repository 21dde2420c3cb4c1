//! The source `file`: one or more files, read once, in the given order.

use std::fs::File as Fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Extent, Keeps, Past, Source, lines};
use crate::error::{AtPath, BoxError};
use crate::units::Size;

/// `[source.NAME.file]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The files; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// A longer line is rejected.
    #[serde(default = "default_max_line")]
    pub max_line: Size,
}

fn default_max_line() -> Size {
    Size::mib(1)
}

impl File {
    /// The files of `-i`.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths, max_line: default_max_line() }
    }

    /// Whether a restart can find its lines again: standard input is gone when it was read.
    pub fn is_durable(&self) -> bool {
        self.paths.iter().all(|path| path != Path::new("-"))
    }

    /// Opens every file before the first line is read. Lines carry the path when there are several.
    ///
    /// # Errors
    /// The first file that cannot be opened, by its path.
    pub fn open(&self, name: Option<Arc<str>>, _past: Option<Past>) -> Result<Source, BoxError> {
        let mut files = Vec::with_capacity(self.paths.len());
        let mut total = Some(0);
        for path in &self.paths {
            let file = open(path).map_err(|error| AtPath::new(path, error))?;
            total = total.zip(length(&file)).map(|(total, length)| total + length);
            let label = (self.paths.len() > 1).then(|| path.to_string_lossy().into());
            files.push((label, file));
        }
        let lines = lines::of(files, name, self.max_line.0)?;
        Ok(Source { lines, keeps: Keeps::Nothing, extent: total.map(Extent::new) })
    }
}

fn open(path: &Path) -> io::Result<Fs> {
    if path == Path::new("-") {
        return lines::standard_input();
    }
    let file = Fs::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// How many bytes there are to read, when that is known.
fn length(file: &Fs) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}
