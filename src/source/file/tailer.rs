//! Tails one path through the files that it names one after the other, and numbers their lines. Pure but for reading: one
//! step at a time, at a given time. Next: `reader_thread`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fingerprint::ResumePoint;
use super::resume::{PendingFile, ResumePlan};
use super::{ReadOptions, Until};
use super::{partial_line, rotation};
use crate::disk::FileId;
use crate::item::{DoneRanges, FileGeneration, Fingerprint, Identity, Input, Line, Position};
use crate::source::line_reader::{LineReader, ReadLine};
use crate::source::splitter::Split;

/// Lines per step, at most.
const MOST: usize = 1024;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something; there may be more.
    Read,
    /// Nothing for now.
    Idle,
    /// There is no more.
    End,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tailer {
    options: ReadOptions,
    /// The lines that earlier runs have done.
    done: DoneRanges,
    /// The last line that was counted.
    seq: u64,
    current: Option<Current>,
    /// The files that come after the current one, up to the one at the path.
    later: VecDeque<PendingFile>,
    /// Since when the path names nothing.
    missing: Option<Instant>,
    /// Why the path could not be looked at the last time.
    complaint: Option<String>,
}

/// The file being read.
#[derive(Debug)]
struct Current {
    line_reader: LineReader,
    generation: Arc<FileGeneration>,
    /// Where its next line begins.
    at: u64,
    /// The number of its last line, when the next file's first line has a number already.
    last: Option<u64>,
}

impl Tailer {
    /// Finds what there is to read, after what earlier runs have done.
    ///
    /// # Errors
    /// What the system says, and when there is nothing at the path and it is not to be waited for.
    pub fn open(options: ReadOptions, done: DoneRanges) -> io::Result<Self> {
        let ResumePlan { files, seq, lost } = ResumePlan::find(&options.path, &done)?;
        if files.is_empty() && options.until == Until::End {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
        }
        if let Some(lost) = lost {
            tracing::warn!("{lost}");
        }
        let mut tailer = Self { options, done, seq, current: None, later: files, missing: None, complaint: None };
        tailer.go_on();
        Ok(tailer)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// How many bytes there are to read for now.
    ///
    /// # Errors
    /// What the system says.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        if let Some(Current { line_reader, .. }) = &self.current {
            bytes += line_reader.file().length()?.saturating_sub(line_reader.offset());
        }
        for pending in &self.later {
            bytes += pending.file.length()?;
        }
        Ok(bytes)
    }

    /// Reads some lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn step(&mut self, now: Instant, lines: &mut Vec<Input>) -> io::Result<Step> {
        if self.read(lines)? {
            return Ok(Step::Read);
        }
        let Until::Stopped { rotate_wait } = self.options.until else {
            return Ok(if self.leave(lines)? { Step::Read } else { Step::End });
        };
        if !self.look(now, rotate_wait) {
            return Ok(Step::Idle);
        }
        Ok(if self.leave(lines)? { Step::Read } else { Step::Idle })
    }

    /// Reads some lines of the current file; says whether there were any.
    fn read(&mut self, lines: &mut Vec<Input>) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let length = current.line_reader.file().length()?;
        if length < current.line_reader.offset() {
            self.begin_anew();
            return Ok(true);
        }
        for n in 0..MOST {
            let Some(current) = &mut self.current else { return Ok(n > 0) };
            let Some(cut) = current.line_reader.next(length)? else { return Ok(n > 0) };
            self.take(cut, lines)?;
        }
        Ok(true)
    }

    fn take(&mut self, ReadLine { split, end, sum }: ReadLine, lines: &mut Vec<Input>) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let start = std::mem::replace(&mut current.at, end);
        let Split::Line(text) = split else {
            lines.push(Input::Blank);
            return Ok(());
        };
        let parts =
            partial_line::parts(current.line_reader.file(), &current.generation, start..end, self.options.max_line)?;
        self.seq += parts;
        if current.last == Some(self.seq) {
            tracing::warn!(
                "{}: a line was written to a file after it was rotated away and given up; it is skipped",
                self.options.path.display()
            );
            return Ok(());
        }
        self.seq += 1;
        if self.done.contains(self.seq) {
            return Ok(());
        }
        if parts > 0 {
            tracing::warn!(
                "{}: a line without LF at its end was completed after it had been read; as it is now, it is a new line",
                self.options.path.display()
            );
        }
        let ReadOptions { state_id, source, file, .. } = &self.options;
        let fingerprint = Fingerprint { prefix_sum: sum };
        let position = state_id.is_some().then(|| Position { file: Arc::clone(&current.generation), end, fingerprint });
        let (state_id, source, file) = (state_id.clone(), source.clone(), file.clone());
        let id = Identity { state_id, source, file, seq: self.seq, round: 0 };
        lines.push(Input::Line(Line { id, text, position }));
        Ok(())
    }

    /// The file was cut in place.
    fn begin_anew(&mut self) {
        let Some(Current { line_reader, .. }) = &self.current else { return };
        tracing::warn!(
            "{} became shorter than what was read of it, so it is read from its start again; lines that were written to it before that and not yet read cannot be known",
            self.options.path.display()
        );
        let file = Arc::clone(line_reader.file());
        self.start(PendingFile { file, begin: ResumePoint::New(0), since: None });
    }

    /// Whether the current file is to be left. Where it cannot be told, it will be.
    fn look(&mut self, now: Instant, rotate_wait: Duration) -> bool {
        let (is_over, complaint) = match self.is_over(now, rotate_wait) {
            Ok(is_over) => (is_over, None),
            Err(error) => (false, Some(error.to_string())),
        };
        if let Some(complaint) = &complaint
            && self.complaint.as_ref() != Some(complaint)
        {
            tracing::warn!("{} cannot be followed for now: {complaint}", self.options.path.display());
        }
        self.complaint = complaint;
        is_over
    }

    fn is_over(&mut self, now: Instant, rotate_wait: Duration) -> io::Result<bool> {
        if !self.is_left(now)? {
            self.missing = None;
            return Ok(false);
        }
        if self.current.is_some() && now < self.left(now) + rotate_wait {
            return Ok(false);
        }
        if self.later.is_empty() && self.is_nearby()? {
            // Nothing took its place yet, and what will is found by what is known of this one.
            self.missing = Some(now);
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether the path names another file than the current one, or none. The files since the current one come later.
    fn is_left(&mut self, now: Instant) -> io::Result<bool> {
        let path = &self.options.path;
        let here = rotation::id_at(path)?;
        let newest = self.later.back().map(|pending| pending.file.id()).or_else(|| self.current_id());
        if here.is_some() && here == newest {
            return Ok(!self.later.is_empty());
        }
        if here.is_none() {
            return Ok(true);
        }
        let mut files = match newest {
            Some(newest) => rotation::since(path, newest)?,
            None => Vec::new(),
        };
        if files.is_empty() {
            files.extend(rotation::open(path)?);
        }
        for file in files {
            let id = file.id();
            let is_known = self.current_id() == Some(id) || self.later.iter().any(|pending| pending.file.id() == id);
            if !is_known {
                self.later.push_back(PendingFile { file, begin: ResumePoint::New(0), since: Some(now) });
            }
        }
        Ok(!self.later.is_empty())
    }

    /// Since when the path does not name the current file.
    fn left(&mut self, now: Instant) -> Instant {
        let known = |pending: &mut PendingFile| *pending.since.get_or_insert(now);
        let since: Vec<_> = self.later.iter_mut().map(known).collect();
        since.first().copied().unwrap_or_else(|| *self.missing.get_or_insert(now))
    }

    /// Whether the current file is still there, under another name.
    fn is_nearby(&self) -> io::Result<bool> {
        let Some(id) = self.current_id() else { return Ok(false) };
        Ok(!rotation::since(&self.options.path, id)?.is_empty())
    }

    fn current_id(&self) -> Option<FileId> {
        self.current.as_ref().map(|current| current.line_reader.file().id())
    }

    /// Finishes the current file and goes on to the next; says whether there was anything to do.
    fn leave(&mut self, lines: &mut Vec<Input>) -> io::Result<bool> {
        let last = self.current.as_mut().and_then(|current| current.line_reader.finish());
        let was_reading = self.current.is_some();
        if let Some(last) = last {
            self.take(last, lines)?;
        }
        self.current = None;
        self.go_on();
        Ok(was_reading || self.current.is_some())
    }

    fn go_on(&mut self) {
        if let Some(pending) = self.later.pop_front() {
            self.start(pending);
        }
    }

    fn start(&mut self, PendingFile { file, begin, .. }: PendingFile) {
        let FileId { device, inode } = file.id();
        let (seq, Position { file: generation, end, fingerprint }) = match begin {
            ResumePoint::After(seq, position) => (seq, position),
            ResumePoint::Start(generation) => {
                (generation.first - 1, Position { file: generation, end: 0, fingerprint: Fingerprint::default() })
            }
            ResumePoint::New(least) => {
                let seq = self.seq.max(least);
                (seq, Position::start(FileGeneration { device, inode, first: seq + 1, torn: Vec::new() }))
            }
        };
        let last = self.later.front().and_then(|next| match &next.begin {
            ResumePoint::Start(generation) => Some(generation.first - 1),
            ResumePoint::After(..) | ResumePoint::New(_) => None,
        });
        self.seq = seq;
        let line_reader = LineReader::new(file, end, fingerprint.prefix_sum, self.options.max_line);
        self.current = Some(Current { line_reader, generation, at: end, last });
    }
}
