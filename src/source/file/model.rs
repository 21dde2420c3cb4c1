//! A writer, a rotation with every naming scheme, a system that deletes, and a reader that lags behind and is killed, in any
//! order: every line comes once, in order and with its number, if its file is there or was open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::Instant;

use super::generation::Generation;
use super::tailer::{Step, Tailer};
use super::{ReadOptions, Until};
use crate::item::{DoneRanges, Input, Position, Text};

const ROTATE_WAIT: Duration = Duration::from_secs(2);

/// What becomes of the file at the path.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    /// `urls.txt.1`, after those before were shifted.
    Shifted,
    /// The newest has the highest number.
    Rising,
    /// `urls.txt-20260101`
    Dated,
    /// `urls-0001.txt`
    BeforeExtension,
    /// A name that says nothing.
    Arbitrary,
    /// Another directory.
    MovedAway,
    Deleted,
    CopyTruncate,
    /// It is truncated without a copy, and written to again.
    Truncate,
}

#[derive(Clone, Debug)]
enum Act {
    /// So many lines, of which every so many-th is followed by a blank one.
    Write {
        lines: u64,
        blank: u64,
    },
    /// The beginning of a line, or more of it.
    Begin,
    /// A rotation; the writer is late to notice, and writes so many lines to the old file.
    Rotate {
        scheme: Scheme,
        late: u64,
    },
    /// One of the files that were rotated away is deleted, as it is old or compressed.
    Delete {
        which: usize,
    },
    /// The paths are looked at while lines wait downstream.
    Look,
    /// So many steps of the reader.
    Step {
        steps: usize,
    },
    Pass {
        millis: u64,
    },
    /// Every so many-th line is done, and where of every so many-th of these, it is known where it ends; then the process
    /// is killed, and does not start before these things have happened.
    Kill {
        every: u64,
        known: u64,
        meanwhile: Vec<Act>,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    use Scheme::*;
    let scheme = prop::sample::select(vec![
        Shifted,
        Rising,
        Dated,
        BeforeExtension,
        Arbitrary,
        MovedAway,
        Deleted,
        CopyTruncate,
        Truncate,
    ]);
    let write = (1u64..9, 1u64..4).prop_map(|(lines, blank)| Act::Write { lines, blank });
    let rotate = (scheme, 0u64..3).prop_map(|(scheme, late)| Act::Rotate { scheme, late });
    let delete = (0usize..4).prop_map(|which| Act::Delete { which });
    let writer = prop_oneof![5 => write, 1 => Just(Act::Begin), 4 => rotate, 1 => delete].boxed();
    let kill = (1u64..4, 1u64..4, prop::collection::vec(writer.clone(), 0..4))
        .prop_map(|(every, known, meanwhile)| Act::Kill { every, known, meanwhile });
    let act = prop_oneof![
        8 => writer,
        3 => Just(Act::Look),
        4 => (1usize..6).prop_map(|steps| Act::Step { steps }),
        2 => (0u64..3000).prop_map(|millis| Act::Pass { millis }),
        2 => kill,
    ];
    prop::collection::vec(act, 0..40)
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Here,
    /// Under a name by which it is found though it was never seen.
    Rotated,
    /// Under a name by which it is found only if it was seen.
    Hidden,
    Gone,
}

/// A generation as its writer knows it.
#[derive(Debug)]
struct Written {
    place: Place,
    name: PathBuf,
    /// The reader saw it.
    is_seen: bool,
    /// The reader saw what its content begins with.
    is_known: bool,
    /// The reader that runs has it open.
    is_open: bool,
}

struct World {
    dir: TempDir,
    now: Instant,
    clock: u64,
    /// What was written, line by line, and to which generation.
    lines: Vec<(String, usize)>,
    generations: Vec<Written>,
    /// Open to write to; created by the first who writes.
    file: Option<File>,
    /// The line that is not finished.
    begun: String,
    tailer: Option<Tailer>,
    saved: Vec<Generation>,
    settled: DoneRanges,
    /// The lines that came since the last start, where they end, and which they are of those that were written.
    came: BTreeMap<u64, (Option<Position>, usize)>,
    /// Of those that were written: the lines that are done, by their numbers, and those that nobody can read any more.
    done: BTreeMap<usize, u64>,
    lost: Vec<usize>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let mut world = Self {
            dir,
            now: Instant::now(),
            clock: 0,
            lines: Vec::new(),
            generations: Vec::new(),
            file: None,
            begun: String::new(),
            tailer: None,
            saved: Vec::new(),
            settled: DoneRanges::default(),
            came: BTreeMap::new(),
            done: BTreeMap::new(),
            lost: Vec::new(),
        };
        world.create();
        world.start();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Write { lines, blank } => (0..*lines).for_each(|n| self.write(n % blank == 0)),
            Act::Begin => self.begin(),
            Act::Rotate { scheme, late } => self.rotate(*scheme, *late),
            Act::Delete { which } => self.delete(*which),
            Act::Look => self.look(),
            Act::Step { steps } => (0..*steps).for_each(|_| _ = self.step()),
            Act::Pass { millis } => self.now += Duration::from_millis(*millis),
            Act::Kill { every, known, meanwhile } => {
                self.kill(*every, *known);
                meanwhile.iter().for_each(|act| self.act(act));
                self.start();
            }
        }
    }

    /// The writer's file; files are written to one after the other, however coarse the system's clock is.
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

    fn write(&mut self, is_blank_next: bool) {
        self.begin();
        self.text(if is_blank_next { "\n \n" } else { "\n" });
        self.end_line();
    }

    fn begin(&mut self) {
        let more = format!("{}.", self.lines.len());
        self.text(&more);
        self.begun.push_str(&more);
    }

    fn end_line(&mut self) {
        self.lines.push((std::mem::take(&mut self.begun), self.generations.len() - 1));
    }

    fn text(&mut self, text: &str) {
        self.create();
        self.file.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        self.touch();
    }

    fn rotate(&mut self, scheme: Scheme, late: u64) {
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
        // What was begun and not finished in a file that is left is a line.
        if !self.begun.is_empty() {
            self.end_line();
        }
        self.file = None;
        self.give_up_what_cannot_be_read();
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
        // A copy is known by what the file had when it was seen. It is a file of its own, which nobody has open.
        let place = if generation.is_known { Place::Rotated } else { Place::Gone };
        (generation.name, generation.place, generation.is_open) = (name, place, false);
        self.begin_generation_in_the_same_file();
        self.give_up_what_cannot_be_read();
    }

    fn truncate(&mut self, lines: u64) {
        self.write(false);
        self.file.as_ref().unwrap().set_len(0).unwrap();
        let generation = self.generations.last_mut().unwrap();
        (generation.place, generation.is_open, generation.name) = (Place::Gone, false, PathBuf::new());
        self.begin_generation_in_the_same_file();
        self.give_up_what_cannot_be_read();
        (0..lines).for_each(|_| self.write(false));
    }

    fn begin_generation_in_the_same_file(&mut self) {
        let name = self.path("urls.txt");
        self.generations.push(Written { place: Place::Here, name, is_seen: false, is_known: false, is_open: false });
        self.touch();
    }

    fn delete(&mut self, which: usize) {
        let rotated = |generation: &&mut Written| matches!(generation.place, Place::Rotated | Place::Hidden);
        let Some(generation) = self.generations.iter_mut().filter(rotated).nth(which) else { return };
        fs::remove_file(&generation.name).unwrap();
        (generation.place, generation.name) = (Place::Gone, PathBuf::new());
        self.give_up_what_cannot_be_read();
    }

    /// Lines that did not come, of files that are gone and not open, or were not seen and have no name that tells of them.
    fn give_up_what_cannot_be_read(&mut self) {
        let has_come: Vec<usize> = self.came.values().map(|(_, line)| *line).collect();
        for (line, (_, generation)) in self.lines.iter().enumerate() {
            let generation = &self.generations[*generation];
            let can_be_read = match generation.place {
                Place::Here | Place::Rotated => true,
                Place::Hidden => generation.is_open || generation.is_known,
                Place::Gone => generation.is_open,
            };
            if !can_be_read && !has_come.contains(&line) && !self.done.contains_key(&line) {
                self.lost.push(line);
            }
        }
    }

    fn start(&mut self) {
        let (path, until) = (self.path("urls.txt"), Until::Stopped { rotate_wait: ROTATE_WAIT });
        let options = ReadOptions {
            path,
            state_id: Some("j".into()),
            source: None,
            file: None,
            until,
            max_line: 100,
            held: 100,
            batch: 3,
        };
        self.tailer = Some(Tailer::open(options, self.settled.clone(), &self.saved).unwrap());
        self.save();
        self.see();
    }

    /// As the reader's thread does: before the lines go on that were read.
    fn save(&mut self) {
        if let Some(saved) = self.tailer.as_mut().unwrap().changes() {
            self.saved = saved;
        }
    }

    /// The reader has looked at the path.
    fn see(&mut self) {
        for generation in &mut self.generations {
            let is_here = generation.place == Place::Here;
            generation.is_seen |= is_here;
            generation.is_known |= is_here && fs::metadata(&generation.name).unwrap().len() > 0;
            generation.is_open |= is_here
                || generation.place == Place::Rotated
                || generation.place == Place::Hidden && generation.is_seen;
        }
    }

    fn look(&mut self) {
        let Some(tailer) = &mut self.tailer else { return };
        tailer.look(self.now);
        self.save();
        self.see();
    }

    fn step(&mut self) -> Step {
        let Some(tailer) = &mut self.tailer else { return Step::Idle };
        let mut lines = Vec::new();
        let step = tailer.step(self.now, &mut lines).unwrap();
        self.save();
        if step == Step::Idle {
            self.see();
        }
        for line in lines {
            let Input::Line(line) = line else { continue };
            let Text::Whole(text) = &line.text else { panic!("{line:?}") };
            let text = str::from_utf8(text).unwrap();
            let number: usize = text.split('.').next().unwrap().parse().unwrap();
            let seq = line.id.seq;
            assert_eq!(self.lines.get(number).map(|(text, _)| text.as_str()), Some(text), "{line:?}");
            assert!(
                !self.done.contains_key(&number),
                "line {number} came again, as {seq}: it was done as {:?}",
                self.done
            );
            assert!(!self.settled.contains(seq), "the number {seq} was used before: {line:?}");
            // Of a file that nobody had seen before it was copied and truncated it cannot be told when it was there.
            let mut in_order = self.came.iter().rev().filter(|(_, (_, number))| !self.lost.contains(number));
            let last = in_order.next().map(|(seq, (_, number))| (*seq, *number));
            let is_after = last.is_none_or(|last| last.0 < seq && (last.1 < number || self.lost.contains(&number)));
            assert!(is_after, "out of order: {last:?}, {line:?}");
            self.came.insert(seq, (line.position, number));
        }
        step
    }

    fn kill(&mut self, every: u64, known: u64) {
        self.tailer = None;
        for (seq, (position, line)) in std::mem::take(&mut self.came) {
            if seq % every == 0 {
                self.settled.insert(seq, position.filter(|_| seq % known == 0));
                self.done.insert(line, seq);
            }
        }
        for generation in &mut self.generations {
            generation.is_open = false;
        }
        self.give_up_what_cannot_be_read();
    }

    /// Asserts that every line came that can be read.
    fn end(&mut self) {
        self.write(false);
        for _ in 0..2 * self.generations.len() + 2 {
            while self.step() != Step::Idle {}
            self.now += ROTATE_WAIT;
        }
        for line in 0..self.lines.len() {
            let has_come = self.came.values().any(|(_, came)| *came == line) || self.done.contains_key(&line);
            assert!(has_come || self.lost.contains(&line), "line {line} did not come: {:?}", self.lines[line]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn every_line_comes_once_in_order_with_its_number_whatever_happens_to_its_file(acts in acts()) {
        let mut world = World::new();
        acts.iter().for_each(|act| world.act(act));
        world.end();
    }
}
