//! Peak memory: it follows neither the lines of a run nor the hosts that they name, and a host with work costs little.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{measure, peak_mib};
use crate::table::ROUNDS;
use crate::{CONNECTIONS, Spread, command, list, list_of, origin, say};

/// Runs of so many lines to one host.
const LINES: [usize; 3] = [100_000, 1_000_000, 10_000_000];

/// Hosts of a run of one line each.
const HOSTS: usize = 1_000_000;

/// The most that a run may take, in MiB.
const MOST: f64 = 40.0;

/// Prints all of it, which takes half an hour.
pub fn memory(origin: SocketAddr, dir: &Path) {
    let [few, _, many] = LINES.map(|lines| {
        let rss = Spread::of((0..ROUNDS).map(|_| of_lines(origin, dir, lines)));
        say(&format!("{lines} lines of one host: {} MiB", rss.shown(1)));
        rss.median
    });
    assert_flat(few, many);
    let hosts = Spread::of((0..ROUNDS).map(|_| of_hosts(dir)));
    say(&format!("{HOSTS} lines of as many hosts: {} MiB", hosts.shown(1)));
    let each = Spread::of((0..ROUNDS).map(|_| of_a_host_with_work()));
    say(&format!("a host with work: {} bytes", each.shown(0)));
    assert!(each.high <= 1024.0, "a host with work takes {:.0} bytes", each.high);
}

/// What CI asserts of it.
pub fn smoke(origin: SocketAddr, dir: &Path) {
    // Fewer lines end before the window has come to its full size.
    let [few, many] = [100_000, 400_000].map(|lines| of_lines(origin, dir, lines));
    say(&format!("peak memory: {few:.1} MiB for 100,000 lines, {many:.1} MiB for 400,000"));
    assert_flat(few, many);
    let each = of_a_host_with_work();
    say(&format!("a host with work: {each:.0} bytes"));
    assert!(each <= 1024.0, "a host with work takes {each:.0} bytes");
}

fn assert_flat(few: f64, many: f64) {
    assert!(many <= MOST, "{many:.1} MiB is more than {MOST}");
    assert!(many - few <= 8.0, "memory grows with the lines: {few:.1} MiB, then {many:.1} MiB");
}

/// Peak memory of a run over so many lines.
fn of_lines(origin: SocketAddr, dir: &Path, lines: usize) -> f64 {
    let urls = list(dir, &format!("http://{origin}/item"), lines);
    measure(&command(&urls, CONNECTIONS, &["--body", "none"])).rss_mib
}

/// Peak memory of a run over one line for each of [`HOSTS`].
fn of_hosts(dir: &Path) -> f64 {
    let port = origin::start(Ipv4Addr::UNSPECIFIED).port();
    let urls = list_of(dir, "hosts.txt", (0..HOSTS).map(|n| format!("http://{}:{port}/item/{n}", host(n))));
    measure(&command(&urls, CONNECTIONS, &["--body", "none", "--allow", "127.0.0.0/8"])).rss_mib
}

fn host(n: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 16, 0, 0).to_bits() + n as u32)
}

/// What a host costs that has lines, in bytes: a run in which as many hosts have one line each takes so much more than one
/// in which one host has them all.
fn of_a_host_with_work() -> f64 {
    const PENDING: usize = 100_000;
    let [one, many] = [1, PENDING].map(|hosts| with_pending(PENDING, hosts));
    (many - one) * 1024.0 * 1024.0 / PENDING as f64
}

/// Memory of a run that has accepted so many lines and gets no answers, in MiB.
fn with_pending(lines: usize, hosts: usize) -> f64 {
    // It accepts connections and answers nothing: lines are accepted, and not one is done.
    let silent = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let port = silent.local_addr().expect("its address").port();
    let config = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(config.path(), format!("[queue]\nwindow = {}\n", lines + 1)).expect("a configuration");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["-q", "--allow", "127.0.0.0/8", "--max-concurrency", "64", "-c"])
        .arg(config.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fetchd starts");
    let mut input = BufWriter::new(child.stdin.take().expect("its input"));
    for n in 0..lines {
        writeln!(input, "http://{}:{port}/item/{n}", host(n % hosts)).expect("it reads");
    }
    // Lines go their way in order: when this one's record is there, all before it have been taken.
    writeln!(input, "not a URL").and_then(|()| input.flush()).expect("it reads");
    let mut record = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut record).expect("a record");
    assert!(record.contains("\"rejected\""), "{record}");
    let peak = peak_mib(child.id());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    peak
}
