//! A walk from page to page, as a pure state machine: the next request, and the effect of a response.
//!
//! Its state is the entry of the last page, which is in that page's record and then in the checkpoint. So a restart
//! continues exactly like the run before.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::digest::Digest;
use super::entry::PageEntry;
use super::moment::Moment;
use super::plan::Plan;
use super::seen::{Seen, SeenPage};
use crate::hosts::origin_of;
use crate::item::{ErrorKind, check_url};

/// The least and the most backoff of a failed page; it doubles with each failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));

/// A request for a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    /// The URL of the page.
    pub url: Url,
    /// The delay of the request.
    pub after: Duration,
    /// The entry of the page before its response, its failures included.
    entry: PageEntry,
}

/// The contents of a page.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    /// The number of its items, if `items` is configured.
    pub items: Option<u64>,
    /// Whether there are more pages.
    pub more: More,
    /// The URL or cursor of the next page.
    pub next: Option<String>,
    /// The newest time of its items.
    pub newest: Option<Moment>,
    /// Its URL after redirects, the base of relative URLs.
    pub url: Url,
    /// The digest of its body, if pages are counted.
    pub body: Option<Digest>,
}

/// Whether there are more pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// There may be more.
    Perhaps,
    /// The page says that there are none.
    No,
}

/// The error in the record of a page: its kind, and a sentence.
pub(super) type Flaw = (ErrorKind, String);

/// The next step of a walk after a page.
enum Step {
    To(Url),
    /// The walk is complete, for this reason: a clause.
    End(&'static str),
    /// The walk is cut off, with this error.
    Cut(Flaw),
}

/// The walks of a source.
#[derive(Debug)]
pub(super) struct Walk {
    plan: Arc<Plan>,
    seen: Seen,
    /// The number of the walk that begins if there is no last page.
    first: u64,
    last: Option<PageEntry>,
    /// Why the last walk of this run ended: a clause about its last page.
    ended_as: &'static str,
}

impl Walk {
    /// Begins the first walk of a source.
    pub fn begin(plan: Arc<Plan>, seen: Seen) -> Self {
        Self { plan, seen, first: 1, last: None, ended_as: "" }
    }

    /// Continues after a page, or begins anew if `url` has changed or the next page's origin is no longer allowed. A
    /// failed page is retried soon, because the cause may have been fixed before the start.
    pub fn resume(plan: Arc<Plan>, seen: Seen, last: PageEntry) -> Self {
        let is_forbidden = last.next.as_ref().is_some_and(|next| !plan.allows(next));
        if last.url_digest != plan.url_digest || is_forbidden {
            return Self { first: last.walk + 1, ..Self::begin(plan, seen) };
        }
        let failures = last.failures.map(|failures| failures.min(1));
        Self { first: last.walk, last: Some(PageEntry { failures, ..last }), ..Self::begin(plan, seen) }
    }

    /// The plan of the walk.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The entry of the last answered page, in this run or before.
    pub fn last(&self) -> Option<&PageEntry> {
        self.last.as_ref()
    }

    /// Why the last walk of this run ended: a clause about its last page.
    pub fn ended_as(&self) -> &'static str {
        self.ended_as
    }

    /// The next request; `None` if the walk has ended and no other one follows.
    pub fn ask(&mut self, now: Timestamp) -> Option<Ask> {
        let ask = match &self.last {
            None => self.first_page(self.first, None, now),
            Some(last) => match &last.next {
                Some(url) => page_after(last, url.clone()),
                None => self.next_walk(last, now)?,
            },
        };
        self.seen.begin(ask.entry.walk);
        Some(ask)
    }

    fn next_walk(&self, last: &PageEntry, now: Timestamp) -> Option<Ask> {
        let every = self.plan.every?;
        let wait = last.began.map_or(Duration::ZERO, |began| until_next(began, every, now));
        let begins = now.checked_add(wait).unwrap_or(now);
        Some(Ask { after: wait, ..self.first_page(last.walk + 1, newest_before(last), begins) })
    }

    fn first_page(&self, walk: u64, since: Option<Moment>, now: Timestamp) -> Ask {
        let entry = PageEntry {
            walk,
            number: 1,
            items: None,
            failures: None,
            next: None,
            began: self.plan.every.map(|_| in_millis(now)),
            since,
            newest: None,
            url_digest: self.plan.url_digest,
        };
        Ask { url: self.plan.first(entry.since.as_ref()), after: Duration::ZERO, entry }
    }

    /// Notes a page that failed or cannot be used; it is requested again.
    pub fn failed(&mut self, ask: &Ask) {
        let failures = ask.entry.failures.unwrap_or(0).saturating_add(1);
        let next = Some(ask.url.clone());
        self.last = Some(PageEntry { failures: Some(failures), next, ..ask.entry.clone() });
    }

    /// Advances the walk by a page. Returns the error for its record if the walk is cut off or the page cannot be used.
    pub fn read(&mut self, ask: &Ask, page: Contents) -> Option<Flaw> {
        let step = match self.step(ask, &page) {
            Ok(step) => step,
            Err(message) => {
                self.failed(ask);
                return Some((ErrorKind::PageUnreadable, message));
            }
        };
        let before = ask.entry.clone();
        self.seen.add(SeenPage { number: before.number, request: digest(&ask.url), body: page.body });
        let newest = newest(before.newest.clone(), page.newest);
        let (next, newest, flaw) = match step {
            Step::To(next) => (Some(next), newest, None),
            Step::End(reason) => {
                self.ended_as = reason;
                (None, newest, None)
            }
            // Items after the cut may be older, and must not be missed.
            Step::Cut(flaw) => (None, None, Some(flaw)),
        };
        self.last = Some(PageEntry { items: page.items, failures: None, next, newest, ..before });
        flaw
    }

    /// The step after a page.
    ///
    /// # Errors
    /// A sentence, when the next page cannot be requested.
    fn step(&self, ask: &Ask, page: &Contents) -> Result<Step, String> {
        if page.items == Some(0) {
            return Ok(Step::End("it has no items"));
        }
        if page.more == More::No {
            return Ok(Step::End("its value at `more` says that there are no more"));
        }
        if self.seen.has_body(page.body) {
            let message = "the walk ends here: this page is the same as an earlier one, so the API does not count like `next` of this source; correct `next`";
            return Ok(Step::Cut((ErrorKind::PageLoop, message.to_owned())));
        }
        let next = self.plan.next.after(&ask.url, &page.url, ask.entry.number, page.next.as_deref());
        let Some(next) = next.map_err(|error| format!("the next URL of the page is invalid: {error}"))? else {
            return Ok(Step::End("it has no next page by `next`"));
        };
        if !self.plan.allows(&next) {
            return Ok(Step::Cut((ErrorKind::PageOrigin, foreign(&next))));
        }
        check_url(&next).map_err(|rejection| format!("the next page cannot be requested: {}", rejection.message))?;
        if next == ask.url || self.seen.has_request(digest(&next)) {
            let message = "the walk ends here: the next page was already read in this walk";
            return Ok(Step::Cut((ErrorKind::PageLoop, message.to_owned())));
        }
        if ask.entry.number >= self.plan.max_pages {
            let most = self.plan.max_pages;
            let message = format!(
                "the walk ends here: it has read {most} pages, and there are more; raise `max_pages` of this source"
            );
            return Ok(Step::Cut((ErrorKind::PageLimit, message)));
        }
        Ok(Step::To(next))
    }
}

/// The request for the next page, or for the same page if it failed.
fn page_after(last: &PageEntry, url: Url) -> Ask {
    let entry = PageEntry { number: last.pages() + 1, items: None, next: None, ..last.clone() };
    Ask { url, after: backoff(last.failures.unwrap_or(0)), entry }
}

/// The newest time of all walks, capped at the beginning of the last one: it may have missed changes since then, and a
/// time in the future would hide all changes before it.
fn newest_before(last: &PageEntry) -> Option<Moment> {
    let all = newest(last.since.clone(), last.newest.clone())?;
    Some(match last.began {
        Some(began) => all.at_most(began),
        None => all,
    })
}

/// The message about a forbidden origin. It omits the rest of the URL, which may contain a token.
fn foreign(next: &Url) -> String {
    let origin = match check_url(next) {
        Ok(()) => origin_of(next),
        Err(_) => "a URL that cannot be requested",
    };
    format!(
        "the walk ends here: the next page is at {origin}, which is not the origin of `url`; to allow it, add it to `origins` of this source"
    )
}

fn digest(url: &Url) -> Digest {
    Digest::of(url.as_str().as_bytes())
}

fn newest(before: Option<Moment>, page: Option<Moment>) -> Option<Moment> {
    match (before, page) {
        (Some(before), Some(page)) => Some(before.newer(page)),
        (before, page) => before.or(page),
    }
}

/// The backoff after consecutive failures.
pub(super) fn backoff(failures: u32) -> Duration {
    let (least, most) = BACKOFF;
    match failures {
        0 => Duration::ZERO,
        n => least.saturating_mul(1 << (n - 1).min(20)).min(most),
    }
}

/// The time until the next walk, at most `every` even if the clock was set back.
fn until_next(began: Timestamp, every: Duration, now: Timestamp) -> Duration {
    let over = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX) - now.duration_since(began);
    Duration::try_from(over).unwrap_or(Duration::ZERO).min(every)
}

fn in_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
