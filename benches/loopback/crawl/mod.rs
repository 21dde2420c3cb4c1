//! A crawl: compressed pages of many hosts over TLS, each connection of which ends after ten requests.

mod candidates;
mod certificates;
mod counts;
mod html;
mod kill;
mod origin;
mod pages;
mod serve;
mod smoke;
mod table;

use std::path::Path;

use candidates::{Crawler, Mix, Setting};
use origin::Origin;
use pages::Coding;

use crate::say;

pub use kill::kill;
pub use serve::serve;
pub use smoke::smoke;

/// Pages of a run.
const PAGES: usize = 20_000;

/// Pages of a run at one request a second and host.
const PAGES_AT_A_RATE: usize = 12;

/// Prints a table for each coding and number of hosts.
pub fn crawl(dir: &Path) {
    let origin = Origin::start();
    let setting = Setting::new(dir, &origin);
    say(&format!("{} rounds in turn: median (min to max); of connections the median\n", table::ROUNDS));
    for (coding, hosts, crawlers) in [
        (Coding::Gzip, 500, &Crawler::ALL[..]),
        (Coding::Gzip, 5_000, &Crawler::ALL[..]),
        (Coding::Brotli, 500, &Crawler::WITH_BODIES[..]),
        (Coding::Zstd, 500, &Crawler::WITH_BODIES[..]),
    ] {
        let rows = crawlers.iter().filter_map(|crawler| {
            let pages = match crawler {
                Crawler::FetchdAtARate => PAGES.min(hosts * PAGES_AT_A_RATE),
                _ => PAGES,
            };
            table::Row::new(&setting, *crawler, Mix { coding, hosts, pages })
        });
        table::print(&format!("{}, {hosts} hosts", coding.name()), &rows.collect::<Vec<_>>(), &origin);
    }
}
