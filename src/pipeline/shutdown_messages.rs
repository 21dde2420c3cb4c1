//! Log messages during the shutdown of a run.

use std::time::Duration;

use super::Status;
use crate::schedule::Counts;
use crate::units::counted;

/// The parts that can delay the end once all lines have records. Each logs the cause itself.
pub(super) const NOT_WRITTEN: &str = "an output, a journal or a checkpoint";

/// Announces the shutdown, once the lines left for the next start are counted.
pub(super) fn announce(status: &Status, grace: Duration) {
    let (counters, counts) = (status.counters(), status.view().counts);
    let work = match (counters.unfinished(), counts) {
        (0, _) => "finishing the outputs".to_owned(),
        (_, Counts { waiting: 0, in_flight: 1.., .. }) => {
            format!("finishing {}", counted(counts.in_flight as u64, "request"))
        }
        (unfinished, _) => format!("finishing {}", counted(unfinished, "line")),
    };
    let left = match counters.left.get() {
        0 => String::new(),
        1 => "; 1 line waits for the next start".to_owned(),
        left => format!("; {} wait for the next start", counted(left, "line")),
    };
    tracing::warn!("{work}{left} (at most {} s; signal again to stop now)", grace.as_secs());
}

/// Logs what the shutdown still waits for.
pub(super) fn remind(status: &Status) {
    if status.counters().unfinished() == 0 {
        tracing::info!("still waiting: {NOT_WRITTEN} cannot be written");
        return;
    }
    let view = status.view();
    let Some(oldest) = &view.oldest else { return };
    let Some(host) = &oldest.host else { return };
    tracing::info!(
        host = %host.name,
        age_s = oldest.age.as_secs(),
        on_the_wire = host.in_flight,
        waiting = host.waiting,
        unfinished = status.counters().unfinished(),
        "still waiting for lines; the oldest waits for this host"
    );
}
