//! Plans where reading resumes, from the lines that are done, the saved generations, and the existing files. Next:
//! `queue` and `tailer`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::generation::{Generation, PendingFile, Progress, ResumePoint};
use super::known::{Directory, Known};
use super::rotation;
use crate::item::DoneRanges;
use crate::units::counted;

/// The files to read of a path.
#[derive(Debug)]
pub(super) struct ResumePlan {
    /// Files that were read, or are not to be read, and may still exist.
    pub left: Vec<Generation>,
    /// Files to read, from the oldest to the one at the path.
    pub files: VecDeque<PendingFile>,
    /// The number before their first line.
    pub seq: u64,
    /// A sentence about lines that cannot be read any more.
    pub lost: Option<String>,
    /// The lines that are done of the last file, if it is gone: the file at the path may have them as well.
    pub again: u64,
}

impl ResumePlan {
    /// Finds the files that have lines that are not done.
    pub fn find(path: &Path, settled: &DoneRanges, saved: &[Generation]) -> io::Result<Self> {
        // Names may change during the search.
        const TRIES: usize = 8;
        let known = Known::all(saved, settled);
        let inodes: Vec<u64> = known.iter().map(|known| known.generation.file.inode).collect();
        let mut directory = Directory::read(path, &inodes)?;
        for _ in 0..TRIES {
            let plan = Self::of(path, settled, &known, &directory)?;
            let before = std::mem::replace(&mut directory, Directory::read(path, &inodes)?);
            if before.is_as(&directory) {
                return Ok(plan);
            }
        }
        Err(rotation::too_fast())
    }

    fn of(path: &Path, settled: &DoneRanges, known: &[Known], directory: &Directory) -> io::Result<Self> {
        let (mut left, mut files, mut gone) = (Vec::new(), VecDeque::<PendingFile>::new(), Vec::new());
        let mut since = None;
        for (known, found) in known.iter().zip(directory.locate(known)?) {
            since = known.generation.modified;
            let Some((file, status)) = found else {
                let is_over = known.is_done && matches!(known.generation.progress, Progress::Gone(_));
                left.extend(Some(known.generation.clone()).filter(|_| !is_over));
                gone.extend(Some(known).filter(|known| !known.is_done));
                continue;
            };
            since = since.or(Some(status.modified));
            let mut pending = known.pending(file, settled)?;
            if directory.here_id() == Some(status.id) {
                // All other files are older.
                pending.generation.modified = Some(status.modified);
            }
            if let ResumePoint::After(_, position) = &pending.begin
                && !files.is_empty()
            {
                // An earlier file is still to be read, so lines before this position may not be done.
                pending.begin = ResumePoint::Start(position.file.clone());
            }
            files.push_back(pending);
        }
        // Numbers of lines in deleted files are in use, too.
        let begun = known.iter().filter_map(|known| known.generation.first()).max().unwrap_or(1);
        let seq = if gone.is_empty() { 0 } else { settled.last().max(begun - 1) };
        if known.is_empty() {
            left = earlier(directory)?;
        }
        let unseen = unseen(directory, &left, &files, since)?;
        files.extend(unseen);
        for pending in &mut files {
            if let ResumePoint::New(least) = &mut pending.begin {
                *least = seq;
            }
        }
        Ok(Self { left, files, seq, lost: lost(path, settled, &gone), again: again(settled, &gone) })
    }
}

/// The files that were at the path after the known ones, and the one that is there now.
fn unseen(
    directory: &Directory,
    left: &[Generation],
    files: &VecDeque<PendingFile>,
    since: Option<i64>,
) -> io::Result<Vec<PendingFile>> {
    let Some((here, status)) = &directory.here else {
        return between(directory, left, files, since);
    };
    if files.iter().any(|pending| pending.generation.file == status.id) {
        return Ok(Vec::new());
    }
    let mut unseen = between(directory, left, files, since)?;
    unseen.push(PendingFile::new(here.clone(), Some(status.modified))?);
    Ok(unseen)
}

/// The files that were at the path after the known ones and are rotated away by now.
fn between(
    directory: &Directory,
    left: &[Generation],
    files: &VecDeque<PendingFile>,
    since: Option<i64>,
) -> io::Result<Vec<PendingFile>> {
    let open: Vec<_> = files.iter().map(|pending| pending.generation.file).collect();
    let unseen = directory.siblings.unseen(&open, left, since)?;
    unseen.into_iter().map(|(file, status)| PendingFile::new(file, Some(status.modified))).collect()
}

/// The rotated files from before the path was followed, which are not read. Only files that a late writer may make
/// newer than the file at the path are listed; the others are older by their last write.
fn earlier(directory: &Directory) -> io::Result<Vec<Generation>> {
    const LATE: i64 = 60_000_000_000;
    let Some((_, here)) = &directory.here else { return Ok(Vec::new()) };
    let mut earlier = Vec::new();
    for sibling in directory.siblings.rotated(|_| true) {
        if sibling.status.modified < here.modified.saturating_sub(LATE) {
            continue;
        }
        if let Some(file) = sibling.open()? {
            let PendingFile { generation, .. } = PendingFile::new(file, Some(sibling.status.modified))?;
            earlier.push(Generation { progress: Progress::Earlier, ..generation });
        }
    }
    Ok(earlier)
}

/// The number of done lines of the last file, if it is gone.
fn again(settled: &DoneRanges, gone: &[&Known]) -> u64 {
    let last = gone.iter().find(|known| known.next.is_none());
    last.and_then(|known| known.generation.first()).map_or(0, |first| settled.count_from(first))
}

/// A sentence about the unread lines of files that are gone.
fn lost(path: &Path, settled: &DoneRanges, gone: &[&Known]) -> Option<String> {
    let (mut lines, mut bytes, mut is_last_gone) = (0, 0, false);
    for Known { generation, furthest, next, .. } in gone {
        if let Some(first) = generation.first() {
            let to = next.unwrap_or(settled.last() + 1);
            lines += settled.missing_before(to).saturating_sub(settled.missing_before(first));
            is_last_gone |= next.is_none();
        }
        if next.is_none() {
            bytes += generation.length.saturating_sub(furthest.as_ref().map_or(0, |position| position.end));
        }
    }
    let lines = (lines > 0).then(|| counted(lines, "line"));
    let bytes = (bytes > 0).then(|| format!("at least {}", counted(bytes, "byte")));
    let what = lines.into_iter().chain(bytes).collect::<Vec<_>>().join(" and ");
    let path = path.display();
    match (is_last_gone, what.as_str()) {
        (false, "") => None,
        (false, _) => Some(format!("{path}: an earlier file of this path is gone, and with it {what} not yet done")),
        (true, "") => Some(format!(
            "{path}: the file read before is gone or was overwritten; reading the present file from the start, as new lines"
        )),
        (true, _) => Some(format!(
            "{path}: the file read before is gone or was overwritten, and with it {what} not yet done; reading the present file from the start, as new lines"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::time::Instant;

    use super::super::rewritten::Changed;
    use super::super::tailer::{Step, Tailer};
    use super::super::{ReadOptions, Until};
    use super::*;
    use crate::disk::FileId;
    use crate::item::{FileGeneration, Fingerprint, Input, Line, LinePosition, Position, Text};

    fn with_files(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let path = dir.path().join("a");
        (dir, path)
    }

    /// A file as it was when it was read.
    struct Read {
        generation: Arc<FileGeneration>,
        content: Vec<u8>,
    }

    fn read(path: &Path, first: u64) -> Read {
        let FileId { device, inode } = rotation::Status::at(path).unwrap().unwrap().id;
        let generation = Arc::new(FileGeneration { device, inode, first, torn: Vec::new() });
        Read { generation, content: fs::read(path).unwrap() }
    }

    impl Read {
        fn position(&self, end: usize) -> Position {
            let fingerprint = Fingerprint { prefix_sum: crc32fast::hash(&self.content[..end]) };
            Position { file: Arc::clone(&self.generation), end: end as u64, fingerprint }
        }
    }

    fn settled(lines: &[(u64, &Read, usize)]) -> DoneRanges {
        let mut settled = DoneRanges::default();
        for (seq, file, end) in lines {
            settled.insert(*seq, Some(file.position(*end)));
        }
        settled
    }

    /// No line is done, and the first line is at the start of this file.
    fn before(file: &Read) -> DoneRanges {
        let position =
            serde_json::json!({ "seq": 0, "file": *file.generation, "end": 0, "fingerprint": { "prefix_sum": 0 } });
        serde_json::from_value(serde_json::json!([{ "from": 0, "to": 0, "known": position }])).unwrap()
    }

    /// The lines that are not done.
    fn pending(path: &Path, settled: &DoneRanges) -> Vec<Line> {
        let (path, until) = (path.to_owned(), Until::End { changed: Changed::Anew });
        let (state_id, max_line, held) = (Some("j".into()), 100, 2);
        let options = ReadOptions { path, state_id, source: None, file: None, until, max_line, held, batch: 3 };
        let mut tailer = Tailer::open(options, settled.clone(), &[]).unwrap();
        let mut inputs = Vec::new();
        while tailer.step(Instant::now(), &mut inputs).unwrap() != Step::End {}
        let line = |input| if let Input::Line(line) = input { Some(line) } else { None };
        inputs.into_iter().filter_map(line).collect()
    }

    fn shown(line: &Line) -> (u64, String) {
        let Text::Whole(text) = &line.text else { panic!("{line:?}") };
        (line.id.seq, String::from_utf8_lossy(text).into())
    }

    /// The lines that are not done, with their numbers, and the warning.
    fn resumed(path: &Path, settled: &DoneRanges) -> (Vec<(u64, String)>, Option<String>) {
        let lost = ResumePlan::find(path, settled, &[]).unwrap().lost;
        (pending(path, settled).iter().map(shown).collect(), lost)
    }

    fn lines(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(seq, text)| (*seq, (*text).to_owned())).collect()
    }

    #[test]
    fn late_lines_of_a_file_that_was_left_take_no_numbers_of_the_next_one() {
        let (_dir, path) = with_files(&[("a.1", "1\n2\nlate\nlater\n"), ("a", "3\n4\n")]);
        let (old, new) = (read(&path.with_file_name("a.1"), 1), read(&path, 3));
        let settled = settled(&[(1, &old, 2), (3, &new, 2)]);
        assert_eq!(resumed(&path, &settled), (lines(&[(2, "2"), (4, "4")]), None));
    }

    #[test]
    fn the_numbers_of_a_file_stay_though_the_one_before_it_became_shorter_or_is_gone() {
        let (_dir, path) = with_files(&[("a.1", "1\n2\n"), ("a", "4\n5\n6\n")]);
        let old_path = path.with_file_name("a.1");
        let (old, new) = (read(&old_path, 1), read(&path, 4));
        let settled = settled(&[(1, &old, 2), (5, &new, 4)]);
        let (came, lost) = resumed(&path, &settled);
        assert_eq!((came, lost), (lines(&[(2, "2"), (4, "4"), (6, "6")]), None));
        fs::remove_file(old_path).unwrap();
        let (came, lost) = resumed(&path, &settled);
        assert_eq!(came, lines(&[(4, "4"), (6, "6")]));
        assert!(lost.unwrap().contains("an earlier file of this path is gone, and with it 2 lines not yet done"));
    }

    #[test]
    fn a_file_that_is_gone_and_was_done_is_not_missed() {
        let (_dir, path) = with_files(&[("old", "1\n2\n"), ("a", "3\n4\n")]);
        let old_path = path.with_file_name("old");
        let (old, new) = (read(&old_path, 1), read(&path, 3));
        fs::remove_file(old_path).unwrap();
        let settled = settled(&[(1, &old, 2), (2, &old, 4), (4, &new, 4)]);
        assert_eq!(resumed(&path, &settled), (lines(&[(3, "3")]), None));
    }

    #[test]
    fn a_line_between_a_file_that_is_gone_and_the_present_one_is_found() {
        let (_dir, path) = with_files(&[("old", "1\n2\n"), ("a.1", "3\n4\n"), ("a", "5\n6\n")]);
        let old_path = path.with_file_name("old");
        let (old, between, new) = (read(&old_path, 1), read(&path.with_file_name("a.1"), 3), read(&path, 5));
        fs::remove_file(old_path).unwrap();
        let settled = settled(&[(1, &old, 2), (2, &old, 4), (4, &between, 4), (5, &new, 2)]);
        assert_eq!(resumed(&path, &settled), (lines(&[(3, "3"), (6, "6")]), None));
    }

    #[test]
    fn a_file_that_was_overwritten_with_lines_of_the_same_lengths_is_another_one() {
        let (_dir, path) = with_files(&[("a", "1\n2\n3\n")]);
        let file = read(&path, 1);
        fs::write(&path, "1\nX\n3\n").unwrap();
        assert_eq!(resumed(&path, &settled(&[(1, &file, 2)])), (lines(&[(2, "X"), (3, "3")]), None));
        // The first line is unchanged, but not the lines that were read after it.
        for done in [&[(1, &file, 2), (2, &file, 4)][..], &[(2, &file, 4)], &[(1, &file, 2), (3, &file, 6)]] {
            let settled = settled(done);
            let last = settled.last();
            let (came, lost) = resumed(&path, &settled);
            assert_eq!(came, lines(&[(last + 1, "1"), (last + 2, "X"), (last + 3, "3")]));
            assert!(lost.unwrap().contains("the file read before is gone or was overwritten"));
        }
    }

    #[test]
    fn a_file_that_became_shorter_than_what_was_read_is_another_one() {
        let (_dir, path) = with_files(&[("a", "1\n2\n")]);
        let file = read(&path, 1);
        fs::write(&path, "1\n").unwrap();
        let (came, lost) = resumed(&path, &settled(&[(1, &file, 2), (2, &file, 4)]));
        assert_eq!((came, lost.is_some()), (lines(&[(3, "1")]), true));
    }

    #[test]
    fn a_device_may_have_another_number_once_something_was_read() {
        let (_dir, path) = with_files(&[("a.1", "1\n2\n"), ("a", "3\n4\n")]);
        let (mut old, mut new) = (read(&path.with_file_name("a.1"), 1), read(&path, 3));
        for file in [&mut old, &mut new] {
            Arc::make_mut(&mut file.generation).device += 1;
        }
        let done = settled(&[(1, &old, 2), (3, &new, 2)]);
        assert_eq!(resumed(&path, &done), (lines(&[(2, "2"), (4, "4")]), None));
        let (came, lost) = resumed(&path, &before(&new));
        assert_eq!((came, lost.is_some()), (lines(&[(3, "3"), (4, "4")]), true));
    }

    #[test]
    fn a_last_line_that_is_completed_after_it_was_done_is_one_new_line() {
        let (_dir, path) = with_files(&[("a", "1\n2\n3")]);
        let first = read(&path, 1);
        let all = [(1, &first, 2), (2, &first, 4), (3, &first, 5)];
        for (end, came) in [("", &[][..]), (" \r\n4\n", &[(4, "4")]), ("x\n5\n", &[(4, "3x"), (5, "5")])] {
            fs::write(&path, format!("1\n2\n3{end}")).unwrap();
            assert_eq!(resumed(&path, &settled(&all)), (lines(came), None), "{end:?}");
            let came: Vec<_> = [(1, "1")].iter().chain(came).copied().collect();
            assert_eq!(resumed(&path, &settled(&all[1..])), (lines(&came), None), "{end:?}");
        }
    }

    #[test]
    fn the_numbers_after_a_line_that_was_completed_stay_whichever_lines_are_done() {
        let (_dir, path) = with_files(&[("a", "1\n2")]);
        let mut settled = settled(&[(2, &read(&path, 1), 3)]);
        let mut append = |text: &str, done: u64| {
            fs::write(&path, [fs::read(&path).unwrap(), text.into()].concat()).unwrap();
            let came = pending(&path, &settled);
            for line in came.iter().filter(|line| line.id.seq == done) {
                settled.insert(done, line.position.clone().and_then(LinePosition::in_file));
            }
            came.iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(append("x\n4\n5", 5), lines(&[(1, "1"), (3, "2x"), (4, "4"), (5, "5")]));
        assert_eq!(append("y", 6), lines(&[(1, "1"), (3, "2x"), (4, "4"), (6, "5y")]));
        assert_eq!(append("z\n8", 1), lines(&[(1, "1"), (3, "2x"), (4, "4"), (7, "5yz"), (8, "8")]));
        assert_eq!(append("", 3), lines(&[(3, "2x"), (4, "4"), (7, "5yz"), (8, "8")]));
        assert_eq!(append("", 4), lines(&[(4, "4"), (7, "5yz"), (8, "8")]));
        assert_eq!(append("", 8), lines(&[(7, "5yz"), (8, "8")]));
        assert_eq!(append("", 0), lines(&[(7, "5yz")]));
    }
}
