//! Decides what a line does after an attempt: settle, retry, reserve memory, or follow a redirect. Pure: facts in,
//! decision out.

use std::time::Duration;

use http::StatusCode;

use super::RetryPolicy;
use super::host_pause::too_long;
use super::job::Job;
use crate::item::{Attempt, CredentialScope, ErrorKind, Failure, Head, Hop, Redirect, Request, Retry, Sent};

/// The longest back-off for lack of files or ports: they come back soon, and such a retry sends nothing.
const LONGEST_STARVATION: Duration = Duration::from_secs(5);

/// The decision on one attempt.
#[derive(Debug)]
pub(super) enum Decision {
    /// The line is done.
    Settle(Option<(ErrorKind, String)>),
    /// The same request once more, not before `at`.
    Retry { at: Duration, cost: RetryCost, because: (ErrorKind, String) },
    /// The same request at once on a new connection, for this reason: the kept one had ended.
    Resend(String),
    /// The same request once more, with this much body memory reserved.
    Reserve(u64),
    /// The redirect is followed.
    Follow(Hop, Box<Request>, CredentialScope),
}

impl Decision {
    /// Whether another request of the line follows.
    pub fn continues(&self) -> bool {
        !matches!(self, Self::Settle(_))
    }
}

/// What a retry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryCost {
    /// `retry.retries`, and the budgets.
    Charged,
    /// `retry.max_waits`: the server asked for it, or this machine stood still during the attempt.
    Wait,
    /// Nothing, because nothing was sent.
    Free,
}

/// The facts for a decision besides the line and the attempt.
pub(super) struct AttemptContext<'a> {
    pub policy: &'a RetryPolicy,
    pub max_redirects: u32,
    /// Whether the line keeps its place while its host is closed.
    pub keeps_place: bool,
    pub now: Duration,
    /// Whether the line's deadline has passed.
    pub overdue: bool,
    /// How long the attempt took.
    pub wire: Duration,
    /// For DNS, TCP and TLS.
    pub connect_timeout: Duration,
    /// Uniform in 0..1, for the jitter.
    pub chance: f64,
}

impl AttemptContext<'_> {
    pub fn decide(&self, job: &Job, attempt: &Attempt) -> Decision {
        match attempt {
            Attempt::Response(response) => self.answer(job, &response.head),
            Attempt::Redirect(head) => self.answer(job, head),
            Attempt::Failed(failure) => self.failure(job, failure),
            Attempt::NoMemory { need } => Decision::Reserve(*need),
            Attempt::Canceled => Decision::Settle(Some(canceled())),
        }
    }

    fn answer(&self, job: &Job, head: &Head) -> Decision {
        if head.status.is_success() || head.confirms(&job.call.request) {
            return Decision::Settle(None);
        }
        let mut message = format!("the server answered {}", head.status);
        if self.max_redirects > 0 {
            match Redirect::of(head, &job.call.request.url) {
                Redirect::To(target) => return self.hop(job, head.status, *target),
                Redirect::Unusable(why) => message = format!("{message}, which is not followed: {why}"),
                Redirect::None => {}
            }
        }
        let because = (ErrorKind::HttpStatus, message);
        match self.asks_for_another(meant_by(head)) {
            true if self.may_repeat(job, meant_by(head)) => self.by_status(job, head, because),
            true => Decision::Settle(Some(self.not_repeated(job, because))),
            false => Decision::Settle(Some(because)),
        }
    }

    /// Whether the status is to be retried.
    fn asks_for_another(&self, status: StatusCode) -> bool {
        self.policy.on_status.contains(&status.as_u16())
    }

    fn may_repeat(&self, job: &Job, status: StatusCode) -> bool {
        job.call.is_repeatable(&self.policy.methods) || was_not_acted_on(status)
    }

    /// The error of a line that is not retried because of its method; the message says so.
    fn not_repeated(&self, job: &Job, (kind, message): (ErrorKind, String)) -> (ErrorKind, String) {
        if u32::from(job.progress.retries) >= self.policy.retries {
            return (kind, message);
        }
        let method = &job.call.request.method;
        let why = format!("{method} is not in retry.methods, and the line has no Idempotency-Key header");
        (kind, format!("{message}; not tried again, as {why}"))
    }

    fn by_status(&self, job: &Job, head: &Head, because: (ErrorKind, String)) -> Decision {
        match head.retry_after {
            Some(wait) if wait.0 > self.policy.max_retry_after && !self.keeps_place => {
                Decision::Settle(Some(too_long(wait.0)))
            }
            // At least the back-off, so that `Retry-After: 0` does not skip it.
            Some(wait) => self.wait(job, wait.0.max(self.policy.backoff), because),
            None => self.retry(job, self.backoff(job.progress.attempts), RetryCost::Charged, because),
        }
    }

    fn failure(&self, job: &Job, failure: &Failure) -> Decision {
        let because = match failure.kind {
            ErrorKind::Timeout if self.overdue => {
                (ErrorKind::Deadline, format!("the line's deadline passed during an attempt: {}", failure.message))
            }
            kind => (kind, failure.message.clone()),
        };
        if matches!(failure.sent, Sent::Stale | Sent::LongHead) {
            return Decision::Resend(because.1);
        }
        if failure.sent == Sent::Starved {
            return self.retry(
                job,
                self.backoff(job.slot.starved.into()).min(LONGEST_STARVATION),
                RetryCost::Free,
                because,
            );
        }
        if failure.head.is_none() && self.overslept(job, failure.kind) && job.call.is_repeatable(&self.policy.methods) {
            return self.wait(job, self.backoff(1), because);
        }
        // The status decides, because the record would not show the body. The status is unreliable if the response is
        // not HTTP.
        if let Some(head) = failure.head.as_deref().filter(|_| failure.kind != ErrorKind::Protocol)
            && self.asks_for_another(meant_by(head))
            && self.may_repeat(job, meant_by(head))
        {
            return self.by_status(job, head, because);
        }
        match because.0.retry() {
            Retry::Terminal | Retry::ByStatus => Decision::Settle(Some(because)),
            Retry::Idempotent if failure.sent != Sent::Nothing && !job.call.is_repeatable(&self.policy.methods) => {
                Decision::Settle(Some(self.not_repeated(job, because)))
            }
            Retry::BeforeSend | Retry::Idempotent => {
                self.retry(job, self.backoff(job.progress.attempts), RetryCost::Charged, because)
            }
        }
    }

    /// A retry that is charged as a wait, unless retries are disabled.
    fn wait(&self, job: &Job, wait: Duration, because: (ErrorKind, String)) -> Decision {
        if self.policy.retries == 0 {
            return Decision::Settle(Some(because));
        }
        self.retry(job, wait, RetryCost::Wait, because)
    }

    /// A retry, unless none is left. The deadline is checked once the host's pause is known.
    fn retry(&self, job: &Job, wait: Duration, cost: RetryCost, because: (ErrorKind, String)) -> Decision {
        if cost == RetryCost::Charged && u32::from(job.progress.retries) >= self.policy.retries {
            return Decision::Settle(Some(because));
        }
        Decision::Retry { at: self.now + wait, cost, because }
    }

    /// Whether the attempt timed out because this process or machine stood still: its end is far too late for a timer.
    fn overslept(&self, job: &Job, kind: ErrorKind) -> bool {
        // A busy machine is not as late as that.
        const TOO_LATE: Duration = Duration::from_secs(5);
        let limit = match kind {
            ErrorKind::Timeout => job.call.limits.timeout,
            ErrorKind::ConnectTimeout | ErrorKind::DnsTimeout => self.connect_timeout,
            _ => return false,
        };
        self.wire > limit + TOO_LATE
    }

    fn backoff(&self, nth: u32) -> Duration {
        self.policy.backoff(nth, self.chance)
    }
}

/// The error of a line that was not finished when the run was given up.
pub(super) fn canceled() -> (ErrorKind, String) {
    (ErrorKind::Canceled, "the run ended before this line was finished".to_owned())
}

/// The status of a head; a 403 with a Retry-After counts as a 429.
fn meant_by(head: &Head) -> StatusCode {
    match head.status {
        StatusCode::FORBIDDEN if head.retry_after.is_some() => StatusCode::TOO_MANY_REQUESTS,
        status => status,
    }
}

/// Whether the status means that the server did not act on the request.
fn was_not_acted_on(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}
