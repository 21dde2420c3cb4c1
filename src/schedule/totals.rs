//! Totals of the schedule for metrics; no decision depends on them.

use std::time::Duration;

use super::Core;

/// The totals of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines accepted.
    pub taken: u64,
    /// Retries that were or will be sent, including those that a server asked for.
    pub retries: u64,
    /// Retries that were denied, by the number of the reason.
    denied: [u64; RetryDenial::ALL.len()],
    /// The current concurrency limit of the run.
    pub concurrency_limit: u32,
    /// The longest backlog of a host.
    pub backlog: Duration,
}

/// Why a retry was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDenial {
    /// It would begin after the line's deadline.
    Deadline,
    /// The host is closed for longer than `retry.max_retry_after`.
    RetryAfter,
    /// `retry.max_waits`
    MaxWaits,
    /// `retry.budget` of the host.
    HostBudget,
    /// `retry.budget` of the run.
    Budget,
}

impl RetryDenial {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [Self::Deadline, Self::RetryAfter, Self::MaxWaits, Self::HostBudget, Self::Budget];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::RetryAfter => "retry_after",
            Self::MaxWaits => "max_waits",
            Self::HostBudget => "host_budget",
            Self::Budget => "budget",
        }
    }
}

impl Totals {
    /// Retries that were denied for this reason.
    pub fn denied(&self, reason: RetryDenial) -> u64 {
        self.denied[reason as usize]
    }

    pub(super) fn deny(&mut self, reason: RetryDenial) {
        self.denied[reason as usize] += 1;
    }
}

impl Core {
    /// The totals, as of now.
    pub fn totals(&self, now: Duration) -> Totals {
        let concurrency_limit = self.most_at_once();
        let backlog = self.last_host(now).map(|host| host.backlog).unwrap_or_default();
        Totals { taken: self.lines.accepted_so_far(), concurrency_limit, backlog, ..self.totals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_number_of_its_place() {
        for (number, reason) in RetryDenial::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
