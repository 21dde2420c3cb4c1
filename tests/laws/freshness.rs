//! Runs on several days over the same pages, each of which reads the records of the day before and revalidates them.
//!
//! The law: as long as a server tells the truth, the bodies of a day, and those of the day before where a record says
//! `unchanged`, are what was there to be fetched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use fetchd::error::BoxError;
use fetchd::fetch::{Fetch, FetchConfig, HeaderTable};
use fetchd::item::{
    Attempt, Body, Call, Head, Identity, Input, Line, Record, Reservation, Response, Revalidation, Text,
};
use fetchd::pipeline::{Parts, Settings, Status, run};
use fetchd::sink::{BodyFormat, Content, Encoder, Sink, Style, Wanted};
use fetchd::source::{Durability, Source};
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Method, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::scenario::{on_paused_time, settings};

/// When the server's world began: long before the first day.
const BEGINNING: &str = "2026-01-01T00:00:00Z";
const FIRST_DAY: Duration = Duration::from_secs(1_000);

/// A page, and what becomes of it.
#[derive(Clone, Debug)]
struct Page {
    validators: Validators,
    method: Method,
    /// Its contents, each from a time on.
    versions: Vec<(Duration, u8)>,
    /// From when on its URL leads to another one, with the same contents.
    moves: Option<Duration>,
}

/// What a server says of the version that it sends.
#[derive(Clone, Copy, Debug)]
enum Validators {
    None,
    /// An ETag of the content, which may come back.
    Strong,
    Weak,
    /// An ETag of the version, whatever its content.
    Version,
    /// A Last-Modified, by whole seconds.
    Date,
    Both,
}

#[derive(Clone, Debug)]
struct Week {
    pages: Vec<Page>,
    /// When the runs begin.
    days: Vec<Duration>,
    /// How far the server's clock is from ours.
    clock_ahead: i32,
    digest: bool,
}

fn page() -> impl Strategy<Value = Page> {
    use Validators::{Both, Date, None, Strong, Version, Weak};
    let validators = prop::sample::select(vec![None, Strong, Weak, Version, Date, Both]);
    let method = prop::sample::select(vec![Method::GET, Method::GET, Method::GET, Method::POST]);
    let version = (moment(), 0u8..3);
    let moves = prop::option::weighted(0.2, moment());
    (validators, method, prop::collection::vec(version, 0..5), moves).prop_map(|(validators, method, later, moves)| {
        let mut versions = vec![(Duration::ZERO, 0)];
        versions.extend(later);
        versions.sort_by_key(|(at, _)| *at);
        Page { validators, method, versions, moves }
    })
}

/// A time in which something changes: often just before or after a run.
fn moment() -> impl Strategy<Value = Duration> {
    (prop::sample::select(vec![1_000i64, 1_010, 1_100, 1_500, 2_500]), -3_000i64..3_000)
        .prop_map(|(seconds, ms)| Duration::from_millis(u64::try_from(seconds * 1_000 + ms).unwrap()))
}

fn week() -> impl Strategy<Value = Week> {
    let days = prop::collection::vec(10u64..2_000, 1..4).prop_map(|gaps| {
        let mut at = FIRST_DAY;
        std::iter::once(at)
            .chain(gaps.into_iter().map(move |gap| {
                at += Duration::from_secs(gap);
                at
            }))
            .collect()
    });
    (prop::collection::vec(page(), 1..12), days, -59i32..60, any::<bool>())
        .prop_map(|(pages, days, clock_ahead, digest)| Week { pages, days, clock_ahead, digest })
}

/// The server, and what it had for each page when it was last asked.
struct Server {
    week: Week,
    headers: HeaderTable,
    /// When the run began, in the server's world and in ours.
    day: Duration,
    start: Instant,
    there: Arc<Mutex<BTreeMap<usize, String>>>,
}

impl Server {
    fn answer(&self, call: &Call) -> (Head, Body) {
        let now = self.day + self.start.elapsed();
        let path = call.request.url.path();
        let number: usize = path.trim_matches('/').split('/').next().unwrap().parse().unwrap();
        let page = &self.week.pages[number];
        if page.moves.is_some_and(|at| at <= now) && !path.ends_with("/moved") {
            let location = Some(format!("/{number}/moved").into());
            return (Head { location, ..Head::new(StatusCode::TEMPORARY_REDIRECT) }, Body::default());
        }
        let (version, (at, content)) = page.versions.iter().enumerate().rfind(|(_, (at, _))| *at <= now).unwrap();
        let text = format!("page {number} says {content}");
        self.there.lock().unwrap().insert(number, text.clone());
        let (etag, last_modified) = self.validators(page.validators, version, *content, *at);
        let is_get = call.request.method == Method::GET;
        let is_fresh = is_get && is_fresh(&self.headers.of(call).0, etag.as_deref(), last_modified.as_deref());
        let status = if is_fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let head =
            Head { etag: etag.map(Into::into), last_modified: last_modified.map(Into::into), ..Head::new(status) };
        let needs_digest = self.week.digest || call.request.digest_to_compare().is_some();
        let sha256 = needs_digest.then(|| digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap());
        match is_fresh {
            true => (head, Body::default()),
            false => (head, Body { bytes: text.len() as u64, data: text.into(), sha256, truncated: false }),
        }
    }

    fn validators(
        &self,
        of: Validators,
        version: usize,
        content: u8,
        at: Duration,
    ) -> (Option<String>, Option<String>) {
        let date = || {
            let seconds = i64::try_from(at.as_millis()).unwrap() + i64::from(self.week.clock_ahead) * 1_000;
            let seconds = u64::try_from(seconds.div_euclid(1_000).max(-1_000) + 1_000).unwrap();
            let began: SystemTime = BEGINNING.parse::<jiff::Timestamp>().unwrap().into();
            httpdate::fmt_http_date(began - Duration::from_secs(1_000) + Duration::from_secs(seconds))
        };
        match of {
            Validators::None => (None, None),
            Validators::Strong => (Some(format!("\"{content}\"")), None),
            Validators::Weak => (Some(format!("W/\"{content}\"")), None),
            Validators::Version => (Some(format!("\"v{version}\"")), None),
            Validators::Date => (None, Some(date())),
            Validators::Both => (Some(format!("\"{content}\"")), Some(date())),
        }
    }
}

/// RFC 9110, section 13.2.2.
fn is_fresh(headers: &HeaderMap, etag: Option<&str>, last_modified: Option<&str>) -> bool {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap());
    match (value(header::IF_NONE_MATCH), value(header::IF_MODIFIED_SINCE)) {
        (Some(tag), _) => etag == Some(tag),
        (None, Some(date)) => {
            let parse = |text| httpdate::parse_http_date(text).unwrap();
            last_modified.is_some_and(|modified| parse(modified) <= parse(date))
        }
        (None, None) => false,
    }
}

impl Fetch for Server {
    fn attempt<'a>(&'a self, call: &'a Call, _reservation: Reservation) -> BoxFuture<'a, Attempt> {
        async move {
            sleep(Duration::from_millis(700)).await;
            let (head, body) = self.answer(call);
            Attempt::Response(Box::new(Response { head, body }))
        }
        .boxed()
    }
}

/// Collects records as lines.
struct Lines {
    encoder: Encoder,
    text: Arc<Mutex<Vec<u8>>>,
}

impl Sink for Lines {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        let mut text = self.text.lock().unwrap();
        batch.iter().for_each(|record| self.encoder.encode(record, &mut text).unwrap());
        ready(Ok(())).boxed()
    }
}

fn source(lines: Vec<String>) -> Source {
    let line = |(n, text): (usize, String)| {
        let id = Identity { state_id: None, source: None, file: None, seq: n as u64 + 1, round: 0 };
        Ok(Input::Line(Line { id, text: Text::Whole(text.into()), position: None }))
    };
    Source::new(stream::iter(lines.into_iter().enumerate().map(line)).boxed(), Durability::Ephemeral)
}

impl Week {
    fn lines(&self) -> Vec<String> {
        let line = |(n, page): (usize, &Page)| {
            json!({ "url": format!("http://a.test/{n}"), "method": page.method.as_str(), "id": n }).to_string()
        };
        self.pages.iter().enumerate().map(line).collect()
    }

    /// The records of a day, by page, and what was there.
    async fn fetch(&self, day: Duration, lines: Vec<String>) -> (BTreeMap<usize, Value>, BTreeMap<usize, String>) {
        let (text, there) = (Arc::default(), Arc::default());
        let content = Content { body: BodyFormat::Text, headers: false, digest: self.digest };
        let style = Style { content, epoch: BEGINNING.parse::<jiff::Timestamp>().unwrap() + day };
        let sink = Lines { encoder: Encoder::new(style, Wanted::All, None), text: Arc::clone(&text) };
        let headers = HeaderTable::new(&FetchConfig::default(), Vec::new(), Vec::new(), &BTreeMap::new()).unwrap();
        let server = Server { week: self.clone(), headers, day, start: Instant::now(), there: Arc::clone(&there) };
        let parts = Parts {
            sources: vec![source(lines)],
            fetch: Arc::new(server),
            sinks: vec![Box::new(sink)],
            settle: None,
            tokens: None,
            hosts: None,
            threads: None,
            releases: None,
            questions: None,
            overrides: Default::default(),
            shippers: Vec::new(),
        };
        let settings = Settings { revalidation: Revalidation::On, ..settings() };
        run(parts, &settings, &Status::default(), stream::pending()).await.unwrap();
        let text = String::from_utf8(std::mem::take(&mut *text.lock().unwrap())).unwrap();
        let record = |line: &str| serde_json::from_str(line).map(|record: Value| (number(&record), record)).unwrap();
        let there = there.lock().unwrap().clone();
        (text.lines().map(record).collect(), there)
    }
}

fn number(record: &Value) -> usize {
    usize::try_from(record["id"].as_u64().unwrap()).unwrap()
}

/// What is known of each page after a day: its body, or that of the day before where it did not change.
fn add(known: &mut BTreeMap<usize, String>, records: &BTreeMap<usize, Value>) {
    for (number, record) in records {
        assert_eq!(record["outcome"], "ok", "{record:#}");
        match record.get("body") {
            Some(body) => drop(known.insert(*number, body.as_str().unwrap().to_owned())),
            None => assert!(record["unchanged"] == true && known.contains_key(number), "{record:#}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_day_brings_and_what_did_not_change_are_together_what_is_there(week in week()) {
        on_paused_time(async {
            let (mut known, mut lines) = (BTreeMap::new(), week.lines());
            for day in &week.days {
                let before = known.clone();
                let (records, there) = week.fetch(*day, lines).await;
                add(&mut known, &records);
                assert_eq!(known, there);
                for (number, record) in &records {
                    let is_unchanged = record.get("unchanged").is_some();
                    assert!(!is_unchanged || known.get(number) == before.get(number), "{record:#}");
                }
                lines = records.values().map(Value::to_string).collect();
            }
        });
    }

    #[test]
    fn a_page_that_says_a_digest_of_itself_is_sent_again_only_if_it_changed(mut week in week()) {
        week.pages.iter_mut().for_each(|page| {
            (page.validators, page.method, page.moves) = (Validators::Strong, Method::GET, None);
        });
        on_paused_time(async {
            let (mut known, mut lines) = (BTreeMap::new(), week.lines());
            for day in &week.days {
                let before = known.clone();
                let (records, _) = week.fetch(*day, lines).await;
                add(&mut known, &records);
                for (number, record) in &records {
                    let status = if before.get(number) == known.get(number) { 304 } else { 200 };
                    assert_eq!(record["status"], status, "{record:#}");
                }
                lines = records.values().map(Value::to_string).collect();
            }
        });
    }
}
