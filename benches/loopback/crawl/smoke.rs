//! Small crawls with assertions: connections are kept as long as the server lets them, TLS sessions are resumed, and memory is
//! bounded by the configuration.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::candidates::{Mix, Setting};
use super::counts::Counts;
use super::origin::Origin;
use super::pages::Coding;
use crate::run::measure;
use crate::say;

/// Requests at once, far fewer than hosts.
const AT_ONCE: usize = 16;

/// Connections, as a multiple of what the server forces.
const MOST_CONNECTIONS: f64 = 1.15;

/// Resumed sessions, as a share of connections to hosts that have given a ticket.
const FEWEST_RESUMED: f64 = 0.9;

/// Memory of a process, of a kept connection, and of the TLS sessions of a host, in KiB.
const PROCESS: usize = 40 << 10;
const CONNECTION: usize = 64;
const SESSIONS: usize = 5;

/// Hosts of a crawl whose memory is measured.
const HOSTS: usize = 5_000;

/// Crawls at full speed, at a rate per host, and over more hosts than connections are kept.
pub fn smoke(dir: &Path) {
    let origin = Origin::start();
    let setting = Setting::new(dir, &origin);
    crawl(&setting, &origin, Mix { coding: Coding::Gzip, hosts: 60, pages: 60 * 40 }, &[]);
    crawl(&setting, &origin, Mix { coding: Coding::Gzip, hosts: 20, pages: 20 * 12 }, &["--host-rate", "10/s"]);
    for kept in [256, 4096] {
        memory(&setting, kept);
    }
}

/// Memory follows the connections that may be kept, not the hosts: docs/scale.md says by how much.
fn memory(setting: &Setting, kept: usize) {
    let list = setting.list(Mix { coding: Coding::Gzip, hosts: HOSTS, pages: 2 * HOSTS });
    let rss = measure(&setting.fetchd(&list, AT_ONCE, &["--set", &format!("fetch.idle_connections={kept}")])).rss_mib;
    let most = (PROCESS + kept * CONNECTION + HOSTS * SESSIONS) as f64 / 1024.0;
    say(&format!("{HOSTS} hosts, {kept} connections kept: {rss:.1} MiB, of {most:.0} that it may take"));
    assert!(rss <= most, "{rss:.1} MiB are more than {most:.0}");
}

fn crawl(setting: &Setting, origin: &Origin, mix: Mix, more: &[&str]) {
    fetch(&setting.fetchd(&setting.list(mix), AT_ONCE, more), mix.pages);
    let counts = origin.end_run();
    let Counts { connections, resumed, reconnects, requests } = counts;
    say(&format!(
        "{requests} pages of {} hosts {}: {connections} connections, where the server forces {}; {resumed} sessions resumed in \
         {reconnects} reconnects",
        mix.hosts,
        more.join(" "),
        mix.forced()
    ));
    assert_eq!(requests, mix.pages as u64);
    assert!(connections as f64 <= MOST_CONNECTIONS * mix.forced(), "connections do not last: {counts:?}");
    assert!(resumed as f64 >= FEWEST_RESUMED * reconnects as f64, "sessions are not resumed: {counts:?}");
}

/// Runs fetchd to its end; each page has its record.
fn fetch(command: &[String], pages: usize) {
    let mut child =
        Command::new(&command[0]).args(&command[1..]).stdout(Stdio::piped()).spawn().expect("fetchd starts");
    let mut records = BufReader::new(child.stdout.take().expect("its output")).lines();
    let ok = records.by_ref().filter(|record| record.as_ref().expect("a line").contains("\"outcome\":\"ok\"")).count();
    assert!(child.wait().expect("it ends").success());
    assert_eq!(ok, pages, "a page failed");
}
