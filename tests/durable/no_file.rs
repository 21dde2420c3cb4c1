//! What takes the place of an output while it is written, and is no regular file: a device, a FIFO, a socket, a link that
//! leads to itself, a file where its directory was.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::fetchd::Fetchd;
use crate::deleted::Run;

type Change = fn(&Path);

/// What is put at the path, and what the message says of it.
const CHANGES: [(Change, &str); 6] = [
    (|path| symlink("/dev/zero", path).unwrap(), "it is a device, not a regular file"),
    (|path| symlink("/dev/null", path).unwrap(), "it is a device, not a regular file"),
    (|path| mkfifo(path, Mode::S_IRWXU).unwrap(), "it is a FIFO, not a regular file"),
    (|path| drop(UnixListener::bind(path).unwrap()), "it is a socket, not a regular file"),
    (|path| symlink(path, path).unwrap(), "symbolic links"),
    (|path| fs::create_dir(path).unwrap(), "is a directory"),
];

#[test]
fn what_is_no_file_in_the_place_of_an_output_ends_the_run_with_its_path_and_what_it_is() {
    for keep in [false, true] {
        for (change, said) in CHANGES {
            let mut run = Run::start("");
            run.fetch_until_in("out/results.jsonl");
            let path = run.path("out/results.jsonl");
            if keep {
                fs::rename(&path, run.path("out/old.jsonl")).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            change(&path);
            run.fetch(1);
            let ended = run.fetchd.wait();
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert!(ended.stderr.contains("out/results.jsonl") && ended.stderr.contains(said), "{}", ended.stderr);
            assert!(!keep || run.recorded(&["out/old.jsonl"]) == run.all(), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_fifo_in_the_place_of_the_next_numbered_file_or_of_one_to_be_opened_anew_is_not_waited_for() {
    for (keys, path, next) in [
        ("rotate_size = '1MiB'", "out/results-000001.jsonl.part", "out/results-000002.jsonl.part"),
        ("", "out/results.jsonl", "out/results.jsonl"),
    ] {
        let mut run = Run::start(keys);
        run.fetch_until_in(path);
        let next = run.path(next);
        if next.exists() {
            fs::rename(&next, run.path("out/old")).unwrap();
        }
        mkfifo(&next, Mode::S_IRWXU).unwrap();
        run.fetchd.signal(Signal::SIGUSR1);
        let ended = run.fetchd.wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("it is a FIFO"), "{}", ended.stderr);
    }
}

#[test]
fn a_directory_that_became_a_file_is_waited_for() {
    for link in [false, true] {
        let mut run = Run::start("");
        run.fetch_until_in("out/results.jsonl");
        fs::rename(run.path("out"), run.path("away")).unwrap();
        if link {
            fs::write(run.path("file"), "").unwrap();
            symlink("file", run.path("out")).unwrap();
        } else {
            fs::write(run.path("out"), "").unwrap();
        }
        run.fetch(1);
        let warning = run.fetchd.message("the directory of");
        assert!(warning.contains("out/results.jsonl"), "{warning}");
        fs::remove_file(run.path("out")).unwrap();
        fs::create_dir(run.path("out")).unwrap();
        run.fetchd.message("is there again");
        run.fetch(1);
        run.end();
        assert_eq!(run.recorded(&["away/results.jsonl", "out/results.jsonl"]), run.all());
    }
}

#[test]
fn a_fifo_among_the_files_of_a_data_directory_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    mkfifo(&dir.path().join("state/lock"), Mode::S_IRWXU).unwrap();
    let ended = Fetchd::with(["--data-dir", "state"]).directory(dir.path()).run("");
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("it is a FIFO"), "{}", ended.stderr);
}
