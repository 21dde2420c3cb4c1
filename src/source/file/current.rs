//! The file of a path that is being read: its read position, and whether its content is still the same. In: a file of
//! the `queue`. Next: `tailer`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::fingerprint::Prefix;
use super::generation::{Generation, PendingFile, Progress, ResumePoint};
use super::lost_lines::say_that_it_is_truncated;
use super::queue::Queue;
use crate::disk::{DiskFile, FileId};
use crate::item::{FileGeneration, Fingerprint, Position};
use crate::source::line_reader::LineReader;

/// The file that is being read.
#[derive(Debug)]
pub(super) struct Current {
    pub line_reader: LineReader,
    /// The generation in the checkpoint.
    pub saved: Generation,
    /// The generation in positions.
    pub generation: Arc<FileGeneration>,
    /// The offset of its next line.
    pub at: u64,
    /// The number of its last line, if the next file's first line has a number already.
    pub last: Option<u64>,
    /// Whether its content was replaced: nothing more of the old content can be read.
    pub is_truncated: bool,
}

impl Current {
    /// Starts to read a file, and returns the number of the line before its next one; `None` if it is not open. `seq`
    /// is the last number in use.
    pub fn start(pending: PendingFile, seq: u64, max_line: usize) -> io::Result<Option<(u64, Self)>> {
        let PendingFile { generation: saved, file, begin, last, .. } = pending;
        let Some(file) = file else { return Ok(None) };
        let FileId { device, inode } = file.id();
        let (seq, Position { file: generation, end, fingerprint }) = match begin {
            ResumePoint::After(seq, position) => (seq, position),
            ResumePoint::Start(generation) => {
                (generation.first - 1, Position { file: generation, end: 0, fingerprint: Fingerprint::default() })
            }
            ResumePoint::New(least) => {
                let seq = seq.max(least);
                (seq, Position::start(FileGeneration { device, inode, first: seq + 1, torn: Vec::new() }))
            }
        };
        let mut line_reader = LineReader::new(file, end, fingerprint.prefix_sum, max_line);
        line_reader.load_last()?;
        Ok(Some((seq, Self { line_reader, saved, generation, at: end, last, is_truncated: false })))
    }

    /// Registers the number of its first line before that line is yielded, and a longer head once the file has one.
    /// Returns whether that must be saved.
    pub fn begin(&mut self) -> io::Result<bool> {
        let Generation { head, progress, .. } = &mut self.saved;
        let before = *head;
        if head.may_grow() {
            *head = Prefix::head(self.line_reader.file().as_ref())?;
        }
        let is_new = *progress == Progress::Seen && head.length > 0;
        if is_new {
            *progress = Progress::Begun(self.generation.first);
        }
        Ok(is_new || before.length == 0 && head.length > 0)
    }

    /// Registers a longer head, or that the file was truncated in place: then its new content is queued, and the old
    /// content is read from a copy, if there is one.
    pub fn check_content(&mut self, queue: &mut Queue, path: &Path, now: Instant) -> io::Result<()> {
        if self.is_truncated {
            return Ok(());
        }
        if !self.is_rewritten()? {
            if self.begin()? {
                queue.note_change();
            }
            return Ok(());
        }
        let file = Arc::clone(self.line_reader.file());
        if let Some(copy) = self.copy(queue)? {
            let FileId { device, inode } = copy.id();
            self.saved.file = copy.id();
            self.generation = Arc::new(FileGeneration { device, inode, ..FileGeneration::clone(&self.generation) });
            self.line_reader.continue_in(copy);
        } else {
            self.is_truncated = true;
            say_that_it_is_truncated(path, self.saved.length.saturating_sub(self.line_reader.offset()));
        }
        queue.push_rewritten(file, self.saved.modified, now)
    }

    /// Whether the bytes that were read have changed.
    fn is_rewritten(&self) -> io::Result<bool> {
        let file = self.line_reader.file();
        Ok(!self.line_reader.is_intact_in(file.as_ref())? || !self.saved.head.is_of(file.as_ref())?)
    }

    /// The copy of the file from before the truncation.
    fn copy(&self, queue: &Queue) -> io::Result<Option<Arc<dyn DiskFile>>> {
        for copy in queue.copies(&self.saved, self.line_reader.file().id())? {
            if self.line_reader.is_intact_in(copy.as_ref())? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }
}
