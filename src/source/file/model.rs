//! A writer, a rotation and a reader that is restarted, in any order: every line comes exactly once, with its number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::Instant;

use super::resume::ResumePlan;
use super::rotation;
use super::tailer::{Step, Tailer};
use super::{ReadOptions, Until};
use crate::disk::FileId;
use crate::item::{DoneRanges, FileGeneration, Input, Line, Position, Text};

const ROTATE_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
enum Act {
    /// So many lines, after each of which there may be a blank one.
    Write {
        lines: u64,
        blank: u64,
    },
    /// The beginning of a line, or more of it.
    ResumePoint,
    /// The file is renamed, and those before it; its writer is late to notice, and writes so many lines to it still.
    Rotate {
        late: u64,
    },
    /// The file is cut after all of it was read.
    ReadLine,
    /// The file is overwritten with lines of the same lengths after every so many-th line was done, the first and the
    /// last; the reader starts again.
    Overwrite {
        every: u64,
    },
    Read,
    Pass {
        millis: u64,
    },
    /// Every so many-th line is done, and the reader starts again.
    Restart {
        every: u64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        5 => (1u64..4, 1u64..4).prop_map(|(lines, blank)| Act::Write { lines, blank }),
        1 => Just(Act::ResumePoint),
        2 => (0u64..3).prop_map(|late| Act::Rotate { late }),
        1 => Just(Act::ReadLine),
        1 => (1u64..4).prop_map(|every| Act::Overwrite { every }),
        4 => Just(Act::Read),
        3 => (0u64..3000).prop_map(|millis| Act::Pass { millis }),
        2 => (1u64..4).prop_map(|every| Act::Restart { every }),
    ];
    prop::collection::vec(act, 0..40)
}

struct World {
    dir: TempDir,
    now: Instant,
    /// What was written, line by line.
    written: Vec<String>,
    /// Open to write to; created by the first who writes.
    file: Option<fs::File>,
    /// The line that is not finished.
    begun: String,
    tailer: Tailer,
    settled: DoneRanges,
    /// The lines that came since the last start, and where they end.
    came: BTreeMap<u64, Option<Position>>,
    /// The lines that were not done when they were overwritten.
    lost: BTreeSet<u64>,
    rotations: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("urls");
        let file = Some(appending(&path));
        let FileId { device, inode } = rotation::id_at(&path).unwrap().unwrap();
        let first = Position::start(FileGeneration { device, inode, first: 1, torn: Vec::new() });
        let settled = DoneRanges::before(first);
        let tailer = Tailer::open(options(path), settled.clone()).unwrap();
        let (now, written, begun) = (Instant::now(), Vec::new(), String::new());
        let (came, lost) = (BTreeMap::new(), BTreeSet::new());
        Self { dir, now, written, file, begun, tailer, settled, came, lost, rotations: 0 }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.path().join(if number == 0 { "urls".to_owned() } else { format!("urls.{number}") })
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Write { lines, blank } => (0..*lines).for_each(|n| self.write(n % blank == 0)),
            Act::ResumePoint => self.begin(),
            Act::Rotate { late } => self.rotate(*late),
            Act::ReadLine => self.cut(),
            Act::Overwrite { every } => self.overwrite(*every),
            Act::Read => self.read(),
            Act::Pass { millis } => self.now += Duration::from_millis(*millis),
            Act::Restart { every } => self.restart(*every),
        }
    }

    fn write(&mut self, is_blank_next: bool) {
        self.begin();
        self.text(if is_blank_next { "\n \n" } else { "\n" });
        self.written.push(std::mem::take(&mut self.begun));
    }

    fn begin(&mut self) {
        let more = format!("{}.", self.written.len());
        self.text(&more);
        self.begun.push_str(&more);
    }

    fn text(&mut self, text: &str) {
        let path = self.path(0);
        self.file.get_or_insert_with(|| appending(&path)).write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&mut self, late: u64) {
        if self.file.is_none() {
            return;
        }
        for number in (0..=self.rotations).rev() {
            fs::rename(self.path(number), self.path(number + 1)).unwrap();
        }
        self.rotations += 1;
        if late > 0 {
            appending(&self.path(0));
            self.read();
            self.now += ROTATE_WAIT - Duration::from_millis(1);
            self.read();
        }
        (0..late).for_each(|_| self.write(false));
        // What was begun and not finished in a file that is left is a line.
        if !self.begun.is_empty() {
            self.written.push(std::mem::take(&mut self.begun));
        }
        self.file = None;
    }

    fn cut(&mut self) {
        self.write(false);
        self.catch_up();
        self.file.as_mut().unwrap().set_len(0).unwrap();
        self.read();
        // What was read before and is not done is lost in a restart, and so is where the new lines begin.
        self.write(false);
        self.catch_up();
        self.settle(1);
    }

    fn overwrite(&mut self, every: u64) {
        self.write(false);
        self.catch_up();
        let (last, position) =
            self.came.last_key_value().map(|(seq, position)| (*seq, position.clone().unwrap())).unwrap();
        // Of a file of which no line is done nothing is known but its number. Of those before it nothing is lost.
        let is_done = |seq: u64| seq.is_multiple_of(every) || seq <= position.file.first || seq == last;
        for (seq, position) in &self.came {
            if is_done(*seq) {
                self.settled.insert(*seq, position.clone());
            } else {
                self.lost.insert(*seq);
            }
        }

        let path = self.path(0);
        let other = |c: char| c.to_digit(10).map_or(c, |digit| char::from_digit((digit + 1) % 10, 10).unwrap());
        let text: String = fs::read_to_string(&path).unwrap().chars().map(other).collect();
        fs::write(&path, &text).unwrap();
        self.written.extend(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));

        assert!(self.start().unwrap().contains("was overwritten"));
        // Where the new lines begin is lost in a restart until one of them is done.
        self.catch_up();
        self.settle(1);
    }

    /// Reads all there is for now.
    fn read(&mut self) {
        loop {
            let mut lines = Vec::new();
            let step = self.tailer.step(self.now, &mut lines).unwrap();
            for line in lines {
                let Input::Line(line) = line else { continue };
                self.check(&line);
                self.came.insert(line.id.seq, line.position);
            }
            if step == Step::Idle {
                return;
            }
        }
    }

    fn check(&self, line: &Line) {
        let seq = line.id.seq;
        let Text::Whole(text) = &line.text else { panic!("{line:?}") };
        let written = usize::try_from(seq - 1).ok().and_then(|position| self.written.get(position));
        assert_eq!(written.map(String::as_bytes), Some(text.as_ref()), "{line:?}");
        assert!(self.came.last_key_value().is_none_or(|(last, _)| *last < seq), "out of order: {line:?}");
        assert!(!self.settled.contains(seq) || self.came.contains_key(&seq), "done before: {line:?}");
    }

    fn catch_up(&mut self) {
        self.read();
        self.now += ROTATE_WAIT;
        self.read();
    }

    fn settle(&mut self, every: u64) {
        for (seq, position) in self.came.iter().filter(|(seq, _)| *seq % every == 0) {
            self.settled.insert(*seq, position.clone());
        }
    }

    fn restart(&mut self, every: u64) {
        self.settle(every);
        let lost = self.start();
        assert!(lost.is_none() || !self.lost.is_empty(), "{lost:?}");
    }

    /// Starts the reader again; says what is lost.
    fn start(&mut self) -> Option<String> {
        let path = self.path(0);
        let lost = ResumePlan::find(&path, &self.settled).unwrap().lost;
        self.tailer = Tailer::open(options(path), self.settled.clone()).unwrap();
        self.came.clear();
        lost
    }

    /// Asserts that every line came that was not done before the last start.
    fn end(&mut self) {
        self.write(false);
        self.catch_up();
        for seq in 1..=self.written.len() as u64 {
            let is_known = self.came.contains_key(&seq) || self.settled.contains(seq) || self.lost.contains(&seq);
            assert!(is_known, "line {seq} did not come");
        }
    }
}

fn appending(path: &std::path::Path) -> fs::File {
    fs::OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn options(path: PathBuf) -> ReadOptions {
    let until = Until::Stopped { rotate_wait: ROTATE_WAIT };
    ReadOptions { path, state_id: Some("j".into()), source: None, file: None, until, max_line: 100 }
}

proptest! {
    #[test]
    fn every_line_comes_once_with_its_number_whatever_happens_to_its_file(acts in acts()) {
        let mut world = World::new();
        acts.iter().for_each(|act| world.act(act));
        world.end();
    }
}
