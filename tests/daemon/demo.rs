//! The tour.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::common::fetchd::Fetchd;

#[test]
fn the_tour_takes_less_than_20_seconds_and_ends_with_why_its_slow_host_waits() {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_fetchd")).arg("demo").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, why) = text.split_once("fetchd ctl why 127.0.0.20\n").unwrap_or_else(|| panic!("{text}"));
    assert!(why.contains("127.0.0.20") && why.contains("8 requests on the wire, of at most 8"), "{why}");
}

#[test]
fn a_tour_that_serves_can_be_asked_until_it_is_stopped_and_leaves_nothing() {
    let (mut fetchd, stdout) = Fetchd::bare(["demo", "--serve"]).start_unread();
    let mut lines = BufReader::new(stdout.unwrap()).lines().map(Result::unwrap);
    let invitation = lines.find(|line| line.contains("its API listens at ")).unwrap();
    let socket = invitation.split_once("listens at ").unwrap().1.split_once(". In").unwrap().0.to_owned();
    // It prints on, and has somebody who reads.
    std::thread::spawn(move || lines.for_each(drop));
    let ctl = |verb: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd")).args(["ctl", "--socket", &socket, verb]).output();
        output.unwrap()
    };
    assert!(ctl("status").status.success());
    assert!(String::from_utf8(ctl("hosts").stdout).unwrap().contains("127.0.0.20"));
    fetchd.signal(Signal::SIGTERM);
    assert_eq!(fetchd.wait().code, Some(0));
    assert!(!Path::new(&socket).parent().unwrap().parent().unwrap().exists(), "its files are left");
}
