//! The source `pages`: a paginated API, in which each page leads to the next. Each page is a line: its response is read
//! before its record is written, and the next page is requested once every sink has the record.
//!
//! The table becomes a `plan`, and the plan a `walk`, which a `thread` drives. `reader` reads responses, with `extract`
//! for bodies and `link` for headers; `next` builds the requests.

mod digest;
mod entry;
mod extract;
mod link;
mod moment;
mod next;
mod plan;
mod pointer;
mod reader;
mod seen;
mod thread;
mod walk;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{CheckContext, Durability, Inputs, SavedState, Source, SourceConfig};
use crate::diagnostics::Section;
use crate::error::{AtPath, BoxError};
use crate::item::{BodyNeed, Identity, Needs, RawJson, answers};
use crate::units::{Secret, Span};
use entry::PageEntry;
use next::NextTable;
use plan::Plan;
use seen::Seen;
use thread::Asker;
use walk::Walk;

/// `[source.NAME.pages]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The URL of the first page. A secret, because a URL with a password is refused and must not be shown.
    pub url: Secret<String>,
    /// How a walk gets from a page to the next one.
    pub next: NextTable,
    /// The pointer to the items of a page: a page without items ends the walk.
    #[serde(default)]
    pub items: Option<String>,
    /// The pointer to the value that says whether there are more pages.
    #[serde(default)]
    pub more: Option<String>,
    /// The most pages of a walk.
    #[serde(default = "default_max_pages")]
    pub max_pages: u64,
    /// The interval of walks, from one beginning to the next.
    #[serde(default)]
    pub every: Option<Span>,
    /// How later walks request only new items.
    #[serde(default)]
    pub since: Option<Since>,
    /// Allowed origins of pages besides that of `url`.
    #[serde(default)]
    pub origins: Vec<String>,
}

/// `since` of `[source.NAME.pages]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The query parameter that requests new items.
    #[serde(default)]
    pub param: String,
    /// The pointer to the times of the items.
    #[serde(default)]
    pub from: String,
    /// How far before the newest time of the last walk the next walk begins.
    #[serde(default = "no_overlap")]
    pub overlap: Span,
}

fn default_max_pages() -> u64 {
    10_000
}

fn no_overlap() -> Span {
    Span::secs(0)
}

impl Pages {
    fn plan(&self) -> Result<Plan, BoxError> {
        // A checked configuration has no problems.
        Plan::of(self)
            .map_err(|wrong| wrong.into_iter().map(|wrong| wrong.message).collect::<Vec<_>>().join("; ").into())
    }

    /// Resumes a walk from the saved state; also returns the number of earlier lines.
    fn resume(plan: Plan, name: &str, saved: &SavedState) -> Result<(Walk, u64), BoxError> {
        let (last, done) = (saved_page(name, saved)?, saved.files.get("").map_or(0, |lines| lines.through()));
        let (walk, pages) = last.as_ref().map_or((0, 0), |last| (last.walk, last.pages()));
        let seen = Seen::open(saved.disk.as_ref(), &saved.dir, walk, pages);
        let seen = seen.map_err(|error| AtPath::new(&saved.dir, error))?;
        match last {
            Some(last) => {
                Self::say_what_goes_on(&last, &plan, name);
                Ok((Walk::resume(Arc::new(plan), seen, last), done))
            }
            None if done == 0 => Ok((Walk::begin(Arc::new(plan), seen), 0)),
            None => Err(damaged(name, "is not there")),
        }
    }

    /// Logs where the walk continues.
    fn say_what_goes_on(last: &PageEntry, plan: &Plan, name: &str) {
        let (walk, number) = (last.walk, last.number);
        if last.url_digest != plan.url_digest {
            tracing::warn!(source = name, "the `url` of `{name}` has changed; walking from the first page");
        } else if last.next.as_ref().is_some_and(|next| !plan.allows(next)) {
            tracing::warn!(
                source = name,
                "the next page of `{name}` is at an origin that `origins` no longer lists; walking from the first page"
            );
        } else if last.next.is_none() && plan.every.is_none() {
            tracing::info!(
                source = name,
                walk,
                number,
                "the walk of `{name}` ended with page {number} in an earlier run and is not repeated; give the source another name to walk once more, or set `every` to walk regularly"
            );
        } else if let (None, Some(every)) = (&last.next, plan.every) {
            let due = last.began.and_then(|began| began.checked_add(every).ok());
            let at = due.unwrap_or_default().max(Timestamp::now());
            tracing::info!(
                source = name,
                walk,
                number,
                "walk {walk} of `{name}` ended with page {number}; the next one begins at {at:.0}"
            );
        } else {
            tracing::info!(source = name, walk, number, "walk {walk} of `{name}` continues after page {number}");
        }
    }
}

/// The last page that is done, if there is one.
fn saved_page(name: &str, saved: &SavedState) -> Result<Option<PageEntry>, BoxError> {
    let page = saved.position.as_ref().map(RawJson::read).transpose();
    page.map_err(|error| damaged(name, &format!("cannot be read ({error})")))
}

fn damaged(name: &str, why: &str) -> BoxError {
    format!("the checkpoint is damaged: the position of `{name}` {why}").into()
}

impl SourceConfig for Pages {
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>) {
        for wrong in Plan::of(self).err().into_iter().flatten() {
            section.add(wrong.key, wrong.message);
        }
        if self.every.is_some() && context.data_dir.is_none() {
            let message = "walks with `every` need a place to remember the last one; write for example [state] with data_dir = \"/var/lib/fetchd\"";
            section.add("every", message);
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs::default()
    }

    fn needs(&self) -> Needs {
        let reads_body =
            self.next.link.is_none() || self.items.is_some() || self.more.is_some() || self.since.is_some();
        let body = if reads_body { BodyNeed::Decoded } else { BodyNeed::Length };
        Needs { body, response_headers: self.next.link.is_some(), ..Needs::default() }
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn is_repeated(&self) -> bool {
        false
    }

    fn first_url(&self) -> Option<Url> {
        Url::parse(self.url.expose()).ok()
    }

    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError> {
        let (plan, label) = (self.plan()?, name.clone().unwrap_or_else(|| "pages".into()));
        let durability = if saved.is_some() { Durability::Resumable } else { Durability::Ephemeral };
        let (walk, seq) = match &saved {
            Some(saved) => Self::resume(plan, &label, saved)?,
            None => (Walk::begin(Arc::new(plan), Seen::default()), 0),
        };
        let id = Identity { state_id: saved.map(|saved| saved.state_id), source: name, file: None, seq, round: 0 };
        let (desk, reader) = answers();
        let lines = Asker { walk, id, name: label }.start(reader);
        Ok(Source { answers: Some(desk), ..Source::new(lines, durability) })
    }
}

#[cfg(test)]
mod model;
