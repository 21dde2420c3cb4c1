//! The circuit breaker of one port of a host (Nygard, *Release It!*): after several failures in a row the circuit opens, the
//! port's lines wait, and one probe per cool-down tests whether it is back.
//!
//! In: whether each attempt reached the port. Out: when the next one may start, and when waiting lines fail.

use std::time::Duration;

use super::HealthPolicy;
use super::host_state::OpenCircuit;
use super::stall_clock::Now;
use crate::item::{Attempt, ErrorKind, Sent};

/// Whether an attempt reached its host, at the port of its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact<'a> {
    /// It did: there was some response.
    Made,
    /// There was no response.
    Failed(ErrorKind, &'a str),
    /// The attempt was not sent, or not finished.
    Unknown,
}

impl<'a> Contact<'a> {
    pub fn of(attempt: &'a Attempt) -> Self {
        match attempt {
            Attempt::Response(_) | Attempt::Redirect(_) | Attempt::NoMemory { .. } => Self::Made,
            // Errors and slowness of the body depend on the URL.
            Attempt::Failed(failure) if failure.head.is_some() => Self::Made,
            Attempt::Canceled => Self::Unknown,
            Attempt::Failed(failure) => match (failure.sent, failure.kind) {
                (Sent::Refused | Sent::Starved | Sent::Stale, _) | (_, ErrorKind::Panic) => Self::Unknown,
                // A name that does not exist, and an invalid certificate, are responses.
                (
                    _,
                    ErrorKind::DnsFailed
                    | ErrorKind::DnsTimeout
                    | ErrorKind::ConnectRefused
                    | ErrorKind::ConnectTimeout
                    | ErrorKind::ConnectFailed
                    | ErrorKind::Reset
                    | ErrorKind::Timeout,
                ) => Self::Failed(failure.kind, &failure.message),
                _ => Self::Made,
            },
        }
    }
}

/// A change of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitSwitch {
    /// Attempts in a row did not reach the port, with the last error; or it was open when the previous run ended.
    Opened(ErrorKind),
    /// Lines failed after `health.give_up`, for the first time since it opened. Probes go on.
    GaveUp {
        /// The number of these lines.
        lines: usize,
    },
    /// The port could be reached again, or circuit breakers were switched off.
    Closed {
        /// How long the circuit was open, without stalls.
        after: Duration,
    },
}

/// Lines of a port waited too long.
#[derive(Debug)]
pub(super) struct GaveUp {
    pub port: u16,
    /// Their error.
    pub error: (ErrorKind, String),
    pub turn: GiveUpTurn,
}

/// Whether lines failed before since the circuit opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GiveUpTurn {
    First,
    Later,
}

/// The state of one port's circuit.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    failures: u32,
    /// Until when the failures are kept without lines.
    kept_until: Duration,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    /// When it opened, on the clock of lines, so that stalls do not count.
    since: Duration,
    /// How long it was open in previous runs.
    before: Duration,
    /// When its lines fail, on the same clock.
    gives_up_at: Duration,
    probe: Probe,
    /// The ordinal of the line that failed last, if it did in this run.
    failed_last: Option<u64>,
    last_error: (ErrorKind, String),
    has_given_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// The next line that starts from this time on is the probe.
    NotBefore(Duration),
    /// The line of this ordinal is the probe.
    UnderWay(u64),
}

impl CircuitBreaker {
    /// The earliest time a line may start; `None` while a probe is under way.
    pub fn next_start(&self) -> Option<Duration> {
        match self.open.as_ref().map(|open| open.probe) {
            None => Some(Duration::ZERO),
            Some(Probe::NotBefore(at)) => Some(at),
            Some(Probe::UnderWay(_)) => None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Notes a start: while the circuit is open, it is a probe.
    pub fn start(&mut self, ordinal: u64) {
        if let Some(open) = &mut self.open {
            open.probe = Probe::UnderWay(ordinal);
        }
    }

    /// Notes the result of the request of this ordinal; returns the change if that opened or closed it.
    pub fn end(
        &mut self,
        ordinal: u64,
        contact: Contact<'_>,
        policy: &HealthPolicy,
        now: Now,
    ) -> Option<CircuitSwitch> {
        match contact {
            Contact::Made => self.close(now),
            Contact::Failed(kind, message) => {
                let was_open = self.is_open();
                self.fail(ordinal, (kind, message), policy, now);
                (self.is_open() && !was_open).then_some(CircuitSwitch::Opened(kind))
            }
            Contact::Unknown => {
                self.end_probe(ordinal, policy, now.time);
                None
            }
        }
    }

    /// Closes the circuit, and resets the failures.
    pub fn close(&mut self, now: Now) -> Option<CircuitSwitch> {
        self.failures = 0;
        self.open.take().map(|open| CircuitSwitch::Closed { after: open.length(now) })
    }

    fn fail(&mut self, ordinal: u64, (kind, message): (ErrorKind, &str), policy: &HealthPolicy, now: Now) {
        self.failures = self.failures.saturating_add(1);
        let last_error = (kind, message.to_owned());
        if let Some(open) = &mut self.open {
            (open.last_error, open.failed_last) = (last_error, Some(ordinal));
            self.end_probe(ordinal, policy, now.time);
        } else if policy.failures > 0 && self.failures >= policy.failures {
            self.open = Some(Box::new(Open {
                since: now.lines,
                before: Duration::ZERO,
                gives_up_at: now.lines.saturating_add(policy.give_up),
                probe: Probe::NotBefore(now.time + policy.cool_down),
                failed_last: Some(ordinal),
                last_error,
                has_given_up: false,
            }));
        }
        // To forget it costs other hosts nothing.
        let remembered_for = if self.is_open() { policy.give_up.max(policy.cool_down) } else { policy.cool_down };
        self.kept_until = now.time + remembered_for;
    }

    fn end_probe(&mut self, ordinal: u64, policy: &HealthPolicy, now: Duration) {
        if let Some(open) = &mut self.open
            && open.probe == Probe::UnderWay(ordinal)
        {
            open.probe = Probe::NotBefore(now + policy.cool_down);
        }
    }

    /// The line that failed last, while the circuit is open.
    pub fn failed_last(&self) -> Option<u64> {
        self.open.as_ref()?.failed_last
    }

    /// Until when its lines wait for it, on the clock of lines.
    pub fn gives_up_at(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.gives_up_at)
    }

    /// The error of lines that waited too long for this port.
    pub fn gave_up(&self, port: u16, now: Now) -> Option<(ErrorKind, String)> {
        let open = self.open.as_ref().filter(|open| open.gives_up_at <= now.lines)?;
        let since = open.length(now).as_secs();
        let (kind, message) = &open.last_error;
        let message = format!(
            "port {port} of the host could not be reached for {since} s; the last error was {}: {message}",
            kind.name()
        );
        Some((ErrorKind::CircuitOpen, message))
    }

    /// Notes that lines that waited too long fail.
    pub fn give_up(&mut self) -> GiveUpTurn {
        let given_up = self.open.as_mut().map(|open| std::mem::replace(&mut open.has_given_up, true));
        if given_up == Some(false) { GiveUpTurn::First } else { GiveUpTurn::Later }
    }

    /// Until when the failures are kept without lines.
    pub fn kept_until(&self) -> Duration {
        if self.failures == 0 { Duration::ZERO } else { self.kept_until }
    }

    /// Its state for the next run, if it is open.
    pub fn unreachable(&self, port: u16, policy: &HealthPolicy, now: Now) -> Option<OpenCircuit> {
        let open = self.open.as_ref()?;
        let probe = match open.probe {
            Probe::NotBefore(at) => at.saturating_sub(now.time),
            // If the run ends before the probe does, the probe has no result.
            Probe::UnderWay(_) => policy.cool_down,
        };
        let remembered = self.kept_until.saturating_sub(now.time);
        Some(OpenCircuit { port, tried: open.length(now), probe, remembered, last_error: open.last_error.clone() })
    }

    /// Restores the state of the previous run; returns the change if that opened it.
    pub fn restore(&mut self, known: OpenCircuit, policy: &HealthPolicy, now: Now) -> Option<CircuitSwitch> {
        if policy.failures == 0 || known.remembered.is_zero() {
            return None;
        }
        self.failures = policy.failures;
        self.kept_until = now.time + known.remembered;
        let probe = Probe::NotBefore(now.time + known.probe.min(policy.cool_down));
        let OpenCircuit { tried: before, last_error, .. } = known;
        let switch = CircuitSwitch::Opened(last_error.0);
        let gives_up_at = now.lines.saturating_add(policy.give_up.saturating_sub(before));
        self.open = Some(Box::new(Open {
            since: now.lines,
            before,
            gives_up_at,
            probe,
            failed_last: None,
            last_error,
            has_given_up: false,
        }));
        Some(switch)
    }
}

impl Open {
    /// For how long it has been open, on the clock of lines.
    fn length(&self, now: Now) -> Duration {
        self.before + now.lines.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::HealthConfig;

    const POLICY: HealthPolicy =
        HealthPolicy { failures: 3, cool_down: Duration::from_secs(5), give_up: Duration::from_secs(60) };

    const REFUSED: Contact<'static> = Contact::Failed(ErrorKind::ConnectRefused, "refused");

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn now(seconds: u64) -> Now {
        Now { time: at(seconds), lines: at(seconds) }
    }

    fn open_at(seconds: u64) -> CircuitBreaker {
        let mut circuit = CircuitBreaker::default();
        for ordinal in 0..3 {
            assert!(!circuit.is_open());
            circuit.end(ordinal, REFUSED, &POLICY, now(seconds));
        }
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_closes_it() {
        let mut circuit = CircuitBreaker::default();
        for ordinal in 0..9 {
            circuit.end(ordinal, if ordinal % 3 == 2 { Contact::Made } else { REFUSED }, &POLICY, now(ordinal));
        }
        assert!(!circuit.is_open(), "never three in a row");
        let mut circuit = open_at(1);
        assert_eq!(circuit.next_start(), Some(at(6)));
        circuit.end(9, Contact::Made, &POLICY, now(2));
        assert_eq!(circuit.next_start(), Some(Duration::ZERO));
    }

    #[test]
    fn only_the_attempt_that_opens_or_closes_it_says_so() {
        let mut circuit = CircuitBreaker::default();
        let said: Vec<_> = (0..5).map(|ordinal| circuit.end(ordinal, REFUSED, &POLICY, now(ordinal))).collect();
        assert_eq!(said, [None, None, Some(CircuitSwitch::Opened(ErrorKind::ConnectRefused)), None, None]);
        assert_eq!(circuit.end(5, Contact::Unknown, &POLICY, now(6)), None);
        let left = circuit.unreachable(80, &POLICY, now(6)).unwrap();
        assert_eq!(circuit.end(6, Contact::Made, &POLICY, now(9)), Some(CircuitSwitch::Closed { after: at(7) }));
        assert_eq!(circuit.end(7, Contact::Made, &POLICY, now(9)), None);
        assert_eq!(circuit.restore(left, &POLICY, now(1)), Some(CircuitSwitch::Opened(ErrorKind::ConnectRefused)));
        assert_eq!(circuit.close(now(3)), Some(CircuitSwitch::Closed { after: at(6) }), "four seconds before, two now");
        assert_eq!(circuit.close(now(3)), None);
    }

    #[test]
    fn one_probe_at_a_time_a_cool_down_apart() {
        let mut circuit = open_at(1);
        circuit.start(7);
        assert_eq!(circuit.next_start(), None);
        circuit.end(3, REFUSED, &POLICY, now(7));
        assert_eq!(circuit.next_start(), None, "that was another request, sent before the circuit opened");
        circuit.end(7, REFUSED, &POLICY, now(8));
        assert_eq!(circuit.next_start(), Some(at(13)));
        circuit.start(8);
        circuit.end(8, Contact::Unknown, &POLICY, now(14));
        assert_eq!(circuit.next_start(), Some(at(19)), "a probe without a result is repeated");
    }

    #[test]
    fn lines_wait_for_it_until_give_up_after_it_opened() {
        let mut circuit = open_at(10);
        circuit.start(7);
        circuit.end(7, Contact::Failed(ErrorKind::Reset, "lost"), &POLICY, now(66));
        assert_eq!(circuit.gives_up_at(), Some(at(70)));
        assert_eq!(circuit.gave_up(80, now(69)), None);
        let (kind, message) = circuit.gave_up(80, now(70)).unwrap();
        assert_eq!(kind, ErrorKind::CircuitOpen);
        assert!(
            message.contains("port 80 of the host could not be reached for 60 s") && message.contains("reset: lost"),
            "{message}"
        );
    }

    #[test]
    fn the_time_in_which_records_cannot_be_written_does_not_count() {
        let circuit = open_at(10);
        let early = Now { time: at(1000), lines: at(30) };
        assert_eq!((circuit.gives_up_at(), circuit.gave_up(80, early)), (Some(at(70)), None));
    }

    #[test]
    fn one_that_was_left_open_goes_on_where_it_was() {
        let left = open_at(10).unreachable(80, &POLICY, now(12)).unwrap();
        assert_eq!((left.tried, left.probe, left.remembered), (at(2), at(3), at(58)));
        let mut circuit = CircuitBreaker::default();
        circuit.restore(left, &POLICY, now(1));
        assert_eq!(circuit.next_start(), Some(at(4)));
        assert_eq!(circuit.gives_up_at(), Some(at(59)));
        circuit.start(7);
        circuit.end(7, REFUSED, &POLICY, now(59));
        assert!(circuit.gave_up(80, now(59)).unwrap().1.contains("60 s"));
    }

    #[test]
    fn switched_off_it_never_opens() {
        let policy = HealthPolicy::from(&HealthConfig { enabled: false, ..HealthConfig::default() });
        let mut circuit = CircuitBreaker::default();
        for ordinal in 0..100 {
            circuit.end(ordinal, REFUSED, &policy, now(ordinal));
        }
        let left = open_at(0).unreachable(80, &POLICY, now(0)).unwrap();
        circuit.restore(left, &policy, now(100));
        assert!(!circuit.is_open());
    }
}
