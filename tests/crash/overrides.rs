//! What an operator was told that it holds is there for the next start, whatever ends the program or the machine, and what is there is
//! whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fetchd::disk::SyncPoint;
use fetchd::error::BoxError;
use fetchd::schedule::{Change, Overrides, Scope};
use fetchd::state::{ClockReading, load_overrides, save_overrides};

use super::cut::cuts;
use super::disk::SimDisk;
use super::machine::Machine;
use super::sync_points::Fault;

const DIR: &str = "/d";

/// The overrides after each of three verbs, the last of which takes back what the first did.
fn verbs() -> Vec<Overrides> {
    let host = |name: &str| Scope::Host(Arc::from(name));
    let changes =
        [Change::Pause(host("a.test"), None), Change::Pause(host("b.test"), None), Change::Resume(host("a.test"))];
    let mut all = vec![Overrides::default()];
    for change in changes {
        let new = all[all.len() - 1].apply(change, 8, Duration::ZERO).unwrap();
        all.push(new);
    }
    all
}

fn load(disk: &SimDisk) -> Result<Overrides, BoxError> {
    load_overrides(disk, Path::new(DIR), ClockReading::now(Duration::ZERO))
}

/// Carries out the verbs; returns how many the operator was told of.
fn live(disk: &SimDisk) -> usize {
    let verbs = verbs();
    let save = |new: &Overrides| save_overrides(disk, Path::new(DIR), new, ClockReading::now(Duration::ZERO));
    verbs[1..].iter().take_while(|new| save(new).is_ok()).count()
}

/// What may be left after the program died, or the machine, in each operation, with the verbs that were told by then.
fn ends(fault: Fault) -> Vec<(SimDisk, usize)> {
    let mut ends = Vec::new();
    for at in 1.. {
        for part in [0, 50, 100] {
            let disk = SimDisk::boot(Machine::new(&[DIR]));
            disk.machine().fault = fault;
            disk.machine().dies_at = Some((at, part));
            let told = live(&disk);
            let died = disk.machine().clone();
            ends.push((SimDisk::boot(died.killed()), told));
            ends.extend(cuts(&died, at).into_iter().map(|cut| (SimDisk::boot(died.cut(&cut)), told)));
            if told == 3 {
                return ends;
            }
        }
    }
    ends
}

/// Whether the next start has what the operator was told last, or what the verb after that would have made of it.
fn is_as_told((disk, told): &(SimDisk, usize)) -> bool {
    let verbs = verbs();
    let next = verbs.get(told + 1).unwrap_or(&verbs[*told]);
    load(disk).is_ok_and(|found| found == verbs[*told] || found == *next)
}

#[test]
fn what_was_told_to_hold_holds_after_any_end() {
    let ends = ends(Fault::None);
    assert!(ends.len() > 50, "{} ends", ends.len());
    for end in &ends {
        assert!(is_as_told(end), "after {} verbs: {:?}", end.1, end.0.machine().trace);
    }
}

#[test]
fn without_its_syncs_it_may_not() {
    for point in [SyncPoint::OverridesFile, SyncPoint::OverridesName] {
        assert!(!ends(Fault::Ignored(point)).iter().all(is_as_told), "{point:?} is not needed");
    }
}
