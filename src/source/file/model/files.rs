//! The writer's side of the model: files that are written, rotated with every naming scheme, truncated and deleted.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// How the file at the path is rotated.
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    /// `urls.txt.1`, after older files were shifted.
    Shifted,
    /// The newest has the highest number.
    Rising,
    /// `urls.txt-20260101`
    Dated,
    /// `urls-0001.txt`
    BeforeExtension,
    /// A name without a number or date.
    Arbitrary,
    /// Another directory.
    MovedAway,
    Deleted,
    CopyTruncate,
    /// It is truncated without a copy, and written to again.
    Truncate,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// Under a name by which it is found even if it was never seen.
    Rotated,
    /// Under a name by which it is found only if it was seen before.
    Hidden,
    Gone,
}

/// A generation from the writer's side.
#[derive(Debug)]
pub struct Written {
    pub place: Place,
    pub name: PathBuf,
    /// Whether the reader saw it.
    pub is_seen: bool,
    /// Whether the reader saw the beginning of its content.
    pub is_known: bool,
    /// Whether the present reader has it open.
    pub is_open: bool,
}

/// A line, and the generation to which it was written.
#[derive(Debug)]
pub struct WrittenLine {
    pub text: String,
    pub generation: usize,
}

/// A directory with the successive files of a path.
pub struct Files {
    dir: TempDir,
    clock: u64,
    pub lines: Vec<WrittenLine>,
    pub generations: Vec<Written>,
    /// The writer's open file; created by the first write.
    file: Option<File>,
    /// The unfinished line.
    begun: String,
}

impl Files {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let (lines, generations, begun) = (Vec::new(), Vec::new(), String::new());
        let mut files = Self { dir, clock: 0, lines, generations, file: None, begun };
        files.create();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Creates the writer's file. Modification times are artificial, because the system's clock may be too coarse.
    fn create(&mut self) {
        if self.file.is_some() {
            return;
        }
        let name = self.path("urls.txt");
        self.file = Some(File::options().append(true).create(true).open(&name).unwrap());
        self.generations.push(Written { place: Place::Here, name, is_seen: false, is_known: false, is_open: false });
        self.touch();
    }

    fn touch(&mut self) {
        self.clock += 1;
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + self.clock);
        self.file.as_ref().unwrap().set_modified(modified).unwrap();
    }

    pub fn write(&mut self, is_blank_next: bool) {
        self.begin();
        self.text(if is_blank_next { "\n \n" } else { "\n" });
        self.end_line();
    }

    pub fn begin(&mut self) {
        let more = format!("{}.", self.lines.len());
        self.text(&more);
        self.begun.push_str(&more);
    }

    fn end_line(&mut self) {
        let (text, generation) = (std::mem::take(&mut self.begun), self.generations.len() - 1);
        self.lines.push(WrittenLine { text, generation });
    }

    fn text(&mut self, text: &str) {
        self.create();
        self.file.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        self.touch();
    }

    pub fn rotate(&mut self, scheme: Scheme, late: u64) {
        if self.file.is_none() {
            return;
        }
        match scheme {
            Scheme::CopyTruncate => return self.copy_and_truncate(),
            Scheme::Truncate => return self.truncate(late),
            _ => {}
        }
        let number = self.generations.len();
        let (name, place) = match scheme {
            Scheme::Shifted => (self.shift(), Place::Rotated),
            Scheme::Rising => (self.path(&format!("urls.txt.{}", 1000 + number)), Place::Rotated),
            Scheme::Dated => (self.path(&format!("urls.txt-2026{number:04}")), Place::Rotated),
            Scheme::BeforeExtension => (self.path(&format!("urls-{number:04}.txt")), Place::Hidden),
            Scheme::Arbitrary => (self.path(&format!("old-{number}")), Place::Hidden),
            _ => (self.path(&format!("elsewhere/{number}")), Place::Gone),
        };
        fs::rename(self.path("urls.txt"), &name).unwrap();
        let generation = self.generations.last_mut().unwrap();
        (generation.name, generation.place) = (name, place);
        if matches!(scheme, Scheme::Deleted) {
            fs::remove_file(&self.generations.last().unwrap().name).unwrap();
        }
        (0..late).for_each(|_| self.write(false));
        // The unfinished line of a file that is left is a line.
        if !self.begun.is_empty() {
            self.end_line();
        }
        self.file = None;
    }

    fn shift(&mut self) -> PathBuf {
        for number in (1..1000).rev() {
            let (from, to) = (self.path(&format!("urls.txt.{number}")), self.path(&format!("urls.txt.{}", number + 1)));
            if let Some(generation) = self.generations.iter_mut().find(|generation| generation.name == from) {
                fs::rename(from, &to).unwrap();
                generation.name = to;
            }
        }
        self.path("urls.txt.1")
    }

    fn copy_and_truncate(&mut self) {
        self.write(false);
        let name = self.path(&format!("urls.txt.{}", 1000 + self.generations.len()));
        fs::copy(self.path("urls.txt"), &name).unwrap();
        self.clock += 1;
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + self.clock);
        File::options().append(true).open(&name).unwrap().set_modified(modified).unwrap();
        self.file.as_ref().unwrap().set_len(0).unwrap();
        let generation = self.generations.last_mut().unwrap();
        // A copy is recognized by the content that the reader saw. It is another file, which the reader has not open.
        let place = if generation.is_known { Place::Rotated } else { Place::Gone };
        (generation.name, generation.place, generation.is_open) = (name, place, false);
        self.begin_generation_in_the_same_file();
    }

    fn truncate(&mut self, lines: u64) {
        self.write(false);
        self.file.as_ref().unwrap().set_len(0).unwrap();
        let generation = self.generations.last_mut().unwrap();
        (generation.place, generation.is_open, generation.name) = (Place::Gone, false, PathBuf::new());
        self.begin_generation_in_the_same_file();
        (0..lines).for_each(|_| self.write(false));
    }

    fn begin_generation_in_the_same_file(&mut self) {
        let name = self.path("urls.txt");
        self.generations.push(Written { place: Place::Here, name, is_seen: false, is_known: false, is_open: false });
        self.touch();
    }

    pub fn delete(&mut self, which: usize) {
        let rotated = |generation: &&mut Written| matches!(generation.place, Place::Rotated | Place::Hidden);
        let Some(generation) = self.generations.iter_mut().filter(rotated).nth(which) else { return };
        fs::remove_file(&generation.name).unwrap();
        (generation.place, generation.name) = (Place::Gone, PathBuf::new());
    }

    /// Whether a generation can still be read: its file can be found by its name, or is open.
    pub fn can_be_read(&self, generation: usize) -> bool {
        let generation = &self.generations[generation];
        match generation.place {
            Place::Here | Place::Rotated => true,
            Place::Hidden => generation.is_open || generation.is_known,
            Place::Gone => generation.is_open,
        }
    }

    /// Notes that the reader has looked at the path.
    pub fn see(&mut self) {
        for generation in &mut self.generations {
            let is_here = generation.place == Place::Here;
            generation.is_seen |= is_here;
            generation.is_known |= is_here && fs::metadata(&generation.name).unwrap().len() > 0;
            generation.is_open |= is_here
                || generation.place == Place::Rotated
                || generation.place == Place::Hidden && generation.is_seen;
        }
    }
}
