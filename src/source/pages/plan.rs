//! The plan of a source's walks: its checked configuration.

use std::time::Duration;

use url::Url;

use super::Pages;
use super::digest::Digest;
use super::extract::Pointers;
use super::moment::Moment;
use super::next::{NextForm, with_param};
use super::pointer::Pointer;
use crate::hosts::{host_name, origin_of, port_of};
use crate::item::{check_url, parse};
use crate::units::Span;

/// The most pages of a walk, which remembers each.
const MOST_PAGES: u64 = 1_000_000;

/// The checked configuration.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub next: NextForm,
    pub pointers: Pointers,
    pub max_pages: u64,
    /// From the beginning of a walk to that of the next one.
    pub every: Option<Duration>,
    /// The digest of `url`: another URL begins another walk.
    pub url_digest: Digest,
    url: Url,
    since: Option<SinceParam>,
    /// Allowed origins besides that of `url`.
    origins: Vec<Url>,
}

/// How the next walk requests new items.
#[derive(Clone, Debug)]
struct SinceParam {
    name: String,
    overlap: Duration,
}

/// A problem of a key of the table.
#[derive(Debug)]
pub(super) struct Wrong {
    pub key: &'static str,
    pub message: String,
}

impl Plan {
    /// The plan of a table.
    ///
    /// # Errors
    /// All problems of the table.
    pub fn of(pages: &Pages) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let url = note(&mut wrong, "url", read_url(pages.url.expose()));
        let next = note(&mut wrong, "next", pages.next.form());
        let items = note(&mut wrong, "items", one("items", pages.items.as_deref()));
        let more = note(&mut wrong, "more", one("more", pages.more.as_deref()));
        let times = note(&mut wrong, "since", times(pages));
        note(&mut wrong, "every", check_every(pages.every));
        note(&mut wrong, "max_pages", check_max_pages(pages.max_pages));
        let origins = note(&mut wrong, "origins", pages.origins.iter().map(|text| read_origin(text)).collect());
        if next.as_ref().is_some_and(NextForm::counts) && pages.items.is_none() && pages.more.is_none() {
            let message = "`next` counts on for ever, so something else has to end a walk; add `items`, where the page has its items, for example items = \"/data\"";
            wrong.push(Wrong { key: "next", message: message.to_owned() });
        }
        let (Some(url), Some(next), Some(items), Some(more), Some(times), Some(origins), []) =
            (url, next, items, more, times, origins, wrong.as_slice())
        else {
            return Err(wrong);
        };
        let place = match &next {
            NextForm::Url(at) | NextForm::Cursor { at, .. } => Some(at.clone()),
            NextForm::Link(_) | NextForm::Count { .. } => None,
        };
        let since = pages.since.as_ref();
        Ok(Self {
            pointers: Pointers { items, more, next: place, times },
            next,
            max_pages: pages.max_pages,
            every: pages.every.map(|every| every.0),
            url_digest: Digest::of(url.as_str().as_bytes()),
            url,
            since: since.map(|since| SinceParam { name: since.param.clone(), overlap: since.overlap.0 }),
            origins,
        })
    }

    /// The request for the first page of a walk over all items, or over those that are new since a time.
    pub fn first(&self, since: Option<&Moment>) -> Url {
        let url = match (&self.since, since) {
            (Some(param), Some(since)) => with_param(&self.url, &param.name, &since.minus(param.overlap)),
            _ => self.url.clone(),
        };
        self.next.first(&url)
    }

    /// Whether a page may be at this URL. Its host gets the configured headers, tokens included.
    pub fn allows(&self, next: &Url) -> bool {
        is_same_origin(&self.url, next) || self.origins.iter().any(|origin| is_same_origin(origin, next))
    }
}

/// The same scheme, host and port, or the step from http to https on the default ports, as for redirects.
fn is_same_origin(own: &Url, other: &Url) -> bool {
    let ports = (port_of(own), port_of(other));
    let is_upgraded = (own.scheme(), other.scheme()) == ("http", "https") && ports == (80, 443);
    let is_same = own.scheme() == other.scheme() && ports.0 == ports.1;
    host_name(own) == host_name(other) && (is_same || is_upgraded)
}

fn note<T>(wrong: &mut Vec<Wrong>, key: &'static str, value: Result<T, String>) -> Option<T> {
    value.map_err(|message| wrong.push(Wrong { key, message })).ok()
}

fn read_url(text: &str) -> Result<Url, String> {
    match parse(text.as_bytes()).1 {
        Ok(request) => Ok(request.url),
        Err(rejection) => Err(format!("`url` cannot be requested: {}", rejection.message)),
    }
}

fn read_origin(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| check_url(url).is_ok());
    url.filter(|url| url.as_str().strip_prefix(origin_of(url)) == Some("/")).ok_or_else(|| {
        "an element of `origins` is not a scheme with a host; write for example \"https://files.example.com\""
            .to_owned()
    })
}

fn one(key: &str, text: Option<&str>) -> Result<Option<Pointer>, String> {
    text.map(Pointer::to_one).transpose().map_err(|why| format!("`{key}` {why}"))
}

fn times(pages: &Pages) -> Result<Option<Pointer>, String> {
    let Some(since) = &pages.since else { return Ok(None) };
    if since.param.is_empty() {
        return Err(
            "`since` needs `param`, the parameter that requests new items; add for example param = \"updated_since\""
                .to_owned(),
        );
    }
    if since.from.is_empty() {
        return Err(
            "`since` needs `from`, the pointer to the times of items; add for example from = \"/data/*/updated_at\""
                .to_owned(),
        );
    }
    if pages.every.is_none() {
        return Err("`since` is for walks after the first one, and without `every` there is only one; add for example every = \"1h\"".to_owned());
    }
    if since.overlap > Span::LONGEST {
        return Err(format!("`since.overlap` is {}; it can be at most a year, `8760h`", since.overlap));
    }
    Pointer::to_each(&since.from).map(Some).map_err(|why| format!("`since.from` {why}"))
}

fn check_every(every: Option<Span>) -> Result<(), String> {
    match every {
        Some(every) if every.0.is_zero() => {
            Err("`every` is zero, so walks would never pause; write for example \"1h\"".to_owned())
        }
        Some(every) if every > Span::LONGEST => Err(format!("`every` is {every}; it can be at most a year, `8760h`")),
        _ => Ok(()),
    }
}

fn check_max_pages(max_pages: u64) -> Result<(), String> {
    if (1..=MOST_PAGES).contains(&max_pages) {
        return Ok(());
    }
    Err(format!("`max_pages` is {max_pages}; it can be from 1 to {MOST_PAGES}"))
}
