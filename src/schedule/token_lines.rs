//! The lines of hosts with a token (`token.rs`): holds them, sends them again, or fails them without a token. A held
//! line is in its host's queue like a line whose back-off has no end ([`HELD`]).

use std::collections::BTreeSet;
use std::time::Duration;

use super::Core;
use super::decide::Decision;
use super::held_answer::small;
use super::host_clock::Holds;
use super::host_table::{HELD, Host, Pick};
use super::job::{Job, Next};
use super::line_book::{HostId, LineId, Place};
use super::stall_clock::StallReason;
use super::token::{HostToken, Others};
use super::token_decision::{Change, LineToken, TokenDecision};
use crate::hosts::port_of;
use crate::item::{Attempt, CredentialScope, ErrorKind, Received, TokenGeneration, WaitedFor};

impl Core {
    /// Notes the new content of a token file.
    pub fn renew_token(&mut self, file: usize, generation: TokenGeneration, now: Duration) {
        let Some(known) = self.tokens.generations.get_mut(file) else { return };
        *known = generation.max(*known);
        self.tokens.unusable.remove(&file);
        for id in self.tokens.hosts.clone() {
            self.refresh(id, now);
        }
    }

    /// Notes why a token file contains no token, in a clause; `None` if it contains the current one.
    pub fn note_token_file(&mut self, file: usize, unusable: Option<String>) {
        match unusable {
            Some(why) => drop(self.tokens.unusable.insert(file, why)),
            None => drop(self.tokens.unusable.remove(&file)),
        }
    }

    /// The token files to read again.
    pub fn token_files_wanted(&mut self) -> BTreeSet<usize> {
        let hosts = &self.hosts;
        let untrusted = |id: HostId| hosts.get(id)?.token.as_ref().filter(|token| !token.is_trusted());
        self.tokens.hosts.retain(|id| untrusted(*id).is_some());
        self.tokens
            .hosts
            .iter()
            .filter_map(|id| untrusted(*id))
            .flat_map(|token| &token.policy.files)
            .copied()
            .collect()
    }

    /// Whether the request of this line carries the token of this host.
    pub(super) fn carries_token(&self, job: &Job, id: HostId) -> bool {
        let own = job.call.request.extra.as_ref().map(|extra| &extra.headers);
        let token = self.hosts[id].token.as_ref().filter(|_| job.slot.parked.is_none());
        token.is_some_and(|token| job.call.credential_scope == CredentialScope::OwnHost && token.policy.goes_with(own))
    }

    /// Notes the start of a line that may carry the token of its host.
    pub(super) fn note_token(&mut self, job: &Job, id: HostId, now: Duration) {
        if self.hosts[id].token.as_ref().is_some_and(|token| !token.is_trusted())
            && self.carries_token(job, id)
            && let Some(token) = &mut self.hosts[id].token
        {
            token.start(job.ticket.ordinal, job.slot.token.as_deref(), now);
        }
    }

    /// Updates the token of a host after an attempt, and decides on the line.
    pub(super) fn judge_token(&mut self, job: &Job, id: HostId, attempt: &Attempt, now: Duration) -> TokenDecision {
        let host = &mut self.hosts[id];
        let Some(token) = &mut host.token else { return TokenDecision::Decide };
        let answer = attempt.head().and_then(|head| Some((head.token?, token.policy.said(head.status))));
        let in_files = self.tokens.newest(&token.policy.files);
        let line = job.slot.token.as_deref();
        let (decision, change) = token.judge(job.ticket.ordinal, line, answer, in_files, now);
        if !token.is_trusted() {
            self.tokens.hosts.insert(id);
        }
        if let Some(change) = change {
            self.change_held(id, change, now);
        }
        decision
    }

    /// Carries out the token's decision on a line whose attempt is over; `decision` is the one without the token.
    pub(super) fn carry_out_token(
        &mut self,
        mut job: Box<Job>,
        decision: Decision,
        token_decision: TokenDecision,
        attempt: Attempt,
        now: Duration,
    ) {
        job.slot.next = Next::Attempt;
        let mut line = job.slot.token.take().unwrap_or_default();
        let error = if let Decision::Settle(error) = decision { error } else { None };
        job.progress.last_error = error.as_ref().map(|(_, message)| message.as_str().into());
        let due = if token_decision == TokenDecision::Resend {
            line.resent += 1;
            now
        } else {
            line.held_since = Some(now);
            line.answer = error
                .filter(|_| token_decision == TokenDecision::Hold)
                .and_then(|error| Some((small(attempt)?, error)));
            HELD
        };
        job.slot.token = Some(line);
        self.requeue(job, due, now);
    }

    /// Updates the state of a host's token to the time, its files and its lines.
    pub(super) fn follow_token(&mut self, id: HostId, now: Duration) {
        let host = &mut self.hosts[id];
        let is_stalled = host.is_stalled_by(StallReason::Token);
        let Some(token) = host.token.as_mut().filter(|token| is_stalled || !token.is_trusted()) else { return };
        let others = if host.queue.has_others() { Others::Some } else { Others::None };
        let in_files = self.tokens.newest(&token.policy.files);
        let change = token.advance(in_files, others, now);
        let is_waited_for = token.is_waited_for();
        let holds = if is_waited_for || host.lacks_token() { Holds::Yes } else { Holds::No };
        // First, so that the clock runs again for lines that go on.
        if (holds == Holds::Yes) != is_stalled {
            self.stall_host(id, StallReason::Token, holds, now);
        }
        if let Some(change) = change {
            self.change_held(id, change, now);
        }
    }

    /// Applies a change of a host's token to its held lines, and ends lines for which there is no token.
    pub(super) fn change_held(&mut self, id: HostId, change: Change, now: Duration) {
        for line in self.hosts[id].queue.held() {
            let Some(job) = self.take_waiting(line) else { continue };
            self.change_line(job, id, change, now);
        }
        if change == Change::Spent {
            let of_token = |job: &&Job| self.carries_token(job, id);
            let lines: Vec<LineId> = self.hosts[id].queue.jobs().filter(of_token).map(|job| job.slot.line).collect();
            for line in lines {
                let due = self.lines.due(line);
                let Some(job) = self.take_waiting(line) else { continue };
                self.put_back_or_end(job, id, due, now);
            }
        }
    }

    fn change_line(&mut self, mut job: Box<Job>, id: HostId, change: Change, now: Duration) {
        let Some(line) = &mut job.slot.token else { return };
        if matches!(change, Change::Accepted { at } if line.held_since > Some(at)) {
            return self.put_back(job, id, Some(HELD), now);
        }
        let answer = line.answer.take();
        if change == Change::Refused {
            return self.put_back(job, id, Some(HELD), now);
        }
        let waited = line.held_since.take().map(|since| now.saturating_sub(since));
        let is_kept = line.is_kept;
        job.slot.longest_wait.note(WaitedFor::Token, waited.unwrap_or_default());
        if is_kept {
            job.slot.token = None;
            let due = job.progress.started.map(|_| now);
            return self.put_back(job, id, due, now);
        }
        match (change, answer) {
            (Change::Accepted { .. }, Some((attempt, error))) => {
                return self.settle(job, attempt.into_received(), Some(error), now);
            }
            (Change::Renewed, _) => line.resent += 1,
            _ => line.is_last = true,
        }
        self.put_back(job, id, Some(now), now);
    }

    /// Settles the oldest line with its response, if it is held until a probe tests the host's token. Where records
    /// have the order of the input, lines behind it may hold all memory, so that the probe could never start.
    pub(super) fn let_oldest_go(&mut self, now: Duration) {
        while let Some(line) = self.lines.oldest().filter(|_| self.settings.in_order)
            && let Place::Waiting { host: id, due: Some(HELD), .. } = self.lines.place_of(line)
            && self.hosts[id].token.as_ref().is_some_and(|token| token.wait().is_none())
            && let Some(job) = self.take_waiting(line)
        {
            self.change_line(job, id, Change::Accepted { at: now }, now);
            self.refresh(id, now);
        }
    }

    /// Puts a line of a host without a token back into the queue, unless the line ends.
    fn put_back_or_end(&mut self, job: Box<Job>, id: HostId, due: Option<Duration>, now: Duration) {
        if let Some((job, due)) = self.keep_or_end(job, id, due, now) {
            self.put_back(job, id, due, now);
        }
    }

    /// Decides on a line that comes to a host. If the host has no token left, a line of a durable source keeps its
    /// place until there is one, and others fail. A line that was refused before is sent a last time.
    pub(super) fn keep_or_end(
        &mut self,
        mut job: Box<Job>,
        id: HostId,
        due: Option<Duration>,
        now: Duration,
    ) -> Option<(Box<Job>, Option<Duration>)> {
        if !self.is_unsent(&mut job, id) {
            return Some((job, due));
        }
        if self.is_durable(job.ticket.source) {
            job.slot.token = Some(Box::new(LineToken { held_since: Some(now), is_kept: true, ..LineToken::default() }));
            return Some((job, Some(HELD)));
        }
        let error = self.no_token(id);
        self.settle(job, Received::Nothing, Some(error), now);
        None
    }

    /// Whether a line must not be sent because its host has no token. A line that was refused before is sent a last
    /// time.
    fn is_unsent(&self, job: &mut Job, id: HostId) -> bool {
        if !self.hosts[id].token.as_ref().is_some_and(|token| token.is_spent()) || !self.carries_token(job, id) {
            return false;
        }
        match &mut job.slot.token {
            Some(line) => {
                line.is_last = true;
                false
            }
            None => true,
        }
    }

    /// The error of a line whose host has no token.
    fn no_token(&self, id: HostId) -> (ErrorKind, String) {
        let host = &self.hosts[id];
        let message = format!(
            "{} refused its token, and no new one came within {} s (retry.refresh_wait) in {}",
            host.name,
            self.settings.retry.refresh_wait.as_secs_f64(),
            self.token_files(host)
        );
        (ErrorKind::NoToken, message)
    }

    /// The files that the token of a host can come from, for a sentence.
    pub(super) fn token_files(&self, host: &Host) -> String {
        let named = |token: &HostToken| self.tokens.named(&self.settings.tokens, &token.policy.files);
        host.token.as_deref().map(named).unwrap_or_default()
    }

    /// Takes a line out of its host's queue.
    fn take_waiting(&mut self, line: LineId) -> Option<Box<Job>> {
        let Place::Waiting { host, port, due } = self.lines.place_of(line) else { return None };
        self.hosts.take(host, Pick::Line { ordinal: self.lines.ordinal(line), port, due })
    }

    fn put_back(&mut self, job: Box<Job>, id: HostId, due: Option<Duration>, now: Duration) {
        let (line, port) = (job.slot.line, port_of(&job.call.request.url));
        self.lines.place(line, Place::Waiting { host: id, port, due });
        self.hosts.add(id, job, due);
        if due.is_some() {
            self.watch_deadline(line, id, now);
        }
    }
}
