//! A record that a remote place refuses is in the dead letters before its segment goes, whatever ends the program.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fetchd::disk::{Disk, Mode, SyncPoint};
use fetchd::ship::{Segments, Settled, StagingPlace};

use super::cut::cuts;
use super::disk::SimDisk;
use super::machine::Machine;
use super::sync_points::Fault;

const SEGMENT: &str = "/d/staging/hook-000001.jsonl";
const DEAD: &str = "/d/dead/hook.dead.jsonl";

/// A machine with a segment of two records, which lasts.
fn machine() -> Machine {
    let disk = SimDisk::boot(Machine::new(&["/d/staging"]));
    let file = disk.open(Path::new(SEGMENT), Mode::Append).unwrap();
    for n in 1..=2 {
        let record = format!("{{\"seq\":{n}}}\n");
        assert_eq!(file.append(record.as_bytes()).unwrap(), record.len());
    }
    file.sync(SyncPoint::Output).unwrap();
    disk.sync_dir(Path::new("/d/staging"), SyncPoint::OutputName).unwrap();
    drop(file);
    let machine = disk.machine().clone();
    machine.killed()
}

/// Ships to a remote place that refuses all.
fn ship(disk: &SimDisk) -> io::Result<()> {
    let place = StagingPlace::of(Path::new("/d"), "hook");
    let mut segments = Segments::new(Arc::new(disk.clone()), &place, "hook".into(), "state");
    while let Some(message) = segments.first_message()? {
        let settled = if message.records > 1 { Settled::Split } else { Settled::Buried("bad".to_owned()) };
        segments.settle_message(&settled)?;
    }
    Ok(())
}

fn read(disk: &SimDisk, path: &str) -> Option<String> {
    let file = disk.open(Path::new(path), Mode::Read).ok()?;
    let mut buffer = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), buffer.len());
    Some(String::from_utf8_lossy(&buffer).into_owned())
}

/// The numbers of the records that are dead letters.
fn dead(disk: &SimDisk) -> Vec<u64> {
    let text = read(disk, DEAD).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    whole.map(|letter| letter["seq"].as_u64().unwrap()).collect()
}

/// Whether no record is lost.
fn has_all(disk: &SimDisk) -> bool {
    let dead = dead(disk);
    read(disk, SEGMENT).is_some() || (1..=2).all(|n| dead.contains(&n))
}

/// What may be left after the program died, or the machine, in each operation.
fn ends(fault: Fault) -> Vec<SimDisk> {
    let mut ends = Vec::new();
    for at in 1.. {
        for part in [0, 50, 100] {
            let disk = SimDisk::boot(machine());
            disk.machine().fault = fault;
            disk.machine().dies_at = Some((at, part));
            let is_over = ship(&disk).is_ok();
            let died = disk.machine().clone();
            ends.push(SimDisk::boot(died.killed()));
            ends.extend(cuts(&died, at).into_iter().map(|cut| SimDisk::boot(died.cut(&cut))));
            if is_over {
                return ends;
            }
        }
    }
    ends
}

#[test]
fn a_refused_record_is_kept_before_its_segment_goes_and_the_next_start_finishes() {
    let ends = ends(Fault::None);
    assert!(ends.len() > 50, "{} ends", ends.len());
    for disk in ends {
        assert!(has_all(&disk), "a record is lost: {:?}", disk.machine().trace);
        ship(&disk).unwrap();
        let dead = dead(&disk);
        assert!(read(&disk, SEGMENT).is_none() && (1..=2).all(|n| dead.contains(&n)), "{:?}", disk.machine().trace);
        let text = read(&disk, DEAD).unwrap();
        assert_eq!(text.lines().count(), dead.len(), "a torn line stays: {text}");
    }
}

#[test]
fn without_its_syncs_a_refused_record_can_be_lost() {
    for point in [SyncPoint::Output, SyncPoint::OutputName] {
        assert!(!ends(Fault::Ignored(point)).iter().all(has_all), "{point:?} is not needed");
    }
}
