//! The source `file`: one or more files, read to their ends in the given order or followed as they grow.

mod current;
mod fingerprint;
mod generation;
mod generation_store;
mod glob;
mod known;
mod labels;
mod lost_lines;
mod opener;
mod partial_line;
mod queue;
mod reader_thread;
mod resume;
mod rewritten;
mod rotated_name;
mod rotation;
mod tailer;

use std::collections::BTreeSet;
use std::fs::File as Fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CheckContext, Durability, Extent, Inputs, SavedState, Source, SourceConfig, line_stream};
use crate::diagnostics::Section;
use crate::disk::resolved;
use crate::error::{AtPath, BoxError};
use crate::units::{Size, Span};
use opener::Opener;
use reader_thread::FollowLag;
use rewritten::Changed;

/// The most lines that are read from a path before the next path.
const BATCH: usize = 1024;

/// Waiting files that are held open, over all paths.
const HELD: usize = 32;

/// `[source.NAME.file]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The files; `-` is standard input. A path that does not exist may be a pattern: `logs/*.txt`.
    pub paths: Vec<PathBuf>,
    /// A longer line is rejected.
    #[serde(default = "default_max_line")]
    pub max_line: Size,
    /// Whether to keep reading lines that are appended later.
    #[serde(default)]
    pub follow: bool,
    /// How long a followed file is read after it was rotated away, because its writer may reopen late.
    #[serde(default = "default_rotate_wait")]
    pub rotate_wait: Span,
    /// The treatment of a file that is not followed and whose content changed where it was read.
    #[serde(default)]
    pub changed: Changed,
}

fn default_max_line() -> Size {
    Size::mib(1)
}

fn default_rotate_wait() -> Span {
    Span::secs(2)
}

impl File {
    /// The files of `-i`.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let (max_line, rotate_wait) = (default_max_line(), default_rotate_wait());
        Self { paths, max_line, follow: false, rotate_wait, changed: Changed::default() }
    }

    /// The files that the paths expand to now. Without `follow`, each file once, even if several paths lead to it.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = glob::all(&self.paths);
        let mut seen = BTreeSet::new();
        files.retain(|path| self.follow || seen.insert(plain(path)));
        files
    }

    /// Opens the files to be read to their ends, without saved state. They may be pipes.
    fn open_once(&self, paths: &[PathBuf], name: Option<Arc<str>>) -> Result<Source, BoxError> {
        let is_labelled = self.is_labelled();
        let mut files = Vec::with_capacity(paths.len());
        let mut total = Some(0);
        for path in paths {
            let file = open(path).map_err(|error| AtPath::new(path, error))?;
            total = total.zip(length(&file)).map(|(total, length)| total + length);
            let label = is_labelled.then(|| path.to_string_lossy().into());
            files.push((label, file));
        }
        let lines = line_stream::of(files, name, self.max_line.0)?;
        Ok(Source { extent: total.map(Extent::new), ..Source::new(lines, Durability::Ephemeral) })
    }

    /// How many waiting files of each path are held open.
    fn held(&self) -> usize {
        (HELD / self.paths.len().max(1)).max(1)
    }

    /// Whether there can be several files, so that records name theirs.
    fn is_labelled(&self) -> bool {
        self.paths.len() > 1 || self.paths.iter().any(|path| glob::is_pattern(path))
    }
}

impl SourceConfig for File {
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>) {
        context.check_max_line(self.max_line, section);
        if self.paths.is_empty() {
            section.add("paths", "a file source needs at least one path; write for example paths = [\"urls.txt\"]");
        }
        let mut seen = BTreeSet::new();
        for path in self.paths.iter().filter(|path| !seen.insert(plain(path))) {
            // Lines are identified by path and number.
            let path = path.display();
            section.add("paths", format!("`{path}` is read twice by one source; give each path once"));
        }
        for path in &self.paths {
            if let Some(error) = glob::wrong(path) {
                let (path, why) = (path.display(), error.msg);
                let message = format!("`{path}` is neither an existing file nor a valid pattern ({why}); correct it");
                section.add("paths", message);
            }
        }
        if self.follow && self.inputs().stdin > 0 {
            let message = "standard input cannot be followed; give it a source of its own, of the kind stdin, which reads lines as they come";
            section.add("follow", message);
        }
        if self.rotate_wait > Span::LONGEST {
            let wait = self.rotate_wait;
            section.add("rotate_wait", format!("`rotate_wait` is {wait}; it can be at most a year, `8760h`"));
        }
    }

    fn inputs(&self) -> Inputs {
        let (stdin, files): (Vec<_>, Vec<_>) = self.files().into_iter().partition(|path| path == Path::new("-"));
        Inputs { stdin: stdin.len(), files }
    }

    fn would_read<'a>(&self, paths: &'a [PathBuf]) -> Option<(PathBuf, &'a Path)> {
        let mut own = self.paths.iter().filter(|_| self.follow);
        own.find_map(|own| Some((own.clone(), glob::first_meant(own, paths)?)))
    }

    /// Every file is opened at the start and kept open until it is read; waiting files of followed paths are held open,
    /// too.
    fn open_files(&self) -> u64 {
        self.paths.len() as u64 * if self.follow { 1 + self.held() as u64 } else { 1 }
    }

    /// Whether all paths are regular files: bytes of a pipe cannot be read again.
    fn is_durable(&self) -> bool {
        let can_be_regular = |path: &PathBuf| path.metadata().map_or(true, |metadata| metadata.is_file());
        self.paths.iter().all(|path| path != Path::new("-") && can_be_regular(path))
    }

    fn is_batch(&self) -> bool {
        !self.follow && self.is_durable()
    }

    fn anew(&self) -> Option<Arc<dyn SourceConfig>> {
        Some(Arc::new(Self { changed: Changed::Anew, ..self.clone() }))
    }

    fn why_not_durable(&self, _name: &str) -> String {
        "remembers no lines of a pipe, only those of regular files".to_owned()
    }

    /// Opens every file before the first line is read. Records carry the path if there may be several files, or if a
    /// later run may have to find the file.
    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError> {
        let files = self.files();
        if !self.follow
            && let Some(pattern) = glob::unmatched(&self.paths)
        {
            let pattern = pattern.display();
            return Err(format!("no file matches {pattern}; with `follow = true` fetchd would wait for one").into());
        }
        if !self.follow && saved.is_none() {
            return self.open_once(&files, name);
        }
        let durability = if saved.is_some() { Durability::Resumable } else { Durability::Ephemeral };
        let mut opener = Opener::new(self, name, saved)?;
        let (tailers, store) = opener.open_all(files)?;
        if self.follow {
            let lag = Arc::<FollowLag>::default();
            let lines = reader_thread::round_robin(tailers, store, move || opener.search(), Arc::clone(&lag));
            return Ok(Source { gauge: Some(lag), ..Source::new(lines, durability) });
        }
        let bytes = tailers.iter().map(|tailer| tailer.bytes().map_err(|error| AtPath::new(tailer.path(), error)));
        let extent = Some(Extent::new(bytes.sum::<Result<_, _>>()?));
        Ok(Source { extent, ..Source::new(reader_thread::one_after_another(tailers, store), durability) })
    }
}

/// The path of a tailer, and how it is read.
#[derive(Debug)]
pub(super) struct ReadOptions {
    pub path: PathBuf,
    /// The durable state, if there is any: lines carry its name, and their positions.
    pub state_id: Option<Arc<str>>,
    /// The source and path that its lines carry.
    pub source: Option<Arc<str>>,
    pub file: Option<Arc<str>>,
    pub until: Until,
    pub max_line: usize,
    /// How many waiting files are held open.
    pub held: usize,
    /// The most lines per step.
    pub batch: usize,
}

/// How far a path is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// To the end of the file.
    End { changed: Changed },
    /// For ever. A file that was rotated away is read for this long.
    Stopped { rotate_wait: Duration },
}

/// The resolved path of a file; `-` stays as it is.
fn plain(path: &Path) -> PathBuf {
    if path == Path::new("-") { path.to_owned() } else { resolved(path) }
}

fn open(path: &Path) -> io::Result<Fs> {
    if path == Path::new("-") {
        return line_stream::standard_input();
    }
    let file = Fs::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// The bytes of a regular file; `None` for a pipe.
fn length(file: &Fs) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

#[cfg(test)]
mod model;
