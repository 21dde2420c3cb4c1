//! Commands compared: rounds in ordinal, so that a machine that changes its speed changes it for all, and a table in which
//! the first one is the yardstick.

use crate::run::{Cost, measure};
use crate::{Spread, say};

/// Rounds of each measurement.
pub const ROUNDS: usize = 5;

/// A command that fetches a list.
pub struct Candidate {
    pub name: &'static str,
    pub command: Vec<String>,
    /// How many URLs it gets: a slow tool gets fewer, or nobody would wait for it.
    pub urls: usize,
}

/// What the rounds of one candidate cost.
pub struct Costs {
    /// Microseconds of user and system time per URL.
    pub cpu: Spread,
    /// URLs per second.
    pub speed: Spread,
    /// Peak resident memory, in MiB.
    pub rss: Spread,
}

/// Runs all of them in turn.
pub fn compare(candidates: &[Candidate]) -> Vec<Costs> {
    let commands: Vec<&[String]> = candidates.iter().map(|candidate| candidate.command.as_slice()).collect();
    let costs = in_turn(&commands, ROUNDS, measure);
    candidates.iter().zip(&costs).map(|(candidate, costs)| Costs::of(candidate.urls, costs)).collect()
}

/// Runs each command once a round, in turn, and returns the results by command.
pub fn in_turn<T>(commands: &[&[String]], rounds: usize, run: impl Fn(&[String]) -> T) -> Vec<Vec<T>> {
    let mut results: Vec<Vec<T>> = commands.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (command, results) in commands.iter().zip(&mut results) {
            results.push(run(command));
        }
    }
    results
}

impl Costs {
    /// The costs of runs over so many URLs.
    pub fn of(urls: usize, costs: &[Cost]) -> Self {
        let urls = urls as f64;
        let spread = |value: &dyn Fn(&Cost) -> f64| Spread::of(costs.iter().map(value));
        Self {
            cpu: spread(&|cost| cost.cpu_seconds * 1e6 / urls),
            speed: spread(&|cost| urls / cost.seconds),
            rss: spread(&|cost| cost.rss_mib),
        }
    }
}

/// Prints the table of a comparison, as README.md shows it.
pub fn print(title: &str, candidates: &[Candidate]) {
    say(&format!("{title}; {ROUNDS} rounds in ordinal: median (min to max); ratios to the first\n"));
    say("| | URLs | µs CPU/URL | URLs/s | peak MiB | CPU ratio | URLs/s ratio |\n|---|---|---|---|---|---|---|");
    let all = compare(candidates);
    for (candidate, costs) in candidates.iter().zip(&all) {
        say(&format!(
            "| {} | {} | {} | {} | {} | {:.2} | {:.2} |",
            candidate.name,
            candidate.urls,
            costs.cpu.shown(1),
            costs.speed.shown(0),
            costs.rss.shown(1),
            costs.cpu.median / all[0].cpu.median,
            costs.speed.median / all[0].speed.median,
        ));
    }
    say("");
}
