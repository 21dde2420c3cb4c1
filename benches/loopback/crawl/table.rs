//! Crawlers compared: cost by the system's account, connections by the server's.

use super::candidates::{Crawler, Mix, Setting};
use super::counts::Counts;
use super::origin::Origin;
use crate::run::{Cost, measure};
use crate::table::{Costs, in_turn};
use crate::{Spread, say};

/// Rounds of each table.
pub const ROUNDS: usize = 3;

/// A crawler and what it is to fetch.
pub struct Row {
    crawler: Crawler,
    mix: Mix,
    command: Vec<String>,
}

/// What the runs of a row came to.
struct Figures {
    costs: Costs,
    connections: f64,
    resumed: f64,
    reconnects: f64,
}

impl Row {
    /// The row of a crawler, if it is there and can read the pages.
    pub fn new(setting: &Setting, crawler: Crawler, mix: Mix) -> Option<Self> {
        Some(Self { crawler, mix, command: setting.command(crawler, mix)? })
    }

    fn figures(&self, runs: &[(Cost, Counts)]) -> Figures {
        let (costs, counts): (Vec<Cost>, Vec<Counts>) = runs.iter().copied().unzip();
        assert!(
            counts.iter().all(|run| run.requests >= self.mix.pages as u64),
            "pages are missing: {:?}",
            self.command
        );
        let median = |count: fn(&Counts) -> u64| Spread::of(counts.iter().map(|run| count(run) as f64)).median;
        Figures {
            costs: Costs::of(self.mix.pages, &costs),
            connections: median(|run| run.connections),
            resumed: median(|run| run.resumed),
            reconnects: median(|run| run.reconnects),
        }
    }
}

/// Runs all rows in turn and prints their table, as README.md shows it.
pub fn print(title: &str, rows: &[Row], origin: &Origin) {
    let commands: Vec<&[String]> = rows.iter().map(|row| row.command.as_slice()).collect();
    let runs = in_turn(&commands, ROUNDS, |command| (measure(command), origin.end_run()));
    let figures: Vec<Figures> = rows.iter().zip(&runs).map(|(row, runs)| row.figures(runs)).collect();
    let peers = [Crawler::Aiohttp, Crawler::Curl].map(|peer| {
        let at = rows.iter().position(|row| row.crawler == peer)?;
        Some(figures[at].costs.cpu.median)
    });
    say(&format!(
        "| {title} | pages | µs CPU/page | pages/s | peak MiB | connections | forced | resumed, of reconnects | CPU to aiohttp | CPU to curl |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    ));
    for (row, figures) in rows.iter().zip(&figures) {
        say(&line(row, figures, peers));
    }
    say("");
}

fn line(row: &Row, figures: &Figures, peers: [Option<f64>; 2]) -> String {
    let Figures { costs, connections, resumed, reconnects } = figures;
    let [aiohttp, curl] =
        peers.map(|peer| peer.map_or_else(|| "–".to_owned(), |peer| format!("{:.2}", costs.cpu.median / peer)));
    format!(
        "| {} | {} | {} | {} | {} | {connections} | {} | {resumed} of {reconnects} | {aiohttp} | {curl} |",
        row.crawler.name(),
        row.mix.pages,
        costs.cpu.shown(0),
        costs.speed.shown(0),
        costs.rss.shown(1),
        row.mix.forced(),
    )
}
