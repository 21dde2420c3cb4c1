//! Verbs, from the request to whoever carries them out, and back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetchd::ops::{
    Api, ApiConfig, ApiParts, ApiRequests, ConfigInForce, Lasting, LateDesk, LimitsChange, LiveRecords, Operator,
    Refusal, Reloading, Reply, Unfinished, Verb, Whom,
};
use fetchd::pipeline::Status;
use fetchd::telemetry::Stats;
use fetchd::telemetry::metrics::Reloads;
use futures::FutureExt;
use futures::future::{BoxFuture, pending, ready};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::common::PATIENCE;
use crate::place::{Said, ctl_at};

/// Carries out nothing, and notes what it was told.
#[derive(Default)]
struct Fake(Mutex<Vec<Verb>>);

impl Operator for Fake {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        self.0.lock().unwrap().push(verb.clone());
        let refused = |message: &str| ready(Err(Refusal::Refused(message.to_owned()))).boxed();
        match verb {
            Verb::Pause(Whom::Host(host), _) if host == "panic.test" => panic!("as it was told"),
            Verb::Pause(Whom::Host(host), _) if host == "slow.test" => pending().boxed(),
            Verb::Resume(Whom::Host(host)) if host == "busy.test" => {
                ready(Err(Refusal::TryAgain("another verb goes on; try again in a moment".to_owned()))).boxed()
            }
            Verb::Resume(Whom::Host(host)) if host == "odd.test" => {
                ready(Err(Refusal::Invalid("`host` is odd".to_owned()))).boxed()
            }
            Verb::Drain(Unfinished::Keep) => refused("5 lines would be canceled; add force to cancel them"),
            _ => {
                let facts = json!({ "changed": ["limits.rate"] }).as_object().unwrap().clone();
                let warnings = vec!["a\u{1b}[2Jb holds 5 of 10 places of the window".to_owned()];
                ready(Ok(Reply { message: "done as told".to_owned(), warnings, kept: Some(false), facts })).boxed()
            }
        }
    }
}

/// An API in this process, without a run.
struct Bench {
    dir: TempDir,
    operator: Arc<Fake>,
    requests: ApiRequests,
    status: Status,
    _api: Api,
}

impl Bench {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (operator, requests, status) = (Arc::new(Fake::default()), ApiRequests::default(), Status::watched());
        let config = ConfigInForce {
            digest: "0".to_owned(),
            file: None,
            loaded: jiff::Timestamp::now(),
            last_reload: None,
            reloads: Reloads::default(),
            values: Value::Null,
        };
        let parts = ApiParts {
            status: status.clone(),
            stats: Stats::default(),
            desk: LateDesk::default(),
            live: LiveRecords::default(),
            disks: Vec::new().into(),
            config: watch::channel(Arc::new(config)).1,
            operator: Arc::clone(&operator) as Arc<dyn Operator>,
            requests: requests.clone(),
        };
        let socket = Some(dir.path().join("api/api.sock"));
        let api = Api::start(&ApiConfig { socket, ..ApiConfig::default() }, parts).unwrap();
        Self { dir, operator, requests, status, _api: api }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("api/api.sock")
    }

    /// What is answered to a verb: the status, and the body.
    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        post_at(&self.socket(), path, body)
    }

    fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Said {
        ctl_at(&self.socket(), args)
    }
}

/// The same at this socket.
fn post_at(socket: &Path, path: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn what_ctl_says_is_what_the_operator_is_told() {
    let bench = Bench::start();
    let (a, hour) = (|| Whom::Host("a.test".to_owned()), Lasting::For(Duration::from_secs(3600)));
    let set = |rate: &str, concurrency: Option<&str>, lasting| LimitsChange::Set {
        rate: Some(rate.parse().unwrap()),
        concurrency: concurrency.map(|n| n.parse().unwrap()),
        lasting,
    };
    for (args, verb) in [
        (&["pause"][..], Verb::Pause(Whom::All, Lasting::UntilCleared)),
        (&["pause", "a.test", "--for", "1h"], Verb::Pause(a(), hour)),
        (&["resume"], Verb::Resume(Whom::All)),
        (&["resume", "A.test"], Verb::Resume(a())),
        (&["skip", "a.test"], Verb::Skip { host: "a.test".to_owned(), lasting: None }),
        (&["skip", "a.test", "--clear"], Verb::EndSkip("a.test".to_owned())),
        (
            &["limits", "a.test", "--rate", "2/s", "--concurrency", "3", "--for", "60m"],
            Verb::Limits(a(), set("2/s", Some("3"), hour)),
        ),
        (&["limits", "--all", "--rate", "20/10s"], Verb::Limits(Whom::All, set("20/10s", None, Lasting::UntilCleared))),
        (&["limits", "a.test", "--clear"], Verb::Limits(a(), LimitsChange::Clear)),
        (&["drain", "--force"], Verb::Drain(Unfinished::Cancel)),
        (&["rotate"], Verb::Rotate),
        (&["reload", "--dry-run"], Verb::Reload(Reloading::DryRun)),
    ] {
        let said = bench.ctl(args.iter().copied());
        assert_eq!((said.code, said.out.as_str()), (0, "done as told\n"), "{args:?}: {said:?}");
        assert!(
            said.err.contains("warning: a\\u{1b}[2Jb holds 5 of 10") && said.err.contains("only until fetchd ends"),
            "{said:?}"
        );
        assert_eq!(bench.operator.0.lock().unwrap().pop(), Some(verb), "{args:?}");
    }
    let json = bench.ctl(["rotate", "--json"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &value["kept"], &value["message"]), (0, &json!(false), &json!("done as told")));
    assert!(!json.out.contains('\u{1b}'), "{json:?}");
}

#[test]
fn a_refusal_says_why_and_changes_nothing() {
    let bench = Bench::start();
    for (path, body, status, kind) in [
        ("/v1/drain", "{}", 409, "refused"),
        ("/v1/resume", r#"{"host":"busy.test"}"#, 429, "try_again"),
        ("/v1/resume", r#"{"host":"odd.test"}"#, 400, "bad_request"),
    ] {
        let (answered, body) = bench.post(path, body);
        assert_eq!((answered, body["error"]["kind"].as_str()), (status, Some(kind)), "{body}");
    }
    for (args, code, part) in [
        (&["drain"][..], 1, "error: 5 lines would be canceled"),
        (&["resume", "busy.test"], 1, "another verb goes on"),
        (&["resume", "odd.test"], 2, "`host` is odd"),
    ] {
        let said = bench.ctl(args.iter().copied());
        assert!(said.code == code && said.out.is_empty() && said.err.contains(part), "{said:?}");
    }
    assert!(bench.status.events().all().iter().all(|event| event.kind.name() == "state"));
}

#[test]
fn a_panic_closes_its_connection_is_counted_and_ends_nothing() {
    let bench = Bench::start();
    let (status, body) = bench.post("/v1/pause", r#"{"host":"panic.test"}"#);
    assert_eq!((status, body["error"]["kind"].as_str()), (500, Some("internal")), "{body}");
    assert_eq!((bench.requests.panics(), bench.post("/v1/rotate", "").0), (1, 200));
    let of = |route, class| {
        let all = bench.requests.all();
        all.iter().find(|count| (count.route, count.class) == (route, class)).unwrap().requests
    };
    assert_eq!((of("/v1/pause", "5xx"), of("/v1/rotate", "2xx"), of("/v1/drain", "4xx")), (1, 1, 0));
}

#[test]
fn a_verb_that_takes_its_time_is_answered_after_ten_seconds_and_others_meanwhile() {
    let bench = Bench::start();
    let begin = tokio::time::Instant::now();
    let socket = bench.socket();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| post_at(&socket, "/v1/pause", r#"{"host":"slow.test"}"#));
        assert_eq!(bench.post("/v1/rotate", "").0, 200);
        assert!(begin.elapsed() < Duration::from_secs(5));
        let (status, body) = slow.join().unwrap();
        assert_eq!((status, body["error"]["kind"].as_str()), (408, Some("timeout")), "{body}");
    });
    assert!(begin.elapsed() >= Duration::from_secs(10));
}

#[test]
fn without_a_run_the_api_says_that_it_is_starting() {
    let bench = Bench::start();
    let said = bench.ctl(["status"]);
    assert!(
        said.code == 1 && said.out.starts_with("Starting: 0 done") && said.out.contains("no, starting "),
        "{said:?}"
    );
}
