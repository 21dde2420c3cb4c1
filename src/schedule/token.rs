//! The state of one host's token by its responses: good, refused, or awaited. A state machine without tasks and clocks.
//! In: the response to a line ([`HostToken::judge`]), and the time ([`HostToken::advance`]). Out: the decisions on that
//! line, on held lines, and on waiting lines.
//!
//! A *generation* is one content of the host's token files. A status of `hosts.refresh_on` to a request that carried
//! the present generation *refuses* it; any other response *accepts* it, except a 429 or 5xx, which may come from
//! something in front of the host. A refusal of an older generation does not count: the line is sent again at once.
//!
//! | state | what is known | lines that carry the token | refused | accepted | without other lines | new generation | `retry.refresh_wait` is over |
//! |---|---|---|---|---|---|---|---|
//! | `Trusted` | no refusal | start | → `Doubted`; the line is held with its response | – | – | – | – |
//! | `Doubted` | one line was refused, because of the token or of that line | one starts, the probe | of the probe → `Refused`; any line is held, with its response | of the probe → `Trusted`: held responses are the records, except of lines that were refused after it started | the host waits | → `Trusted`: held lines are sent again | → `Alone`: held lines are sent a last time |
//! | `Refused` | two lines were refused | wait | the line is held without its response | – | – | → `Trusted`: held lines are sent again | → `Spent`: held lines are sent a last time |
//! | `Alone` | one line was refused, and no other came | start | the response is the record; of a line that was not held → `Spent` | → `Trusted` | – | → `Trusted` | – |
//! | `Spent` | no new one came in time | end with `no_token`; those of durable sources keep their places (`long_pause.rs`) | the response is the record | of a line sent a last time → `Trusted` | – | → `Trusted` | – |
//!
//! While the host waits (`Refused`, or `Doubted` without other lines), its clock stands still. A line is sent again for at most
//! [`MOST_RESENDS`] new generations; then a refusal is its record.

use std::time::Duration;

use super::token_decision::{Change, LineToken, TokenDecision};
use super::token_rules::{Said, TokenPolicy};
use crate::item::TokenGeneration;

/// How often a line is sent again for a new generation.
pub const MOST_RESENDS: u8 = 2;

/// How long the state of a host without lines is kept, if no other needs its place.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The token of one host.
#[derive(Debug)]
pub(super) struct HostToken {
    /// Its headers and files, and the statuses that refuse it.
    pub policy: TokenPolicy,
    /// The newest generation that a request carried.
    seen: TokenGeneration,
    /// The newest generation that was accepted.
    accepted: Option<TokenGeneration>,
    state: State,
    /// Since when the state holds.
    since: Duration,
}

/// See the table of the module. All but `Trusted` are about the generation that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trusted,
    Doubted {
        generation: TokenGeneration,
        /// The ordinal of the probe on the wire, and its start.
        probe: Option<(u64, Duration)>,
        /// When a line was refused last.
        refused_at: Duration,
        /// Since when no line is left to probe with.
        lonely_since: Option<Duration>,
    },
    Refused {
        generation: TokenGeneration,
    },
    Alone {
        generation: TokenGeneration,
    },
    Spent {
        generation: TokenGeneration,
    },
}

impl HostToken {
    /// A token that is trusted.
    pub fn new(policy: TokenPolicy) -> Self {
        Self { policy, seen: TokenGeneration::FIRST, accepted: None, state: State::Trusted, since: Duration::ZERO }
    }

    /// Whether no refusal is known.
    pub fn is_trusted(&self) -> bool {
        self.state == State::Trusted
    }

    /// Whether the host accepted its newest generation before it refused it.
    pub fn was_accepted(&self) -> bool {
        self.accepted == Some(self.seen)
    }

    /// Whether only lines that are sent a last time may carry it.
    pub fn is_spent(&self) -> bool {
        matches!(self.state, State::Spent { .. })
    }

    /// Whether no new one came in time.
    pub fn is_given_up(&self) -> bool {
        self.is_spent() || self.is_alone()
    }

    fn is_alone(&self) -> bool {
        matches!(self.state, State::Alone { .. })
    }

    /// Whether the host waits for a new one.
    pub fn is_waited_for(&self) -> bool {
        matches!(self.state, State::Refused { .. } | State::Doubted { lonely_since: Some(_), .. })
    }

    /// Notes the start of a line that carries it. A line that is sent a last time is no probe, because it was refused.
    pub fn start(&mut self, ordinal: u64, line: Option<&LineToken>, now: Duration) {
        if let State::Doubted { probe, .. } = &mut self.state
            && !line.is_some_and(|line| line.is_last)
        {
            probe.get_or_insert((ordinal, now));
        }
    }

    /// What the host's lines wait for, if anything: the end of a probe, or a new token until then.
    pub fn wait(&self) -> Option<Option<Duration>> {
        match self.state {
            State::Doubted { probe: Some(_), .. } => Some(None),
            State::Doubted { lonely_since: Some(since), .. } => {
                Some(Some(since.saturating_add(self.policy.refresh_wait)))
            }
            State::Refused { .. } => Some(Some(self.since.saturating_add(self.policy.refresh_wait))),
            State::Trusted | State::Doubted { .. } | State::Alone { .. } | State::Spent { .. } => None,
        }
    }

    /// Until when a host without lines keeps this state.
    pub fn kept_until(&self) -> Duration {
        if self.is_trusted() { Duration::ZERO } else { self.since.saturating_add(KEPT) }
    }

    /// Decides on the response to a line, or on the end of an attempt without one, which carried no token. `in_files`
    /// is the newest generation of its files.
    pub fn judge(
        &mut self,
        ordinal: u64,
        line: Option<&LineToken>,
        answer: Option<(TokenGeneration, Said)>,
        in_files: TokenGeneration,
        now: Duration,
    ) -> (TokenDecision, Option<Change>) {
        let probe = match &mut self.state {
            State::Doubted { probe, .. } => probe.take_if(|(probe, _)| *probe == ordinal).map(|(_, started)| started),
            _ => None,
        };
        let Some((carried, said)) = answer else { return (TokenDecision::Decide, None) };
        self.seen = self.seen.max(carried);
        let renewed = self.renew(in_files, now);
        let (is_last, resent) = line.map_or((false, 0), |line| (line.is_last, line.resent));
        let may_resend = !is_last && resent < MOST_RESENDS;
        let (decision, change) = match said {
            Said::Nothing => (TokenDecision::Decide, None),
            _ if carried < self.present(in_files) => {
                (if said == Said::Refused && may_resend { TokenDecision::Resend } else { TokenDecision::Decide }, None)
            }
            Said::Accepted => {
                self.accepted = Some(carried);
                (TokenDecision::Decide, self.accepted(probe, is_last, now))
            }
            // Another refusal of the line says nothing new about the token.
            Said::Refused if !may_resend && !self.is_alone() => (TokenDecision::Decide, None),
            Said::Refused => self.refused(carried, probe, is_last, now),
        };
        (decision, renewed.or(change))
    }

    /// Notes the time, and whether the host has lines that are not held.
    pub fn advance(&mut self, in_files: TokenGeneration, others: Others, now: Duration) -> Option<Change> {
        if let Some(change) = self.renew(in_files, now) {
            return Some(change);
        }
        if let State::Doubted { probe: None, lonely_since, .. } = &mut self.state {
            *lonely_since = (others == Others::None).then(|| lonely_since.unwrap_or(now));
        }
        let is_over = self.wait().flatten().is_some_and(|at| at <= now);
        match self.state {
            State::Doubted { generation, .. } if is_over => self.enter(State::Alone { generation }, now),
            State::Refused { generation } if is_over => self.enter(State::Spent { generation }, now),
            _ => return None,
        }
        Some(if self.is_spent() { Change::Spent } else { Change::Alone })
    }

    /// The newest generation that is known.
    fn present(&self, in_files: TokenGeneration) -> TokenGeneration {
        self.seen.max(in_files)
    }

    /// Trusts the token again if there is a newer generation than the refused one.
    fn renew(&mut self, in_files: TokenGeneration, now: Duration) -> Option<Change> {
        let generation = match self.state {
            State::Trusted => return None,
            State::Doubted { generation, .. }
            | State::Refused { generation }
            | State::Alone { generation }
            | State::Spent { generation } => generation,
        };
        (generation < self.present(in_files)).then(|| {
            self.enter(State::Trusted, now);
            Change::Renewed
        })
    }

    /// `probe` is when the line started, if it was the probe.
    fn accepted(&mut self, probe: Option<Duration>, is_last: bool, now: Duration) -> Option<Change> {
        let at = match self.state {
            State::Trusted | State::Refused { .. } => return None,
            // Other lines started before the refusal, perhaps while the token was still good.
            State::Doubted { refused_at, .. } => {
                let started = probe?;
                if refused_at > started {
                    // It does not count for lines that were refused since: another probe follows.
                    return Some(Change::Accepted { at: started });
                }
                started
            }
            State::Spent { .. } if !is_last => return None,
            State::Alone { .. } | State::Spent { .. } => now,
        };
        self.enter(State::Trusted, now);
        Some(Change::Accepted { at })
    }

    fn refused(
        &mut self,
        generation: TokenGeneration,
        probe: Option<Duration>,
        is_last: bool,
        now: Duration,
    ) -> (TokenDecision, Option<Change>) {
        match &mut self.state {
            State::Trusted => {
                let doubted = State::Doubted { generation, probe: None, refused_at: now, lonely_since: None };
                self.enter(doubted, now);
                (TokenDecision::Hold, None)
            }
            State::Doubted { .. } if probe.is_some() => {
                self.enter(State::Refused { generation }, now);
                (TokenDecision::HoldWithoutAnswer, Some(Change::Refused))
            }
            State::Doubted { refused_at, .. } => {
                *refused_at = now;
                (TokenDecision::Hold, None)
            }
            State::Refused { .. } => (TokenDecision::HoldWithoutAnswer, None),
            State::Alone { .. } if !is_last => {
                self.enter(State::Spent { generation }, now);
                (TokenDecision::Decide, Some(Change::Spent))
            }
            State::Alone { .. } | State::Spent { .. } => (TokenDecision::Decide, None),
        }
    }

    fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.since) = (state, now);
    }
}

/// Whether a host has lines that are not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Some,
    None,
}

#[cfg(test)]
mod tests {
    use super::super::token_rules::TokenRule;
    use super::*;

    const FIRST: TokenGeneration = TokenGeneration::FIRST;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A token whose host waits ten seconds for a new one.
    fn token() -> HostToken {
        let rule = TokenRule { refresh_on: Some(vec![401]), headers: vec![(http::header::AUTHORIZATION, vec![0])] };
        HostToken::new(TokenPolicy::of([&rule].into_iter(), at(10)).unwrap())
    }

    /// Notes the response to a line at this second.
    fn answered(token: &mut HostToken, ordinal: u64, said: Said, second: u64) -> (TokenDecision, Option<Change>) {
        token.judge(ordinal, None, Some((FIRST, said)), FIRST, at(second))
    }

    /// A token after the refusal of one line and of the probe, which is line 1.
    fn refused() -> HostToken {
        let mut token = token();
        assert_eq!(answered(&mut token, 0, Said::Refused, 0), (TokenDecision::Hold, None));
        token.start(1, None, at(0));
        let decision = answered(&mut token, 1, Said::Refused, 0);
        assert_eq!(decision, (TokenDecision::HoldWithoutAnswer, Some(Change::Refused)));
        token
    }

    #[test]
    fn only_a_probe_says_that_the_token_is_good_or_not() {
        let mut token = token();
        answered(&mut token, 0, Said::Refused, 0);
        assert_eq!(token.wait(), None, "one may start");
        assert!(!token.was_accepted());
        token.start(1, None, at(0));
        assert_eq!(token.wait(), Some(None));
        // These were on the wire when the first was refused.
        assert_eq!(answered(&mut token, 2, Said::Accepted, 1), (TokenDecision::Decide, None));
        assert!(token.was_accepted());
        assert_eq!(answered(&mut token, 3, Said::Refused, 1), (TokenDecision::Hold, None));
        assert_eq!(token.wait(), Some(None));
        // The probe has no response, or one that does not count: another starts.
        assert_eq!(token.judge(1, None, None, FIRST, at(1)), (TokenDecision::Decide, None));
        assert_eq!(token.wait(), None);
        token.start(4, None, at(1));
        assert_eq!(answered(&mut token, 4, Said::Nothing, 1), (TokenDecision::Decide, None));
        token.start(5, None, at(1));
        assert_eq!(
            answered(&mut token, 5, Said::Accepted, 2),
            (TokenDecision::Decide, Some(Change::Accepted { at: at(1) }))
        );
        assert!(token.is_trusted());
    }

    #[test]
    fn a_probe_says_nothing_of_lines_that_were_refused_after_it_started() {
        let mut token = token();
        answered(&mut token, 0, Said::Refused, 0);
        token.start(1, None, at(1));
        answered(&mut token, 2, Said::Refused, 2);
        assert_eq!(answered(&mut token, 1, Said::Accepted, 3).1, Some(Change::Accepted { at: at(1) }));
        assert!(!token.is_trusted() && token.wait().is_none(), "another may start");
        token.start(3, None, at(3));
        assert_eq!(answered(&mut token, 3, Said::Accepted, 4).1, Some(Change::Accepted { at: at(3) }));
        assert!(token.is_trusted());
    }

    #[test]
    fn a_line_that_is_sent_a_last_time_is_no_probe_and_starts_no_doubt() {
        let last = LineToken { is_last: true, ..LineToken::default() };
        let mut token = token();
        let refused = |token: &mut HostToken| token.judge(0, Some(&last), Some((FIRST, Said::Refused)), FIRST, at(0));
        assert_eq!(refused(&mut token), (TokenDecision::Decide, None));
        assert!(token.is_trusted());
        answered(&mut token, 1, Said::Refused, 0);
        token.start(0, Some(&last), at(0));
        assert_eq!(token.wait(), None);
        assert_eq!(refused(&mut token), (TokenDecision::Decide, None));
    }

    #[test]
    fn the_wait_for_a_token_ends_and_what_was_accepted_ends_it_too() {
        let mut token = refused();
        assert_eq!((token.wait(), token.is_waited_for()), (Some(Some(at(10))), true));
        assert_eq!(token.advance(FIRST, Others::Some, at(9)), None);
        assert_eq!(token.advance(FIRST, Others::Some, at(10)), Some(Change::Spent));
        assert!(token.is_spent() && token.wait().is_none());
        assert_eq!(answered(&mut token, 2, Said::Accepted, 11), (TokenDecision::Decide, None), "it started before");
        let last = LineToken { is_last: true, ..LineToken::default() };
        let decision = token.judge(0, Some(&last), Some((FIRST, Said::Accepted)), FIRST, at(11));
        assert_eq!(decision, (TokenDecision::Decide, Some(Change::Accepted { at: at(11) })));
        assert!(token.is_trusted());
    }

    #[test]
    fn another_content_ends_every_doubt() {
        let spent = || {
            let mut token = refused();
            token.advance(FIRST, Others::Some, at(10));
            token
        };
        let mut doubted = token();
        answered(&mut doubted, 0, Said::Refused, 0);
        for mut token in [doubted, refused(), spent()] {
            assert_eq!(token.advance(FIRST, Others::Some, at(1)), None);
            assert_eq!(token.advance(FIRST.next(), Others::Some, at(1)), Some(Change::Renewed));
            assert!(token.is_trusted());
            // A line that carried the old one is sent again, twice at most.
            for (resent, decision) in
                [(0, TokenDecision::Resend), (1, TokenDecision::Resend), (2, TokenDecision::Decide)]
            {
                let line = LineToken { resent, ..LineToken::default() };
                let judged = token.judge(7, Some(&line), Some((FIRST, Said::Refused)), FIRST.next(), at(1));
                assert_eq!(judged, (decision, None));
            }
        }
    }

    #[test]
    fn a_line_alone_says_nothing_of_the_token_that_holds_for_others() {
        let mut token = token();
        answered(&mut token, 0, Said::Refused, 0);
        assert_eq!(token.advance(FIRST, Others::None, at(1)), None);
        assert_eq!((token.wait(), token.is_waited_for()), (Some(Some(at(11))), true));
        assert_eq!(token.advance(FIRST, Others::Some, at(2)), None, "another came");
        assert_eq!((token.wait(), token.is_waited_for()), (None, false));
        token.advance(FIRST, Others::None, at(3));
        assert_eq!(token.advance(FIRST, Others::None, at(13)), Some(Change::Alone));
        assert_eq!((token.wait(), token.is_spent()), (None, false));
        assert_eq!(answered(&mut token, 1, Said::Refused, 14), (TokenDecision::Decide, Some(Change::Spent)));
    }
}
