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
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, costs) in candidates.iter().zip(&mut costs) {
            costs.push(measure(&candidate.command));
        }
    }
    candidates.iter().zip(&costs).map(|(candidate, costs)| Costs::of(candidate.urls as f64, costs)).collect()
}

impl Costs {
    fn of(urls: f64, costs: &[Cost]) -> Self {
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
