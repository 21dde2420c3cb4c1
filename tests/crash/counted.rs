//! What a producer was told between a crash and the next start holds, for it goes on from there.

use std::path::Path;

use fetchd::state::count;

use super::cut::cuts;
use super::disk::SimDisk;
use super::explore::run;
use super::ledger::{Ledger, OUTPUTS};
use super::machine::Machine;
use super::workload::Workload;
use super::world::STATE;

/// How many lines were accepted, as `fetchd state status` says.
fn accepted(disk: &SimDisk) -> u64 {
    // Without a checkpoint there is nothing to count.
    let sources = count(disk, Path::new(STATE)).unwrap_or_default();
    sources.iter().filter_map(|source| source.journal.as_ref()).map(|journal| journal.accepted).sum()
}

#[test]
fn what_was_counted_after_a_kill_is_there_after_a_power_cut() {
    for seed in 0..8 {
        let workload = Workload::new(seed, 8);
        for at in 1.. {
            let mut machine = Machine::new(&[OUTPUTS]);
            // What was written is whole, and not synced.
            machine.dies_at = Some((at, 100));
            let disk = SimDisk::boot(machine);
            let ended = run(&disk, &mut Ledger::default(), &workload, &workload.acts);
            if ended.is_ok() {
                break;
            }
            let disk = SimDisk::boot(disk.machine().killed());
            let told = accepted(&disk);
            let machine = disk.machine().clone();
            for cut in cuts(&machine, seed) {
                let left = accepted(&SimDisk::boot(machine.cut(&cut)));
                assert!(left >= told, "{left} of {told}: {workload:?}\n{}", machine.trace.join("\n"));
            }
        }
    }
}
