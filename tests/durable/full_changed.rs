//! An output on a full disk that is deleted or moved away while fetchd waits for room.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::common::fetchd::{Running, seq};
use crate::common::origin::Origin;
use crate::place::Place;
use crate::process::until;
use crate::scenario::{seqs, text};
use crate::small_disk::{PAGE, SmallDisk, with_a_small_disk};

/// Bytes of a record, about.
const LARGE: u64 = 60_000;

/// What a process has written, and a disk on which there is no room for what it has to write next.
struct Waiting {
    place: Place,
    origin: Origin,
    fetchd: Running,
}

impl Waiting {
    /// So many records are in the checkpoint; two more, larger ones, have no room.
    fn new(mut place: Place, disk: &SmallDisk, committed: u64) -> Self {
        place.output = disk.path().join("out");
        let origin = Origin::start();
        let mut fetchd = place.fetchd().start();
        for n in 1..=committed {
            fetchd.line(&origin.url(&format!("/bytes/{}", LARGE + n)));
            assert_eq!(seq(&fetchd.record()), n);
            until("the checkpoint", || place.count("done") == n);
        }
        disk.fill_but(PAGE);
        for n in 1..=2 {
            fetchd.line(&origin.url(&format!("/bytes/{}", LARGE + committed + n)));
        }
        fetchd.message(&format!("no room for {}", place.output.display()));
        Self { place, origin, fetchd }
    }

    fn end(&mut self) {
        self.fetchd.stdin = None;
        let ended = self.fetchd.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

fn recorded(paths: &[&Path]) -> Vec<u64> {
    let mut all: Vec<u64> = paths.iter().flat_map(|path| seqs(&text(path))).collect();
    all.sort_unstable();
    all
}

#[test]
fn an_output_that_is_deleted_to_make_room_makes_room() {
    with_a_small_disk("full_changed::an_output_that_is_deleted_to_make_room_makes_room", |disk| {
        for place in [Place::new(), Place::with_state_in(disk.path())] {
            let mut waiting = Waiting::new(place, disk, 3);
            fs::remove_file(&waiting.place.output).unwrap();
            let warning = waiting.fetchd.message("was deleted");
            assert!(warning.contains("3 records of this run"), "{warning}");
            waiting.fetchd.message("there is room for");
            waiting.end();
            assert_eq!(waiting.place.recorded(), [4, 5]);
            disk.empty();
            waiting.place.finish(&waiting.origin, [6]);
            assert_eq!(waiting.place.recorded(), [4, 5, 6]);
            fs::remove_file(&waiting.place.output).unwrap();
        }
    });
}

#[test]
fn a_kill_9_while_there_is_still_no_room_after_that_loses_nothing_and_nothing_is_there_twice() {
    with_a_small_disk(
        "full_changed::a_kill_9_while_there_is_still_no_room_after_that_loses_nothing_and_nothing_is_there_twice",
        |disk| {
            for place in [Place::new(), Place::with_state_in(disk.path())] {
                let Waiting { place, origin, fetchd } = Waiting::new(place, disk, 1);
                fs::remove_file(&place.output).unwrap();
                fetchd.message("was deleted");
                // The first fits into the room of the deleted one, and the second does not.
                until("the new file", || place.output.metadata().is_ok_and(|new| new.len() > LARGE));
                fetchd.kill();
                disk.empty();
                place.finish(&origin, [4]);
                assert_eq!(place.recorded(), [2, 3, 4]);
                fs::remove_file(&place.output).unwrap();
            }
        },
    );
}

#[test]
fn an_output_that_is_moved_and_linked_to_another_disk_goes_on_there_also_after_kill_9() {
    with_a_small_disk(
        "full_changed::an_output_that_is_moved_and_linked_to_another_disk_goes_on_there_also_after_kill_9",
        |disk| {
            for is_killed in [false, true] {
                let mut waiting = Waiting::new(Place::new(), disk, 2);
                let (output, elsewhere) = (waiting.place.output.clone(), waiting.place.path("elsewhere"));
                let old = output.with_extension("old");
                fs::rename(&output, &old).unwrap();
                symlink(&elsewhere, &output).unwrap();
                waiting.fetchd.message("there is room for");
                if is_killed {
                    waiting.fetchd.signal(Signal::SIGKILL);
                    waiting.fetchd.wait();
                } else {
                    waiting.end();
                }
                disk.empty();
                waiting.place.finish(&waiting.origin, [5]);
                assert_eq!(recorded(&[&old, &elsewhere]), [1, 2, 3, 4, 5]);
                assert!(!seqs(&text(&elsewhere)).contains(&1));
                fs::remove_file(&output).unwrap();
                fs::remove_file(&old).unwrap();
            }
        },
    );
}
