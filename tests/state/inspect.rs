//! Looking at a data directory while a run has it: the run goes on between any two things that are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use fetchd::disk::{Disk, RealDisk};
use fetchd::item::{DoneRanges, Text};
use fetchd::journal::{Batch, TornTail, Writer};
use fetchd::state::{Checkpoint, DataDir, SourceState, SourceStatus, count, inspect};
use tempfile::TempDir;

use crate::tampered::{Tamper, Tampered};

/// So small that each batch has a segment of its own.
const SEGMENT: u64 = 1;

/// What a run does with its data directory.
#[derive(Debug)]
struct Run {
    dir: TempDir,
    state: DataDir,
    checkpoint: Checkpoint,
    writer: Writer,
}

impl Run {
    /// One that has done some of its lines.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let state = DataDir::open(Arc::clone(&disk), dir.path()).unwrap();
        let writer = Writer::open(&disk, &dir.path().join("journal/urls"), 0, SEGMENT).unwrap().writer;
        let files = BTreeMap::from([(String::new(), DoneRanges::default())]);
        let mut checkpoint = state.checkpoint.clone();
        checkpoint.sources.insert("urls".into(), SourceState { files, ..SourceState::new("stdin") });
        let mut run = Self { dir, state, checkpoint, writer };
        (0..4).for_each(|_| run.accept());
        run.go_on();
        run
    }

    fn accept(&mut self) {
        let first = self.accepted() + 1;
        let mut batch = Batch::default();
        (first..first + 3).for_each(|seq| batch.push(&Text::Whole(url(seq).into())));
        self.writer.append(&batch).unwrap();
    }

    fn settled(&mut self) -> &mut DoneRanges {
        self.checkpoint.sources.get_mut("urls").unwrap().files.get_mut("").unwrap()
    }

    fn accepted(&self) -> u64 {
        self.writer.index().next() - 1
    }

    /// Accepts lines, finishes the oldest and the newest, and deletes what is done.
    fn go_on(&mut self) {
        self.accept();
        let (through, last) = (self.settled().through(), self.accepted());
        for seq in (through + 1..=last.min(through + 4)).chain([last]) {
            self.settled().insert(seq, None);
        }
        self.state.save(&self.checkpoint, &[]).unwrap();
        let through = self.settled().through();
        self.writer.index().trim_through(through).unwrap();
    }
}

fn url(seq: u64) -> String {
    format!("http://a.test/{seq}")
}

/// Lets a run go on, by this much, when somebody looks for the `at`th time.
#[derive(Debug)]
struct Meanwhile {
    run: Mutex<Run>,
    at: u64,
    steps: u64,
    looks: Mutex<u64>,
}

impl Tamper for Meanwhile {
    fn look(&self) {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        if *looks == self.at {
            let mut run = self.run.lock().unwrap();
            (0..self.steps).for_each(|_| run.go_on());
        }
    }
}

/// A run that goes on at some moment, and the disk for who looks at it.
struct Scenario {
    meanwhile: Arc<Meanwhile>,
    disk: Tampered<Meanwhile>,
    dir: PathBuf,
    /// Lines that were accepted before anybody looked.
    before: u64,
}

impl Scenario {
    fn new(steps: u64, at: u64) -> Self {
        let run = Run::new();
        let (dir, before) = (run.dir.path().to_owned(), run.accepted());
        let meanwhile = Arc::new(Meanwhile { run: Mutex::new(run), at, steps, looks: Mutex::new(0) });
        Self { disk: Tampered(Arc::clone(&meanwhile)), meanwhile, dir, before }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.meanwhile.run.lock().unwrap()
    }

    fn check(&self, sources: &[SourceStatus]) {
        let [SourceStatus { journal: Some(journal), settled, .. }] = sources else { panic!("one journal is there") };
        assert!((self.before..=self.run().accepted()).contains(&journal.accepted), "{journal:?}");
        assert!(*settled <= journal.accepted && journal.lost.is_empty(), "{settled} of {journal:?}");
        assert_eq!((journal.torn, journal.is_gone()), (TornTail::default(), false));
    }
}

/// Plays a scenario with each moment at which the run may go on, by little or by much.
fn at_any_moment(look: impl Fn(&Scenario)) {
    for steps in [1, 2, 9] {
        for at in 1.. {
            let scenario = Scenario::new(steps, at);
            look(&scenario);
            if *scenario.meanwhile.looks.lock().unwrap() < at {
                break;
            }
        }
    }
}

#[test]
fn no_line_of_a_run_that_goes_on_is_called_lost_and_each_is_shown_or_done() {
    at_any_moment(|scenario| {
        let mut shown = BTreeSet::new();
        let sources = inspect(&scenario.disk, &scenario.dir, |_, seq, text| {
            assert!(matches!(text, Text::Whole(text) if *text == url(seq)), "{seq} is {text:?}");
            assert!(shown.insert(seq), "{seq} is there twice");
            Ok(())
        });
        scenario.check(&sources.unwrap());
        let is_known = |seq: &u64| shown.contains(seq) || scenario.run().settled().contains(*seq);
        assert_eq!((1..=scenario.before).find(|seq| !is_known(seq)), None);
    });
}

#[test]
fn a_run_that_goes_on_can_be_counted() {
    at_any_moment(|scenario| scenario.check(&count(&scenario.disk, &scenario.dir).unwrap()));
}

#[test]
fn a_segment_that_was_deleted_by_somebody_else_is_lost_all_the_same() {
    let run = Run::new();
    let segments = RealDisk.list(&run.dir.path().join("journal/urls")).unwrap();
    // The first line that is not done is in the middle of the first segment.
    for (gone, lost) in [(1, vec![(5, 6)]), (segments.len() - 1, vec![(5, 12)])] {
        segments[..gone].iter().for_each(|path| drop(fs::remove_file(path)));
        let sources = inspect(&RealDisk, run.dir.path(), |_, _, _| Ok(())).unwrap();
        assert_eq!(sources[0].journal.as_ref().unwrap().lost, lost);
    }
    fs::remove_file(segments.last().unwrap()).unwrap();
    let look = || inspect(&RealDisk, run.dir.path(), |_, _, _| Ok(())).unwrap().remove(0).journal.unwrap();
    let gone = look();
    assert_eq!((gone.lost.as_slice(), gone.is_gone(), gone.accepted), ([(5, 14)].as_slice(), true, 15));
    // All that is left is a segment without lines: its name tells how many were accepted.
    fs::write(run.dir.path().join("journal/urls/00000000000000000021.lines"), "").unwrap();
    let empty = look();
    assert_eq!((empty.lost.as_slice(), empty.is_gone(), empty.accepted), ([(5, 14), (16, 20)].as_slice(), false, 20));
    assert_eq!(count(&RealDisk, run.dir.path()).unwrap()[0].journal.as_ref().unwrap().accepted, 20);
}
