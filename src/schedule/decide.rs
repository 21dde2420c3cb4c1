//! Decides what an attempt means for its line: settle, retry, reserve memory, or follow a redirect. Pure: facts in, decision
//! out.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode, header};
use url::Url;

use super::RetryPolicy;
use super::job::Job;
use crate::hosts::{host_name, port_of};
use crate::item::{
    Attempt, CredentialScope, ErrorKind, Extra, Failure, Head, Hop, Redirect, Request, Retry, Sent, check_url,
};

/// Files and ports come back soon, and a retry without them sends nothing to any server.
const LONGEST_STARVATION: Duration = Duration::from_secs(5);

/// Headers that say which representation is meant, and nothing of who asks for it.
const TRAVELLING: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_RANGE,
    header::RANGE,
];

/// The core's word on one attempt.
#[derive(Debug)]
pub(super) enum Decision {
    /// The line is done.
    Settle(Option<(ErrorKind, String)>),
    /// The same request once more, not before `at`.
    Retry { at: Duration, cost: RetryCost, because: (ErrorKind, String) },
    /// The same request at once on a new connection, for this reason: it met the end of a kept one.
    Resend(String),
    /// The same request once more, with this much body memory reserved.
    Reserve(u64),
    /// The redirect is followed.
    Follow(Hop, Box<Request>, CredentialScope),
}

impl Decision {
    /// Whether the line has another request before it.
    pub fn continues(&self) -> bool {
        !matches!(self, Self::Settle(_))
    }
}

/// What a retry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryCost {
    /// `retry.retries`, and the budgets.
    Charged,
    /// `retry.max_waits`: it is a request that the server was sent for nothing, or that it asked for.
    Wait,
    /// Nothing, as nothing was sent.
    Free,
}

/// What a decision needs besides the line and the attempt.
pub(super) struct AttemptContext<'a> {
    pub policy: &'a RetryPolicy,
    pub max_redirects: u32,
    pub now: Duration,
    /// Whether the line's time is over.
    pub overdue: bool,
    /// How long the attempt took.
    pub wire: Duration,
    /// DNS, TCP and TLS.
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
        if head.status.is_success() {
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
        if self.asks_for_another(job, head) {
            self.by_status(job, head, because)
        } else {
            Decision::Settle(Some(because))
        }
    }

    /// Whether the head alone says that the request is to be repeated. A 403 that says when is a 429 by another number.
    fn asks_for_another(&self, job: &Job, head: &Head) -> bool {
        let status = match head.status {
            StatusCode::FORBIDDEN if head.retry_after.is_some() => StatusCode::TOO_MANY_REQUESTS,
            status => status,
        };
        self.policy.on_status.contains(&status.as_u16()) && may_repeat(job, status)
    }

    fn by_status(&self, job: &Job, head: &Head, because: (ErrorKind, String)) -> Decision {
        match head.retry_after {
            Some(wait) if wait.0 > self.policy.max_retry_after => Decision::Settle(Some(too_long(wait.0))),
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
            return self.retry(job, self.backoff(job.slot.starved).min(LONGEST_STARVATION), RetryCost::Free, because);
        }
        if failure.head.is_none() && self.overslept(job, failure.kind) && is_idempotent(&job.call.request.method) {
            return self.wait(job, self.backoff(1), because);
        }
        // Its status decides, as its body would not be shown. What is not HTTP has no status to be trusted.
        if let Some(head) = failure.head.as_deref().filter(|_| failure.kind != ErrorKind::Protocol)
            && self.asks_for_another(job, head)
        {
            return self.by_status(job, head, because);
        }
        let again = match because.0.retry() {
            Retry::Terminal | Retry::ByStatus => false,
            Retry::BeforeSend => true,
            Retry::Idempotent => failure.sent == Sent::Nothing || is_idempotent(&job.call.request.method),
        };
        if again {
            self.retry(job, self.backoff(job.progress.attempts), RetryCost::Charged, because)
        } else {
            Decision::Settle(Some(because))
        }
    }

    /// One more attempt that is charged as a wait, unless the line is to be sent once.
    fn wait(&self, job: &Job, wait: Duration, because: (ErrorKind, String)) -> Decision {
        if self.policy.retries == 0 {
            return Decision::Settle(Some(because));
        }
        self.retry(job, wait, RetryCost::Wait, because)
    }

    /// One more attempt, unless none is left. Whether the line has the time for it is seen once the host's pause is known.
    fn retry(&self, job: &Job, wait: Duration, cost: RetryCost, because: (ErrorKind, String)) -> Decision {
        if cost == RetryCost::Charged && u32::from(job.progress.retries) >= self.policy.retries {
            return Decision::Settle(Some(because));
        }
        Decision::Retry { at: self.now + wait, cost, because }
    }

    /// Whether the attempt ran out of time while this process, or the whole machine, stood still: its end comes far too
    /// late for a timer, and it may be that nothing was wrong.
    fn overslept(&self, job: &Job, kind: ErrorKind) -> bool {
        // A machine that is merely busy is not as late as that.
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

    fn hop(&self, job: &Job, status: StatusCode, target: Url) -> Decision {
        let from = &job.call.request;
        let method = method_after(status, &from.method);
        if let Some(refusal) = self.refuse(job, &target, &method) {
            return Decision::Settle(Some(refusal));
        }
        let credential_scope =
            if stays_at_own_host(job, &target) { CredentialScope::OwnHost } else { CredentialScope::OtherHost };
        let mut extra = from.extra.clone();
        if let Some(extra) = &mut extra {
            if credential_scope == CredentialScope::OtherHost {
                // The line's headers belong to the host of its own URL; elsewhere they may be credentials.
                extra.headers =
                    TRAVELLING.iter().filter_map(|name| Some((name.clone(), extra.headers.remove(name)?))).collect();
            }
            if method != from.method {
                without_body(extra);
            }
        }
        let request = Request { method, url: target, extra };
        let hop = Hop { url: from.url.clone(), method: from.method.clone(), status };
        Decision::Follow(hop, Box::new(request), credential_scope)
    }

    fn refuse(&self, job: &Job, target: &Url, method: &Method) -> Option<(ErrorKind, String)> {
        let from = &job.call.request;
        if let Err(rejection) = check_url(target) {
            return Some((rejection.kind, format!("the redirect was refused: {}", rejection.message)));
        }
        if from.url.scheme() == "https" && target.scheme() == "http" {
            return Some((ErrorKind::RedirectDowngrade, format!("the redirect from https to {target} was refused")));
        }
        let seen = |url: &Url, its_method: &Method| url == target && its_method == method;
        if seen(&from.url, &from.method) || job.progress.hops.iter().any(|hop| seen(&hop.url, &hop.method)) {
            return Some((ErrorKind::RedirectLoop, format!("the redirect leads back to {target}")));
        }
        if job.progress.hops.len() >= self.max_redirects as usize {
            let message =
                format!("more than {} redirects; raise fetch.max_redirects to follow more", self.max_redirects);
            return Some((ErrorKind::TooManyRedirects, message));
        }
        None
    }
}

/// Takes the body away, and what was said of it.
fn without_body(extra: &mut Extra) {
    extra.body = None;
    let about_the_body = |name: &&HeaderName| name.as_str().starts_with("content-");
    let names: Vec<_> = extra.headers.keys().filter(about_the_body).cloned().collect();
    for name in names {
        extra.headers.remove(name);
    }
}

/// The error of a line that was not finished when the run was given up.
pub(super) fn canceled() -> (ErrorKind, String) {
    (ErrorKind::Canceled, "the run ended before this line was finished".to_owned())
}

/// The error of a line whose host asked to be left alone for longer than the configuration allows.
pub(super) fn too_long(wait: Duration) -> (ErrorKind, String) {
    let message = format!("the host asked for {} s of rest; retry.max_retry_after allows less", wait.as_secs());
    (ErrorKind::RetryAfterTooLong, message)
}

/// RFC 9110, section 9.2.2; TRACE is never sent.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

/// Statuses by which a server says that it did not act on the request.
fn was_not_acted_on(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

fn may_repeat(job: &Job, status: StatusCode) -> bool {
    is_idempotent(&job.call.request.method) || was_not_acted_on(status)
}

/// 303 asks for a GET; 301 and 302 turn a POST into one, as every client does; 307 and 308 keep the method.
fn method_after(status: StatusCode, method: &Method) -> Method {
    match (status.as_u16(), method) {
        (303, &Method::HEAD) => Method::HEAD,
        (303, _) | (301 | 302, &Method::POST) => Method::GET,
        _ => method.clone(),
    }
}

/// The same host and port under the same scheme, or its step from http to https on the default ports.
fn stays_at_own_host(job: &Job, target: &Url) -> bool {
    let from = &job.call.request.url;
    let upgraded =
        from.scheme() == "http" && target.scheme() == "https" && port_of(from) == 80 && port_of(target) == 443;
    job.call.credential_scope == CredentialScope::OwnHost
        && host_name(from) == host_name(target)
        && (upgraded || (from.scheme() == target.scheme() && port_of(from) == port_of(target)))
}
