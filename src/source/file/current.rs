//! The file of a path that is being read: how far it was read, and whether it is still the same. In: a file of the `queue`.
//! Next: `tailer`.

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

/// See the module.
#[derive(Debug)]
pub(super) struct Current {
    pub line_reader: LineReader,
    /// As the checkpoint remembers it.
    pub saved: Generation,
    /// As positions have it.
    pub generation: Arc<FileGeneration>,
    /// Where its next line begins.
    pub at: u64,
    /// The number of its last line, when the next file's first line has a number already.
    pub last: Option<u64>,
    /// Its content is another one now: what was read of it is all there is.
    pub is_truncated: bool,
}

impl Current {
    /// Starts to read a file, with the line before its next one; `None` if it is not open. `seq` is the last line that has a
    /// number.
    ///
    /// # Errors
    /// What the system says.
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

    /// Registers the number of its first line before that goes on, and more of its beginning once it is there. Says whether
    /// that is to be saved.
    ///
    /// # Errors
    /// What the system says.
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

    /// Registers more of its beginning, or that it was truncated in place: what it has now waits to be read, and what it had
    /// is read from its copy, if there is one.
    ///
    /// # Errors
    /// What the system says.
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

    /// Whether the file has other content where it was read.
    fn is_rewritten(&self) -> io::Result<bool> {
        let file = self.line_reader.file();
        Ok(!self.line_reader.is_intact_in(file.as_ref())? || !self.saved.head.is_of(file.as_ref())?)
    }

    /// The copy that was made of it before it was truncated.
    fn copy(&self, queue: &Queue) -> io::Result<Option<Arc<dyn DiskFile>>> {
        for copy in queue.copies(&self.saved, self.line_reader.file().id())? {
            if self.line_reader.is_intact_in(copy.as_ref())? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }
}
