//! Data directories that cannot be used, and what another process has already: exit code 2, a message that says what to
//! do, and nothing sent or written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::Origin;
use crate::place::Place;
use crate::small_disk::with_a_small_disk;

/// What the message about a data directory advises.
const ADVICE: &str = "name another with `--data-dir` or `state.data_dir`";

fn assert_refused(ended: &Ended, says: &str, place: &Place, origin: &Origin) {
    assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    assert!(ended.stderr.contains(place.state.to_str().unwrap()), "{}", ended.stderr);
    assert!(!place.output.exists());
    assert_eq!(origin.accepts(), 0);
}

#[test]
fn a_data_directory_that_cannot_be_one_is_refused() {
    for path in ["file", "file/state"] {
        let (mut place, origin) = (Place::new(), Origin::start());
        fs::write(place.path("file"), "not a directory").unwrap();
        place.state = place.path(path);
        let ended = place.fetchd().run(origin.url("/ok/1"));
        assert_refused(&ended, ADVICE, &place, &origin);
        assert_eq!(fs::read(place.path("file")).unwrap(), b"not a directory");
    }
}

#[test]
fn a_data_directory_is_created_with_all_that_is_missing_above_it() {
    let (mut place, origin) = (Place::new(), Origin::start());
    place.state = place.path("not/there/yet");
    place.finish(&origin, 1..=2);
    assert_eq!(place.recorded(), [1, 2]);
}

#[test]
fn a_data_directory_on_a_read_only_disk_is_refused() {
    with_a_small_disk("refused::a_data_directory_on_a_read_only_disk_is_refused", |disk| {
        let (place, origin) = (Place::with_state_in(disk.path()), Origin::start());
        let used = Place::with_state_in(&disk.path().join("used"));
        used.finish(&origin, []);
        fs::remove_file(&used.output).unwrap();
        disk.forbid_writing();
        for place in [place, used] {
            let ended = place.fetchd().run(origin.url("/ok/1"));
            assert_refused(&ended, ADVICE, &place, &origin);
            assert!(ended.stderr.contains("Read-only file system"), "{}", ended.stderr);
        }
    });
}

/// As somebody who has only the rights that a file's mode says, whoever runs the tests.
fn without_privileges(place: &Place) -> Fetchd {
    Fetchd::in_shell("exec unshare --user \"$0\" --allow 127.0.0.0/8 \"$@\"").config(&place.config())
}

#[test]
fn a_data_directory_without_permission_is_refused() {
    let tried = Command::new("unshare").args(["--user", "true"]).output().expect("`unshare`, of util-linux, starts");
    if !tried.status.success() {
        use std::io::Write;
        std::io::stderr().write_all(b"a test of permissions is left out: the kernel allows no namespace\n").unwrap();
        return;
    }
    let (mut place, origin) = (Place::new(), Origin::start());
    let above = place.path("above");
    fs::create_dir(&above).unwrap();
    place.state = above.join("state");
    // It cannot be created, and then it is there and cannot be written to.
    for locked in [above, place.state.clone()] {
        fs::create_dir_all(&locked).unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o500)).unwrap();
        let ended = without_privileges(&place).run(origin.url("/ok/1"));
        fs::set_permissions(&locked, Permissions::from_mode(0o700)).unwrap();
        assert_refused(&ended, ADVICE, &place, &origin);
        assert!(ended.stderr.contains("Permission denied"), "{}", ended.stderr);
    }
}

/// The names of all files below a directory, with what is in them.
fn all_below(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(all_below(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_second_process_on_an_output_accepts_no_line_and_writes_nothing_whatever_the_output_is_like() {
    for keys in ["", "rotate_size = '1MiB'", "compress = 'gzip'", "rotate_size = '64KiB'\ncompress = 'zstd'"] {
        let (first, mut second, origin) = (Place::new(), Place::new(), Origin::start());
        second.output = first.output.clone();
        let mut running = Fetchd::local().config(&(first.config() + keys)).start();
        first.one_by_one(&mut running, &origin, 1..=2);
        let before = all_below(first.output.parent().unwrap());
        let ended = Fetchd::local().config(&(second.config() + keys)).run(origin.url("/ok/9"));
        assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
        assert!(ended.stderr.contains("another process is writing"), "{}", ended.stderr);
        assert_eq!(all_below(first.output.parent().unwrap()), before, "{keys}");
        assert_eq!((second.count("accepted"), origin.requests().len()), (0, 2), "{keys}");
        running.stdin = None;
        assert_eq!(running.wait().code, Some(0));
    }
}

#[test]
fn a_second_process_on_a_journal_opens_no_output_and_takes_no_line() {
    let (first, mut second, origin) = (Place::new(), Place::new(), Origin::start());
    second.state = first.state.clone();
    let mut running = first.fetchd().start();
    first.one_by_one(&mut running, &origin, 1..=2);
    let before = all_below(&first.state);
    let ended = second.fetchd().run(origin.url("/ok/9"));
    assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("another fetchd is using"), "{}", ended.stderr);
    assert!(ended.stderr.contains("give this one a data directory of its own"), "{}", ended.stderr);
    assert_eq!(all_below(&first.state), before);
    assert_eq!((second.output.exists(), origin.requests().len()), (false, 2));
    first.one_by_one(&mut running, &origin, 3..=3);
    running.stdin = None;
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(first.recorded(), [1, 2, 3]);
}
