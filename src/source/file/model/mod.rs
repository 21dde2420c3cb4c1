//! A model test of writes, rotations with every naming scheme, deletions, and a reader that lags and is killed, in any
//! order: every line comes once, in order and with its number, if its file exists or was open; the loss of other lines
//! is reported if the beginning of their file was seen.

mod files;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use self::files::{Files, Scheme};
use self::warnings::Warnings;
use super::generation::Generation;
use super::tailer::{Step, Tailer};
use super::{ReadOptions, Until};
use crate::item::{DoneRanges, Input, LinePosition, Position, Text};

const ROTATE_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
enum Act {
    /// Writes lines; every `blank`-th is followed by a blank one.
    Write {
        lines: u64,
        blank: u64,
    },
    /// The beginning of a line, or more of it.
    Begin,
    /// Rotates; the writer still writes `late` lines to the old file.
    Rotate {
        scheme: Scheme,
        late: u64,
    },
    /// Deletes a rotated file.
    Delete {
        which: usize,
    },
    /// The reader looks at the path while lines wait downstream.
    Look,
    /// The reader makes some steps.
    Step {
        steps: usize,
    },
    Pass {
        millis: u64,
    },
    /// Every `every`-th line is done, and the position of every `known`-th is saved; then the process is killed. It
    /// starts again after the acts `meanwhile`.
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

struct World {
    now: Instant,
    files: Files,
    tailer: Option<Tailer>,
    saved: Vec<Generation>,
    settled: DoneRanges,
    /// The lines read since the last start, by number: their positions and their indices among the written lines.
    came: BTreeMap<u64, (Option<Position>, usize)>,
    /// Indices of the written lines that are done, with their numbers, and of those that cannot be read any more.
    done: BTreeMap<usize, u64>,
    lost: BTreeSet<usize>,
    /// Lost lines that need a warning.
    unreported: BTreeSet<usize>,
    warnings: Warnings,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Instant::now(),
            files: Files::new(),
            tailer: None,
            saved: Vec::new(),
            settled: DoneRanges::default(),
            came: BTreeMap::new(),
            done: BTreeMap::new(),
            lost: BTreeSet::new(),
            unreported: BTreeSet::new(),
            warnings: Warnings::default(),
        };
        world.start();
        world
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Write { lines, blank } => (0..*lines).for_each(|n| self.files.write(n % blank == 0)),
            Act::Begin => self.files.begin(),
            Act::Rotate { scheme, late } => self.files.rotate(*scheme, *late),
            Act::Delete { which } => self.files.delete(*which),
            Act::Look => self.look(),
            Act::Step { steps } => (0..*steps).for_each(|_| _ = self.step()),
            Act::Pass { millis } => self.now += Duration::from_millis(*millis),
            Act::Kill { every, known, meanwhile } => {
                self.kill(*every, *known);
                meanwhile.iter().for_each(|act| self.act(act));
                self.start();
            }
        }
        self.give_up_what_cannot_be_read();
    }

    /// Marks unread lines as lost if their files are neither open nor can be found.
    fn give_up_what_cannot_be_read(&mut self) {
        let has_come: BTreeSet<usize> = self.came.values().map(|(_, line)| *line).collect();
        for (line, written) in self.files.lines.iter().enumerate() {
            if !self.files.can_be_read(written.generation)
                && !has_come.contains(&line)
                && !self.done.contains_key(&line)
                && self.lost.insert(line)
                && self.files.generations[written.generation].is_known
            {
                self.unreported.insert(line);
            }
        }
    }

    fn start(&mut self) {
        let (path, until) = (self.files.path("urls.txt"), Until::Stopped { rotate_wait: ROTATE_WAIT });
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
        let tailer = self.warnings.during(|| Tailer::open(options, self.settled.clone(), &self.saved));
        self.tailer = Some(tailer.unwrap());
        self.save();
        self.files.see();
    }

    /// Saves the generations before lines are yielded, like the reader thread.
    fn save(&mut self) {
        if self.warnings.take_losses() {
            self.unreported.clear();
        }
        if let Some(saved) = self.tailer.as_mut().unwrap().changes() {
            self.saved = saved;
        }
    }

    fn look(&mut self) {
        let Some(tailer) = &mut self.tailer else { return };
        self.warnings.during(|| tailer.look(self.now));
        self.save();
        self.files.see();
    }

    fn step(&mut self) -> Step {
        let Some(tailer) = &mut self.tailer else { return Step::Idle };
        let mut lines = Vec::new();
        let step = self.warnings.during(|| tailer.step(self.now, &mut lines)).unwrap();
        self.save();
        if step == Step::Idle {
            self.files.see();
        }
        for line in lines {
            let Input::Line(line) = line else { continue };
            let Text::Whole(text) = &line.text else { panic!("{line:?}") };
            let text = str::from_utf8(text).unwrap();
            let number: usize = text.split('.').next().unwrap().parse().unwrap();
            let seq = line.id.seq;
            assert_eq!(self.files.lines.get(number).map(|line| line.text.as_str()), Some(text), "{line:?}");
            assert!(
                !self.done.contains_key(&number),
                "line {number} came again, as {seq}: it was done as {:?}",
                self.done
            );
            assert!(!self.settled.contains(seq), "the number {seq} was used before: {line:?}");
            // The order of a file that was copied and truncated before it was seen is unknown.
            let mut in_order = self.came.iter().rev().filter(|(_, (_, number))| !self.lost.contains(number));
            let last = in_order.next().map(|(seq, (_, number))| (*seq, *number));
            let is_after = last.is_none_or(|last| last.0 < seq && (last.1 < number || self.lost.contains(&number)));
            assert!(is_after, "out of order: {last:?}, {line:?}");
            self.came.insert(seq, (line.position.and_then(LinePosition::in_file), number));
            // A copy that was deleted may have been open.
            self.unreported.remove(&number);
        }
        step
    }

    fn kill(&mut self, every: u64, known: u64) {
        self.tailer = None;
        for (seq, (position, line)) in std::mem::take(&mut self.came) {
            if seq % every == 0 {
                self.settled.insert(seq, position.filter(|_| seq % known == 0));
                self.done.insert(line, seq);
            } else {
                // It must be read again, and may be lost.
                self.lost.remove(&line);
            }
        }
        for generation in &mut self.files.generations {
            generation.is_open = false;
        }
        self.give_up_what_cannot_be_read();
    }

    /// Asserts that every readable line was read, and that visible losses were reported.
    fn end(&mut self) {
        self.files.write(false);
        for _ in 0..2 * self.files.generations.len() + 2 {
            while self.step() != Step::Idle {}
            self.now += ROTATE_WAIT;
        }
        for line in 0..self.files.lines.len() {
            let has_come = self.came.values().any(|(_, came)| *came == line) || self.done.contains_key(&line);
            assert!(has_come || self.lost.contains(&line), "line {line} did not come: {:?}", self.files.lines[line]);
        }
        assert!(self.unreported.is_empty(), "lines {:?} are lost without a warning", self.unreported);
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
