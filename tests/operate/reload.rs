//! Reloads, on the real binary: what is taken over, from which request on, and what is refused.

use std::collections::BTreeSet;
use std::fs;

use fetchd::config::{EFFECTS, Effect};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::certs::Authority;
use crate::common::fetchd::{Fetchd, Running, seq};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::place::{Place, Said};

impl Place {
    fn reload(&self) -> Said {
        self.ctl(["reload"])
    }

    /// A reload that changes these keys.
    fn reload_changes(&mut self, tables: &str, keys: &str) {
        self.write(tables);
        let said = self.reload();
        assert_eq!(
            (said.code, said.out.trim()),
            (0, &*format!("The configuration was loaded; changed: {keys}.")),
            "{said:?}"
        );
    }

    /// A reload that is refused, for this reason.
    fn reload_is_refused(&self, why: &str) {
        let said = self.reload();
        assert!(said.code == 1 && said.err.contains(why), "{why}: {said:?}");
    }

    /// What is in force, and how the last reload ended.
    fn in_force(&self) -> (Value, Value) {
        let config = self.get("/v1/config").json();
        (config["digest"].clone(), config["last_reload"]["result"].clone())
    }
}

/// What requests carried in a header, in the order in which they came.
fn carried(origin: &Origin, header: &str) -> Vec<String> {
    origin.requests().iter().map(|request| request.header(header).unwrap_or_default().to_owned()).collect()
}

fn headers(value: &str) -> String {
    format!("[hosts.'127.0.0.1']\nconcurrency = 2\nheaders = {{ x-key = '{value}' }}\n")
}

/// Two requests that are held up by the origin, and lines behind them.
fn two_under_way(running: &mut Running, origin: &Origin) {
    let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = vec![Step::WaitInLine(hold, std::time::Duration::ZERO), send(ok_with("", b"ok"))];
    for n in 0..2 {
        running.line(&origin.play(&format!("/held/{n}"), held.clone()));
    }
    origin.wait_for_requests(2);
}

#[test]
fn requests_that_start_after_a_reload_go_by_it_and_none_before() {
    let origin = Origin::start();
    let mut place = Place::with(&headers("old"));
    let mut running = place.start();
    two_under_way(&mut running, &origin);
    place.reload_changes(
        &headers("new").replace("concurrency = 2", "concurrency = 4"),
        "hosts.\"127.0.0.1\".concurrency, hosts.\"127.0.0.1\".headers.x-key",
    );
    for n in 0..20 {
        running.line(&origin.url(&format!("/ok/{n}")));
    }
    (0..20).for_each(|_| assert_eq!(running.record()["outcome"], "ok"));
    let carried = carried(&origin, "x-key");
    assert_eq!(
        (carried[..2].join(" "), carried[2..].iter().filter(|key| *key == "new").count()),
        ("old old".to_owned(), 20)
    );
    running.kill();
}

#[test]
fn the_content_of_a_file_is_read_again_and_requests_carry_it_from_the_reply_on() {
    let origin = Origin::start();
    let place = Place::with("[hosts.'127.0.0.1']\nheaders = { authorization = 'Bearer ${file:token}' }\n");
    fs::write(place.path("token"), "one\n").unwrap();
    let mut running = place.start();
    for (token, lines) in [("one", 3), ("two", 5), ("three", 4)] {
        fs::write(place.path("token"), format!("{token}\n")).unwrap();
        let said = place.reload();
        assert_eq!(said.code, 0, "{said:?}");
        for n in 0..lines {
            running.line(&origin.url(&format!("/ok/{n}")));
            assert_eq!(running.record()["outcome"], "ok");
        }
    }
    let expected: Vec<_> = [("one", 3), ("two", 5), ("three", 4)]
        .into_iter()
        .flat_map(|(token, lines)| vec![format!("Bearer {token}"); lines])
        .collect();
    assert_eq!(carried(&origin, "authorization"), expected);
    assert!(!place.get("/v1/config").text.contains("three"), "the new secret is masked, too");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn another_certificate_of_an_authority_is_taken_over_with_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let names = ["127.0.0.1"];
    let first = Origin::start_tls([127, 0, 0, 1], old.identity(&names).server());
    let second = Origin::start_tls([127, 0, 0, 1], new.identity(&names).server());
    let place = Place::with("[tls]\nca_file = 'ca.pem'\n[retry]\nretries = 0\n");
    fs::write(place.path("ca.pem"), old.pem()).unwrap();
    let mut running = place.start();
    let mut outcome = |url: String| {
        running.line(&url);
        running.record()["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!((outcome(first.url("/ok/1")), outcome(second.url("/ok/1"))), ("ok".into(), "failed".into()));
    assert_eq!(place.reload().out.trim(), "The configuration is the one that is in force; nothing changed.");
    fs::write(place.path("ca.pem"), new.pem()).unwrap();
    let said = place.reload();
    assert!(said.code == 0 && said.out.contains("the content of certificate files"), "{said:?}");
    // The kept connection to the first would still do, were it not given up.
    assert_eq!((outcome(first.url("/ok/2")), outcome(second.url("/ok/2"))), ("failed".into(), "ok".into()));
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_kept_connection_carries_no_request_to_an_address_that_is_denied_since() {
    let origin = Origin::start();
    let mut place = Place::new();
    let mut running = place.start();
    running.line(&origin.url("/ok/1"));
    assert_eq!(running.record()["outcome"], "ok");
    place.reload_changes("[network]\ndeny = ['127.0.0.1/32']\n", "network.deny");
    running.line(&origin.url("/ok/2"));
    assert_eq!(running.record()["error"]["kind"], "forbidden_address");
    place.reload_changes("", "network.deny");
    running.line(&origin.url("/ok/3"));
    assert_eq!(running.record()["outcome"], "ok");
    assert_eq!((running.finish("").code, origin.accepts()), (Some(0), 2));
}

#[test]
fn a_third_way_to_reach_hosts_waits_until_the_first_is_used_no_more() {
    let origin = Origin::start();
    let mut place = Place::new();
    let mut running = place.start();
    two_under_way(&mut running, &origin);
    place.reload_changes("[network]\ndeny = ['10.0.0.0/8']\n", "network.deny");
    place.write("[network]\ndeny = ['10.0.0.0/9']\n");
    place.reload_is_refused("requests are still under way");
    // Another value needs no other connections.
    place.reload_changes("[network]\ndeny = ['10.0.0.0/8']\n[retry]\nretries = 7\n", "retry.retries");
    running.kill();
}

#[test]
fn a_limit_that_was_lowered_can_be_raised_again_up_to_the_workers_of_the_start() {
    let limit = |n: u32| format!("[limits]\nconcurrency = {n}\n");
    let mut place = Place::with(&limit(20));
    let mut running = place.start();
    for n in [2, 20, 7] {
        place.reload_changes(&limit(n), "limits.concurrency");
    }
    place.write(&limit(21));
    place.reload_is_refused("these need a restart: limits.concurrency.");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn what_a_flag_overrides_is_named() {
    let mut place = Place::with("[retry]\nretries = 1\n");
    fs::write(place.file(), place.config()).unwrap();
    let file = place.file();
    let arguments = ["-c".as_ref(), file.as_os_str(), "--retries".as_ref(), "3".as_ref()];
    let mut running = Fetchd::with(arguments).start();
    running.message("operators connect at");
    place.wait_until(|status| status["state"] != "starting");
    place.write("[retry]\nretries = 2\nbackoff = '1s'\n");
    let said = place.reload();
    assert_eq!(said.out.trim(), "The configuration was loaded; changed: retry.backoff.", "{said:?}");
    assert!(said.err.contains("still overrides: retry.retries"), "{said:?}");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let origin = Origin::start();
    let mut place = Place::with("[retry]\nretries = 1\n[limits]\nrate = '1000/s'\n");
    let mut running = place.start();
    let whole = place.config().replace("retries = 1", "retries = 5");
    let (digest, _) = place.in_force();
    for (content, why) in [
        (whole.as_bytes()[..whole.len() / 3].to_vec(), "the configuration is wrong"),
        (Vec::new(), "these need a restart: api.socket"),
        (b"\xff\xfe\x00".to_vec(), "the configuration is wrong"),
        (whole.replace("retries = 5", "retrys = 5").into_bytes(), "retrys"),
        ([whole.as_bytes(), &vec![b'#'; 100 << 20]].concat(), "longer than 16 MiB"),
    ] {
        fs::write(place.file(), content).unwrap();
        place.reload_is_refused(why);
        let status = place.ctl(["status"]).out;
        assert!(status.contains(why), "the status gives the reason, too: {status}");
    }
    fs::remove_file(place.file()).unwrap();
    place.reload_is_refused("cannot read the configuration");
    fs::create_dir(place.file()).unwrap();
    place.reload_is_refused("is not a regular file");
    fs::remove_dir(place.file()).unwrap();
    // To open it would wait for a writer, and every later verb with it.
    nix::unistd::mkfifo(&place.file(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    place.reload_is_refused("is not a regular file");
    fs::remove_file(place.file()).unwrap();
    assert_eq!(place.in_force(), (digest, json!("refused")));
    place.reload_changes("[retry]\nretries = 5\n[limits]\nrate = '1000/s'\n", "retry.retries");
    running.line(&origin.url("/ok/1"));
    assert_eq!(running.record()["outcome"], "ok");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let mut place = Place::with("[retry]\nretries = 1\n");
    let mut running = place.start();
    place.write("[retry]\nretries = 2\n");
    let dry = || place.ctl(["reload", "--dry-run"]).out;
    assert_eq!(dry().trim(), "The configuration is valid; a reload would change: retry.retries.");
    assert_eq!(dry().trim(), "The configuration is valid; a reload would change: retry.retries.");
    assert!(place.get("/v1/config").json().get("last_reload").is_none_or(Value::is_null));
    assert_eq!(running.finish("").code, Some(0));
}

/// Another value for each key that needs a restart, but those of sources and sinks.
const OTHERS: [(&str, &str, &str); 34] = [
    ("queue", "capacity", "7"),
    ("queue", "window", "700"),
    ("queue", "window_bytes", "'7MiB'"),
    ("fetch", "workers", "7"),
    ("fetch", "threads", "2"),
    ("fetch", "min_speed", "'7KiB/s'"),
    ("fetch", "speed_time", "'7s'"),
    ("fetch", "max_body", "'7MiB'"),
    ("fetch", "oversize", "'truncate'"),
    ("fetch", "max_redirects", "7"),
    ("fetch", "idle_connections", "7"),
    ("fetch", "revalidate", "true"),
    ("fetch", "http2", "true"),
    ("fetch", "proxy", "'http://127.0.0.1:3128'"),
    ("limits", "max_concurrency", "7"),
    ("limits", "body_memory", "'700MiB'"),
    ("limits", "hosts", "7"),
    ("hosts.'a.test'", "max_body", "'7MiB'"),
    ("robots", "enabled", "true"),
    ("robots", "cache", "'7MiB'"),
    ("dns", "servers", "['127.0.0.1:53']"),
    ("dns", "timeout", "'7s'"),
    ("dns", "cache", "7"),
    ("output", "order", "'input'"),
    ("output", "body", "'none'"),
    ("output", "headers", "true"),
    ("output", "digest", "true"),
    ("output", "fail", "true"),
    ("output", "fail_fast", "true"),
    ("state", "data_dir", "'state'"),
    ("state", "min_free", "'7MiB'"),
    ("log", "format", "'text'"),
    ("api", "socket_group", "'root'"),
    ("api", "metrics_listen", "'127.0.0.1:0'"),
];

#[test]
fn each_key_that_needs_a_restart_refuses_the_whole() {
    let declared: BTreeSet<_> = EFFECTS
        .iter()
        .filter(|(_, effect, _)| *effect == Effect::Restart)
        .flat_map(|(table, _, keys)| keys.iter().map(move |key| (*table, *key)))
        .filter(|key| *key != ("api", "socket"))
        .collect();
    let tried: BTreeSet<_> = OTHERS.iter().map(|(table, key, _)| (table.split('.').next().unwrap(), *key)).collect();
    assert_eq!(tried, declared, "every such key is tried");
    let place = Place::new();
    let mut running = place.start();
    let (digest, _) = place.in_force();
    for (table, key, value) in OTHERS {
        let api = if table == "api" { format!("{key} = {value}\n") } else { format!("[{table}]\n{key} = {value}\n") };
        fs::write(place.file(), format!("{}{api}[retry]\nretries = 9\n", place.config())).unwrap();
        place.reload_is_refused(&format!("these need a restart: {}.", table.replace('\'', "\"") + "." + key));
    }
    fs::write(place.file(), format!("{}[source.urls.file]\npaths = ['urls.txt']\n", place.config())).unwrap();
    place.reload_is_refused("source.urls.file.paths");
    fs::write(place.file(), format!("{}[sink.results.jsonl]\npath = 'out.jsonl'\n", place.config())).unwrap();
    place.reload_is_refused("sink.results.jsonl.path");
    assert_eq!(place.in_force(), (digest, json!("refused")));
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn sighup_loads_the_configuration_of_a_service_anew() {
    let origin = Origin::start();
    let mut place = Place::with(&headers("old"));
    fs::write(place.file(), place.config()).unwrap();
    let script = format!("exec setsid \"$0\" --allow 127.0.0.0/8 -c {}", place.file().display());
    let mut running = Fetchd::in_shell(&script).start();
    running.message("operators connect at");
    place.wait_until(|status| status["state"] != "starting");
    place.write(&headers("new"));
    running.signal(Signal::SIGHUP);
    running.message("The configuration was loaded");
    place.write("[fetch]\nhttp2 = true\n");
    running.signal(Signal::SIGHUP);
    running.message("these need a restart");
    running.line(&origin.url("/ok/1"));
    assert_eq!(running.record()["outcome"], "ok");
    assert_eq!(carried(&origin, "x-key"), ["new"]);
    assert_eq!(running.finish("").code, Some(0));
}

/// Bytes of memory that a process has (`VmRSS` of proc(5)).
fn memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
}

#[test]
fn fifty_reloads_under_load_lose_no_line_and_no_memory() {
    const LINES: u64 = 20_000;
    let origin = Origin::start();
    let mut place = Place::with("[limits]\nrate = '5000/s'\n");
    let mut running = place.start();
    let lines: String = (0..LINES).map(|n| origin.url(&format!("/ok/{}\n", n % 50))).collect();
    let writer = running.write_all(lines.into());
    origin.wait_for_requests(100);
    let (mut early, mut replaced) = (0, 0);
    for n in 0..50 {
        // Each tenth needs other connections, which those under way can refuse it.
        let deny = if n % 10 == 0 { format!("[network]\ndeny = ['10.{n}.0.0/16']\n") } else { String::new() };
        let headers = format!("[hosts.'*']\nheaders = {{ x-key = '{n}' }}\n[retry]\nretries = {}\n", n % 7);
        place.write(&format!("[limits]\nrate = '{}/s'\n{headers}{deny}", 4000 + n));
        let said = place.reload();
        assert!(said.code == 0 || said.err.contains("still under way"), "{said:?}");
        replaced += u64::from(said.code == 0);
        if n == 9 {
            early = memory(&running);
        }
    }
    let late = memory(&running);
    assert!(replaced >= 40, "{replaced} of 50 reloads");
    let mut seen: Vec<u64> = (0..LINES).map(|_| seq(&running.record())).collect();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(1..=LINES), "each line has one record");
    writer.join().unwrap();
    assert_eq!(running.wait().code, Some(0));
    assert!(late < early + (24 << 20), "from {early} to {late} bytes");
}
