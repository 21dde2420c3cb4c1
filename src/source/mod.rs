//! Sources of lines: one file or folder per kind.
//!
//! A source is a stream of lines; a durable one also deletes stored lines once they are done. Next: `pipeline::feed`.

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
pub use self::meter::{JournalView, SourceGauge, SourceMeter, SourceView};
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
    /// Its name, or its kind if the configuration gives no name; empty until it is set.
    pub name: Arc<str>,
    /// Its lines, in order. The end of the stream is the end of the input; an error ends the run.
    ///
    /// The stream may wait for ever and is dropped when the run stops. It yields every complete line before the next
    /// wait.
    pub lines: BoxStream<'static, Result<Input, BoxError>>,
    /// Whether a restart continues after the lines that are done.
    pub durability: Durability,
    /// Deletes stored lines that are done, if the source stores lines (a journal).
    pub trim: Option<Arc<dyn Trim>>,
    /// Resolves with the error when the source fails while its lines are not polled; the run ends at once.
    pub failure: Option<BoxFuture<'static, BoxError>>,
    /// The server to which producers connect: a stage of the run, which the end of the run waits for. It ends soon
    /// after the lines are dropped.
    pub service: Option<BoxFuture<'static, Result<(), BoxError>>>,
    /// The size of the input, if it is known.
    pub extent: Option<Extent>,
    /// Takes lines back, if the source can. A released line leaves a gap, so such a source excludes records in the
    /// order of the input.
    pub release: Option<Box<dyn Release>>,
    /// Passes the response of each line to the source before the record is written, if the source reads responses.
    pub answers: Option<AnswerDesk>,
    /// Its metrics while it runs.
    pub gauge: Option<Arc<dyn SourceGauge>>,
}

/// The size of an input whose size is known, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The bytes of all lines.
    pub bytes: u64,
}

impl Extent {
    fn new(bytes: u64) -> Self {
        Self { bytes }
    }
}

impl Source {
    /// A source of lines without any optional part.
    pub fn new(lines: BoxStream<'static, Result<Input, BoxError>>, durability: Durability) -> Self {
        Self {
            name: "".into(),
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

    /// Creates the meter of the source.
    pub fn meter(&self) -> Arc<SourceMeter> {
        Arc::new(SourceMeter::new(Arc::clone(&self.name), self.extent, self.gauge.clone()))
    }
}

/// Whether a source yields unfinished lines again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No: a line that is not finished when the run ends is canceled and gets its record.
    Ephemeral,
    /// Yes: an unfinished line is left for the next start, and a line that is done is not yielded again.
    Resumable,
}

/// The saved state from which a durable source starts.
#[derive(Debug)]
pub struct SavedState {
    /// The name of the durable state, which records carry.
    pub state_id: Arc<str>,
    /// The disk of the state.
    pub disk: Arc<dyn Disk>,
    /// A directory for the source alone.
    pub dir: PathBuf,
    /// Bytes to leave free on the disk.
    pub min_free: u64,
    /// The position of the whole source, as the source saved it.
    pub position: Option<RawJson>,
    /// Saves another position.
    pub save_position: Box<dyn SavePosition>,
    /// The lines that are done, by path. A source without files has an empty path.
    pub files: BTreeMap<String, DoneRanges>,
}

/// Takes back accepted lines without a record, for another instance to fetch.
pub trait Release: Send {
    /// Releases lines that are not fetched here, each once. They are never settled. Does not wait.
    ///
    /// # Errors
    /// When the lines could be lost; the run ends.
    fn release(&mut self, lines: Vec<ReleaseReceipt>) -> Result<(), BoxError>;
}

/// The configuration of a source, `[source.NAME.KIND]`, and the properties of its kind.
pub trait SourceConfig: Component {
    /// Reports every problem of its table.
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>);

    /// Its inputs now, without files that may match a pattern later.
    fn inputs(&self) -> Inputs;

    /// The first of these paths that the source would read while it runs (an output that its glob matches), with the
    /// configured path or pattern that matches it.
    fn would_read<'a>(&self, _paths: &'a [PathBuf]) -> Option<(PathBuf, &'a Path)> {
        None
    }

    /// The configured address at which producers connect.
    fn listens_at(&self) -> Option<String> {
        None
    }

    /// Files and sockets that it can have open at once.
    fn open_files(&self) -> u64 {
        1
    }

    /// The parts of responses that it needs.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Whether a restart can continue where it stopped, given a data directory.
    fn is_durable(&self) -> bool {
        false
    }

    /// Whether the whole input exists when the run begins and can be read again: files that are not followed.
    fn is_batch(&self) -> bool {
        false
    }

    /// The URL of its first line, if the configuration has it.
    fn first_url(&self) -> Option<Url> {
        None
    }

    /// The same source, with the permission to read changed files from their start.
    fn anew(&self) -> Option<Arc<dyn SourceConfig>> {
        None
    }

    /// Whether a round can fetch its lines once more (`--again`). A source that derives lines from responses repeats
    /// them itself.
    fn is_repeated(&self) -> bool {
        true
    }

    /// Whether it takes lines back without a record ([`Release`]), which leaves gaps in the order of the input.
    fn releases(&self) -> bool {
        false
    }

    /// Why the data directory does not keep this source's lines: the rest of a sentence that begins with the
    /// directory's path. Only for sources that are not durable.
    fn why_not_durable(&self, name: &str) -> String {
        format!("does not remember the lines of `{name}`, which cannot be read again")
    }

    /// Opens the source; a durable one with the state of its earlier runs, if there is a data directory.
    ///
    /// # Errors
    /// When a file, socket or journal cannot be opened.
    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError>;
}

/// The kinds of sources. A new one is its file, its `mod` line, and its row here.
pub const KINDS: &[Kind<dyn SourceConfig>] = &[
    Kind::new::<Stdin>("stdin", |table| Ok(Arc::new(Stdin::deserialize(table)?))),
    Kind::new::<File>("file", |table| Ok(Arc::new(File::deserialize(table)?))),
    Kind::new::<Pages>("pages", |table| Ok(Arc::new(Pages::deserialize(table)?))),
    Kind::new::<Http>("http", |table| Ok(Arc::new(Http::deserialize(table)?))),
];

/// The keys besides its own table on which the check of a source depends.
#[derive(Debug)]
pub struct CheckContext<'a> {
    /// `queue.window_bytes`
    pub window_bytes: Size,
    /// `state.data_dir`
    pub data_dir: Option<&'a Path>,
}

impl CheckContext<'_> {
    /// Reports a `max_line` that is 0 or larger than the window.
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

/// The inputs of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// How many times it reads standard input.
    pub stdin: usize,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// The source of a run without a configured source.
pub fn standard_input() -> Named<dyn SourceConfig> {
    Named::unnamed("stdin", Arc::new(Stdin::default()))
}

/// The source of `-i`: these paths; `-` is standard input.
pub fn reading(paths: Vec<PathBuf>) -> Named<dyn SourceConfig> {
    match paths.as_slice() {
        [only] if only == Path::new("-") => standard_input(),
        _ => Named::unnamed("file", Arc::new(File::new(paths))),
    }
}
