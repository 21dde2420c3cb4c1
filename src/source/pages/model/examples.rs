//! Examples of walks, and of pages that cannot be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::super::Pages;
use super::super::plan::Plan;
use super::super::reader::{self, Unread};
use super::super::seen::Seen;
use super::super::walk::Walk;
use super::{at, config, plan, record, resumed, step, stored};
use crate::disk::RealDisk;
use crate::item::ErrorKind;
use crate::units::Secret;

#[test]
fn a_counted_walk_ends_where_the_api_gives_the_same_page_again() {
    for next in ["{ page = \"page\" }", "{ offset = \"at\", step = 2 }"] {
        let toml = format!("url = \"http://a.test/0\"\nnext = {next}\nitems = \"\"");
        let plan = plan(&toml::from_str(&toml).unwrap());
        let bodies = |n: usize| json!([[1, 2], [3, 4], [3, 4]][n]);
        let dir = tempfile::tempdir().unwrap();
        let mut walk = Walk::begin(Arc::clone(&plan), Seen::open(&RealDisk, dir.path(), 0, 0).unwrap());
        let mut queries = BTreeSet::new();
        for n in 0..3 {
            let (url, entry, kind) = step(&mut walk, Timestamp::UNIX_EPOCH, |url| record(url, Ok(bodies(n)))).unwrap();
            queries.insert(url.query().unwrap().to_owned());
            assert_eq!(kind, (n == 2).then_some(ErrorKind::PageLoop));
            walk = resumed(&plan, dir.path(), &entry);
        }
        assert_eq!((walk.ask(Timestamp::UNIX_EPOCH), queries.len()), (None, 3));
    }
}

#[test]
fn a_page_that_fails_is_retried_with_growing_backoff_and_soon_after_a_start() {
    let plan = plan(&config(""));
    let mut walk = Walk::begin(Arc::clone(&plan), Seen::default());
    let mut waits = Vec::new();
    for _ in 0..13 {
        waits.push(walk.ask(Timestamp::UNIX_EPOCH).unwrap().after.as_secs());
        let _ = step(&mut walk, Timestamp::UNIX_EPOCH, |url| record(url, Err(ErrorKind::Timeout)));
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    let last = walk.last().unwrap().clone();
    assert_eq!(last.failures, Some(13));
    let mut anew = Walk::resume(plan, Seen::default(), last);
    assert_eq!(anew.ask(Timestamp::UNIX_EPOCH).unwrap().after.as_secs(), 1);
}

#[test]
fn the_next_walk_begins_when_it_is_time_by_any_clock() {
    let plan = plan(&config("every = \"1h\"\n"));
    let at = |seconds: i64| at(1_000_000 + seconds);
    let end = |url: &Url| record(url, Ok(json!({ "items": [], "more": false })));
    let mut walk = Walk::begin(Arc::clone(&plan), Seen::default());
    let (_, first, _) = step(&mut walk, at(0), end).unwrap();
    assert_eq!((first.walk, first.began), (1, Some(at(0))));
    for (now, wait) in [(0, 3600), (60, 3540), (3600, 0), (90_000, 0), (-90_000, 3600)] {
        let mut next = Walk::resume(Arc::clone(&plan), Seen::default(), stored(&first));
        assert_eq!(next.ask(at(now)).unwrap().after.as_secs(), wait, "{now}");
        let (_, entry, _) = step(&mut next, at(now), end).unwrap();
        assert_eq!((entry.walk, entry.number, entry.began), (2, 1, Some(at(now + wait as i64))));
    }
}

#[test]
fn another_url_is_another_walk_without_the_times_of_the_last_one() {
    let since = "every = \"1h\"\nsince = { param = \"s\", from = \"/items/*/at\" }\n";
    let mut walk = Walk::begin(plan(&config(since)), Seen::default());
    let page = |url: &Url| record(url, Ok(json!({ "items": [{ "at": 7 }], "more": true, "next": "/1" })));
    let (_, entry, _) = step(&mut walk, Timestamp::UNIX_EPOCH, page).unwrap();
    let other = plan(&Pages { url: Secret::new("http://a.test/other".to_owned()), ..config(since) });
    let ask = Walk::resume(other, Seen::default(), entry.clone()).ask(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ask.url.as_str(), "http://a.test/other");
    let (_, entry, _) = {
        let mut walk = Walk::resume(
            plan(&Pages { url: Secret::new("http://a.test/other".to_owned()), ..config(since) }),
            Seen::default(),
            entry,
        );
        step(&mut walk, Timestamp::UNIX_EPOCH, page).unwrap()
    };
    assert_eq!((entry.walk, entry.number), (2, 1));
}

#[test]
fn an_origin_that_is_not_listed_any_more_is_not_asked_after_a_restart() {
    let listed = Pages { origins: vec!["https://files.test".to_owned()], ..config("") };
    let mut walk = Walk::begin(plan(&listed), Seen::default());
    let page = |url: &Url| record(url, Ok(json!({ "items": [1], "more": true, "next": "https://files.test/1" })));
    let (_, entry, _) = step(&mut walk, Timestamp::UNIX_EPOCH, page).unwrap();
    assert_eq!(entry.next.as_ref().map(Url::as_str), Some("https://files.test/1"));
    let mut walk = Walk::resume(plan(&config("")), Seen::default(), entry);
    let ask = walk.ask(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ask.url.as_str(), "http://a.test/0");
}

#[test]
fn the_error_of_an_unusable_page_says_why_and_where() {
    let plan_of = |more: &str| plan(&toml::from_str(&format!("url = \"http://a.test/0\"\n{more}")).unwrap());
    let url: Url = "http://a.test/0".parse().unwrap();
    let read = |plan: &Plan, page: Value| match reader::read(plan, &record(&url, Ok(page))) {
        Err(Unread::Flawed((kind, message))) => (kind, message),
        other => panic!("{other:?}"),
    };
    let items = plan_of("next = { url = \"/next\" }\nitems = \"/d\"\nmore = \"/m\"");
    for (page, said) in [
        (json!({ "m": true }), "nothing at `/d`"),
        (json!({ "d": 7, "m": true }), "at `/d` is not a list"),
        (json!({ "d": [1] }), "nothing at `/m`"),
        (json!({ "d": [1], "m": [] }), "at `/m` does not say"),
        (json!({ "d": [1], "m": 1, "next": 7 }), "at `/next` is not a URL"),
        (json!({ "d": [1], "m": 1, "next": {} }), "at `/next` is not a URL"),
    ] {
        let (kind, message) = read(&items, page);
        assert!(kind == ErrorKind::PageUnreadable && message.contains(said), "{message}");
    }
    assert!(reader::read(&items, &record(&url, Ok(json!({ "d": [] })))).is_ok(), "it is the last one in any case");
    let times = plan_of(
        "next = { url = \"/next\" }\nitems = \"/d\"\nevery = \"1h\"\nsince = { param = \"s\", from = \"/d/*/t\" }",
    );
    assert!(
        read(&times, json!({ "d": [{ "t": "soon" }] })).1.contains("no item of the page has a time at `since.from`")
    );
    assert!(reader::read(&times, &record(&url, Ok(json!({ "d": [{ "t": "soon" }, { "t": 5 }] })))).is_ok());
    assert!(reader::read(&times, &record(&url, Ok(json!({ "d": [] })))).is_ok());
}

#[test]
fn a_next_page_that_cannot_be_requested_fails_this_one_and_shows_no_password() {
    for (next, said) in [("http://user:s3cret@a.test/1", "user name or password"), ("http://[", "is invalid")] {
        let mut walk = Walk::begin(plan(&config("")), Seen::default());
        let ask = walk.ask(Timestamp::UNIX_EPOCH).unwrap();
        let page = json!({ "items": [1], "more": true, "next": next });
        let page = reader::read(walk.plan(), &record(&ask.url, Ok(page))).unwrap();
        let (kind, message) = walk.read(&ask, page).unwrap();
        assert!(
            kind == ErrorKind::PageUnreadable && message.contains(said) && !message.contains("s3cret"),
            "{message}"
        );
        assert_eq!(walk.last().unwrap().failures, Some(1));
    }
}

#[test]
fn origins_are_compared_by_scheme_host_and_port() {
    let pages = |url: &str| Pages {
        url: Secret::new(url.to_owned()),
        origins: vec!["https://files.test:8443".to_owned()],
        ..config("")
    };
    let allows = |url: &str, next: &str| plan(&pages(url)).allows(&next.parse().unwrap());
    for (url, next) in [
        ("http://a.test/0", "http://A.test:80/1?x"),
        ("http://a.test/0", "https://a.test/1"),
        ("https://a.test/0", "https://a.test./1"),
        ("https://a.test/0", "https://files.test:8443/x"),
    ] {
        assert!(allows(url, next), "{url} {next}");
    }
    for (url, next) in [
        ("https://a.test/0", "http://a.test/1"),
        ("http://a.test:8080/0", "https://a.test/1"),
        ("https://a.test/0", "https://a.test:8443/1"),
        ("https://a.test/0", "https://b.a.test/1"),
        ("https://a.test/0", "https://files.test/x"),
        ("https://a.test/0", "http://files.test:8443/x"),
    ] {
        assert!(!allows(url, next), "{url} {next}");
    }
}

#[test]
fn changes_during_a_walk_and_times_in_the_future_hide_nothing_from_the_next_one() {
    let since = "every = \"1h\"\nsince = { param = \"s\", from = \"/items/*/at\", overlap = \"5s\" }\n";
    for (newest, asked) in [(999_990, "999985"), (1_000_007, "999995"), (2_000_000_000, "999995")] {
        let mut walk = Walk::begin(plan(&config(since)), Seen::default());
        let page = |url: &Url| record(url, Ok(json!({ "items": [{ "at": newest }], "more": false })));
        let _ = step(&mut walk, at(1_000_000), page).unwrap();
        let url = walk.ask(at(1_000_100)).unwrap().url;
        assert!(url.query_pairs().any(|(name, value)| name == "s" && value == asked), "{newest}: {url}");
    }
}
