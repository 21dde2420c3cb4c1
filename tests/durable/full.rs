//! Disks that are full: a tiny one of the test's own, and the device that always is.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::scene::Scene;

/// Whether the kernel lets us mount something that nobody else sees.
fn mounts() -> bool {
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_stops_the_run_until_there_is_room_and_every_record_is_there_once() {
    if !mounts() {
        // Unlike `eprintln`, this is shown also for a test that passes.
        io::stderr().write_all(b"a test on a full disk is left out: the kernel allows no namespace\n").unwrap();
        return;
    }
    let (scene, origin) = (Scene::new(), Origin::start());
    let disk = scene.path("disk");
    fs::create_dir(&disk).unwrap();
    // The output is shown at the end, for the disk is gone with the shell.
    let within = "mount -t tmpfs -o size=128k none \"$DISK\" && head -c 65536 /dev/zero > \"$DISK/ballast\"\n\
                  \"$0\" --allow 127.0.0.0/8 -o \"$DISK/out\"; code=$?; cat \"$DISK/out\"; exit $code";
    let script = format!("exec unshare --user --map-root-user --mount sh -c '{within}' \"$0\"");
    let mut fetchd = Fetchd::in_shell(&script).env("DISK", disk.to_str().unwrap()).start();
    for n in 0..5 {
        // Each with a length of its own, so that records can be told apart.
        fetchd.line(&origin.url(&format!("/bytes/{}", 20_000 + n)));
    }
    fetchd.message("no room for");
    let seen_from_outside = PathBuf::from(format!("/proc/{}/root{}", fetchd.pid, disk.display()));
    fs::remove_file(seen_from_outside.join("ballast")).unwrap();
    fetchd.stdin = None;
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut bytes: Vec<_> = ended.records.iter().map(|record| record["bytes"].as_u64().unwrap()).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, [20_000, 20_001, 20_002, 20_003, 20_004], "{}", ended.stderr);
    assert!(ended.stderr.contains("there is room for"), "{}", ended.stderr);
}

#[test]
fn a_device_that_takes_nothing_ends_the_run_with_1() {
    let origin = Origin::start();
    let ended = Fetchd::with(["-o", "/dev/full"]).run(origin.url("/ok/1"));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write to /dev/full"), "{}", ended.stderr);
}
