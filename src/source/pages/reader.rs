//! Reads the contents of a page from its record.

use std::borrow::Cow;

use http::StatusCode;
use http::header::LINK;
use url::Url;

use super::digest::Digest;
use super::extract::{Found, Items, extract};
use super::link;
use super::next::NextForm;
use super::plan::Plan;
use super::walk::{Contents, Flaw, More};
use crate::item::{ErrorKind, Head, Outcome, Received, Record, Response, header_text};

/// The longest body that is read.
const MOST_BYTES: u64 = 8 << 20;

/// Why a page is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The request failed, as its record says.
    Failed,
    /// The page cannot be used.
    Flawed(Flaw),
}

/// Reads the page of a record.
///
/// # Errors
/// When the record is not `ok`, or its body does not match the configuration.
pub(super) fn read(plan: &Plan, record: &Record) -> Result<Contents, Unread> {
    let (Outcome::Ok, Received::Response(response)) = (record.outcome, &record.received) else {
        return Err(Unread::Failed);
    };
    let url = record.final_url.as_ref().or(record.url.as_ref()).ok_or(Unread::Failed)?.clone();
    check_length(response).map_err(Unread::Flawed)?;
    page(plan, response, url).map_err(|message| Unread::Flawed((ErrorKind::PageUnreadable, message)))
}

fn check_length(Response { body, .. }: &Response) -> Result<(), Flaw> {
    let why = match () {
        () if body.truncated => "the page was cut at `max_body`; raise it, or",
        () if body.bytes > MOST_BYTES => "the page is longer than 8 MiB, the most that a walk reads;",
        () => return Ok(()),
    };
    Err((ErrorKind::BodyTooLarge, format!("{why} ask the API for fewer items a page")))
}

fn page(plan: &Plan, response: &Response, url: Url) -> Result<Contents, String> {
    let (data, head) = (&response.body.data, &response.head);
    let nothing = Contents { items: None, more: More::Perhaps, next: None, newest: None, url, body: None };
    if head.status == StatusCode::NO_CONTENT && !plan.pointers.are_none() {
        // Some APIs answer 204 if there are no items.
        return Ok(Contents { items: Some(0), ..nothing });
    }
    let found = match plan.pointers.are_none() {
        true => Found::default(),
        false => extract(data, &plan.pointers).map_err(|error| format!("the page is not JSON: {error}"))?,
    };
    let items = items(plan, &found)?;
    // A page without items is the last one, even if it lacks `more`.
    let more = if items == Some(0) { More::Perhaps } else { more(plan, &found)? };
    if items > Some(0) && plan.pointers.times.is_some() && found.newest.is_none() {
        return Err("no item of the page has a time at `since.from`".to_owned());
    }
    let next = match &plan.next {
        NextForm::Link(relation) => linked(head, relation),
        form => form.read(found.next)?,
    };
    let body = plan.next.counts().then(|| Digest::of(data));
    Ok(Contents { items, more, next, newest: found.newest, body, ..nothing })
}

fn items(plan: &Plan, found: &Found<'_>) -> Result<Option<u64>, String> {
    let Some(pointer) = &plan.pointers.items else { return Ok(None) };
    match found.items {
        Some(Items::Of(count)) => Ok(Some(count)),
        Some(Items::Scalar) => Err(format!("the page's value at `{pointer}` is not a list of items")),
        None => Err(format!("the page has nothing at `{pointer}`, where its items should be")),
    }
}

/// Whether the page says that there are more pages. 0 and "" mean no, as in most languages.
fn more(plan: &Plan, found: &Found<'_>) -> Result<More, String> {
    let Some(pointer) = &plan.pointers.more else { return Ok(More::Perhaps) };
    match found.more {
        Some("false" | "null" | "0" | "\"\"") => Ok(More::No),
        Some(json) if !json.starts_with(['[', '{']) => Ok(More::Perhaps),
        Some(_) => Err(format!("the page's value at `{pointer}` does not say whether there is more")),
        None => Err(format!("the page has nothing at `{pointer}`, where it should say whether there is more")),
    }
}

fn linked(head: &Head, relation: &str) -> Option<String> {
    let values: Vec<Cow<'_, str>> = head
        .headers
        .iter()
        .flat_map(|headers| headers.get_all(LINK))
        .map(|value| header_text(value.as_bytes()))
        .collect();
    link::target(values.iter().map(AsRef::as_ref), relation).map(str::to_owned)
}
