//! One line, one record: whatever the lines are, whatever the server does, and whenever the run is stopped.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::fetchd::{Ended, Fetchd, seq};
use crate::common::origin::{Origin, Script, Step, ok_with, send};

/// What a server does about one request.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Answers,
    Fails,
    IsBusy,
    Resets,
    Closes,
    Cuts,
    Babbles,
    Redirects,
    Dawdles,
    Hangs,
}

impl Reply {
    fn script(self) -> Script {
        let of = |text: &str| vec![send(text)];
        match self {
            Self::Answers => vec![send(ok_with("content-type: application/json\r\n", b"{\"a\": [1, null]}"))],
            Self::Fails => of("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
            Self::IsBusy => of("HTTP/1.1 503 Later\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"),
            Self::Resets => vec![Step::Reset],
            Self::Closes => vec![Step::Close],
            Self::Cuts => vec![send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha"), Step::Close],
            Self::Babbles => vec![send("no such protocol\r\n\r\n"), Step::Close],
            Self::Redirects => of("HTTP/1.1 302 Found\r\nlocation: /ok/1\r\ncontent-length: 0\r\n\r\n"),
            Self::Dawdles => vec![Step::Wait(Duration::from_millis(20)), send(ok_with("", b"at last"))],
            Self::Hangs => vec![Step::Stall],
        }
    }
}

/// A line, before it is known where the server is.
#[derive(Clone, Debug)]
enum Line {
    Blank,
    Garbage(&'static str),
    Bare(Vec<Reply>),
    Json(&'static str, Vec<Reply>),
    /// The record of a bare line.
    Record(Vec<Reply>),
}

impl Line {
    /// Its text, and what the record repeats of it; a blank line has none.
    fn at(&self, origin: &Origin, n: usize) -> (String, Option<Value>) {
        let url = |replies: &[Reply]| origin.play_in_turn(&format!("/{n}"), replies.iter().map(|reply| reply.script()));
        match self {
            Self::Blank => (" \t".into(), None),
            Self::Garbage(text) => ((*text).into(), Some(json!(text))),
            Self::Bare(replies) => (url(replies), Some(json!(url(replies)))),
            Self::Json(method, replies) => {
                let line = json!({ "url": url(replies), "method": method, "id": n });
                (line.to_string(), Some(line))
            }
            Self::Record(replies) => {
                let record = json!({ "seq": 7, "input": url(replies), "outcome": "failed" });
                (record.to_string(), Some(json!(url(replies))))
            }
        }
    }
}

/// When the run is to end.
#[derive(Clone, Copy, Debug)]
enum Stop {
    EndOfInput,
    /// By a signal after this many records, with this much grace.
    Signal(usize, &'static str),
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    use Reply::*;
    let all = vec![Answers, Answers, Fails, IsBusy, Resets, Closes, Cuts, Babbles, Redirects, Dawdles, Hangs];
    // The last reply stays, and a server that is busy for ever is asked until the deadline.
    let last = prop::sample::select(all.iter().copied().filter(|reply| !matches!(reply, IsBusy)).collect::<Vec<_>>());
    let replies = (prop::collection::vec(prop::sample::select(all), 0..3), last)
        .prop_map(|(first, last)| first.into_iter().chain([last]).collect::<Vec<_>>());
    let garbage = prop::sample::select(vec!["example.com", "{\"url\"", "http://", "{\"id\":1}", "ftp://h/", "\u{1}"]);
    let line = prop_oneof![
        1 => Just(Line::Blank),
        1 => garbage.prop_map(Line::Garbage),
        4 => replies.clone().prop_map(Line::Bare),
        2 => (prop::sample::select(vec!["GET", "POST"]), replies.clone()).prop_map(|(method, replies)| Line::Json(method, replies)),
        1 => replies.prop_map(Line::Record),
    ];
    prop::collection::vec(line, 1..60)
}

fn stop() -> impl Strategy<Value = Stop> {
    let grace = prop::sample::select(vec!["10s", "50ms"]);
    prop_oneof![Just(Stop::EndOfInput), (1..30_usize, grace).prop_map(|(after, grace)| Stop::Signal(after, grace))]
}

/// Whether the lines of a host that is not reached wait, and for how little.
fn health() -> impl Strategy<Value = &'static str> {
    let soon = "health = { failures = 2, cool_down = '20ms', give_up = '100ms' }";
    prop::sample::select(vec!["health.enabled = false", soon])
}

/// Runs the lines to the end, or stops them on the way.
fn run(input: String, owed: usize, stop: Stop, health: &str) -> Ended {
    let grace = if let Stop::Signal(_, grace) = stop { grace } else { "10s" };
    let config = format!(
        "queue = {{ window = 16, capacity = 4 }}\nretry = {{ retries = 1, backoff = '1ms' }}\n{health}\n\
         fetch.speed_time = '150ms'\n\
         shutdown.grace = '{grace}'"
    );
    let mut running = Fetchd::with(["--timeout", "150ms"]).config(&config).start();
    // A second handle keeps stdin open, so that it is the signal that ends the run.
    let stdin = running.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let _producer = running.write_all(input.into());
    let mut records = Vec::new();
    match stop {
        // A process that has shown no record yet may not hear signals yet.
        Stop::Signal(after, _) if owed > 0 => {
            records.extend((0..after.min(owed)).map(|_| running.record()));
            running.signal(Signal::SIGTERM);
        }
        _ => drop(stdin),
    }
    let mut ended = running.wait();
    ended.records.extend(records);
    ended.records.sort_by_key(seq);
    ended
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(30) })]

    #[test]
    fn every_accepted_line_has_exactly_one_record(lines in lines(), stop in stop(), health in health()) {
        let origin = Origin::start();
        let (texts, owed): (Vec<_>, Vec<_>) = lines.iter().enumerate().map(|(n, line)| line.at(&origin, n)).unzip();
        let owed: Vec<_> = owed.into_iter().flatten().collect();
        let ended = run(texts.join("\n") + "\n", owed.len(), stop, health);

        let accepted = ended.summary()["lines"].as_u64().unwrap();
        prop_assert!(ended.records.iter().map(seq).eq(1..=accepted), "{:#?}", ended.records);
        for (record, input) in ended.records.iter().zip(&owed) {
            prop_assert_eq!(&record["input"], input);
        }
        if let Stop::EndOfInput = stop {
            prop_assert_eq!(accepted, owed.len() as u64);
        }
        let code = if ended.count("canceled") > 0 { 4 } else { 0 };
        prop_assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
}
