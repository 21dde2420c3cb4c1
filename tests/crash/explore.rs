//! Ends a run everywhere, in every way, and sees whether the next ones make up for it.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use fetchd::disk::SyncPoint;
use fetchd::error::BoxError;

use super::cut::{Cut, cuts};
use super::disk::SimDisk;
use super::ledger::{Ledger, OUTPUTS, check_leftovers};
use super::machine::Machine;
use super::sync_points::Fault;
use super::workload::{Act, Layout, Workload};
use super::world::Process;

/// A way for a program to end that has not come to its end.
#[derive(Clone, Debug)]
enum End {
    Killed,
    Cut(Cut),
}

/// What went wrong, and how to see it again.
pub struct Failure {
    workload: Workload,
    why: String,
    /// What was done to the disk, in all runs.
    trace: Vec<String>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload: Workload { seed, layout, acts }, why, trace } = self;
        let length = acts.len();
        write!(f, "{why}\nWorkload::new({seed}, {length}) = {layout:?} {acts:?}\n{}", trace.join("\n"))
    }
}

/// A moment at which no program runs.
#[derive(Clone)]
struct Pause {
    machine: Machine,
    ledger: Ledger,
}

/// Whether a run took records back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HasRewritten {
    No,
    Yes,
}

/// How a run went.
enum Run {
    Finished { operations: u64, has_rewritten: HasRewritten },
    Died(Box<Pause>),
}

pub struct Explorer<'a> {
    workload: &'a Workload,
    random: fastrand::Rng,
    seen: HashSet<u64>,
}

/// Crashes this workload everywhere.
pub fn explore(workload: &Workload, ignored: Option<SyncPoint>) -> Result<(), Box<Failure>> {
    let (mut explorer, mut start) = Explorer::new(workload);
    start.machine.fault = ignored.map_or(Fault::None, Fault::Ignored);
    explorer.first_crash(&start)
}

/// Lets each sync of a point fail in this workload, and the power go then.
pub fn explore_failures(workload: &Workload, point: SyncPoint) -> Result<(), Box<Failure>> {
    let (mut explorer, mut start) = Explorer::new(workload);
    for good in 0.. {
        start.machine.fault = Fault::Fails(point, good);
        let Run::Died(mut died) = explorer.run(start.clone(), &workload.acts, None)? else { break };
        died.machine.fault = Fault::None;
        for cut in cuts(&died.machine, workload.seed) {
            let start = explorer.after(&died, &End::Cut(cut));
            explorer.run(start, &[], None)?;
        }
    }
    Ok(())
}

/// Lets the power go when the second output has its first records, so that their first sector is lost and nothing else,
/// and crashes the recovery from that everywhere.
pub fn explore_torn(workload: &Workload, ignored: Option<SyncPoint>) -> Result<(), Box<Failure>> {
    let (mut explorer, start) = Explorer::new(workload);
    let mut torn = None;
    for at in 1.. {
        let Run::Died(died) = explorer.run(start.clone(), &workload.acts, Some((at, 100)))? else { break };
        torn = died.machine.torn(Path::new("/out/bad.jsonl")).map(|machine| Pause { machine, ledger: died.ledger });
        if torn.is_some() {
            break;
        }
    }
    let mut torn = torn.expect("it has records at some time");
    torn.machine.fault = ignored.map_or(Fault::None, Fault::Ignored);
    for at in 1.. {
        let Run::Died(died) = explorer.run(torn.clone(), &[], Some((at, 100)))? else { break };
        for cut in cuts(&died.machine, at) {
            let machine = died.machine.cut(&cut);
            explorer.run(Pause { machine, ledger: died.ledger.clone() }, &[], None)?;
        }
    }
    Ok(())
}

impl<'a> Explorer<'a> {
    fn new(workload: &'a Workload) -> (Self, Pause) {
        let random = fastrand::Rng::with_seed(workload.seed);
        let start = Pause { machine: Machine::new(&[OUTPUTS]), ledger: Ledger::default() };
        (Self { workload, random, seen: HashSet::new() }, start)
    }

    fn first_crash(&mut self, start: &Pause) -> Result<(), Box<Failure>> {
        for at in 1.. {
            let part = [0, 30, 70, 100][self.random.usize(..4)];
            let Run::Died(died) = self.run(start.clone(), &self.workload.acts, Some((at, part)))? else { break };
            let seed = self.random.u64(..);
            let ends = cuts(&died.machine, seed).into_iter().map(End::Cut);
            for end in std::iter::once(End::Killed).chain(ends) {
                let start = self.after(&died, &end);
                self.second_crash(&start, &end)?;
            }
        }
        Ok(())
    }

    /// Goes on after a crash, and has another one: anywhere after a kill, and somewhere after a power cut, more often where
    /// records are taken back.
    fn second_crash(&mut self, start: &Pause, end: &End) -> Result<(), Box<Failure>> {
        if !self.seen.insert(hash(start)) {
            return Ok(());
        }
        let mut start = start.clone();
        if let End::Cut(_) = end {
            start.ledger.secures_strays(&start.machine);
        }
        let ended = self.run(start.clone(), &[], None)?;
        let Run::Finished { operations, has_rewritten } = ended else { return Ok(()) };
        let deaths: Vec<u64> = match (end, has_rewritten) {
            (End::Killed, _) => (1..=operations).collect(),
            (End::Cut(_), HasRewritten::Yes) => (0..4).map(|_| self.random.u64(1..=operations)).collect(),
            (End::Cut(_), HasRewritten::No) => vec![self.random.u64(1..=operations)],
        };
        for at in deaths {
            let Run::Died(died) = self.run(start.clone(), &[], Some((at, 50)))? else { continue };
            let end = match self.random.u8(..4) {
                0 => End::Killed,
                _ => self.any_cut(&died.machine),
            };
            let start = self.after(&died, &end);
            if self.seen.insert(hash(&start)) {
                self.run(start, &[], None)?;
            }
        }
        Ok(())
    }

    /// The crash; and before the program starts again, somebody may have been at its outputs.
    fn after(&mut self, died: &Pause, end: &End) -> Pause {
        let mut machine = match end {
            End::Killed => died.machine.killed(),
            End::Cut(cut) => died.machine.cut(cut),
        };
        let mut ledger = died.ledger.clone();
        match (self.random.u8(..8), self.workload.layout) {
            (0, _) => ledger.takes(&mut machine),
            (1, Layout::One) => ledger.moves(&mut machine),
            _ => {}
        }
        Pause { machine, ledger }
    }

    fn any_cut(&mut self, machine: &Machine) -> End {
        let mut cuts = cuts(machine, self.random.u64(..));
        End::Cut(cuts.swap_remove(self.random.usize(..cuts.len())))
    }

    /// Runs until all is done, and checks that it is; or until the program dies.
    fn run(&mut self, start: Pause, acts: &[Act], dies_at: Option<(u64, usize)>) -> Result<Run, Box<Failure>> {
        let Pause { mut machine, mut ledger } = start;
        let before = machine.trace.len();
        machine.dies_at = dies_at;
        let disk = SimDisk::boot(machine);
        let ended = run(&disk, &mut ledger, self.workload, acts);
        let machine = disk.machine().clone();
        let has_failed = matches!(machine.fault, Fault::Fails(_, 0)) && ended.is_err();
        if machine.is_off || has_failed {
            return Ok(Run::Died(Box::new(Pause { machine, ledger })));
        }
        let fail = |error: BoxError| {
            let (workload, trace) = (self.workload.clone(), machine.trace.clone());
            Box::new(Failure { workload, why: error.to_string(), trace })
        };
        ended.and_then(|()| check_leftovers(&disk)).map_err(fail)?;
        // Nothing of what is done hangs in the air.
        let oldest = cuts(&machine, 0).swap_remove(0);
        ledger.check(&SimDisk::boot(machine.cut(&oldest))).map_err(fail)?;
        let mut trace = machine.trace.iter().skip(before);
        let is_rewrite = |step: &String| step.contains("sync_dir") && step.contains("Rewrite");
        let has_rewritten = if trace.any(is_rewrite) { HasRewritten::Yes } else { HasRewritten::No };
        Ok(Run::Finished { operations: machine.operations, has_rewritten })
    }
}

pub fn run(disk: &SimDisk, ledger: &mut Ledger, workload: &Workload, acts: &[Act]) -> Result<(), BoxError> {
    let mut process = Process::start(disk, workload, ledger)?;
    for act in acts {
        process.act(*act, ledger)?;
    }
    process.finish(ledger)
}

/// Two moments alike have the same future.
fn hash(pause: &Pause) -> u64 {
    let mut hasher = DefaultHasher::new();
    pause.machine.nodes.hash(&mut hasher);
    pause.ledger.hash(&mut hasher);
    hasher.finish()
}
