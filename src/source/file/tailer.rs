//! Tails one path through the successive files that it names, and numbers their lines. Pure except for reading: the
//! caller runs each step and passes the time. Next: `reader_thread`.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::current::Current;
use super::generation::{Generation, PendingFile};
use super::partial_line;
use super::queue::Queue;
use super::resume::ResumePlan;
use super::rewritten::{self, Changed};
use super::{ReadOptions, Until};
use crate::item::{DoneRanges, Fingerprint, Identity, Input, Line, Position};
use crate::source::line_reader::ReadLine;
use crate::source::splitter::Split;

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Progress; there may be more to read.
    Read,
    /// Nothing to read for now.
    Idle,
    /// The end of the path.
    End,
}

/// Reads one path.
#[derive(Debug)]
pub(super) struct Tailer {
    options: ReadOptions,
    /// The lines that are done by earlier runs.
    done: DoneRanges,
    /// The number of the last line.
    seq: u64,
    current: Option<Current>,
    /// The files before and after the current one.
    queue: Queue,
    /// The error of the last look at the path.
    complaint: Option<String>,
}

impl Tailer {
    /// Opens a path where earlier runs stopped. `saved` are their generations.
    ///
    /// # Errors
    /// When reading fails, or the path does not exist and is not followed.
    pub fn open(options: ReadOptions, done: DoneRanges, saved: &[Generation]) -> io::Result<Self> {
        let ResumePlan { left, files, seq, lost, again } = ResumePlan::find(&options.path, &done, saved)?;
        if files.is_empty() && matches!(options.until, Until::End { .. }) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
        }
        if options.until == (Until::End { changed: Changed::Refuse }) {
            rewritten::refuse(&files, again, options.max_line)?;
        }
        if let Some(lost) = lost {
            tracing::warn!(path = %options.path.display(), "{lost}");
        }
        let queue = Queue::new(options.path.clone(), options.held, left, files);
        let mut tailer = Self { options, done, seq, current: None, queue, complaint: None };
        tailer.go_on()?;
        Ok(tailer)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// The name of the path in records and in the checkpoint.
    pub fn label(&self) -> Cow<'_, str> {
        self.options.file.as_deref().map_or_else(|| self.options.path.to_string_lossy(), Cow::Borrowed)
    }

    /// The generations of the path, if they changed. They must be saved before the lines of the last step are yielded.
    pub fn changes(&mut self) -> Option<Vec<Generation>> {
        self.queue.changes(self.current.as_ref().map(|current| &current.saved))
    }

    /// The unread bytes.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        if let Some(Current { line_reader, .. }) = &self.current {
            bytes += line_reader.file().length()?.saturating_sub(line_reader.offset());
        }
        for pending in self.queue.later() {
            bytes += pending.file.as_ref().map_or(Ok(pending.generation.length), |file| file.length())?;
        }
        Ok(bytes)
    }

    /// Reads some lines.
    pub fn step(&mut self, now: Instant, lines: &mut Vec<Input>) -> io::Result<Step> {
        if self.read(now, lines)? {
            return Ok(Step::Read);
        }
        let Until::Stopped { rotate_wait } = self.options.until else {
            return Ok(if self.leave(lines)? { Step::Read } else { Step::End });
        };
        match self.try_to_look(now).and_then(|()| self.is_over(now, rotate_wait)) {
            Ok(is_over) => {
                self.complaint = None;
                Ok(if is_over && self.leave(lines)? { Step::Read } else { Step::Idle })
            }
            Err(error) => {
                self.complain(&error);
                Ok(Step::Idle)
            }
        }
    }

    /// Registers new files at the path, also while lines wait in the channel. Errors are logged, and the next look
    /// retries.
    pub fn look(&mut self, now: Instant) {
        if let Until::Stopped { .. } = self.options.until
            && let Err(error) = self.try_to_look(now)
        {
            self.complain(&error);
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let complaint = Some(error.to_string());
        if self.complaint != complaint {
            let path = self.options.path.display();
            tracing::warn!(event = "file_not_followed", %path, "{path} cannot be followed for now: {error}");
        }
        self.complaint = complaint;
    }

    fn try_to_look(&mut self, now: Instant) -> io::Result<()> {
        self.check_content(now)?;
        self.queue.look(self.current.as_mut().map(|current| &mut current.saved), now)
    }

    /// Reads some lines of the current file; returns whether there were any.
    fn read(&mut self, now: Instant, lines: &mut Vec<Input>) -> io::Result<bool> {
        self.check_content(now)?;
        let Some(current) = &self.current else { return Ok(false) };
        // Bytes read before the truncation are still valid.
        let reader = &current.line_reader;
        let limit = if current.is_truncated { reader.offset() } else { reader.file().length()? };
        for n in 0..self.options.batch {
            let Some(current) = &mut self.current else { return Ok(n > 0) };
            let Some(cut) = current.line_reader.next(limit)? else { return Ok(n > 0) };
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
            let path = self.options.path.display();
            tracing::warn!(
                event = "late_line",
                %path,
                "{path}: a line was written to a rotated file after it had been read to its end; it is skipped"
            );
            return Ok(());
        }
        self.seq += 1;
        if self.done.contains(self.seq) {
            return Ok(());
        }
        if parts > 0 {
            let path = self.options.path.display();
            tracing::warn!(
                event = "line_completed",
                %path,
                "{path}: a line without LF was completed after it had been read; the whole line is a new line"
            );
        }
        let ReadOptions { state_id, source, file, .. } = &self.options;
        let fingerprint = Fingerprint { prefix_sum: sum };
        let position = || Position { file: Arc::clone(&current.generation), end, fingerprint };
        let position = state_id.is_some().then(|| position().into());
        let (state_id, source, file) = (state_id.clone(), source.clone(), file.clone());
        let id = Identity { state_id, source, file, seq: self.seq, round: 0 };
        lines.push(Input::Line(Line { id, text, position }));
        Ok(())
    }

    /// Registers a longer head of the current file, or that it was truncated in place.
    fn check_content(&mut self, now: Instant) -> io::Result<()> {
        match &mut self.current {
            Some(current) => current.check_content(&mut self.queue, &self.options.path, now),
            None => Ok(()),
        }
    }

    /// Whether reading of the current file is over.
    fn is_over(&mut self, now: Instant, rotate_wait: Duration) -> io::Result<bool> {
        let Some(since) = self.queue.replaced_since(now) else { return Ok(false) };
        let Some(current) = self.current.as_ref().filter(|current| !current.is_truncated) else { return Ok(true) };
        if now < since + rotate_wait {
            return Ok(false);
        }
        if self.queue.later().is_empty() && self.queue.is_nearby(&current.saved)? {
            // No file has replaced it yet; the one that will is found by the time of this one.
            self.queue.wait_on(now);
            return Ok(false);
        }
        Ok(true)
    }

    /// Finishes the current file and starts the next; returns whether there was one of them.
    fn leave(&mut self, lines: &mut Vec<Input>) -> io::Result<bool> {
        let whole = self.current.as_mut().filter(|current| !current.is_truncated);
        let last = whole.and_then(|current| current.line_reader.finish());
        if let Some(last) = last {
            self.take(last, lines)?;
        }
        let left = self.current.take();
        let was_reading = left.is_some();
        left.into_iter().for_each(|current| self.queue.leave(current.saved));
        self.go_on()?;
        Ok(was_reading || self.current.is_some())
    }

    fn go_on(&mut self) -> io::Result<()> {
        if let Some(pending) = self.queue.next()? {
            self.start(pending)?;
        }
        Ok(())
    }

    fn start(&mut self, pending: PendingFile) -> io::Result<()> {
        // Numbers of done lines are in use, even if their file was rewritten since.
        let Some((seq, mut current)) = Current::start(pending, self.seq.max(self.done.last()), self.options.max_line)?
        else {
            return Ok(());
        };
        self.seq = seq;
        if current.begin()? {
            self.queue.note_change();
        }
        self.current = Some(current);
        Ok(())
    }
}
