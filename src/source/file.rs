//! The source `file`: one or more files, read to their ends in the given order, or followed as they grow.

mod course;
mod known;
mod paths;
mod resume;
mod rotated;
mod rounds;
mod torn;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File as Fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Extent, Keeps, Past, Source, lines};
use crate::disk::FileId;
use crate::error::{AtPath, BoxError};
use crate::item::{Place, Settled, Stretch};
use crate::units::{Size, Span};
use course::{Course, Until};
use trail::Trail;

/// `[source.NAME.file]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The files; `-` is standard input. A path that is not there may be a pattern: `logs/*.txt`.
    pub paths: Vec<PathBuf>,
    /// A longer line is rejected.
    #[serde(default = "default_max_line")]
    pub max_line: Size,
    /// Whether to go on at the ends of the files, for what is written there later.
    #[serde(default)]
    pub follow: bool,
    /// How long a followed file is still read after it was rotated away: its writer may be late to notice.
    #[serde(default = "default_rotate_wait")]
    pub rotate_wait: Span,
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
        Self { paths, max_line: default_max_line(), follow: false, rotate_wait: default_rotate_wait() }
    }

    /// Whether a restart can find its lines again: what came out of a pipe is gone when it was read.
    pub fn is_durable(&self) -> bool {
        let can_be_regular = |path: &PathBuf| path.metadata().map_or(true, |metadata| metadata.is_file());
        self.paths.iter().all(|path| path != Path::new("-") && can_be_regular(path))
    }

    /// The files that its paths stand for now.
    pub fn files(&self) -> Vec<PathBuf> {
        paths::all(&self.paths)
    }

    /// The first of these paths that it would follow sooner or later, and its own path that says so.
    pub fn would_follow<'a>(&self, paths: &'a [PathBuf]) -> Option<(&Path, &'a Path)> {
        let own = self.paths.iter().filter(|_| self.follow);
        own.map(PathBuf::as_path).find_map(|own| Some((own, paths::first_meant(own, paths)?)))
    }

    /// By path, where the first lines of those files begin.
    pub fn begins(&self) -> Vec<(String, Place)> {
        let begin = |path: PathBuf| {
            // What cannot be opened is told when it is opened to be read.
            let FileId { device, inode } = rotated::open(&path).ok()??.id();
            let first = Place::start(Stretch { device, inode, first: 1, torn: Vec::new() });
            Some((path.to_string_lossy().into_owned(), first))
        };
        self.files().into_iter().filter_map(begin).collect()
    }

    /// What is wrong with its paths as patterns, as sentences.
    pub fn wrong_patterns(&self) -> Vec<String> {
        let wrong = |path: &PathBuf| {
            let why = paths::wrong(path)?.msg;
            Some(format!("`{}` is neither a file that is there nor a pattern ({why}); correct it", path.display()))
        };
        self.paths.iter().filter_map(wrong).collect()
    }

    /// Opens every file before the first line is read. Lines carry the path when there are or may be several, or when
    /// a later run may have to know it.
    ///
    /// # Errors
    /// The first file that cannot be opened, by its path.
    pub fn open(&self, name: Option<Arc<str>>, past: Option<Past>) -> Result<Source, BoxError> {
        let files = self.files();
        if !self.follow
            && let Some(pattern) = paths::unmatched(&self.paths)
        {
            let pattern = pattern.display();
            return Err(format!("no file matches {pattern}; with `follow = true` it would be waited for").into());
        }
        if !self.follow && past.is_none() {
            return self.open_once(&files, name);
        }
        let keeps = if past.is_some() { Keeps::Place } else { Keeps::Nothing };
        let mut opener = self.opener(name, past)?;
        let trails = files.into_iter().map(|path| opener.open(path)).collect::<Result<Vec<_>, _>>()?;
        if self.follow {
            let lines = rounds::in_rounds(trails, move || opener.search());
            return Ok(Source::new(lines, keeps));
        }
        let bytes = trails.iter().map(|trail| trail.bytes().map_err(|error| AtPath::new(trail.path(), error)));
        let extent = Some(Extent::new(bytes.sum::<Result<_, _>>()?));
        Ok(Source { extent, ..Source::new(rounds::in_turn(trails), keeps) })
    }

    /// Without a memory, and to the ends: files may be pipes, too.
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
        let lines = lines::of(files, name, self.max_line.0)?;
        Ok(Source { extent: total.map(Extent::new), ..Source::new(lines, Keeps::Nothing) })
    }

    /// Whether several files can be meant.
    fn is_labelled(&self) -> bool {
        self.paths.len() > 1 || self.paths.iter().any(|path| paths::is_pattern(path))
    }

    fn opener(&self, source: Option<Arc<str>>, past: Option<Past>) -> Result<Opener, BoxError> {
        let rotate_wait = self.rotate_wait.0;
        Ok(Opener {
            paths: self.paths.clone(),
            source,
            journal: past.as_ref().map(|past| Arc::clone(&past.journal)),
            is_labelled: past.is_some() || self.is_labelled(),
            past: past.map(|past| past.files).unwrap_or_default(),
            until: if self.follow { Until::Stopped { rotate_wait } } else { Until::End },
            max_line: usize::try_from(self.max_line.0)?,
            opened: BTreeSet::new(),
            failed: BTreeSet::new(),
        })
    }
}

/// Opens the paths of a source that it reads as files that can be read again.
struct Opener {
    paths: Vec<PathBuf>,
    source: Option<Arc<str>>,
    journal: Option<Arc<str>>,
    is_labelled: bool,
    /// By path, the lines that are done.
    past: BTreeMap<String, Settled>,
    until: Until,
    max_line: usize,
    opened: BTreeSet<PathBuf>,
    /// What was found and could not be opened.
    failed: BTreeSet<PathBuf>,
}

impl Opener {
    fn open(&mut self, path: PathBuf) -> Result<Trail, AtPath> {
        let label = path.to_string_lossy();
        let course = Course {
            journal: self.journal.clone(),
            source: self.source.clone(),
            file: self.is_labelled.then(|| label.as_ref().into()),
            until: self.until,
            max_line: self.max_line,
            path: path.clone(),
        };
        let done = self.past.get(label.as_ref()).cloned().unwrap_or_default();
        let trail = Trail::open(course, done).map_err(|error| AtPath::new(&path, error))?;
        self.opened.insert(path);
        Ok(trail)
    }

    /// Opens what patterns have come to match since.
    fn search(&mut self) -> Vec<Trail> {
        let mut new = paths::all(&self.paths);
        new.retain(|path| !self.opened.contains(path));
        new.into_iter().filter_map(|path| self.try_to_open(path)).collect()
    }

    fn try_to_open(&mut self, path: PathBuf) -> Option<Trail> {
        match self.open(path.clone()) {
            Ok(trail) => Some(trail),
            Err(error) => {
                if self.failed.insert(path) {
                    tracing::warn!("cannot open {error}; it is tried again");
                }
                None
            }
        }
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

#[cfg(test)]
mod model;
