//! The generations of a path in order: those that were read and those that wait. Each is registered when it is first
//! seen, however far behind reading is. In: looks at the path. Next: `tailer` reads the waiting files.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::fingerprint::Prefix;
use super::generation::{Generation, PendingFile, Progress};
use super::lost_lines::{say_that_it_is_gone, say_that_it_is_truncated};
use super::rotation::{self, Siblings, Status};
use crate::disk::{DiskFile, FileId};

/// How many deleted files that were read are remembered, to report lines of them that a kill loses.
const GONE: usize = 32;

/// The generations of one path.
#[derive(Debug)]
pub(super) struct Queue {
    path: PathBuf,
    /// How many waiting files are held open, so that they can be read even if they are deleted: the oldest, which are
    /// deleted first.
    held: usize,
    /// Files that were read and still exist, so that none is read twice.
    left: Vec<Generation>,
    /// Files after the current one.
    later: VecDeque<PendingFile>,
    /// Since when the path names no file.
    missing: Option<Instant>,
    /// The last change of the directories, if their names were read since.
    names_of: Vec<SystemTime>,
    /// Whether there are unsaved changes.
    is_changed: bool,
}

impl Queue {
    pub fn new(path: PathBuf, held: usize, left: Vec<Generation>, later: VecDeque<PendingFile>) -> Self {
        Self { path, held, left, later, missing: None, names_of: Vec::new(), is_changed: true }
    }

    /// The waiting files.
    pub fn later(&self) -> &VecDeque<PendingFile> {
        &self.later
    }

    /// Notes a change to save.
    pub fn note_change(&mut self) {
        self.is_changed = true;
    }

    /// All generations, if one changed since the last call.
    pub fn changes(&mut self, current: Option<&Generation>) -> Option<Vec<Generation>> {
        let later = self.later.iter().map(|pending| &pending.generation);
        std::mem::take(&mut self.is_changed).then(|| self.left.iter().chain(current).chain(later).cloned().collect())
    }

    /// Notes that a file was read to its end or was truncated.
    pub fn leave(&mut self, generation: Generation) {
        self.left.push(generation);
    }

    /// Registers files that came to the path since the last look.
    pub fn look(&mut self, current: Option<&mut Generation>, now: Instant) -> io::Result<()> {
        self.look_at_newest(now)?;
        for PendingFile { generation, file, .. } in self.later.iter_mut().filter(|p| p.generation.head.length == 0) {
            // A late writer may begin to write only now.
            if let Some(file) = file {
                generation.head = Prefix::head(file.as_ref())?;
                self.is_changed |= generation.head.length > 0;
            }
        }
        let Some(status) = Status::at(&self.path)? else {
            self.missing.get_or_insert(now);
            // A file that was there in between and was renamed is registered before it is deleted.
            let may_be_new = rotation::may_have_changed(&self.path, &mut self.names_of)?;
            return if may_be_new { self.register(current.as_deref(), now) } else { Ok(()) };
        };
        self.missing = None;
        let current = match (self.later.back_mut(), current) {
            (Some(newest), _) if newest.generation.file == status.id => return self.update_newest(status),
            (None, Some(newest)) if newest.file == status.id => {
                (newest.modified, newest.length) = (Some(status.modified), status.length);
                return Ok(());
            }
            (_, current) => current,
        };
        self.register(current.as_deref(), now)
    }

    /// If the newest waiting file was rewritten, queues its copy, if there is one, and then its new content.
    fn look_at_newest(&mut self, now: Instant) -> io::Result<()> {
        let Some(PendingFile { generation, file: Some(file), .. }) = self.later.back() else { return Ok(()) };
        if file.length()? >= generation.length && generation.head.is_of(file.as_ref())? {
            return Ok(());
        }
        let (file, copy) = (Arc::clone(file), self.copies(generation, file.id())?.pop());
        let Some(mut pending) = self.later.pop_back() else { return Ok(()) };
        let modified = pending.generation.modified;
        if let Some(copy) = copy {
            pending.generation.file = copy.id();
            pending.file = Some(copy);
            self.later.push_back(pending);
        } else {
            say_that_it_is_truncated(&self.path, pending.generation.length);
            self.left.extend(pending.generation.first().map(|_| pending.generation));
        }
        self.push(file, modified, now)
    }

    /// Updates the newest waiting file, which is still at the path and may have grown.
    fn update_newest(&mut self, status: Status) -> io::Result<()> {
        let Some(PendingFile { generation, file, .. }) = self.later.back_mut() else { return Ok(()) };
        if let Some(file) = file
            && generation.head.may_grow()
            && status.length > generation.head.length
        {
            self.is_changed |= generation.head.length == 0;
            generation.head = Prefix::head(file.as_ref())?;
        }
        (generation.modified, generation.length) = (Some(status.modified), status.length);
        Ok(())
    }

    /// The files next to the path that may be copies of a rewritten file, the newest first: `copytruncate` copies a
    /// file and then truncates it.
    pub fn copies(&self, generation: &Generation, file: FileId) -> io::Result<Vec<Arc<dyn DiskFile>>> {
        let mut copies = Vec::new();
        if generation.head.length == 0 {
            return Ok(copies);
        }
        let others = || self.left.iter().chain(self.later.iter().map(|pending| &pending.generation));
        for sibling in Siblings::of(&self.path, &[])?.rotated(|_| false).into_iter().rev() {
            let id = sibling.status.id;
            let Some(copy) = sibling.open()?.filter(|_| id != file && sibling.status.length >= generation.length)
            else {
                continue;
            };
            let is_known = || others().any(|other| other.file == id && other.is_still(copy.as_ref()).unwrap_or(true));
            if generation.head.is_of(copy.as_ref())? && !is_known() {
                copies.push(copy);
            }
        }
        Ok(copies)
    }

    /// Registers the file that is at the path now, if any, and those that were there since the last look.
    fn register(&mut self, current: Option<&Generation>, now: Instant) -> io::Result<()> {
        let known = || self.left.iter().chain(current).chain(self.later.iter().map(|pending| &pending.generation));
        let inodes: Vec<u64> = known().map(|generation| generation.file.inode).collect();
        let siblings = Siblings::of(&self.path, &inodes)?;
        let newest = known().next_back();
        let open: Vec<_> = known().skip(self.left.len()).map(|generation| generation.file).collect();
        let unseen = siblings.unseen(&open, &self.left, newest.and_then(|newest| newest.modified))?;
        let here = rotation::open_with_status(&self.path)?.filter(|(_, status)| !open.contains(&status.id));
        let here_id = here.as_ref().map(|(_, status)| status.id);
        for (file, status) in unseen.into_iter().filter(|(_, status)| Some(status.id) != here_id).chain(here) {
            self.push(file, Some(status.modified), now)?;
        }
        if current.is_some() || !self.later.is_empty() {
            self.forget(&siblings);
        }
        Ok(())
    }

    /// Adds a file that replaced those before.
    fn push(&mut self, file: Arc<dyn DiskFile>, modified: Option<i64>, now: Instant) -> io::Result<()> {
        let pending = PendingFile { since: Some(now), ..PendingFile::new(file, modified)? };
        self.later.push_back(pending);
        self.is_changed = true;
        for pending in self.later.iter_mut().skip(self.held) {
            pending.file = None;
        }
        Ok(())
    }

    /// Adds a truncated file as the next one, after the current one, whose old content is read from a copy or lost.
    pub fn push_rewritten(&mut self, file: Arc<dyn DiskFile>, modified: Option<i64>, now: Instant) -> io::Result<()> {
        let pending = PendingFile { since: Some(now), ..PendingFile::new(file, modified)? };
        self.later.push_front(pending);
        self.is_changed = true;
        Ok(())
    }

    /// Forgets deleted files that were read or cannot be read. The newest of all stays, because newer files are found
    /// by its time.
    fn forget(&mut self, siblings: &Siblings) {
        let here = self.later.back().map(|newest| newest.generation.file);
        let is_there = |file: FileId| Some(file) == here || siblings.get(file).is_some();
        for generation in &mut self.left {
            if let Progress::Begun(first) = generation.progress
                && siblings.get(generation.file).is_none()
            {
                generation.progress = Progress::Gone(first);
            }
        }
        let is_gone = |generation: &Generation| matches!(generation.progress, Progress::Gone(_));
        let mut forgotten = self.left.iter().filter(|generation| is_gone(generation)).count().saturating_sub(GONE);
        self.left.retain(|generation| {
            let is_forgotten = is_gone(generation) && forgotten > 0;
            forgotten -= usize::from(is_forgotten);
            !is_forgotten && (is_gone(generation) || siblings.get(generation.file).is_some())
        });
        let path = &self.path;
        self.later.retain(|pending| {
            let can_be_read = pending.file.is_some() || is_there(pending.generation.file);
            if !can_be_read {
                say_that_it_is_gone(path, &pending.generation);
            }
            can_be_read
        });
    }

    /// Since when the path no longer names the current file.
    pub fn replaced_since(&mut self, now: Instant) -> Option<Instant> {
        let next = self.later.front_mut().map(|pending| *pending.since.get_or_insert(now));
        next.or(self.missing)
    }

    /// Whether a file is still in the directory, under another name.
    pub fn is_nearby(&self, generation: &Generation) -> io::Result<bool> {
        Ok(Siblings::of(&self.path, &[generation.file.inode])?.get(generation.file).is_some())
    }

    /// Restarts `rotate_wait`, because no file has replaced the current one yet.
    pub fn wait_on(&mut self, now: Instant) {
        self.missing = Some(now);
    }

    /// The next file to read.
    pub fn next(&mut self) -> io::Result<Option<PendingFile>> {
        self.hold()?;
        while let Some(pending) = self.later.pop_front() {
            if pending.file.is_some() {
                return Ok(Some(pending));
            }
            say_that_it_is_gone(&self.path, &pending.generation);
            self.is_changed = true;
        }
        Ok(None)
    }

    /// Opens the next waiting files.
    fn hold(&mut self) -> io::Result<()> {
        let next = || self.later.iter().take(self.held).filter(|pending| pending.file.is_none());
        let inodes: Vec<u64> = next().map(|pending| pending.generation.file.inode).collect();
        if inodes.is_empty() {
            return Ok(());
        }
        let siblings = Siblings::of(&self.path, &inodes)?;
        let here = rotation::open(&self.path)?;
        for pending in self.later.iter_mut().take(self.held).filter(|pending| pending.file.is_none()) {
            let sibling = siblings.get(pending.generation.file).map(rotation::Sibling::open).transpose()?.flatten();
            let mut found = here.clone().into_iter().chain(sibling);
            pending.file = found.find(|file| pending.generation.is_in(file.as_ref(), None).unwrap_or(false));
        }
        Ok(())
    }
}
