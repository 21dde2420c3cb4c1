//! The first three sentences of every view of a run: progress, bottleneck and ETA. They use the figures of the progress
//! line, so both always agree.

use serde::Serialize;

use super::Stats;
use super::progress_text::Figures;
use crate::pipeline::{RunState, Status};

/// Three sentences about a run, each with a full stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sentences {
    /// Progress, speed and records that are not ok.
    pub how_it_is: String,
    /// The bottleneck, with the key or command that changes it.
    pub waits_for: String,
    /// The remaining time.
    pub done_when: String,
}

impl Sentences {
    /// The sentences about a run with this rate of records per second.
    pub fn of(status: &Status, stats: &Stats, rate: f64) -> Self {
        let figures = Figures::of(status, stats, rate);
        let state = match status.lifecycle().state() {
            RunState::Starting => "Starting",
            RunState::Running => "Running",
            RunState::Draining { .. } => "Draining",
            RunState::Ended => "Ended",
        };
        let unknown = "No end is in sight: the input has none, or too little is known of its lines.";
        Self {
            how_it_is: format!("{state}: {}.", figures.amounts()),
            waits_for: figures
                .limit()
                .map_or_else(|| "It is too early to say what it waits for.".to_owned(), |limit| sentence(&limit)),
            done_when: figures.left().map_or_else(|| unknown.to_owned(), |left| sentence(&left)),
        }
    }
}

/// Makes a sentence of a clause of the progress line.
fn sentence(clause: &str) -> String {
    let mut rest = clause.chars();
    let first = rest.next().map(char::to_uppercase);
    let mut sentence: String = first.into_iter().flatten().collect();
    sentence.push_str(rest.as_str());
    sentence.push('.');
    sentence
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::pipeline::View;
    use crate::schedule::{Bottleneck, BottleneckKind, Counts, Eta};

    #[test]
    fn the_sentences_say_what_the_progress_line_says() {
        let (status, stats) = (Status::default(), Stats::default());
        let sentences = Sentences::of(&status, &stats, 0.0);
        assert_eq!(sentences.how_it_is, "Starting: 0 done · 0.0/s · 0 on the wire · 0 waiting · 0 not ok.");
        assert_eq!(sentences.waits_for, "It is too early to say what it waits for.");
        assert!(sentences.done_when.starts_with("No end is in sight"));
        status.counters().recorded.add(12_345);
        status.publish(View {
            as_of: Some(Instant::now()),
            counts: Counts { waiting: 16_304, in_flight: 80, ..Counts::default() },
            eta: Some(Eta::AtLeast(Duration::from_secs(7200))),
            bottleneck: Some(Bottleneck { host: Some("a.test".into()), ..BottleneckKind::HostRate.into() }),
            ..View::default()
        });
        let sentences = Sentences::of(&status, &stats, 120.0);
        assert_eq!(sentences.how_it_is, "Starting: 12,345 done · 120/s · 80 on the wire · 16,304 waiting · 0 not ok.");
        assert_eq!(sentences.waits_for, "Limited by host-rate of a.test (--host-rate).");
        assert_eq!(sentences.done_when, "At least 1 h 59 min left.");
        let line = Figures::of(&status, &stats, 120.0).text(200).to_lowercase();
        for sentence in [sentences.waits_for, sentences.done_when] {
            assert!(line.contains(sentence.to_lowercase().trim_end_matches('.')), "{line}: {sentence}");
        }
    }
}
