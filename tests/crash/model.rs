//! The simulated disk itself: what a crash may leave, and what it may not.

use std::collections::BTreeSet;
use std::path::Path;

use fetchd::disk::{Disk, DiskFile, Mode, SyncPoint};

use super::cut::cuts;
use super::disk::SimDisk;
use super::machine::{Machine, SECTOR};
use super::sync_points::Fault;

fn disk() -> SimDisk {
    SimDisk::boot(Machine::new(&["/d"]))
}

fn write(disk: &SimDisk, path: &str, text: &str) -> std::sync::Arc<dyn DiskFile> {
    let file = disk.open(Path::new(path), Mode::Append).unwrap();
    assert_eq!(file.append(text.as_bytes()).unwrap(), text.len());
    file
}

fn read(disk: &SimDisk, path: &str) -> Option<String> {
    let file = disk.open(Path::new(path), Mode::Read).ok()?;
    let mut buffer = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), buffer.len());
    Some(String::from_utf8(buffer).unwrap().replace('\0', "0"))
}

fn sync_dir(disk: &SimDisk) {
    disk.sync_dir(Path::new("/d"), SyncPoint::Output).unwrap();
}

/// What these files may hold after a power cut.
fn left(disk: &SimDisk, paths: &[&str]) -> BTreeSet<Vec<Option<String>>> {
    let machine = disk.machine().clone();
    let ends = cuts(&machine, 0).into_iter().map(|cut| SimDisk::boot(machine.cut(&cut)));
    ends.map(|disk| paths.iter().map(|path| read(&disk, path)).collect()).collect()
}

fn of<const N: usize>(ends: &[[Option<&str>; N]]) -> BTreeSet<Vec<Option<String>>> {
    ends.iter().map(|end| end.iter().map(|text| text.map(str::to_owned)).collect()).collect()
}

#[test]
fn a_killed_program_leaves_what_it_wrote() {
    let disk = disk();
    write(&disk, "/d/a", "one");
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    let disk = SimDisk::boot(disk.machine().killed());
    assert_eq!((read(&disk, "/d/a"), read(&disk, "/d/b")), (None, Some("one".into())));
}

#[test]
fn a_synced_file_may_lose_its_name() {
    let disk = disk();
    write(&disk, "/d/a", "one").sync(SyncPoint::Output).unwrap();
    assert_eq!(left(&disk, &["/d/a"]), of(&[[None], [Some("one")]]));
    sync_dir(&disk);
    assert_eq!(left(&disk, &["/d/a"]), of(&[[Some("one")]]));
}

#[test]
fn a_name_that_lasts_may_stand_for_nothing_or_zeros() {
    let disk = disk();
    write(&disk, "/d/a", "one");
    sync_dir(&disk);
    assert_eq!(left(&disk, &["/d/a"]), of(&[[Some("")], [Some("000")], [Some("one")]]));
}

#[test]
fn what_was_synced_stays_whatever_is_written_after_it() {
    let disk = disk();
    let file = write(&disk, "/d/a", "one");
    sync_dir(&disk);
    file.sync(SyncPoint::Output).unwrap();
    file.append(b"two").unwrap();
    assert_eq!(left(&disk, &["/d/a"]), of(&[[Some("one")], [Some("one000")], [Some("onetwo")]]));
}

#[test]
fn a_later_sector_may_be_there_without_an_earlier_one() {
    let disk = disk();
    write(&disk, "/d/a", &format!("{}two", "1".repeat(SECTOR)));
    sync_dir(&disk);
    let zeros = format!("{}two", "0".repeat(SECTOR));
    assert!(left(&disk, &["/d/a"]).contains(&vec![Some(zeros)]));
}

#[test]
fn what_is_written_after_a_cut_may_be_mixed_with_what_was_cut_off() {
    let disk = disk();
    let file = write(&disk, "/d/a", "one torn end");
    sync_dir(&disk);
    file.sync(SyncPoint::Output).unwrap();
    file.set_len(4).unwrap();
    file.append(b"two").unwrap();
    let ends = left(&disk, &["/d/a"]);
    for end in ["one torn end", "one ", "one 00000000", "one two", "one two00000", "one tor"] {
        assert!(ends.contains(&vec![Some(end.into())]), "{end}");
    }
}

#[test]
fn renames_that_are_not_synced_are_made_in_any_order() {
    let disk = disk();
    for (name, text) in [("/d/a", "1"), ("/d/b", "2")] {
        write(&disk, name, text).sync(SyncPoint::Output).unwrap();
    }
    sync_dir(&disk);
    disk.rename(Path::new("/d/a"), Path::new("/d/x")).unwrap();
    disk.rename(Path::new("/d/b"), Path::new("/d/y")).unwrap();
    let (a, b) = (Some("1"), Some("2"));
    let ends = of(&[[a, b, None, None], [None, b, a, None], [a, None, None, b], [None, None, a, b]]);
    assert_eq!(left(&disk, &["/d/a", "/d/b", "/d/x", "/d/y"]), ends);
}

#[test]
fn a_file_in_place_of_another_is_the_one_or_the_other() {
    let disk = disk();
    for (name, text) in [("/d/a", "old"), ("/d/new", "new")] {
        write(&disk, name, text).sync(SyncPoint::Output).unwrap();
    }
    sync_dir(&disk);
    disk.rename(Path::new("/d/new"), Path::new("/d/a")).unwrap();
    assert_eq!(left(&disk, &["/d/a", "/d/new"]), of(&[[Some("new"), None], [Some("old"), Some("new")]]));
}

#[test]
fn a_file_that_was_removed_may_be_back() {
    let disk = disk();
    write(&disk, "/d/a", "one").sync(SyncPoint::Output).unwrap();
    sync_dir(&disk);
    disk.remove(Path::new("/d/a")).unwrap();
    assert_eq!(left(&disk, &["/d/a"]), of(&[[None], [Some("one")]]));
}

#[test]
fn a_directory_that_is_lost_takes_its_files_along() {
    let disk = disk();
    disk.create_dir(Path::new("/d/e")).unwrap();
    write(&disk, "/d/e/a", "one").sync(SyncPoint::Output).unwrap();
    disk.sync_dir(Path::new("/d/e"), SyncPoint::Output).unwrap();
    assert_eq!(left(&disk, &["/d/e/a"]), of(&[[None], [Some("one")]]));
}

#[test]
fn a_sync_that_is_switched_off_says_it_was_done() {
    let disk = disk();
    disk.machine().fault = Fault::Ignored(SyncPoint::OutputCut);
    let file = write(&disk, "/d/a", "one");
    sync_dir(&disk);
    file.sync(SyncPoint::OutputCut).unwrap();
    assert_eq!(left(&disk, &["/d/a"]).len(), 3);
    file.sync(SyncPoint::Output).unwrap();
    assert_eq!(left(&disk, &["/d/a"]).len(), 1);
}

#[test]
fn a_sync_that_failed_is_not_made_good_by_a_second_one() {
    let disk = disk();
    let file = write(&disk, "/d/a", "one");
    sync_dir(&disk);
    disk.machine().fault = Fault::Fails(SyncPoint::Output, 0);
    assert!(file.sync(SyncPoint::Output).is_err());
    disk.machine().fault = Fault::None;
    file.sync(SyncPoint::Output).unwrap();
    assert_eq!(left(&disk, &["/d/a"]).len(), 3);
}

#[test]
fn a_program_dies_in_the_operation_that_was_said_and_does_nothing_more() {
    let disk = disk();
    disk.machine().dies_at = Some((2, 50));
    let file = disk.open(Path::new("/d/a"), Mode::Append).unwrap();
    assert!(file.append(b"four").is_err());
    assert!(file.length().is_err() && disk.list(Path::new("/d")).is_err());
    let disk = SimDisk::boot(disk.machine().killed());
    assert_eq!(read(&disk, "/d/a"), Some("fo".into()));
}

#[test]
fn a_full_disk_takes_what_fits_and_then_says_so() {
    let disk = disk();
    disk.machine().capacity = Some(5);
    let file = write(&disk, "/d/a", "one");
    assert_eq!(file.append(b"two").unwrap(), 2);
    assert_eq!(file.append(b"o").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.set_len(1).unwrap();
    assert_eq!(disk.free(Path::new("/d")).unwrap(), 4);
}

#[test]
fn a_lock_ends_with_its_file_or_its_program() {
    let disk = disk();
    let open = |disk: &SimDisk| disk.open(Path::new("/d/lock"), Mode::Append).unwrap();
    let (first, second) = (open(&disk), open(&disk));
    assert!(first.try_lock().unwrap() && !second.try_lock().unwrap());
    let next = SimDisk::boot(disk.machine().killed());
    assert!(open(&next).try_lock().unwrap());
    drop(first);
    assert!(second.try_lock().unwrap());
}

#[test]
fn a_number_is_used_again_only_when_nothing_can_have_it() {
    let disk = disk();
    let old = write(&disk, "/d/a", "one").id();
    sync_dir(&disk);
    disk.remove(Path::new("/d/a")).unwrap();
    assert_ne!(write(&disk, "/d/b", "two").id(), old);
    sync_dir(&disk);
    assert_eq!(write(&disk, "/d/c", "two").id(), old);
}

#[test]
fn few_choices_are_all_tried_and_of_many_some() {
    let disk = disk();
    let file = write(&disk, "/d/a", &"1".repeat(8 * SECTOR));
    assert_eq!(cuts(&disk.machine(), 0).len(), 2 * 2 * 256);
    file.append(b"one").unwrap();
    assert_eq!(cuts(&disk.machine(), 0).len(), 200);
}

#[test]
fn a_new_file_takes_a_name_only_once_it_is_free() {
    let disk = disk();
    write(&disk, "/d/a", "1").sync(SyncPoint::Output).unwrap();
    sync_dir(&disk);
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    write(&disk, "/d/a", "2").sync(SyncPoint::Output).unwrap();
    let (old, new) = (Some("1"), Some("2"));
    assert_eq!(left(&disk, &["/d/a", "/d/b"]), of(&[[old, None], [None, old], [new, old]]));
}
