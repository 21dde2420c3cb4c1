//! Tokens that expire, on real bytes: the file is replaced in every way that people replace files, and no other host ever sees
//! what is in it. Every test has a canary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, Running, kind, seq};
use crate::common::origin::{Origin, ok_with, send};
use crate::common::proxy::{Proxy, Then};
use crate::common::trust::Trust;

const OLD: &str = "old-s3cr3t";
const NEW: &str = "new-s3cr3t";

/// An API whose token is good, one that is another host, and the file of the token.
struct Api {
    own: Origin,
    canary: Origin,
    dir: TempDir,
}

impl Api {
    /// Its token has expired when the run begins.
    fn expired() -> Self {
        let api = Self {
            own: Origin::start_at([127, 0, 0, 1]),
            canary: Origin::start_at([127, 0, 0, 2]),
            dir: tempfile::tempdir().unwrap(),
        };
        api.own.accept_token(NEW);
        fs::write(api.token(), format!("{OLD}\n")).unwrap();
        api
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn token(&self) -> PathBuf {
        self.path("token")
    }

    fn lines(&self, n: usize) -> String {
        (0..n).map(|n| self.own.url(&format!("/token/{n}\n"))).collect()
    }

    fn config(&self, host: &str, more: &str) -> String {
        let token = self.token();
        format!(
            "[hosts.'{host}']\nheaders = {{ authorization = \"Bearer ${{file:{}}}\" }}\nrefresh_on = [401]\nconcurrency = 4\n{more}",
            token.display()
        )
    }

    fn fetchd(&self, more: &str) -> Fetchd {
        Fetchd::local().config(&self.config("127.0.0.1", more))
    }

    /// Starts, gives it these lines, and waits until it waits for a token.
    fn waiting(&self, fetchd: Fetchd, lines: &str) -> Running {
        let mut running = fetchd.start();
        running.write_all(lines.into()).join().unwrap();
        let said = running.message("waiting for a new token of 127.0.0.1");
        assert!(said.contains(self.token().to_str().unwrap()), "{said}");
        running
    }

    /// Nobody but the API has seen a token, and nothing shows one.
    fn is_secret(&self, ended: &Ended) {
        for request in self.canary.requests() {
            assert!(!request.headers.iter().any(|(_, value)| value.contains("s3cr3t")), "{request:?}");
        }
        let shown = format!("{} {:?}", ended.stderr, ended.records);
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

/// A way to put other content into a file.
type Replace = fn(&Path, &str);

/// Another file takes its place, as a careful program does it.
fn rename(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(beside, path).unwrap();
}

fn rewrite(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}

/// Nothing comes of what the file holds now, for longer than it takes to look at it.
fn nothing_comes(api: &Api, running: &Running) {
    let before = api.own.requests().len();
    running.silence(Duration::from_millis(1_300));
    assert_eq!(api.own.requests().len(), before, "no request goes out without a new token");
}

fn all_ok(ended: &Ended, lines: usize) {
    assert_eq!((ended.code, ended.count("ok"), ended.records.len()), (Some(0), lines, lines), "{}", ended.stderr);
}

#[test]
fn a_new_token_is_taken_however_the_file_is_replaced() {
    let ways: [(&str, Replace); 3] = [
        ("rename", rename),
        ("rewrite", rewrite),
        ("delete", |path, content| {
            fs::remove_file(path).unwrap();
            rewrite(path, content);
        }),
    ];
    for (way, replace) in ways {
        let api = Api::expired();
        let mut running = api.waiting(api.fetchd(""), &api.lines(30));
        // Those on the wire at once, and one probe.
        assert!(api.own.requests().len() <= 5, "{way}: {}", api.own.requests().len());
        replace(&api.token(), &format!("{NEW}\r\n"));
        let ended = running.wait();
        all_ok(&ended, 30);
        let often = ended.records.iter().find(|record| record["attempts"].as_u64() > Some(2));
        assert!(often.is_none(), "{way}: {often:?}");
        let old = api
            .own
            .requests()
            .iter()
            .filter(|request| request.header("authorization") == Some("Bearer old-s3cr3t"))
            .count();
        assert_eq!((old, api.own.requests().len()), (api.own.requests().len() - 30, 30 + old), "{way}");
        api.is_secret(&ended);
    }
}

#[test]
fn what_is_no_token_is_not_taken_and_the_wait_goes_on() {
    let api = Api::expired();
    let mut running = api.waiting(api.fetchd(""), &api.lines(6));
    rewrite(&api.token(), "");
    running.message(&format!(
        "still waiting for a new token of 127.0.0.1 in the file `{}`, which is empty",
        api.token().display()
    ));
    for content in ["", "\n", "two\nlines", "a\u{0}b", &"x".repeat(70_000), OLD] {
        rewrite(&api.token(), content);
        nothing_comes(&api, &running);
    }
    fs::remove_file(api.token()).unwrap();
    nothing_comes(&api, &running);
    rename(&api.token(), NEW);
    let ended = running.wait();
    all_ok(&ended, 6);
    assert!(ended.records.iter().all(|record| record["waited_for"] == "token"), "{:?}", ended.records);
    api.is_secret(&ended);
}

#[test]
fn two_hosts_with_one_file_go_on_with_one_new_content() {
    let api = Api::expired();
    let other = Origin::start_at([127, 0, 0, 3]);
    other.accept_token(NEW);
    let second = api.config("127.0.0.3", "");
    let lines: String = (0..6).map(|n| other.url(&format!("/token/{n}\n"))).collect();
    let mut running = api.fetchd(&second).start();
    running.write_all((api.lines(6) + &lines).into()).join().unwrap();
    let said = [0; 2].map(|_| running.message("waiting for a new token of 127.0.0.")).concat();
    assert!(said.contains("of 127.0.0.1 in") && said.contains("of 127.0.0.3 in"), "{said}");
    rename(&api.token(), NEW);
    let ended = running.wait();
    all_ok(&ended, 12);
    api.is_secret(&ended);
}

#[test]
fn a_post_with_no_retries_is_sent_again_for_a_new_token() {
    let api = Api::expired();
    let line = format!("{{\"url\": \"{}\", \"method\": \"POST\", \"body\": \"once\"}}\n", api.own.url("/token/1"));
    let mut running = api.waiting(api.fetchd("[retry]\nretries = 0\n"), &line);
    rename(&api.token(), NEW);
    let ended = running.wait();
    all_ok(&ended, 1);
    assert_eq!(ended.only_record()["attempts"], 2);
    assert!(api.own.requests().iter().all(|request| request.body == b"once"));
    api.is_secret(&ended);
}

#[test]
fn a_page_that_is_always_refused_is_a_record_at_once_among_others() {
    let api = Api::expired();
    fs::write(api.token(), NEW).unwrap();
    let lines = api.lines(10) + &api.own.url("/status/401\n") + &api.lines(10);
    let ended = api.fetchd("").run(lines);
    assert_eq!((ended.code, ended.records.len(), ended.count("ok")), (Some(0), 21, 20), "{}", ended.stderr);
    let refused = ended.records.iter().find(|record| record["outcome"] == "http_error").unwrap();
    assert_eq!(
        (&refused["status"], &refused["attempts"], &refused["body"]),
        (&401.into(), &1.into(), &"as asked for".into())
    );
    assert!(!ended.stderr.contains("waiting for a new token"), "{}", ended.stderr);
    api.is_secret(&ended);
}

#[test]
fn a_token_that_never_comes_leaves_the_answers_as_records_and_says_so() {
    let api = Api::expired();
    let config = "[retry]\nrefresh_wait = '2s'\n[log]\nformat = 'text'\n";
    let ended = api.fetchd(config).run(api.lines(20));
    assert_eq!((ended.code, ended.records.len()), (Some(0), 20), "{}", ended.stderr);
    let of_kind = |name: &str| ended.records.iter().filter(|record| kind(record) == name).count();
    let answered = of_kind("http_status");
    assert!((1..=5).contains(&answered), "{answered}");
    assert_eq!(of_kind("no_token"), 20 - answered);
    for record in &ended.records {
        let sent = kind(record) == "http_status";
        assert_eq!(record["status"].as_u64(), sent.then_some(401));
        assert_eq!(record["attempts"].as_u64(), sent.then_some(2));
    }
    for words in ["no_token", "of the time waiting for a new token of 127.0.0.1 in the file `", "401 ×"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    api.is_secret(&ended);
}

#[test]
fn progress_says_which_token_is_waited_for() {
    let api = Api::expired();
    let mut running = Fetchd::with(["--progress", "always"]).config(&api.config("127.0.0.1", "")).start();
    running.write_all(api.lines(20).into()).join().unwrap();
    running.message(&format!("· waiting for a new token of 127.0.0.1 in the file `{}`", api.token().display()));
    rename(&api.token(), NEW);
    let ended = running.wait();
    all_ok(&ended, 20);
}

/// The records of an output by the numbers of their lines: each once.
fn records(path: &Path) -> BTreeMap<u64, Value> {
    let mut records = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(records.insert(seq(&record), record).is_none(), "a line has two records");
    }
    records
}

/// A durable run over a file of so many lines.
fn durable(api: &Api, lines: usize, more: &str) -> Fetchd {
    fs::write(api.path("urls"), api.lines(lines)).unwrap();
    let args = ["-i", "urls", "-o", "results.jsonl", "--data-dir", "state"];
    Fetchd::with(args).directory(api.dir.path()).config(&api.config("127.0.0.1", more))
}

#[test]
fn lines_of_a_file_that_no_token_came_for_are_left_for_the_next_start() {
    let api = Api::expired();
    let ended = durable(&api, 20, "[retry]\nrefresh_wait = '2s'\n").run("");
    let answered = records(&api.path("results.jsonl")).len();
    assert!((1..=5).contains(&answered), "{answered}: {}", ended.stderr);
    assert_eq!((ended.code, &ended.summary()["left"]), (Some(4), &json!(20 - answered)), "{}", ended.stderr);
    let sentence = format!(
        "of 127.0.0.1 wait for a new token in the file `{}`; run again when it is there",
        api.token().display()
    );
    assert!(ended.stderr.contains(&sentence), "{}", ended.stderr);
    rename(&api.token(), NEW);
    let ended = durable(&api, 20, "").run("");
    let records = records(&api.path("results.jsonl"));
    assert_eq!((records.len(), ended.code), (20, Some(0)), "{}", ended.stderr);
    assert_eq!(records.values().filter(|record| record["outcome"] == "ok").count(), 20 - answered);
    api.is_secret(&ended);
}

#[test]
fn a_run_that_is_killed_while_it_waits_has_lost_nothing() {
    let api = Api::expired();
    for _ in 0..3 {
        let running = api.waiting(durable(&api, 40, ""), "");
        running.kill();
    }
    assert!(records(&api.path("results.jsonl")).is_empty());
    rename(&api.token(), NEW);
    let ended = durable(&api, 40, "").run("");
    let records = records(&api.path("results.jsonl"));
    assert_eq!((records.len(), ended.code), (40, Some(0)), "{}", ended.stderr);
    assert!(records.values().all(|record| record["outcome"] == "ok"));
    api.is_secret(&ended);
}

#[test]
fn a_stream_that_is_killed_while_it_waits_goes_on_from_its_journal() {
    let api = Api::expired();
    let dir = api.dir.path().display();
    let stream = format!(
        "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = '{dir}/state'\n[sink.all.jsonl]\npath = '{dir}/results.jsonl'\n"
    );
    let fetchd = || api.fetchd(&stream);
    for _ in 0..3 {
        api.waiting(fetchd(), &api.lines(15)).kill();
    }
    rename(&api.token(), NEW);
    let ended = fetchd().run("");
    let records = records(&api.path("results.jsonl"));
    // A kill may come before the last lines are in the journal: those were never accepted.
    assert!((15..=45).contains(&records.len()) && ended.code == Some(0), "{}: {}", records.len(), ended.stderr);
    assert!(records.values().all(|record| record["outcome"] == "ok"));
    assert_eq!(records.keys().copied().collect::<Vec<_>>(), (1..=records.len() as u64).collect::<Vec<_>>());
    api.is_secret(&ended);
}

#[test]
fn sixty_four_requests_that_a_token_expires_under_are_sent_again_with_the_next() {
    let api = Api::expired();
    let config = api.config("127.0.0.1", "").replace("concurrency = 4", "concurrency = 64");
    let mut running = api.waiting(Fetchd::local().config(&config), &api.lines(200));
    rename(&api.token(), NEW);
    let ended = running.wait();
    all_ok(&ended, 200);
    let old =
        api.own.requests().iter().filter(|request| !request.header("authorization").unwrap().contains(NEW)).count();
    assert!((2..=65).contains(&old), "{old}: those on the wire, and one probe");
    api.is_secret(&ended);
}

#[test]
fn no_other_host_sees_a_token_by_redirects_robots_txt_or_another_port() {
    let api = Api::expired();
    fs::write(api.token(), NEW).unwrap();
    let other_port = Origin::start();
    let elsewhere = api.own.redirect(302, &api.canary.url("/ok/1"));
    let to_port = api.own.redirect(302, &other_port.url("/ok/1"));
    let robots = ok_with("", b"User-agent: *\nAllow: /\n");
    let moved =
        format!("HTTP/1.1 302 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", api.canary.url("/robots.txt"));
    api.own.play("/robots.txt", [send(moved)]);
    api.canary.play("/robots.txt", [send(robots)]);
    let config = api.config(&api.own.authority(), "[robots]\nenabled = true\n");
    let lines = format!("{}{elsewhere}\n{to_port}\n{}\n", api.lines(3), other_port.url("/ok/2"));
    let ended = Fetchd::local().config(&config).run(lines);
    all_ok(&ended, 6);
    assert!(api.canary.requests_for("/robots.txt") > 0 && api.canary.requests_for("/ok/1") == 1);
    let seen = other_port.requests();
    assert!(seen.len() >= 2 && seen.iter().all(|request| request.header("authorization").is_none()), "{seen:?}");
    api.is_secret(&ended);
}

#[test]
fn a_proxy_does_not_see_the_token_of_a_host_behind_https() {
    let api = Api::expired();
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    origin.accept_token(OLD);
    let proxy = Proxy::http(Then::Tunnel(origin.address()));
    let ca = trust.path().join("ca.pem");
    let config = api.config(
        "name.example",
        &format!("[tls]\nca_file = '{}'\n[fetch]\nproxy = '{}'\n", ca.display(), proxy.url("")),
    );
    let url = origin.url("/token/1").replace("127.0.0.1", "name.example");
    let ended = Fetchd::local().config(&config).run(url);
    all_ok(&ended, 1);
    assert!(!proxy.seen().is_empty() && !proxy.seen().concat().contains("s3cr3t"), "{:?}", proxy.seen());
    api.is_secret(&ended);
}

#[test]
fn a_header_of_the_line_wins_and_its_refusal_is_its_own_matter() {
    let api = Api::expired();
    let line = format!("{{\"url\": \"{}\", \"headers\": {{\"authorization\": \"mine\"}}}}\n", api.own.url("/token/1"));
    let ended = api.fetchd("").run(line);
    let record = ended.only_record();
    assert_eq!((kind(record), &record["attempts"]), ("http_status", &1.into()), "{}", ended.stderr);
    assert_eq!(api.own.requests()[0].header("authorization"), Some("mine"));
}

#[test]
fn a_file_that_cannot_be_used_is_a_problem_with_its_place_and_nothing_is_sent() {
    let api = Api::expired();
    let cases: [(&str, &[u8], &str); 4] = [
        ("none", b"", "none, which cannot be read"),
        ("long", &[b'x'; 70_000], "which is longer than 64 KiB"),
        ("empty", b"\n", "which is empty; write the token into it"),
        ("lines", b"s3cr3t\nline", "has a control character"),
    ];
    for (name, content, said) in cases {
        if name != "none" {
            fs::write(api.path(name), content).unwrap();
        }
        let config = api.config("127.0.0.1", "").replace("/token}", &format!("/{name}}}"));
        let ended = Fetchd::local().config(&config).run(api.lines(1));
        assert_eq!((ended.code, api.own.requests().len()), (Some(2), 0), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(said) && ended.stderr.contains("fetchd.toml:2:"), "{name}: {}", ended.stderr);
        api.is_secret(&ended);
    }
    let elsewhere =
        Fetchd::local().config(&format!("[fetch]\ntimeout = '${{file:{}}}'\n", api.token().display())).run("");
    assert!(
        elsewhere.code == Some(2)
            && elsewhere.stderr.contains("the content of the file that `fetch.timeout` names does not fit")
    );
    api.is_secret(&elsewhere);
}

#[test]
fn a_path_begins_at_the_credentials_directory_or_else_at_the_configuration() {
    let api = Api::expired();
    let config = |dir: &Path| {
        let toml = "[network]\nallow = ['127.0.0.0/8']\n[hosts.'127.0.0.1']\nheaders = { x-key = '${file:key}' }\n";
        fs::write(dir.join("fetchd.toml"), toml).unwrap();
        dir.join("fetchd.toml")
    };
    let (beside, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(beside.path().join("key"), "beside\n").unwrap();
    fs::write(credentials.path().join("key"), "credential\n").unwrap();
    let path = config(beside.path());
    let run = |dir: Option<&Path>| {
        let fetchd = Fetchd::bare([Path::new("-c"), &path]).directory(api.dir.path());
        let fetchd =
            if let Some(dir) = dir { fetchd.env("CREDENTIALS_DIRECTORY", dir.to_str().unwrap()) } else { fetchd };
        all_ok(&fetchd.run(api.own.url("/ok/1")), 1);
        api.own.requests().pop().unwrap().header("x-key").map(str::to_owned)
    };
    assert_eq!(run(None).as_deref(), Some("beside"));
    assert_eq!(run(Some(credentials.path())).as_deref(), Some("credential"));
}

#[test]
fn flags_read_no_files_and_say_so() {
    let api = Api::expired();
    let token = api.token();
    let reference = format!("${{file:{}}}", token.display());
    let set = format!("hosts.\"a.test\".headers.authorization={reference}");
    for (flag, value) in [("-H", format!("authorization: Bearer {reference}")), ("--set", set)] {
        let ended = Fetchd::with([flag, &value]).run(api.lines(1));
        assert_eq!((ended.code, api.own.requests().len()), (Some(2), 0), "{flag}: {}", ended.stderr);
        assert!(ended.stderr.contains("configuration file"), "{flag}: {}", ended.stderr);
        api.is_secret(&ended);
    }
}

#[test]
fn the_file_of_a_token_is_never_an_output_and_a_useless_key_is_warned_of() {
    let api = Api::expired();
    let token = api.token();
    let ended = Fetchd::with([Path::new("-o"), &token]).config(&api.config("a.test", "")).run("");
    assert!(ended.code == Some(2) && ended.stderr.contains("takes its content"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(token).unwrap(), format!("{OLD}\n"));
    let ended = Fetchd::local().config("[hosts.'a.test']\nrefresh_on = [401]\n").run("");
    assert!(ended.code == Some(0) && ended.stderr.contains("refresh_on` has no effect"), "{}", ended.stderr);
    let ended = Fetchd::local().config("[hosts.'a.test']\nrefresh_on = [200]\n").run("");
    assert!(ended.code == Some(2) && ended.stderr.contains("from 400 to 599"), "{}", ended.stderr);
}
