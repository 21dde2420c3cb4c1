//! Where the reading of a path begins, from what is done of it and the files that are there. Next: `trail`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::rotated;
use crate::disk::{DiskFile, FileId};
use crate::item::{Place, Settled, Stretch};
use crate::units::counted;

/// A file that is to be read.
#[derive(Debug)]
pub(super) struct Leg {
    pub file: Arc<dyn DiskFile>,
    pub begin: Begin,
    /// Since when it is known to have taken the place of the one before; `None` until it is asked for.
    pub since: Option<Instant>,
}

/// Where in it.
#[derive(Clone, Debug)]
pub(super) enum Begin {
    /// After this line.
    After(u64, Place),
    /// At its start; it is known which line that is.
    Known(Arc<Stretch>),
    /// At its start; its lines are counted on from those before, of which there were at least so many.
    New(u64),
}

impl Begin {
    fn stretch(&self) -> Option<&Arc<Stretch>> {
        match self {
            Self::After(_, place) => Some(&place.file),
            Self::Known(stretch) => Some(stretch),
            Self::New(_) => None,
        }
    }

    fn id(&self) -> Option<FileId> {
        self.stretch().map(|stretch| FileId { device: stretch.device, inode: stretch.inode })
    }

    /// Whether the file can be the one that was read until there.
    fn fits(&self, file: &dyn DiskFile) -> io::Result<bool> {
        let Self::After(_, place) = self else { return Ok(true) };
        let mut around = [0; 2];
        let (end, length) = (place.end, file.length()?);
        let n = file.read_at(&mut around, end.saturating_sub(1))?;
        // Where no line ends, other bytes are in the place of those that were read. A last line may have no LF.
        Ok(end == 0 || end == length || (end < length && around[..n].contains(&b'\n')))
    }
}

/// What there is to read of a path.
#[derive(Debug)]
pub(super) struct Beginning {
    /// From the oldest file to the one at the path.
    pub legs: VecDeque<Leg>,
    /// The line before all of them.
    pub seq: u64,
    /// What cannot be read any more, as a sentence.
    pub lost: Option<String>,
}

impl Beginning {
    /// Looks for the files in which the lines are that are not done.
    ///
    /// # Errors
    /// What the system says.
    pub fn find(path: &Path, settled: &Settled) -> io::Result<Self> {
        let known = known(settled);
        let mut files = Vec::new();
        let mut first = 0;
        for (number, begin) in known.iter().enumerate() {
            let Some(id) = begin.id() else { continue };
            let found = rotated::since(path, id)?;
            if let Some(oldest) = found.first()
                && begin.fits(oldest.as_ref())?
            {
                (files, first) = (found, number);
                break;
            }
        }
        if files.is_empty() {
            files.extend(rotated::open(path)?);
            first = known.len();
        }
        Ok(Self::of(path, settled, &known, first, files))
    }

    /// `files` begin with that of `known[first]`.
    fn of(path: &Path, settled: &Settled, known: &[Begin], first: usize, files: Vec<Arc<dyn DiskFile>>) -> Self {
        let is_there = |begin: &Begin| files.iter().any(|file| Some(file.id()) == begin.id());
        let is_gone = |(number, begin): &(usize, &Begin)| *number < first || !is_there(begin);
        let gone: Vec<_> = known.iter().enumerate().filter(is_gone).map(|(number, _)| number).collect();
        // The lines of a file that is gone have numbers, too.
        let least = if gone.is_empty() { 0 } else { settled.last() };
        let begin_of = |file: &Arc<dyn DiskFile>| {
            let same = known[first..].iter().find(|begin| begin.id() == Some(file.id()));
            same.cloned().unwrap_or(Begin::New(least))
        };
        let mut begins: Vec<_> = files.iter().map(begin_of).collect();
        for begin in begins.iter_mut().skip(1) {
            // Lines of it that are not done may come before: they follow on a file that is still to be read.
            if let Begin::After(_, place) = begin {
                *begin = Begin::Known(Arc::clone(&place.file));
            }
        }
        let lost = lost(path, settled, known, &gone);
        let legs = files.into_iter().zip(begins).map(|(file, begin)| Leg { file, begin, since: None }).collect();
        Self { legs, seq: least, lost }
    }
}

/// The files of which something is known, in the order of their lines: where each can be gone on with.
fn known(settled: &Settled) -> Vec<Begin> {
    let mut stretches: Vec<Arc<Stretch>> = Vec::new();
    for stretch in settled.files() {
        // A file that was cut to begin anew is what it became.
        stretches.retain(|before| (before.device, before.inode) != (stretch.device, stretch.inode));
        stretches.push(Arc::clone(stretch));
    }
    let begin = |stretch: Arc<Stretch>| match settled.known_from(stretch.first) {
        Some((seq, place)) if place.file == stretch => Begin::After(*seq, place.clone()),
        _ => Begin::Known(stretch),
    };
    stretches.into_iter().map(begin).collect()
}

/// What is lost with the files that are gone.
fn lost(path: &Path, settled: &Settled, known: &[Begin], gone: &[usize]) -> Option<String> {
    let first_of = |number: usize| known.get(number).and_then(Begin::stretch).map(|stretch| stretch.first);
    let mut lines = 0;
    let mut is_last_gone = false;
    for number in gone {
        let (from, to) = (first_of(*number).unwrap_or(1), first_of(number + 1));
        is_last_gone |= to.is_none();
        let to = to.unwrap_or(settled.last() + 1);
        lines += settled.missing_before(to).saturating_sub(settled.missing_before(from));
    }
    let path = path.display();
    let what = counted(lines, "line");
    match (is_last_gone, lines) {
        (false, 0) => None,
        (false, _) => Some(format!("{path}: a file that it named before is gone, and with it {what} not yet done")),
        (true, 0) => Some(format!(
            "{path}: the file read before is gone or was overwritten; what is there now is read from its start, as new lines"
        )),
        (true, _) => Some(format!(
            "{path}: the file read before is gone or was overwritten, and with it {what} not yet done; what is there now is read from its start, as new lines"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::trail::{Course, Trail, Until};
    use super::*;
    use crate::item::{Input, Text};

    fn with_files(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let path = dir.path().join("a");
        (dir, path)
    }

    fn stretch(path: &Path, first: u64) -> Arc<Stretch> {
        let FileId { device, inode } = rotated::id_at(path).unwrap().unwrap();
        Arc::new(Stretch { device, inode, first })
    }

    fn settled(lines: &[(u64, &Arc<Stretch>, u64)]) -> Settled {
        let mut settled = Settled::default();
        for (seq, file, end) in lines {
            settled.insert(*seq, Some(Place { file: Arc::clone(file), end: *end }));
        }
        settled
    }

    /// The lines that are not done, with their numbers, and what is said.
    fn resumed(path: &Path, settled: Settled) -> (Vec<(u64, String)>, Option<String>) {
        let lost = Beginning::find(path, &settled).unwrap().lost;
        let until = Until::Stopped { rotate_wait: Duration::ZERO };
        let course = Course {
            path: path.to_owned(),
            journal: None,
            source: None,
            file: None,
            keeps: crate::source::Keeps::Place,
            until,
            max_line: 100,
        };
        let mut trail = Trail::open(course, settled).unwrap();
        let mut inputs = Vec::new();
        for _ in 0..20 {
            trail.step(Instant::now(), &mut inputs).unwrap();
        }
        let line = |input| match input {
            Input::Line(line) => match line.text {
                Text::Whole(text) => Some((line.id.seq, String::from_utf8_lossy(&text).into())),
                text => panic!("{text:?}"),
            },
            Input::Blank => None,
        };
        (inputs.into_iter().filter_map(line).collect(), lost)
    }

    fn lines(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(seq, text)| (*seq, (*text).to_owned())).collect()
    }

    #[test]
    fn what_is_written_to_a_file_that_was_given_up_takes_no_number_of_the_next_one() {
        let (_dir, path) = with_files(&[("a.1", "1\n2\nlate\nlater\n"), ("a", "3\n4\n")]);
        let (old, new) = (stretch(&path.with_file_name("a.1"), 1), stretch(&path, 3));
        let settled = settled(&[(1, &old, 2), (3, &new, 2)]);
        assert_eq!(resumed(&path, settled), (lines(&[(2, "2"), (4, "4")]), None));
    }

    #[test]
    fn the_numbers_of_a_file_stay_though_the_one_before_it_became_shorter_or_is_gone() {
        let (_dir, path) = with_files(&[("a.1", "1\n2\n"), ("a", "4\n5\n6\n")]);
        let old_path = path.with_file_name("a.1");
        let (old, new) = (stretch(&old_path, 1), stretch(&path, 4));
        let settled = settled(&[(1, &old, 2), (5, &new, 4)]);
        let (came, lost) = resumed(&path, settled.clone());
        assert_eq!((came, lost), (lines(&[(2, "2"), (4, "4"), (6, "6")]), None));
        fs::remove_file(old_path).unwrap();
        let (came, lost) = resumed(&path, settled);
        assert_eq!(came, lines(&[(4, "4"), (6, "6")]));
        assert!(lost.unwrap().contains("a file that it named before is gone, and with it 2 lines not yet done"));
    }

    #[test]
    fn a_file_that_is_gone_and_was_done_is_not_missed() {
        let (_dir, path) = with_files(&[("old", "1\n2\n"), ("a", "3\n4\n")]);
        let old_path = path.with_file_name("old");
        let (old, new) = (stretch(&old_path, 1), stretch(&path, 3));
        fs::remove_file(old_path).unwrap();
        let settled = settled(&[(1, &old, 2), (2, &old, 4), (4, &new, 4)]);
        assert_eq!(resumed(&path, settled), (lines(&[(3, "3")]), None));
    }

    #[test]
    fn a_file_with_other_bytes_where_a_line_ended_is_another_one() {
        let (_dir, path) = with_files(&[("a", "one\ntwo\nthree\n")]);
        let file = stretch(&path, 1);
        for (end, is_same) in [(4, true), (8, true), (14, true), (5, false), (6, false), (15, false)] {
            let (came, lost) = resumed(&path, settled(&[(1, &file, end)]));
            assert_eq!(lost.is_none(), is_same, "{end}: {lost:?}");
            assert_eq!(came.first().is_some_and(|(seq, text)| (*seq, text.as_str()) == (2, "one")), !is_same, "{end}");
        }
    }
}
