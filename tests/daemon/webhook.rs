//! The sink `webhook`: every record arrives at least once, signed, in order, whatever its receiver does, and nothing waits for that
//! but the records themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Ended, Fetchd, Running, kind, seq};
use crate::common::origin::{Origin, ok_with, refusing_address, send};
use crate::common::proxy::{Proxy, Then};
use crate::common::receiver::{Post, Receiver, Reply, SECRET};
use crate::common::trust::Trust;

/// A place for a list, its state and its outputs.
struct Place {
    dir: TempDir,
    origin: Origin,
}

impl Place {
    /// With a list of so many lines.
    fn with_lines(count: u64) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() };
        place.list((1..=count).map(|n| place.origin.url(&format!("/ok/{n}"))));
        place
    }

    fn list(&self, lines: impl IntoIterator<Item = String>) {
        let lines: String = lines.into_iter().map(|line| line + "\n").collect();
        fs::write(self.path("urls.txt"), lines).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A run over the list with these tables.
    fn fetchd(&self, tables: &str) -> Fetchd {
        let (list, state) = (self.path("urls.txt"), self.path("state"));
        Fetchd::local().config(&format!(
            "[source.urls.file]\npaths = [{list:?}]\n[state]\ndata_dir = {state:?}\n[shutdown]\ngrace = \"1s\"\n{tables}"
        ))
    }

    fn run(&self, tables: &str) -> Ended {
        self.fetchd(tables).run("")
    }

    /// The files of records that have not arrived, and their bytes.
    fn staged(&self) -> Vec<(PathBuf, u64)> {
        let Ok(files) = fs::read_dir(self.path("state/staging")) else { return Vec::new() };
        // One may go between the two calls.
        let length = |path: PathBuf| path.metadata().ok().map(|metadata| (path, metadata.len()));
        files.filter_map(|file| length(file.unwrap().path())).collect()
    }

    fn dead_letters(&self, sink: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(&format!("state/dead/{sink}.dead.jsonl"))).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn seqs(records: &[Value]) -> Vec<u64> {
    let mut seqs: Vec<u64> = records.iter().map(seq).collect();
    seqs.sort_unstable();
    seqs
}

fn all(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
    }
}

/// Whether a message has the record of a line.
fn has(post: &Post, line: u64) -> bool {
    post.records().iter().any(|record| seq(record) == line)
}

#[test]
fn every_record_arrives_signed_in_order_and_once() {
    let (place, receiver) = (Place::with_lines(300), Receiver::start(Reply::Status(204)));
    let ended = place.run(&format!("{}[output]\norder = \"input\"\n", receiver.sink("hook", "body = \"text\"")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records = receiver.records();
    assert_eq!(records.iter().map(seq).collect::<Vec<_>>(), all(300));
    assert!(records.iter().all(|record| record["body"] == format!("{{\"n\":{}}}", seq(record))), "{:?}", records[0]);
    assert_eq!(receiver.posts().len(), receiver.taken().len());
    assert!(place.staged().is_empty() && place.dead_letters("hook").is_empty());
    let summary = ended.summary();
    assert_eq!((summary["unshipped_segments"].as_u64(), summary["dead_letters"].as_u64()), (Some(0), Some(0)));
    let again = place.run(&receiver.sink("hook", ""));
    assert_eq!((again.code, again.summary()["lines"].as_u64()), (Some(0), Some(0)), "{}", again.stderr);
}

#[test]
fn a_live_record_arrives_while_the_input_stays_open() {
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Status(200)));
    let state = place.path("state");
    let config = format!("[source.in.stdin]\n[state]\ndata_dir = {state:?}\n{}", receiver.sink("hook", ""));
    let mut running = Fetchd::local().config(&config).start();
    for n in 1..=2 {
        running.line(&place.origin.url(&format!("/ok/{n}")));
        receiver.wait_for_posts(n);
    }
    assert_eq!(running.finish("").code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(2));
}

#[test]
fn a_receiver_that_is_down_costs_no_line_and_no_fetching_time_and_is_found_healed() {
    let (place, receiver) = (Place::with_lines(500), Receiver::start(Reply::Breaks));
    let mut running = place.fetchd(&receiver.sink("hook", "")).start();
    place.origin.wait_for_requests(500);
    let said = running.message("cannot deliver");
    assert!(said.contains("cannot be reached") && said.contains("`hook`"), "{said}");
    assert!(receiver.taken().is_empty());
    receiver.turns(Reply::Status(200));
    running.message("delivers again");
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(500));
}

#[test]
fn a_full_staging_directory_holds_the_run_up_and_bounds_the_disk() {
    const LINES: u64 = 400;
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Breaks));
    let body = "x".repeat(32 << 10);
    let url = place.origin.play("/big", [send(ok_with("content-type: text/plain\r\n", body.as_bytes()))]);
    place.list((0..LINES).map(|n| format!("{url}?{n}")));
    let sink = receiver.sink("hook", "staging_max = \"2MiB\"");
    let mut running = place.fetchd(&format!("{sink}[queue]\nwindow = 32\n")).start();
    let said = running.message("have not arrived");
    assert!(said.contains("staging_max") && said.contains("2.0 MiB"), "{said}");
    let sum = || place.staged().iter().map(|(_, bytes)| bytes).sum::<u64>();
    // Two MiB, and one segment that is being written, with one window more.
    let most = (2 << 20) + (1 << 20) + 2 * 33 * (body.len() as u64 + 1000);
    assert!(sum() <= most, "{} bytes are staged", sum());
    assert!(place.origin.requests().len() < LINES as usize / 2, "the run waits");
    receiver.turns(Reply::Status(200));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(LINES));
    assert!(receiver.posts().iter().all(|post| post.body.len() <= 1 << 20), "no message is longer than a MiB");
}

#[test]
fn a_disk_that_is_nearly_full_holds_the_run_up_while_segments_could_go() {
    const LINES: u64 = 400;
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Breaks));
    let url = place.origin.play("/big", [send(ok_with("content-type: text/plain\r\n", &[b'x'; 32 << 10]))]);
    place.list((0..LINES).map(|n| format!("{url}?{n}")));
    let (list, state) = (place.path("urls.txt"), place.path("state"));
    let mut running = Fetchd::local()
        .config(&format!(
            "[source.urls.file]\npaths = [{list:?}]\n[state]\ndata_dir = {state:?}\nmin_free = \"1000000TiB\"\n{}[queue]\nwindow = 32\n",
            receiver.sink("hook", "")
        ))
        .start();
    assert!(running.message("have arrived").contains("state.min_free"));
    assert!(place.origin.requests().len() < LINES as usize / 2, "the run waits");
    receiver.turns(Reply::Status(200));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(LINES));
}

#[test]
fn what_is_not_shipped_within_the_grace_period_is_left_for_the_next_start() {
    let (place, receiver) = (Place::with_lines(50), Receiver::start(Reply::Status(503)));
    let mut running = place.fetchd(&receiver.sink("hook", "")).start();
    receiver.wait_for_posts(1);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let (summary, left) = (ended.summary(), place.staged());
    assert_eq!(summary["unshipped_segments"].as_u64(), Some(left.len() as u64));
    assert_eq!(summary["unshipped_bytes"].as_u64(), Some(left.iter().map(|(_, bytes)| bytes).sum()));
    receiver.turns(Reply::Status(200));
    let ended = place.run(&receiver.sink("hook", ""));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("ships what earlier runs left"), "{}", ended.stderr);
    assert_eq!(seqs(&receiver.records()), all(50));
}

#[test]
fn the_second_signal_ends_a_run_that_ships_at_once() {
    let (place, receiver) = (Place::with_lines(5), Receiver::start(Reply::Hangs));
    let mut running = place.fetchd(&format!("{}[log]\nformat = \"text\"\n", receiver.sink("hook", ""))).start();
    receiver.wait_for_posts(1);
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGINT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    receiver.turns(Reply::Status(200));
    assert_eq!(place.run(&receiver.sink("hook", "")).code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(5));
}

#[test]
fn a_message_is_sent_until_it_is_taken_and_is_the_same_each_time() {
    let failures = [
        Reply::Status(500),
        Reply::Status(429),
        Reply::StatusWith(503, "retry-after: 1\r\n".to_owned()),
        Reply::Status(408),
        Reply::TakesAndBreaks,
        Reply::Breaks,
    ];
    for failure in failures {
        let (place, receiver) = (Place::with_lines(20), Receiver::start(failure.clone()));
        let mut running = place.fetchd(&receiver.sink("hook", "")).start();
        receiver.wait_for_posts(2);
        receiver.turns(Reply::Status(200));
        assert_eq!(running.wait().code, Some(0), "{failure:?}");
        let posts = receiver.posts();
        assert_eq!((posts[0].id(), &posts[0].body), (posts[1].id(), &posts[1].body), "{failure:?}");
        assert_eq!(seqs(&receiver.records()), all(20), "{failure:?}");
    }
}

#[test]
fn a_retry_after_is_honoured() {
    let asks = Reply::StatusWith(429, "retry-after: 3\r\n".to_owned());
    let (place, receiver) = (Place::with_lines(1), Receiver::start(asks));
    let mut running = place.fetchd(&receiver.sink("hook", "")).start();
    receiver.wait_for_posts(1);
    let begin = Instant::now();
    receiver.turns(Reply::Status(200));
    assert_eq!(running.wait().code, Some(0));
    assert!(begin.elapsed() > Duration::from_millis(2500), "it came after {:?}", begin.elapsed());
}

#[test]
fn a_receiver_that_is_slow_or_silent_is_waited_for() {
    for (reply, keys) in [(Reply::Late(Duration::from_millis(300), 200), ""), (Reply::Hangs, "timeout = \"1s\"")] {
        let (place, receiver) = (Place::with_lines(20), Receiver::start(reply.clone()));
        let mut running = place.fetchd(&receiver.sink("hook", keys)).start();
        receiver.wait_for_posts(1);
        if reply == Reply::Hangs {
            assert!(running.message("cannot deliver").contains("has not answered within 1 s"));
            receiver.turns(Reply::Status(200));
        }
        assert_eq!(running.wait().code, Some(0), "{reply:?}");
        assert_eq!(seqs(&receiver.records()), all(20), "{reply:?}");
    }
}

#[test]
fn a_2xx_is_believed_whatever_comes_after_it() {
    let (place, receiver) = (Place::with_lines(20), Receiver::start(Reply::HalfAnswer));
    assert_eq!(place.run(&receiver.sink("hook", "")).code, Some(0));
    assert_eq!(receiver.posts().len(), receiver.taken().len(), "nothing is sent again");
    assert_eq!(seqs(&receiver.records()), all(20));
}

#[test]
fn a_receiver_that_refuses_the_sender_blocks_until_that_is_mended() {
    for (status, hint) in [(401, "`secret`"), (403, "`headers`"), (404, "`url`"), (410, "`url`"), (402, "402")] {
        let (place, receiver) = (Place::with_lines(20), Receiver::start(Reply::Status(status)));
        let mut running = place.fetchd(&receiver.sink("hook", "")).start();
        let said = running.message("cannot deliver");
        assert!(said.contains(&status.to_string()) && said.contains(hint), "{said}");
        receiver.turns(Reply::Status(200));
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{status}: {}", ended.stderr);
        assert!(!ended.stderr.contains("cannot deliver"), "it is said once: {}", ended.stderr);
        assert_eq!(seqs(&receiver.records()), all(20), "{status}");
        assert!(place.dead_letters("hook").is_empty());
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let (place, elsewhere) = (Place::with_lines(3), Receiver::start(Reply::Status(200)));
    let moved = Reply::StatusWith(307, format!("location: {}\r\n", elsewhere.url()));
    let receiver = Receiver::start(moved);
    let mut running = place.fetchd(&receiver.sink("hook", "")).start();
    assert!(running.message("cannot deliver").contains("redirects are not followed"));
    receiver.turns(Reply::Status(200));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!((seqs(&receiver.records()), elsewhere.posts().len()), (all(3), 0));
}

#[test]
fn a_record_that_is_refused_goes_to_the_dead_letters_and_all_others_arrive() {
    for status in [400, 413, 422] {
        let place = Place::with_lines(60);
        let poison = move |post: &Post| Reply::Status(if has(post, 7) || has(post, 50) { status } else { 200 });
        let receiver = Receiver::start_with(poison);
        let ended = place.run(&receiver.sink("hook", ""));
        assert_eq!((ended.code, ended.summary()["dead_letters"].as_u64()), (Some(0), Some(2)), "{}", ended.stderr);
        let said = ended.stderr.lines().find(|line| line.contains("refuses a record")).unwrap();
        assert!(said.contains("dead/hook.dead.jsonl") && said.contains(&status.to_string()), "{said}");
        let dead = place.dead_letters("hook");
        assert_eq!(seqs(&dead), [7, 50]);
        let arrived = receiver.records();
        let want: Vec<_> = all(60).into_iter().filter(|n| ![7, 50].contains(n)).collect();
        assert_eq!(seqs(&arrived), want, "{status}");
        let ids: BTreeSet<_> = receiver.posts().iter().map(Post::id).collect();
        assert!(dead.iter().all(|letter| ids.contains(letter["dead_letter"]["id"].as_str().unwrap())));
        assert!(dead.iter().all(|letter| letter["dead_letter"]["reason"].as_str().unwrap().contains("(so)")));
        assert!(place.staged().is_empty());
    }
}

#[test]
fn dead_letters_can_be_taken_away_and_fetched_again() {
    let (place, receiver) = (Place::with_lines(3), Receiver::start(Reply::Status(422)));
    assert_eq!(place.run(&receiver.sink("hook", "")).code, Some(0));
    let taken = place.path("taken.jsonl");
    fs::rename(place.path("state/dead/hook.dead.jsonl"), &taken).unwrap();
    let again = Fetchd::with(["-i", taken.to_str().unwrap()]).run("");
    assert_eq!((again.code, again.count("ok")), (Some(0), 3), "{}", again.stderr);
}

#[test]
fn only_the_records_that_are_wanted_arrive() {
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Status(200)));
    place.list(["/ok/1", "/status/404", "/ok/3"].map(|path| place.origin.url(path)));
    let results = place.path("all.jsonl");
    let tables = format!("{}[sink.all.jsonl]\npath = {results:?}\n", receiver.sink("bad", "records = \"not_ok\""));
    assert_eq!(place.run(&tables).code, Some(0));
    assert_eq!(seqs(&receiver.records()), [2]);
    assert_eq!(fs::read_to_string(results).unwrap().lines().count(), 3);
}

#[test]
fn a_receiver_that_is_down_does_not_hold_up_another() {
    let (place, down, up) =
        (Place::with_lines(50), Receiver::start(Reply::Breaks), Receiver::start(Reply::Status(200)));
    let mut running = place.fetchd(&(down.sink("down", "") + &up.sink("up", ""))).start();
    up.wait_for_posts(1);
    running.message("`down` cannot deliver");
    wait_until(|| seqs(&up.records()) == all(50));
    down.turns(Reply::Status(200));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!((seqs(&down.records()), seqs(&up.records())), (all(50), all(50)));
}

/// Leaves segments of `hook` behind.
fn leave_segments(place: &Place) {
    let nowhere = format!("[sink.hook.webhook]\nurl = \"http://{}/in\"\nsecret = \"{SECRET}\"\n", refusing_address());
    let mut running: Running = place.fetchd(&nowhere).start();
    running.message("cannot deliver");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(4));
    assert!(!place.staged().is_empty());
}

#[test]
fn a_start_without_the_sink_of_segments_is_refused_with_both_ways_out() {
    let (place, receiver) = (Place::with_lines(10), Receiver::start(Reply::Status(200)));
    leave_segments(&place);
    let results = format!("[sink.hook.jsonl]\npath = {:?}\n", place.path("all.jsonl"));
    for tables in [receiver.sink("renamed", ""), results] {
        let ended = place.run(&tables);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for part in ["1 segment of `hook`", "configure [sink.hook.webhook] again", "staging/hook-*"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
    assert_eq!(place.run(&(receiver.sink("hook", "") + &receiver.sink("new", ""))).code, Some(0));
    assert_eq!(seqs(&receiver.records()), all(10));
}

#[test]
fn a_batch_whose_records_are_elsewhere_is_not_taken_for_one_that_is_done() {
    let (place, receiver) = (Place::with_lines(10), Receiver::start(Reply::Status(200)));
    let results = place.path("all.jsonl");
    let file = format!("[sink.all.jsonl]\npath = {results:?}\n");
    assert_eq!(place.run(&file).code, Some(0));
    let ended = place.run(&receiver.sink("all", ""));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("all.jsonl"), "{}", ended.stderr);
    let place = Place::with_lines(10);
    assert_eq!(place.run(&receiver.sink("hook", "")).code, Some(0));
    let ended = place.run(&file);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the sink `hook`"), "{}", ended.stderr);
}

#[test]
fn segments_that_nobody_needs_can_be_deleted() {
    let (place, receiver) = (Place::with_lines(10), Receiver::start(Reply::Status(200)));
    leave_segments(&place);
    place.staged().into_iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
    let ended = place.run(&receiver.sink("hook", ""));
    assert_eq!((ended.code, receiver.posts().len()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn the_receiver_alone_is_exempt_from_the_guard() {
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Status(200)));
    // The same host, as a line and as the receiver.
    place.list([format!("http://localhost:{}/", receiver.port())]);
    let (list, state) = (place.path("urls.txt"), place.path("state"));
    let sink =
        format!("[sink.hook.webhook]\nurl = \"http://localhost:{}/in\"\nsecret = \"{SECRET}\"\n", receiver.port());
    let config = format!("[source.urls.file]\npaths = [{list:?}]\n[state]\ndata_dir = {state:?}\n{sink}");
    assert_eq!(Fetchd::bare([""; 0]).config(&config).run("").code, Some(0));
    let records = receiver.records();
    assert_eq!(records.iter().map(kind).collect::<Vec<_>>(), ["forbidden_address"]);
}

#[test]
fn headers_are_sent_and_no_secret_is_ever_shown() {
    let (place, receiver) = (Place::with_lines(5), Receiver::start(Reply::Status(401)));
    fs::write(place.path("secret"), format!("{SECRET}\n")).unwrap();
    let sink = format!(
        "[sink.hook.webhook]\nurl = \"{}?key=s3cr3t-key\"\nsecret = \"${{file:{}}}\"\nheaders = {{ authorization = \"Bearer s3cr3t-token\" }}\n[log]\nlevel = \"trace\"\n",
        receiver.url(),
        place.path("secret").display()
    );
    let mut running = place.fetchd(&sink).start();
    receiver.wait_for_posts(2);
    receiver.turns(Reply::Status(200));
    let ended = running.wait();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("s3cr3t") && !ended.stderr.contains(SECRET), "{}", ended.stderr);
    let post = &receiver.posts()[0];
    assert_eq!(
        (post.target.as_str(), &post.headers["authorization"]),
        ("/in?key=s3cr3t-key", &"Bearer s3cr3t-token".parse().unwrap())
    );
    assert!(post.headers["user-agent"].to_str().unwrap().starts_with("fetchd/"));
}

#[test]
fn a_receiver_behind_tls_is_verified_by_the_authorities_of_the_run() {
    let (place, trust) = (Place::with_lines(5), Trust::new());
    let receiver = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    receiver.script("/in", ok_with("", b""));
    let sink = format!("[sink.hook.webhook]\nurl = \"{}\"\nsecret = \"{SECRET}\"\n", receiver.url("/in"));
    let mut running = place.fetchd(&sink).start();
    assert!(running.message("cannot deliver").contains("certificate"));
    running.signal(Signal::SIGTERM);
    assert_eq!((running.wait().code, receiver.requests_for("/in")), (Some(4), 0));
    let (list, state) = (place.path("urls.txt"), place.path("state"));
    let tables = format!("[source.urls.file]\npaths = [{list:?}]\n[state]\ndata_dir = {state:?}\n{sink}");
    let ended = trust.fetchd(&tables).run("");
    assert_eq!((ended.code, receiver.requests_for("/in")), (Some(0), 1), "{}", ended.stderr);
}

#[test]
fn deliveries_go_through_their_own_proxy_and_not_through_that_of_fetched_hosts() {
    let (place, receiver) = (Place::with_lines(5), Receiver::start(Reply::Status(200)));
    let proxy = Proxy::socks5(Then::Tunnel(receiver.address()));
    let sink = format!(
        "[sink.hook.webhook]\nurl = \"http://hooks.example/in\"\nsecret = \"{SECRET}\"\nproxy = \"{}\"\n",
        proxy.url("me:s3cret@")
    );
    assert_eq!(place.run(&sink).code, Some(0));
    assert_eq!((seqs(&receiver.records()), proxy.seen()), (all(5), vec!["me:s3cret@hooks.example:80".to_owned()]));
    let place = Place::with_lines(5);
    let fetched = Proxy::socks5(Then::Tunnel(place.origin.address()));
    let fetch = format!("[fetch]\nproxy = \"{}\"\n", fetched.url(""));
    let ended = place.run(&(receiver.sink("hook", "") + &fetch));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(fetched.seen().iter().all(|asked| !asked.ends_with(&receiver.port().to_string())), "{:?}", fetched.seen());
}

#[test]
fn a_round_needs_a_sink_that_keeps_its_records() {
    let (place, receiver) = (Place::with_lines(0), Receiver::start(Reply::Status(200)));
    place.list([place.origin.url("/status/404")]);
    assert_eq!(place.run(&receiver.sink("hook", "")).code, Some(0));
    let again = |tables: &str| {
        let (list, state) = (place.path("urls.txt"), place.path("state"));
        let config = format!("[source.urls.file]\npaths = [{list:?}]\n[state]\ndata_dir = {state:?}\n{tables}");
        Fetchd::with(["--again", "not_ok"]).config(&config).run("")
    };
    let ended = again(&receiver.sink("hook", ""));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("do not take every record"), "{}", ended.stderr);
}
