//! Feedback for the adaptive limits from one attempt: a latency sample, or overload.

use std::time::Duration;

use crate::item::{Attempt, ErrorKind, Sent};
use crate::schedule::Core;
use crate::schedule::job::Job;
use crate::schedule::line_book::HostId;

/// The feedback of one attempt about the load of its host.
enum Feedback {
    /// The time to first byte.
    Latency(Duration),
    /// The host is overloaded.
    Overloaded,
}

impl Feedback {
    fn of(attempt: &Attempt) -> Option<Self> {
        match (attempt, attempt.head()) {
            // The time for the body depends on the URL.
            (_, Some(head)) => match head.status.as_u16() {
                429 | 503 => Some(Self::Overloaded),
                200..=499 => Some(Self::Latency(head.ttfb)),
                _ => None,
            },
            (Attempt::Failed(failure), None) => match failure.kind {
                ErrorKind::Timeout | ErrorKind::ConnectTimeout => Some(Self::Overloaded),
                _ => None,
            },
            (Attempt::Response(_) | Attempt::Redirect(_) | Attempt::NoMemory { .. } | Attempt::Canceled, None) => None,
        }
    }
}

impl Core {
    /// Adjusts the adaptive limits to the result of the job's attempt, which was sent at `sent`.
    pub(in crate::schedule) fn adapt(
        &mut self,
        id: HostId,
        job: &Job,
        attempt: &Attempt,
        sent: Duration,
        now: Duration,
    ) {
        if matches!(attempt, Attempt::Failed(failure) if failure.sent == Sent::Starved) {
            return self.starve(sent, now);
        }
        let Some(feedback) = Feedback::of(attempt) else { return };
        if job.slot.parked.is_some() && matches!(feedback, Feedback::Latency(_)) {
            // The latency of robots.txt differs from that of pages.
            return;
        }
        let host = &mut self.hosts[id];
        match (host.adaptive(), &feedback) {
            (Some(adaptive), Feedback::Latency(ttfb)) => adaptive.answered(sent, *ttfb, now),
            (Some(adaptive), Feedback::Overloaded) => adaptive.overloaded(sent, now),
            (None, _) => {}
        }
        // The limit of the run uses the slowdown of each host, because hosts differ in latency. Overload of a host only
        // affects the host's own limit.
        if let (Some(adaptive), Feedback::Latency(ttfb)) = (&mut self.adaptive, feedback) {
            // The first response of a host counts as no slowdown. Without it, a run with one line for each of many
            // hosts would never adjust its limit.
            let fastest = host.fastest.unwrap_or(ttfb);
            let slower = ttfb.as_secs_f64().max(1e-6) / fastest.as_secs_f64().max(1e-6);
            adaptive.answered(sent, Duration::from_secs_f64(slower.min(1e6)), now);
            host.fastest = Some(fastest.min(ttfb));
        }
    }

    /// Cuts the limit of the run, because this machine has no open file or port left.
    fn starve(&mut self, sent: Duration, now: Duration) {
        const SHOWN_FOR: Duration = Duration::from_secs(1);
        self.starved_until = now + SHOWN_FOR;
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.overloaded(sent, now);
        }
    }
}
