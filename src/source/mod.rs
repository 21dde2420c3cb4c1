//! Sources: where lines come from. One file or folder per kind.
//!
//! A source is a stream of lines and, when it is durable, a part that deletes lines once they are done. Next:
//! `pipeline::feed`.

mod chunk_reader;
mod durable;
mod file;
mod http;
mod intake;
mod journal_gauge;
mod line_reader;
mod line_stream;
mod meter;
mod pages;
mod read_back;
mod round;
mod splitter;
mod stdin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::Deserialize;
use url::Url;

pub use self::file::File;
pub use self::http::Http;
pub use self::meter::{JournalView, SourceGauge, SourceLines, SourceMeter, SourceView};
pub use self::pages::Pages;
pub use self::round::of_round;
pub use self::stdin::Stdin;

use crate::diagnostics::Section;
use crate::disk::Disk;
use crate::error::BoxError;
use crate::item::{AnswerDesk, DoneRanges, Input, Needs, RawJson, ReleaseReceipt, SavePosition, Trim};
use crate::registry::{Component, Kind, Named};
use crate::units::Size;

/// An open source.
pub struct Source {
    /// Its name, or its kind where the configuration gives it none; empty until it is set.
    pub name: Arc<str>,
    /// What is known of its lines, if the configuration has it; those of a round are lines of other sources.
    pub known: Option<SourceLines>,
    /// Its lines, in order. The end of the stream is the end of the input; an error ends the run.
    ///
    /// The stream may wait for ever and is dropped when the run stops. It keeps no line from being seen: what was read
    /// completely is yielded before the next wait.
    pub lines: BoxStream<'static, Result<Input, BoxError>>,
    /// What it keeps of lines for a restart.
    pub durability: Durability,
    /// Deletes stored lines that are done, where the source stores lines (a journal).
    pub trim: Option<Arc<dyn Trim>>,
    /// Resolves with the error when the source fails while nobody polls its lines; the run ends at once.
    pub failure: Option<BoxFuture<'static, BoxError>>,
    /// What serves its producers, where they come to it: a stage of the run, which the end of the run waits for. It ends soon after
    /// the lines are dropped.
    pub service: Option<BoxFuture<'static, Result<(), BoxError>>>,
    /// How much there is to read, when that is known.
    pub extent: Option<Extent>,
    /// Takes lines back, where the source can. A line that goes back leaves a gap, so such a source excludes records in
    /// the order of the input.
    pub release: Option<Box<dyn Release>>,
    /// Where it reads the answer to each line before the record is written, if it does.
    pub answers: Option<AnswerDesk>,
    /// What it shows of itself while it runs.
    pub gauge: Option<Arc<dyn SourceGauge>>,
}

/// The size of an input whose size is known, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// All of it.
    pub bytes: u64,
}

impl Extent {
    fn new(bytes: u64) -> Self {
        Self { bytes }
    }
}

impl Source {
    /// A source that has no more to it than its lines.
    pub fn new(lines: BoxStream<'static, Result<Input, BoxError>>, durability: Durability) -> Self {
        Self {
            name: "".into(),
            known: None,
            lines,
            durability,
            trim: None,
            failure: None,
            service: None,
            extent: None,
            release: None,
            answers: None,
            gauge: None,
        }
    }

    /// A meter of it.
    pub fn meter(&self) -> Arc<SourceMeter> {
        Arc::new(SourceMeter::new(self))
    }
}

/// What a source keeps of its lines, so that it can yield them again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: a line that is not finished when the run ends is canceled, and gets its record.
    Ephemeral,
    /// Its position: a line that is not finished is left for the next start, and one that is done is not yielded again.
    Resumable,
}

/// What a durable source starts from.
#[derive(Debug)]
pub struct SavedState {
    /// The name of what is kept, which its lines carry.
    pub state_id: Arc<str>,
    /// Where state is kept.
    pub disk: Arc<dyn Disk>,
    /// The source's own directory, should it need one.
    pub dir: PathBuf,
    /// Room that is to be left on its disk, in bytes.
    pub min_free: u64,
    /// The position that was saved for the whole source, as that source wrote it.
    pub position: Option<RawJson>,
    /// Saves another one.
    pub save_position: Box<dyn SavePosition>,
    /// By path, the lines that are done. A source without files has an empty path.
    pub files: BTreeMap<String, DoneRanges>,
}

/// Takes lines back that were accepted and have no record, for another instance to fetch.
pub trait Release: Send {
    /// These lines of the source are not fetched here, each released once. They are not settled, neither before nor after.
    /// Does not wait.
    ///
    /// # Errors
    /// When the lines could be lost; the run ends.
    fn release(&mut self, lines: Vec<ReleaseReceipt>) -> Result<(), BoxError>;
}

/// A source as configured, `[source.NAME.KIND]`: what its kind says of itself before it is opened.
pub trait SourceConfig: Component {
    /// Reports everything that is wrong with its table.
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>);

    /// What it reads now. Files that are not there yet do not count.
    fn inputs(&self) -> Inputs;

    /// The first of these paths that the source would come to read while it runs (an output that its glob matches), with
    /// the configured path or pattern that matches it.
    fn would_read<'a>(&self, _paths: &'a [PathBuf]) -> Option<(PathBuf, &'a Path)> {
        None
    }

    /// Where producers connect to it, as it was configured.
    fn listens_at(&self) -> Option<String> {
        None
    }

    /// Files and sockets that it can have open at once.
    fn open_files(&self) -> u64 {
        1
    }

    /// What it needs of responses.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Whether a restart can go on where it stopped, given a data directory.
    fn is_durable(&self) -> bool {
        false
    }

    /// Whether all that it reads is there when the run begins, and can be read again: files that are not followed.
    fn is_batch(&self) -> bool {
        false
    }

    /// The URL of its first line, where that is known before a line is read.
    fn first_url(&self) -> Option<Url> {
        None
    }

    /// The same, but with the permission to read from its start what is not what was read of it before.
    fn anew(&self) -> Option<Arc<dyn SourceConfig>> {
        None
    }

    /// Whether a round can fetch its lines once more (`--again`). One that goes on from answers asks again by itself.
    fn is_repeated(&self) -> bool {
        true
    }

    /// Whether it takes lines back without a record ([`Release`]), which leaves gaps in the order of the input.
    fn releases(&self) -> bool {
        false
    }

    /// What a data directory does not do for this source, as the rest of a sentence that begins with its path; only where
    /// the source is not durable.
    fn why_not_durable(&self, name: &str) -> String {
        format!("does not remember the lines of `{name}`, which cannot be read again")
    }

    /// Opens it; a durable one with the state of its earlier runs, where there is a data directory.
    ///
    /// # Errors
    /// What could not be opened, and why.
    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError>;
}

/// The kinds of sources. A new one is its file, its `mod` line, and its row here.
pub const KINDS: &[Kind<dyn SourceConfig>] = &[
    Kind::new::<Stdin>("stdin", |table| Ok(Arc::new(Stdin::deserialize(table)?))),
    Kind::new::<File>("file", |table| Ok(Arc::new(File::deserialize(table)?))),
    Kind::new::<Pages>("pages", |table| Ok(Arc::new(Pages::deserialize(table)?))),
    Kind::new::<Http>("http", |table| Ok(Arc::new(Http::deserialize(table)?))),
];

/// What the check of a source can depend on besides its own table.
#[derive(Debug)]
pub struct CheckContext<'a> {
    /// `queue.window_bytes`
    pub window_bytes: Size,
    /// `state.data_dir`
    pub data_dir: Option<&'a Path>,
}

impl CheckContext<'_> {
    /// Reports a `max_line` that no line, or not every line, could meet.
    pub fn check_max_line(&self, max_line: Size, section: &mut Section<'_>) {
        if max_line.0 == 0 {
            section.add("max_line", "`max_line` is 0, so every line would be rejected; write for example \"1MiB\"");
        }
        if max_line > self.window_bytes {
            let message = format!(
                "`max_line` of a source is {max_line}, but no line can be longer than `queue.window_bytes` ({}); lower it or raise the other",
                self.window_bytes
            );
            section.add_with("max_line", &["queue.window_bytes"], message);
        }
    }
}

/// What a source reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// How often it reads standard input.
    pub stdin: usize,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// The source of a run that configures none.
pub fn standard_input() -> Named<dyn SourceConfig> {
    Named::unnamed("stdin", Arc::new(Stdin::default()))
}

/// The source of `-i`: these paths, of which `-` is standard input.
pub fn reading(paths: Vec<PathBuf>) -> Named<dyn SourceConfig> {
    match paths.as_slice() {
        [only] if only == Path::new("-") => standard_input(),
        _ => Named::unnamed("file", Arc::new(File::new(paths))),
    }
}
