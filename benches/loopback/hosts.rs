//! A list of one line for each of very many hosts: open files must follow the configuration, not the number of hosts.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use crate::{origin, say};

const CONCURRENCY: usize = 64;

/// Connections that are kept for hosts without waiting lines.
const KEPT: usize = 256;

/// The rest are those that a run may have open besides.
const MOST_FILES: usize = CONCURRENCY + KEPT + 64;

/// Fetches from so many loopback addresses, all of which are one server, and counts open files on the way.
pub fn many_hosts(hosts: u32) {
    let origin = origin::start(Ipv4Addr::UNSPECIFIED);
    let mut child = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["--allow", "127.0.0.0/8", "--max-concurrency", &CONCURRENCY.to_string(), "--body", "none", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fetchd starts");
    let input = BufWriter::new(child.stdin.take().expect("its input"));
    let writer = std::thread::spawn(move || write_lines(input, origin, hosts));
    let fds = format!("/proc/{}/fd", child.id());
    let (mut records, mut most) = (0_u32, 0);
    for record in BufReader::new(child.stdout.take().expect("its output")).lines() {
        assert!(record.expect("a line").contains("\"outcome\":\"ok\""), "a line failed");
        records += 1;
        if records.is_multiple_of(100) {
            most = most.max(std::fs::read_dir(&fds).expect("its files").count());
        }
    }
    writer.join().expect("the input was written");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(records, hosts);
    assert!(most <= MOST_FILES, "{most} files were open at once, more than {MOST_FILES}");
    say(&format!("{hosts} hosts: at most {most} files open at once"));
}

fn write_lines(mut to: impl Write, origin: SocketAddr, hosts: u32) {
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 0));
    for host in (first..first + hosts).map(Ipv4Addr::from) {
        writeln!(to, "http://{host}:{}/item/1", origin.port()).expect("it reads");
    }
}
