//! The server by itself, for single commands under a profiler.

use std::path::Path;

use super::candidates::{Crawler, Mix, Setting};
use super::counts::Counts;
use super::origin::Origin;
use super::pages::Coding;
use crate::say;

/// Writes lists, certificate and configuration into a directory, prints the commands, and serves until standard input
/// ends. Each line that is read there prints the counts since the last one.
pub fn serve(dir: &Path) {
    std::fs::create_dir_all(dir).expect("a directory");
    let dir = dir.canonicalize().expect("a directory");
    let origin = Origin::start();
    let setting = Setting::new(&dir, &origin);
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        for hosts in [500, 5_000] {
            let mix = Mix { coding, hosts, pages: 20_000 };
            for command in Crawler::ALL.into_iter().filter_map(|crawler| setting.command(crawler, mix)) {
                say(&format!("{} > /dev/null", command.join(" ")));
            }
        }
    }
    say("serving; a line prints the counts since the last one, the end of input ends the server");
    for _ in std::io::stdin().lines() {
        let Counts { connections, resumed, reconnects, requests } = origin.end_run();
        say(&format!(
            "{connections} connections, {resumed} resumed of {reconnects} to hosts with tickets, {requests} requests"
        ));
    }
}
