//! A model test of walks over random APIs: graphs of pages that may fail, with restarts of the program between pages.
//!
//! An oracle follows the links by itself. The walk must record the same pages and the same end, whatever fails and
//! however often the program restarts.

mod examples;

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Pages;
use super::entry::PageEntry;
use super::plan::Plan;
use super::reader;
use super::seen::Seen;
use super::walk::Walk;
use crate::disk::RealDisk;
use crate::item::{Body, Echo, ErrorKind, Head, Identity, Outcome, RawJson, Received, Record, Rejection, Response};

/// An API, by its pages. The first one is page 0.
#[derive(Clone, Debug)]
struct Api {
    pages: Vec<ApiPage>,
}

#[derive(Clone, Debug)]
struct ApiPage {
    items: u64,
    more: bool,
    /// The next page; a number without a page leads to another origin.
    next: Option<usize>,
    /// How often it fails before it succeeds.
    refusals: u32,
}

/// How a walk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut(ErrorKind),
}

const MAX_PAGES: u64 = 8;

fn config(more: &str) -> Pages {
    let toml = format!(
        "url = \"http://a.test/0\"\nnext = {{ url = \"/next\" }}\nitems = \"/items\"\nmore = \"/more\"\nmax_pages = {MAX_PAGES}\n{more}"
    );
    toml::from_str(&toml).unwrap()
}

fn plan(pages: &Pages) -> Arc<Plan> {
    Arc::new(Plan::of(pages).unwrap())
}

impl Api {
    /// The oracle: the pages of a walk, and its end.
    fn walked(&self) -> (Vec<usize>, End) {
        let (mut at, mut had) = (0, Vec::new());
        loop {
            had.push(at);
            let page = &self.pages[at];
            at = match page.next.filter(|_| page.more && page.items > 0) {
                None => return (had, End::Whole),
                Some(next) if next >= self.pages.len() => return (had, End::Cut(ErrorKind::PageOrigin)),
                Some(next) if had.contains(&next) => return (had, End::Cut(ErrorKind::PageLoop)),
                Some(_) if had.len() as u64 == MAX_PAGES => return (had, End::Cut(ErrorKind::PageLimit)),
                Some(next) => next,
            };
        }
    }

    /// The record of the request number `times` for its page.
    fn record(&self, url: &url::Url, times: u32) -> Record {
        let number: usize = url.path().trim_start_matches('/').parse().unwrap();
        let page = &self.pages[number];
        if times <= page.refusals {
            return record(url, Err(ErrorKind::Reset));
        }
        let next = page.next.map(|next| match self.pages.get(next) {
            Some(_) => format!("/{next}"),
            None => "http://b.test/0".to_owned(),
        });
        let items: Vec<_> = (0..page.items).map(|n| json!({ "at": 1000 * number as u64 + n })).collect();
        record(url, Ok(json!({ "items": items, "more": page.more, "next": next })))
    }
}

fn record(url: &url::Url, page: Result<Value, ErrorKind>) -> Record {
    let id = Identity { state_id: None, source: None, file: None, seq: 1, round: 0 };
    let rejection = Rejection { kind: ErrorKind::Reset, message: String::new() };
    let record =
        Record { url: Some(url.clone()), attempts: 1, ..Record::rejected(id, Echo::text(url.as_str()), rejection) };
    match page {
        Err(kind) => Record { outcome: kind.outcome(1), error: Some((kind, String::new())), ..record },
        Ok(page) => {
            let data = page.to_string().into_bytes();
            let body = Body { bytes: data.len() as u64, data: data.into(), ..Body::default() };
            let response = Response { body, head: Head::new(http::StatusCode::OK) };
            Record { outcome: Outcome::Ok, error: None, received: Received::Response(Box::new(response)), ..record }
        }
    }
}

/// Runs one step of a walk; returns the URL, the entry, and the kind of error.
fn step(
    walk: &mut Walk,
    now: Timestamp,
    answer: impl FnOnce(&url::Url) -> Record,
) -> Option<(url::Url, PageEntry, Option<ErrorKind>)> {
    let ask = walk.ask(now)?;
    let record = answer(&ask.url);
    let flaw = match reader::read(walk.plan(), &record) {
        Ok(page) => walk.read(&ask, page),
        Err(_) => {
            walk.failed(&ask);
            None
        }
    };
    let entry = walk.last().unwrap().clone();
    Some((ask.url, entry, flaw.map(|(kind, _)| kind).or(record.kind())))
}

/// The entry after a round trip through the checkpoint.
fn stored(entry: &PageEntry) -> PageEntry {
    RawJson::of(entry).unwrap().read().unwrap()
}

fn resumed(plan: &Arc<Plan>, dir: &std::path::Path, last: &PageEntry) -> Walk {
    let seen = Seen::open(&RealDisk, dir, last.walk, last.pages()).unwrap();
    Walk::resume(Arc::clone(plan), seen, stored(last))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn any_api() -> impl Strategy<Value = Api> {
    // Most pages lead to the next one, so that walks get somewhere.
    let next =
        |number: usize| prop_oneof![6 => Just(Some(number + 1)), 1 => Just(None), 2 => (0usize..14).prop_map(Some)];
    let page = move |number: usize| {
        (
            prop_oneof![9 => 1u64..4, 1 => Just(0)],
            prop::bool::weighted(0.92),
            next(number),
            prop_oneof![4 => Just(0), 1 => 1u32..4],
        )
            .prop_map(|(items, more, next, refusals)| ApiPage { items, more, next, refusals })
    };
    (1usize..13).prop_flat_map(move |length| (0..length).map(page).collect::<Vec<_>>()).prop_map(|pages| Api { pages })
}

proptest! {
    #[test]
    fn a_walk_has_each_page_once_and_the_end_of_its_graph(api in any_api(), starts in prop::collection::vec(any::<bool>(), 60)) {
        let (plan, dir) = (plan(&config("")), tempfile::tempdir().unwrap());
        let seen = Seen::open(&RealDisk, dir.path(), 0, 0).unwrap();
        let mut walk = Walk::begin(Arc::clone(&plan), seen);
        let (mut had, mut times, mut end) = (Vec::new(), 0, End::Whole);
        let now = Timestamp::UNIX_EPOCH;
        for starts_anew in starts {
            times += 1;
            let Some((url, entry, kind)) = step(&mut walk, now, |url| api.record(url, times)) else { break };
            if entry.failures.is_some() {
                prop_assert_eq!((entry.items, entry.next.as_ref(), entry.pages()), (None, Some(&url), had.len() as u64));
                prop_assert!(kind.is_some());
            } else {
                let number: usize = url.path()[1..].parse().unwrap();
                prop_assert_eq!(entry.items, Some(api.pages[number].items));
                had.push(number);
                times = 0;
                prop_assert_eq!((entry.number, entry.pages()), (had.len() as u64, had.len() as u64));
                prop_assert!(kind.is_none() || entry.next.is_none());
                end = kind.map_or(End::Whole, End::Cut);
            }
            if starts_anew {
                // A page without a record is requested once more, and is not taken for a loop.
                let mut unrecorded = resumed(&plan, dir.path(), &entry);
                let _ = step(&mut unrecorded, now, |url| api.record(url, 9));
                walk = resumed(&plan, dir.path(), &entry);
            }
        }
        prop_assert_eq!(walk.ask(now), None);
        prop_assert_eq!((had, end), api.walked());
    }

    #[test]
    fn since_loses_nothing_however_walks_end(api in any_api(), overlap in 0u64..5) {
        let more = format!("every = \"1h\"\nsince = {{ param = \"s\", from = \"/items/*/at\", overlap = \"{overlap}s\" }}\n");
        let plan = plan(&config(&more));
        let mut walk = Walk::begin(Arc::clone(&plan), Seen::default());
        let (had, end) = api.walked();
        let mut times = 0;
        let last = loop {
            times += 1;
            let (_, entry, _) = step(&mut walk, at(1_000_000), |url| api.record(url, times)).unwrap();
            times = if entry.failures.is_some() { times } else { 0 };
            if entry.next.is_none() {
                break entry;
            }
        };
        let newest = had.iter().filter(|page| api.pages[**page].items > 0).map(|page| 1000 * *page as u64 + api.pages[*page].items - 1).max();
        let ask = Walk::resume(Arc::clone(&plan), Seen::default(), stored(&last)).ask(at(1_000_000)).unwrap();
        let since = ask.url.query_pairs().find(|(name, _)| name == "s").map(|(_, value)| value.parse::<i64>().unwrap());
        let whole = newest.filter(|_| end == End::Whole).map(|newest| newest as i64 - overlap as i64);
        prop_assert_eq!(since, whole, "only a walk that came to its end moves it");
        prop_assert_eq!(ask.after.as_secs(), 3600);
    }
}
