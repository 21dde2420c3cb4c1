//! The meaning of signals that end a run: the first one stops it, the next one aborts it.

use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::time::Instant;

use crate::pipeline::Control;

/// How soon after the first signal the same one is a repetition: `timeout` sends a signal to the process and to its
/// process group, and a user who wants an abort takes longer.
const REPETITION: Duration = Duration::from_millis(100);

/// The signals that have come so far.
#[derive(Debug, Default)]
pub(super) struct EndSignals {
    first: Option<(SignalKind, Instant)>,
}

impl EndSignals {
    /// The message for a signal that comes now; `None` for a repetition.
    pub fn control(&mut self, kind: SignalKind, now: Instant) -> Option<Control> {
        match self.first {
            None => {
                self.first = Some((kind, now));
                Some(Control::Stop)
            }
            Some((first, at)) if first == kind && now.duration_since(at) < REPETITION => None,
            Some(_) => Some(Control::Abort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_in_the_same_moment_is_no_second_one() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let (term, int) = (SignalKind::terminate(), SignalKind::interrupt());
        let mut signals = EndSignals::default();
        let mut control = |kind, at| signals.control(kind, start + ms(at));
        assert!(matches!(control(term, 0), Some(Control::Stop)));
        assert!(control(term, 1).is_none() && control(term, 99).is_none());
        assert!(matches!(control(term, 100), Some(Control::Abort)));
        let mut signals = EndSignals::default();
        assert!(matches!(signals.control(term, start), Some(Control::Stop)));
        assert!(matches!(signals.control(int, start), Some(Control::Abort)), "another signal");
    }
}
