//! Tails one path through the files that it names one after the other, and numbers their lines. Pure but for reading: one
//! step at a time, at a given time. Next: `reader_thread`.

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
    /// The files that were read before the current one, and those that wait for it.
    queue: Queue,
    /// Why the path could not be looked at the last time.
    complaint: Option<String>,
}

impl Tailer {
    /// Finds what there is to read, after what earlier runs have done. `saved` are the generations that they have seen.
    ///
    /// # Errors
    /// What the system says, and when there is nothing at the path and it is not to be waited for.
    pub fn open(options: ReadOptions, done: DoneRanges, saved: &[Generation]) -> io::Result<Self> {
        let ResumePlan { left, files, seq, lost, again } = ResumePlan::find(&options.path, &done, saved)?;
        if files.is_empty() && matches!(options.until, Until::End { .. }) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
        }
        if options.until == (Until::End { changed: Changed::Refuse }) {
            rewritten::refuse(&files, again, options.max_line)?;
        }
        if let Some(lost) = lost {
            tracing::warn!("{lost}");
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

    /// What records and the checkpoint call the path.
    pub fn label(&self) -> Cow<'_, str> {
        self.options.file.as_deref().map_or_else(|| self.options.path.to_string_lossy(), Cow::Borrowed)
    }

    /// The generations of the path, if they are to be saved: before the lines go on that were read since.
    pub fn changes(&mut self) -> Option<Vec<Generation>> {
        self.queue.changes(self.current.as_ref().map(|current| &current.saved))
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
        for pending in self.queue.later() {
            bytes += pending.file.as_ref().map_or(Ok(pending.generation.length), |file| file.length())?;
        }
        Ok(bytes)
    }

    /// Reads some lines.
    ///
    /// # Errors
    /// What the system says.
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

    /// Registers what is at the path since the last look, also while the lines read before still wait. Where it cannot be
    /// told, it is later.
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

    /// Reads some lines of the current file; says whether there were any.
    fn read(&mut self, now: Instant, lines: &mut Vec<Input>) -> io::Result<bool> {
        self.check_content(now)?;
        let Some(current) = &self.current else { return Ok(false) };
        // What was read before it was truncated is still whole.
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
                "{path}: a line was written to a file after it was rotated away and given up; it is skipped"
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
                "{path}: a line without LF at its end was completed after it had been read; as it is now, it is a new line"
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

    /// Registers more of the beginning of the current file, or that it was truncated in place.
    fn check_content(&mut self, now: Instant) -> io::Result<()> {
        match &mut self.current {
            Some(current) => current.check_content(&mut self.queue, &self.options.path, now),
            None => Ok(()),
        }
    }

    /// Whether the current file is to be left.
    fn is_over(&mut self, now: Instant, rotate_wait: Duration) -> io::Result<bool> {
        let Some(since) = self.queue.replaced_since(now) else { return Ok(false) };
        let Some(current) = self.current.as_ref().filter(|current| !current.is_truncated) else { return Ok(true) };
        if now < since + rotate_wait {
            return Ok(false);
        }
        if self.queue.later().is_empty() && self.queue.is_nearby(&current.saved)? {
            // Nothing took its place yet, and what will is found by what is known of this one.
            self.queue.wait_on(now);
            return Ok(false);
        }
        Ok(true)
    }

    /// Finishes the current file and goes on to the next; says whether there was anything to do.
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
        // Lines that are done have their numbers, also where their file was rewritten since.
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
