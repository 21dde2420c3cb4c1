//! A walk from page to page, as a pure state machine: what is asked for next, and what an answer means.
//!
//! Its state is the entry of the last page, which stands in that page's record and then in the checkpoint. So a restart goes
//! on as the run before would have gone on.

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

/// How long a page that failed is left alone, at least and at most; the time doubles with each failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    /// Where it is.
    pub url: Url,
    /// How long that has time.
    pub after: Duration,
    /// What is known of the page before its answer: how often it has failed, too.
    entry: PageEntry,
}

/// What was read of a page.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    /// How many items it has, if somebody counts them.
    pub items: Option<u64>,
    /// Whether it says that there are more pages, or says nothing.
    pub more: More,
    /// What it says of the next page.
    pub next: Option<String>,
    /// The newest time of its items.
    pub newest: Option<Moment>,
    /// Its URL after redirects, which relative ones start from.
    pub url: Url,
    /// Its body, where only a number tells one page from the next.
    pub body: Option<Digest>,
}

/// What a page says of further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// There may be some.
    Perhaps,
    /// There are none.
    No,
}

/// Why a record is not that of a page like all others: its kind, and a sentence.
pub(super) type Flaw = (ErrorKind, String);

/// How a walk goes on after a page that was read.
enum Step {
    To(Url),
    /// The walk is over, for this reason: a clause.
    End(&'static str),
    /// The walk ends before its end.
    Cut(Flaw),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    plan: Arc<Plan>,
    seen: Seen,
    /// Which walk begins where no page is known.
    first: u64,
    last: Option<PageEntry>,
    /// Why the last walk that ended in this run did: a clause about its last page.
    ended_as: &'static str,
}

impl Walk {
    /// A source's first walk.
    pub fn begin(plan: Arc<Plan>, seen: Seen) -> Self {
        Self { plan, seen, first: 1, last: None, ended_as: "" }
    }

    /// Goes on after this page, or begins anew where that was one of another `url`, or leads to an origin that is not allowed any more. A page that failed is asked for soon:
    /// a person may have mended the cause before the start.
    pub fn resume(plan: Arc<Plan>, seen: Seen, last: PageEntry) -> Self {
        let is_forbidden = last.next.as_ref().is_some_and(|next| !plan.allows(next));
        if last.url_digest != plan.url_digest || is_forbidden {
            return Self { first: last.walk + 1, ..Self::begin(plan, seen) };
        }
        let failures = last.failures.map(|failures| failures.min(1));
        Self { first: last.walk, last: Some(PageEntry { failures, ..last }), ..Self::begin(plan, seen) }
    }

    /// What it goes by.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The last page that was answered, in this run or before.
    pub fn last(&self) -> Option<&PageEntry> {
        self.last.as_ref()
    }

    /// Why the last walk that ended in this run did: a clause about its last page.
    pub fn ended_as(&self) -> &'static str {
        self.ended_as
    }

    /// What is asked for now; nothing where the walk has ended and no other one follows.
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

    /// Takes a page that cannot be used: it comes again.
    pub fn failed(&mut self, ask: &Ask) {
        let failures = ask.entry.failures.unwrap_or(0).saturating_add(1);
        let next = Some(ask.url.clone());
        self.last = Some(PageEntry { failures: Some(failures), next, ..ask.entry.clone() });
    }

    /// Takes a page that was read. A flaw is for its record: the walk is cut off there, or the page cannot be used.
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
            // What comes after the cut may be older, and is not to be missed.
            Step::Cut(flaw) => (None, None, Some(flaw)),
        };
        self.last = Some(PageEntry { items: page.items, failures: None, next, newest, ..before });
        flaw
    }

    /// How the walk goes on.
    ///
    /// # Errors
    /// A sentence, when what the page says of the next one cannot be requested.
    fn step(&self, ask: &Ask, page: &Contents) -> Result<Step, String> {
        if page.items == Some(0) {
            return Ok(Step::End("it has no items"));
        }
        if page.more == More::No {
            return Ok(Step::End("it says at `more` that there are no more"));
        }
        if self.seen.has_body(page.body) {
            let message = "the walk ends here: this page is the same as an earlier one, so the API does not count as `next` of this source does";
            return Ok(Step::Cut((ErrorKind::PageLoop, message.to_owned())));
        }
        let next = self.plan.next.after(&ask.url, &page.url, ask.entry.number, page.next.as_deref());
        let Some(next) = next.map_err(|error| format!("what the page gives as the next URL is none: {error}"))? else {
            return Ok(Step::End("it has no next page where `next` looks for one"));
        };
        if !self.plan.allows(&next) {
            return Ok(Step::Cut((ErrorKind::PageOrigin, foreign(&next))));
        }
        check_url(&next).map_err(|rejection| format!("the next page cannot be requested: {}", rejection.message))?;
        if next == ask.url || self.seen.has_request(digest(&next)) {
            let message = "the walk ends here: the page leads back to one that this walk has had";
            return Ok(Step::Cut((ErrorKind::PageLoop, message.to_owned())));
        }
        if ask.entry.number >= self.plan.max_pages {
            let most = self.plan.max_pages;
            let message = format!(
                "the walk ends here, for it has had {most} pages, and there are more; raise `max_pages` of this source"
            );
            return Ok(Step::Cut((ErrorKind::PageLimit, message)));
        }
        Ok(Step::To(next))
    }
}

/// The page after this one, or this one once more where it has failed.
fn page_after(last: &PageEntry, url: Url) -> Ask {
    let entry = PageEntry { number: last.pages() + 1, items: None, next: None, ..last.clone() };
    Ask { url, after: backoff(last.failures.unwrap_or(0)), entry }
}

/// The newest time of all walks. What changed while the last one was under way may have been missed by it, whatever newer
/// things it had; and a time in the future would hide all that comes before it.
fn newest_before(last: &PageEntry) -> Option<Moment> {
    let all = newest(last.since.clone(), last.newest.clone())?;
    Some(match last.began {
        Some(began) => all.at_most(began),
        None => all,
    })
}

/// Names the origin of a page that is not asked for. The rest of its URL may have a token in it.
fn foreign(next: &Url) -> String {
    let origin = match check_url(next) {
        Ok(()) => origin_of(next),
        Err(_) => "another kind of place",
    };
    format!(
        "the walk ends here: the next page is at {origin}, which is not the origin of `url`; if it may be asked, add it to `origins` of this source"
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

/// How long a page is left alone that has failed so often in a row.
pub(super) fn backoff(failures: u32) -> Duration {
    let (least, most) = BACKOFF;
    match failures {
        0 => Duration::ZERO,
        n => least.saturating_mul(1 << (n - 1).min(20)).min(most),
    }
}

/// How long the next walk has time. A clock that was set back makes that no longer than `every`.
fn until_next(began: Timestamp, every: Duration, now: Timestamp) -> Duration {
    let over = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX) - now.duration_since(began);
    Duration::try_from(over).unwrap_or(Duration::ZERO).min(every)
}

fn in_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
