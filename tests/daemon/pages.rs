//! The source `pages` on real bytes: every form of `next`, every end of a walk, and what becomes of one over restarts.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::common::PATIENCE;
use crate::common::fetchd::{Ended, Fetchd, Running, kind, seq};
use crate::common::origin::{Origin, Script, Step, ok_with, send};

/// An API, and a directory for what fetchd makes of it.
struct Api {
    origin: Origin,
    dir: TempDir,
}

/// A page in JSON.
fn page(body: &Value) -> Script {
    vec![send(ok_with("content-type: application/json\r\n", body.to_string().as_bytes()))]
}

fn status(line: &str) -> Script {
    vec![send(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"))]
}

const BY_URL: &str = "next = { url = '/next' }\nitems = '/data'";

impl Api {
    fn new() -> Self {
        Self { origin: Origin::start(), dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A configuration whose source begins at this path; the other keys of the source, and then other tables.
    fn config(&self, path: &str, keys: &str, more: &str) -> String {
        format!("[source.api.pages]\nurl = '{}'\n{keys}\n[retry]\nretries = 0\n{more}\n", self.origin.url(path))
    }

    fn fetchd(&self, config: &str) -> Fetchd {
        Fetchd::local().config(config).directory(self.dir.path())
    }

    /// To standard output, and remembered nowhere.
    #[track_caller]
    fn walk(&self, path: &str, keys: &str) -> Ended {
        let ended = self.fetchd(&self.config(path, keys, "")).run("");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// With a data directory, to a file.
    fn durable(&self, path: &str, keys: &str, sink: &str) -> Fetchd {
        let more = format!("[state]\ndata_dir = 'state'\n[sink.out.jsonl]\npath = 'out.jsonl'\n{sink}");
        self.fetchd(&self.config(path, keys, &more))
    }

    #[track_caller]
    fn goes(&self, fetchd: Fetchd) -> Ended {
        let ended = fetchd.run("");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the checkpoint has a page.
    fn wait_for_checkpoint(&self) {
        let begin = tokio::time::Instant::now();
        let checkpoint = || fs::read_to_string(self.path("state/checkpoint.json")).unwrap_or_default();
        while !checkpoint().contains("\"walk\":1") {
            assert!(begin.elapsed() < PATIENCE, "no page is done");
            std::thread::yield_now();
        }
    }

    /// What was asked for, without the host.
    fn targets(&self) -> Vec<String> {
        self.origin.requests().into_iter().map(|request| request.target).collect()
    }
}

/// The numbers of the pages, and of the items in them.
fn pages(records: &[Value]) -> Vec<(u64, Option<u64>)> {
    records
        .iter()
        .map(|record| (record["page"]["number"].as_u64().unwrap(), record["page"]["items"].as_u64()))
        .collect()
}

fn item_ids(records: &[Value]) -> Vec<u64> {
    let items = records.iter().filter_map(|record| record["json"]["data"].as_array()).flatten();
    items.map(|item| item["id"].as_u64().unwrap()).collect()
}

fn term(mut running: Running) -> Ended {
    running.signal(Signal::SIGTERM);
    running.wait()
}

#[test]
fn every_form_of_next_walks_every_page() {
    for (next, second) in [
        ("next = { link = 'next' }", "page=2"),
        ("next = { url = '/next' }\nitems = '/data'", "page=2"),
        ("next = { cursor = '/meta/cursor', param = 'after' }\nitems = '/data'", "limit=2&after=c2"),
        ("next = { cursor = '/meta/cursor', param = 'after', first = '' }\nitems = '/data'", "limit=2&after=c2"),
        ("next = { offset = 'offset', step = 2 }\nmore = '/meta/more'", "limit=2&offset=2"),
        ("next = { page = 'page', first = 1 }\nmore = '/meta/more'\nitems = '/data'", "limit=2&page=2"),
    ] {
        let api = Api::new();
        let ended = api.walk("/items/3/2?limit=2", next);
        assert_eq!(item_ids(&ended.records), [1, 2, 3, 4, 5, 6], "{next}");
        let items = next.contains("items").then_some(2);
        assert_eq!(pages(&ended.records), [(1, items), (2, items), (3, items)], "{next}");
        assert_eq!(api.targets()[1], format!("/items/3/2?{second}"));
        let (first, last) = (&ended.records[0], &ended.records[2]);
        let shown = first["page"]["next"].as_str().unwrap();
        assert_eq!((shown, first["page"]["walk"].as_u64()), (&*api.origin.url(&api.targets()[1]), Some(1)));
        assert_eq!((last["page"].get("next"), last["source"].as_str(), seq(last)), (None, Some("api"), 3));
        assert_eq!(ended.count("ok"), 3);
    }
}

#[test]
fn a_counted_walk_goes_on_to_the_page_without_items() {
    for next in ["next = { offset = 'offset', step = 2 }", "next = { page = 'page' }"] {
        let api = Api::new();
        let ended = api.walk("/items/3/2", &format!("{next}\nitems = '/data'"));
        assert_eq!(pages(&ended.records), [(1, Some(2)), (2, Some(2)), (3, Some(2)), (4, Some(0))]);
        assert_eq!(ended.count("ok"), 4);
    }
}

#[test]
fn a_walk_ends_in_every_way_that_is_documented() {
    let item = json!([{ "id": 1 }]);
    let whole = [
        json!({ "data": item }),
        json!({ "data": item, "next": null }),
        json!({ "data": item, "next": "" }),
        json!({ "data": item, "next": false }),
        json!({ "data": [], "next": "/2" }),
        json!({ "data": null, "next": "/2" }),
    ];
    for body in whole {
        let api = Api::new();
        api.origin.play("/1", page(&body));
        let ended = api.walk("/1", BY_URL);
        assert_eq!((ended.count("ok"), ended.only_record()["page"].get("next")), (1, None), "{body}");
        assert!(ended.stderr.contains("has ended with page 1: it has no "), "{}", ended.stderr);
    }
    for more in [json!(false), json!(null), json!(0), json!("")] {
        let api = Api::new();
        api.origin.play("/1", page(&json!({ "data": item, "next": "/2", "more": more })));
        assert_eq!(api.walk("/1", &format!("{BY_URL}\nmore = '/more'")).count("ok"), 1, "{more}");
    }
    let api = Api::new();
    api.origin.play("/1", [send("HTTP/1.1 204 No Content\r\n\r\n")]);
    assert_eq!(api.walk("/1", BY_URL).only_record()["page"]["items"], 0);
}

#[test]
fn a_walk_that_is_cut_off_says_so_in_the_record_of_its_last_page() {
    let item = json!([{ "id": 1 }]);
    let to = |next: &str| page(&json!({ "data": item, "next": next }));
    let cut = |api: &Api, keys: &str, wanted: &str| {
        let ended = api.walk("/1", keys);
        let last = ended.records.last().unwrap();
        assert_eq!((kind(last), last["outcome"].as_str()), (wanted, Some("failed")), "{}", ended.stderr);
        assert_eq!((last["page"].get("next"), last["page"]["items"].as_u64()), (None, Some(1)));
        assert!(last["json"].is_object(), "what it has is passed on");
        assert!(ended.stderr.contains("is cut off at page"), "{}", ended.stderr);
        ended
    };
    let api = Api::new();
    ["/1", "/2", "/3"].iter().zip(["/2", "3", "/2#again"]).for_each(|(at, next)| drop(api.origin.play(at, to(next))));
    assert_eq!(cut(&api, BY_URL, "page_loop").records.len(), 3);
    api.origin.play("/1", to("/1"));
    assert_eq!(cut(&api, BY_URL, "page_loop").records.len(), 1);
    let always = Api::new();
    always.origin.play("/1", page(&json!({ "data": item })));
    assert_eq!(cut(&always, "next = { page = 'p' }\nitems = '/data'", "page_loop").records.len(), 2);
    let endless = Api::new();
    endless.origin.play_in_turn("/1", (0..9).map(|n| page(&json!({ "data": [n], "next": format!("/1?{n}") }))));
    let ended = cut(&endless, &format!("{BY_URL}\nmax_pages = 4"), "page_limit");
    assert!(
        ended.records.len() == 4
            && ended.records[3]["error"]["message"].as_str().unwrap().contains("raise `max_pages`")
    );
}

#[test]
fn a_page_at_a_foreign_origin_is_asked_for_only_where_that_is_listed() {
    let other = Origin::start_at([127, 0, 0, 2]);
    other.play("/2", page(&json!({ "data": [2], "next": null })));
    let run = |keys: &str| {
        let api = Api::new();
        api.origin.play("/1", page(&json!({ "data": [1], "next": other.url("/2?token=s3cret") })));
        let more = "[hosts.'127.0.0.1']\nheaders = { authorization = 'Bearer mine' }";
        let ended = api.fetchd(&api.config("/1", &format!("{BY_URL}\n{keys}"), more)).run("");
        assert_eq!(api.origin.requests()[0].header("authorization"), Some("Bearer mine"));
        ended
    };
    let refused = run("");
    let message = refused.only_record()["error"]["message"].as_str().unwrap();
    assert_eq!((kind(refused.only_record()), other.requests().len()), ("page_origin", 0));
    let named = message.contains(&other.authority()) && message.contains("`origins`");
    assert!(named && !message.contains("s3cret"), "{message}");
    let allowed = run(&format!("origins = ['{}']", other.url("")));
    assert_eq!((allowed.count("ok"), other.requests().len()), (2, 1));
    assert_eq!(other.requests()[0].header("authorization"), None);
}

#[test]
fn a_relative_link_starts_from_where_a_redirect_has_led() {
    let api = Api::new();
    api.origin.play("/1", [send("HTTP/1.1 302 Found\r\nlocation: /v2/items?a\r\ncontent-length: 0\r\n\r\n")]);
    api.origin.play("/v2/items", page(&json!({ "data": [1], "next": "?b" })));
    let ended = api.walk("/1", &format!("{BY_URL}\nmax_pages = 2"));
    assert_eq!(api.targets(), ["/1", "/v2/items?a", "/v2/items?b"]);
    assert_eq!(kind(&ended.records[1]), "page_loop");
}

#[test]
fn a_429_in_the_middle_of_a_walk_is_waited_for() {
    let api = Api::new();
    let busy = vec![send("HTTP/1.1 429 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")];
    api.origin.play("/1", page(&json!({ "data": [1], "next": "/2" })));
    api.origin.play_in_turn("/2", [busy, page(&json!({ "data": [2] }))]);
    let config = api.config("/1", BY_URL, "").replace("retries = 0", "retries = 2");
    let ended = api.fetchd(&config).run("");
    assert_eq!((ended.count("ok"), &ended.records[1]["attempts"], ended.records.len()), (2, &json!(2), 2));
    assert_eq!(ended.records[1]["waited_for"], "host_pause");
}

#[test]
fn a_page_that_cannot_be_used_has_its_record_and_comes_again() {
    let api = Api::new();
    let too_large = format!("{{\"data\":[1],\"x\":\"{}\"}}", "x".repeat(8 << 20));
    api.origin.play("/1", page(&json!({ "data": [1], "next": "/2" })));
    api.origin.play_in_turn(
        "/2",
        [
            status("500 Broken"),
            vec![send(ok_with("content-type: application/json\r\n", too_large.as_bytes()))],
            page(&json!({ "data": [2] })),
        ],
    );
    let ended = api.goes(api.durable("/1", BY_URL, ""));
    let records = api.records();
    let kinds: Vec<_> = records.iter().map(kind).collect();
    assert_eq!(kinds, ["", "http_status", "body_too_large", ""]);
    assert_eq!(pages(&records), [(1, Some(1)), (2, None), (2, None), (2, Some(1))]);
    let failures: Vec<_> = records.iter().map(|record| record["page"]["failures"].as_u64()).collect();
    assert_eq!(failures, [None, Some(1), Some(2), None]);
    assert_eq!(records[1]["page"]["next"], api.origin.url("/2"));
    assert!(records[2].get("json").is_none() && records[2]["status"] == 200);
    assert_eq!(records.iter().map(seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(ended.stderr.contains("page 2 of `api` failed") && !ended.stderr.contains("--again"), "{}", ended.stderr);
}

#[test]
fn a_stop_ends_every_wait_at_once_and_the_next_start_asks_again() {
    let api = Api::new();
    api.origin.play_in_turn("/1", [vec![send(ok_with("", b"<html>"))], page(&json!({ "data": [1] }))]);
    let running = api.durable("/1", BY_URL, "").start();
    running.message("page 1 of `api` failed (page_unreadable): ");
    assert_eq!(term(running).code, Some(0));
    assert_eq!(kind(&api.records()[0]), "page_unreadable");
    api.goes(api.durable("/1", BY_URL, ""));
    assert_eq!(pages(&api.records()), [(1, None), (1, Some(1))]);

    let hourly = Api::new();
    let keys = format!("{BY_URL}\nevery = '1h'");
    hourly.origin.play("/1", page(&json!({ "data": [1] })));
    let running = hourly.durable("/1", &keys, "").start();
    running.message("has ended with page 1");
    assert_eq!(term(running).code, Some(0));
    let running = hourly.durable("/1", &keys, "").start();
    running.message("walk 1 of `api` ended with page 1; the next one begins at ");
    running.silence(Duration::from_millis(300));
    assert_eq!((term(running).code, hourly.origin.requests().len()), (Some(0), 1), "it is not time yet");
}

#[test]
fn a_finished_walk_is_not_walked_again_and_another_url_is() {
    let api = Api::new();
    api.goes(api.durable("/items/3/2", BY_URL, ""));
    let again = api.goes(api.durable("/items/3/2", BY_URL, ""));
    assert!(again.stderr.contains("give the source another name"), "{}", again.stderr);
    assert_eq!((api.records().len(), api.origin.requests().len()), (3, 3));
    let other = api.goes(api.durable("/items/2/2", BY_URL, ""));
    assert!(other.stderr.contains("walking from the first page"), "{}", other.stderr);
    let records = api.records();
    assert_eq!(pages(&records[3..]), [(1, Some(2)), (2, Some(2))]);
    assert_eq!((&records[4]["page"]["walk"], seq(&records[4])), (&json!(2), 5));
}

/// The second page never answers the first time that it is asked for.
fn hangs_at_the_second(api: &Api) {
    api.origin.play("/1", page(&json!({ "data": [{ "id": 1 }], "next": "/2" })));
    let second = json!({ "data": [{ "id": 2 }], "next": "/3" });
    api.origin.play_in_turn("/2", [vec![Step::Stall], page(&second)]);
    api.origin.play("/3", page(&json!({ "data": [{ "id": 3 }] })));
}

#[test]
fn a_killed_walk_goes_on_where_it_was() {
    for sink in ["", "body = 'none'", "rotate_size = '1KiB'", "compress = 'zstd'"] {
        let api = Api::new();
        hangs_at_the_second(&api);
        let running = api.durable("/1", BY_URL, sink).start();
        api.origin.wait_for_requests(2);
        if sink.contains("compress") {
            // A frame that is not finished is lost with its process.
            api.wait_for_checkpoint();
        }
        running.kill();
        api.goes(api.durable("/1", BY_URL, sink));
        assert_eq!(api.targets(), ["/1", "/2", "/2", "/3"], "{sink}");
        if sink.is_empty() {
            assert_eq!(pages(&api.records()), [(1, Some(1)), (2, Some(1)), (3, Some(1))]);
            assert_eq!(api.records().iter().map(seq).collect::<Vec<_>>(), [1, 2, 3]);
        }
    }
}

#[test]
fn a_page_that_no_readable_output_has_is_asked_for_again() {
    let api = Api::new();
    hangs_at_the_second(&api);
    let sink = "records = 'not_ok'";
    let running = api.durable("/1", BY_URL, sink).start();
    api.origin.wait_for_requests(2);
    running.kill();
    api.goes(api.durable("/1", BY_URL, sink));
    let targets = api.targets();
    // The kill may come after a checkpoint, which knows of the first page.
    assert!(targets.ends_with(&["/2".to_owned(), "/3".to_owned()]) && targets.len() <= 5, "{targets:?}");
    assert_eq!(api.records().len(), 0);
}

#[test]
fn outputs_that_are_taken_away_are_not_needed() {
    let api = Api::new();
    hangs_at_the_second(&api);
    let sink = "rotate_size = '1KiB'\n[shutdown]\ngrace = '200ms'";
    let running = api.durable("/1", BY_URL, sink).start();
    api.origin.wait_for_requests(2);
    assert_eq!(term(running).code, Some(4));
    for file in fs::read_dir(api.dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::remove_file(file).unwrap();
    }
    api.goes(api.durable("/1", BY_URL, sink));
    assert_eq!(api.targets(), ["/1", "/2", "/2", "/3"]);
}

#[test]
fn a_walk_to_standard_output_alone_goes_on_after_its_last_checkpoint() {
    let api = Api::new();
    hangs_at_the_second(&api);
    let config = api.config("/1", BY_URL, "[state]\ndata_dir = 'state'\n[shutdown]\ngrace = '200ms'");
    let running = api.fetchd(&config).start();
    assert_eq!(running.record()["page"]["number"], 1);
    api.origin.wait_for_requests(2);
    assert_eq!(term(running).code, Some(4));
    let ended = api.goes(api.fetchd(&config));
    assert_eq!(pages(&ended.records), [(2, Some(1)), (3, Some(1))]);
}

#[test]
fn with_ordered_records_a_walk_and_a_file_go_on_together() {
    let api = Api::new();
    fs::write(api.path("urls.txt"), (1..=40).map(|n| api.origin.url(&format!("/ok/{n}\n"))).collect::<String>())
        .unwrap();
    let more = "[source.urls.file]\npaths = ['urls.txt']\n[output]\norder = 'input'";
    let ended = api.goes(api.fetchd(&api.config("/items/4/3", BY_URL, more)));
    let of =
        |name: &str| -> Vec<u64> { ended.records.iter().filter(|record| record["source"] == name).map(seq).collect() };
    assert_eq!((of("api"), of("urls")), ((1..=4).collect(), (1..=40).collect()));
}

#[test]
fn walks_come_again_and_ask_for_what_is_new() {
    let api = Api::new();
    let at = |time: &str| json!([{ "at": time }, { "at": "2021-01-01T00:00:00Z" }, { "at": null }]);
    api.origin.play_in_turn(
        "/1",
        [
            page(&json!({ "data": at("2021-05-04T03:02:01Z"), "next": "/2" })),
            page(&json!({ "data": at("2021-05-04T04:00:00Z"), "next": "/2" })),
            page(&json!({ "data": [] })),
        ],
    );
    api.origin.play_in_turn("/2", [page(&json!({ "data": at("2021-05-04T03:30:00Z") })), status("404 Gone")]);
    let keys =
        format!("{BY_URL}\nevery = '1s'\nsince = {{ param = 'updated_since', from = '/data/*/at', overlap = '5m' }}");
    let running = api.durable("/1?limit=3", &keys, "").start();
    running.message("page 2 of `api` failed");
    assert_eq!(term(running).code, Some(0));
    let first = "/1?limit=3&updated_since=2021-05-04T03%3A25%3A00Z";
    assert_eq!(
        api.targets()[..4],
        ["/1?limit=3", "/2", first, "/2"],
        "the second page of the first walk was the newest"
    );
    let walks: Vec<_> = api.records().iter().map(|record| record["page"]["walk"].as_u64().unwrap()).collect();
    assert_eq!(walks[..4], [1, 1, 2, 2]);

    let before = api.targets().len();
    api.origin.play_in_turn("/2", [page(&json!({ "data": at("2021-05-04T03:40:00Z") }))]);
    let running = api.durable("/1?limit=3", &keys, "").start();
    api.origin.wait_for_requests(before + 2);
    assert_eq!(term(running).code, Some(0));
    let rest = &api.targets()[before..];
    assert_eq!(rest[..2], ["/2".to_owned(), "/1?limit=3&updated_since=2021-05-04T03%3A55%3A00Z".to_owned()]);
}

#[test]
fn credentials_of_the_command_line_go_along_after_a_restart() {
    let api = Api::new();
    hangs_at_the_second(&api);
    let config = api.config("/1", BY_URL, "[state]\ndata_dir = 'state'\n[sink.out.jsonl]\npath = 'out.jsonl'");
    let fetchd = || Fetchd::with(["-H", "authorization: mine"]).config(&config).directory(api.dir.path());
    let running = fetchd().start();
    api.origin.wait_for_requests(2);
    running.kill();
    api.goes(fetchd());
    assert_eq!(api.origin.requests().len(), 4);
    assert!(api.origin.requests().iter().all(|request| request.header("authorization") == Some("mine")));
}

#[test]
fn a_round_passes_pages_over() {
    let api = Api::new();
    fs::write(api.path("urls.txt"), api.origin.play_in_turn("/a", [status("401 No"), status("200 Yes")])).unwrap();
    api.origin.play_in_turn("/1", [status("401 No"), page(&json!({ "data": [1] }))]);
    let more = "[source.urls.file]\npaths = ['urls.txt']\n[state]\ndata_dir = 'state'\n[sink.out.jsonl]\npath = 'out.jsonl'\nrotate_size = '1MiB'";
    let config = api.config("/1", BY_URL, more);
    let first = api.goes(api.fetchd(&config));
    assert!(first.stderr.contains("1 line is not ok (http_status 1)"), "{}", first.stderr);
    let again = api.goes(Fetchd::with(["--again", "not_ok"]).config(&config).directory(api.dir.path()));
    assert_eq!(again.summary()["lines"], 1, "{}", again.stderr);
    assert_eq!((api.origin.requests_for("/1"), api.origin.requests_for("/a")), (2, 2));

    let alone = Api::new();
    alone.goes(alone.durable("/items/2/2", BY_URL, "rotate_size = '1MiB'"));
    fs::remove_file(alone.path("out-000001.jsonl")).unwrap();
    let more = "[state]\ndata_dir = 'state'\n[sink.out.jsonl]\npath = 'out.jsonl'\nrotate_size = '1MiB'";
    let config = alone.config("/items/2/2", BY_URL, more);
    let none = alone.goes(Fetchd::with(["--again", "not_ok"]).config(&config).directory(alone.dir.path()));
    assert!(none.stderr.contains("no line to fetch again"), "no record of a page is missed: {}", none.stderr);
}

#[test]
fn the_state_of_a_walk_is_shown() {
    let api = Api::new();
    api.goes(api.durable("/items/3/2", BY_URL, ""));
    let (mut running, stdout) =
        Fetchd::bare(["state", "status", "--json", "--data-dir", "state"]).directory(api.dir.path()).start_unread();
    let status: Value = serde_json::from_reader(stdout.unwrap()).unwrap();
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(
        (&status["sources"]["api"]["done"], &status["sources"]["api"]["kind"]),
        (&json!(3), &json!("pages")),
        "{status}"
    );
}

#[test]
fn the_urls_of_items_are_followed_live_by_a_second_fetchd() {
    let api = Api::new();
    let first =
        json!({ "data": [{ "url": api.origin.url("/ok/1") }, { "url": api.origin.url("/ok/2") }], "next": "/2" });
    api.origin.play("/1", page(&first));
    let gate = Arc::new(Semaphore::new(0));
    let second = page(&json!({ "data": [{ "url": api.origin.url("/ok/3") }] }));
    api.origin.play("/2", [vec![Step::WaitInLine(Arc::clone(&gate), Duration::ZERO)], second].concat());
    fs::write(api.path("pages.toml"), api.config("/1", BY_URL, "[network]\nallow = ['127.0.0.0/8']")).unwrap();
    let script = "\"$0\" -c pages.toml | jq --unbuffered -r '.json.data[]?.url' | \"$0\" --allow 127.0.0.0/8";
    let mut running = Fetchd::in_shell(script).directory(api.dir.path()).start();
    let number = |record: &Value| record["json"]["n"].as_u64();
    let mut numbers = [running.record(), running.record()].map(|record| number(&record));
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(1), Some(2)], "while the second page is awaited");
    gate.add_permits(1);
    let ended = running.finish("");
    assert_eq!((ended.code, number(ended.only_record())), (Some(0), Some(3)), "{}", ended.stderr);
}

#[test]
fn what_is_wrong_with_the_table_is_said_at_once_with_the_fix() {
    let api = Api::new();
    let check = |toml: &str| {
        let path = api.path("wrong.toml");
        fs::write(&path, toml).unwrap();
        let ended = Fetchd::bare(["check", "-c", "wrong.toml"]).directory(api.dir.path()).run("");
        assert_eq!(ended.code, Some(2), "{toml}");
        ended.stderr
    };
    let url = "url = 'http://a.test/'";
    for (keys, said) in [
        ("next = { link = 'next' }".to_owned(), "[source.api.pages] needs the key `url`; add it"),
        (url.to_owned(), "[source.api.pages] needs the key `next`; add it"),
        ("url = 'a.test'\nnext = { link = 'next' }".to_owned(), "`url` cannot be requested: not an absolute URL"),
        ("url = 'http://u:s3cret@a.test/'\nnext = { link = 'next' }".to_owned(), "a user name or password"),
        (format!("{url}\nnext = {{}}"), "`next` does not say how to get to the next page"),
        (format!("{url}\nnext = {{ link = 'next', page = 'p' }}"), "`next` has both `link` and `page`"),
        (
            format!("{url}\nnext = {{ lnk = 'next' }}"),
            "unknown key `lnk` in [source.api.pages.next]; did you mean `link`?",
        ),
        (format!("{url}\nnext = {{ page = 'p', first = true }}"), "write for example 1 or \"\""),
        (format!("{url}\nnext = {{ page = 'p' }}"), "something else has to end a walk; add `items`"),
        (format!("{url}\nnext = {{ link = 'next' }}\nitems = 'data'"), "`items` is `data`, which is not a JSON"),
        (format!("{url}\nnext = {{ link = 'next' }}\nmax_pages = 0"), "`max_pages` is 0; it can be from 1 to 1000000"),
        (format!("{url}\nnext = {{ link = 'next' }}\nevery = '1h'"), "need a place to remember the last one"),
        (format!("{url}\nnext = {{ link = 'next' }}\nevery = '0s'"), "walks would never pause"),
        (
            format!("{url}\nnext = {{ link = 'next' }}\nsince = {{ param = 's', from = '/t' }}"),
            "without `every` there is only one",
        ),
        (format!("{url}\nnext = {{ link = 'next' }}\nsince = {{ from = '/t' }}"), "`since` needs `param`"),
        (
            format!("{url}\nnext = {{ link = 'next' }}\norigins = ['b.test/x']"),
            "write for example \"https://files.example.com\"",
        ),
    ] {
        let shown = check(&format!("[source.api.pages]\n{keys}\n"));
        assert!(shown.contains(said) && !shown.contains("s3cret"), "{keys}\n{shown}");
    }
}
