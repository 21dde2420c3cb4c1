//! The law of recovery: whatever outputs have of the lines behind a checkpoint, after it a line is done and has its record
//! wherever that is wanted, or it is not done and has none.

use std::collections::BTreeSet;
use std::fs::OpenOptions;

use fetchd::item::{self, Echo, ErrorKind, Head, Identity, Outcome, Received, Record, Rejection, Response};
use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::sink::{BodyFormat, Jsonl, OpenedSink, Wanted};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use crate::scenario::{Scenario, flush, recover};

/// An output, and what a power cut left of the lines behind the checkpoint.
#[derive(Clone, Debug)]
struct Left {
    body: BodyFormat,
    wanted: Wanted,
    compress: Compress,
    /// By line, whether its record is there.
    lines: Vec<Fate>,
    /// Bytes that the end lacks.
    torn: u64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lost,
    /// There, in a frame with the next one.
    There,
    /// There, at the end of a frame.
    Last,
}

const LINES: usize = 8;

fn any_left() -> impl Strategy<Value = Left> {
    let bodies = select(vec![BodyFormat::Auto, BodyFormat::Text, BodyFormat::Base64, BodyFormat::None]);
    let wanted = select(vec![Wanted::All, Wanted::All, Wanted::Ok, Wanted::NotOk]);
    let fates = proptest::collection::vec(select(vec![Fate::Lost, Fate::There, Fate::There, Fate::Last]), LINES);
    let torn = prop_oneof![3 => Just(0), 1 => 1u64..300];
    (bodies, wanted, select(Compress::ALL.to_vec()), fates, torn)
        .prop_map(|(body, wanted, compress, lines, torn)| Left { body, wanted, compress, lines, torn })
}

/// The record of a line. Of every four, the first is not `ok`, the second has no response, the third is JSON, and the last is
/// of a source that is not remembered.
fn record(n: usize) -> Record {
    let source = if is_foreign(n) { "other" } else { "urls" };
    let id = Identity { state_id: None, source: Some(source.into()), file: None, seq: n as u64 + 1, round: 0 };
    let rejection = Rejection { kind: ErrorKind::InvalidUrl, message: "no".to_owned() };
    let mut record = Record::rejected(id, Echo::text("http://a.test/"), rejection);
    let meta = "{\"body\":[1,\"\\u0041\",1.50]}".to_owned();
    record.echo.meta = Some(RawValue::from_string(meta).unwrap());
    if n % 4 != 1 {
        let data = match n {
            2 => b"{ \"a\" : [1.50, null, \"\\n\"] }".to_vec(),
            6 => b"null".to_vec(),
            4 => vec![0xff; 4],
            _ => "\u{e9}\"\t".repeat(n).into_bytes(),
        };
        let is_ok = !n.is_multiple_of(4);
        record.outcome = if is_ok { Outcome::Ok } else { Outcome::HttpError };
        record.error = (!is_ok).then(|| (ErrorKind::HttpStatus, "not found".to_owned()));
        let status = if is_ok { http::StatusCode::OK } else { http::StatusCode::NOT_FOUND };
        record.received = Received::Response(Box::new(Response {
            head: Head { content_type: Some("application/json".into()), ..Head::new(status) },
            body: item::Body { bytes: data.len() as u64, data: data.into(), ..item::Body::default() },
        }));
    }
    record
}

fn is_foreign(n: usize) -> bool {
    n % 4 == 3
}

/// The text of a line's record in an output; nothing where it is not wanted.
fn text(opened: &mut OpenedSink, n: usize) -> String {
    let mut text = Vec::new();
    opened.core().unwrap().1.encode(&record(n), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Writes to an output what is left of it. Where it ended before comes back.
fn write(scenario: &Scenario, sink: &Jsonl, left: &Left) -> SavedPosition {
    let mut opened = scenario.open(sink, SavedPosition::New);
    let position = flush(&mut opened);
    for (n, fate) in left.lines.iter().enumerate().filter(|(_, fate)| **fate != Fate::Lost) {
        let text = text(&mut opened, n);
        let output = opened.core().unwrap().0;
        output.append(text.as_bytes()).unwrap();
        if *fate == Fate::Last {
            output.flush().unwrap();
        }
    }
    let length = flush(&mut opened).length;
    let path = opened.core().unwrap().0.path().to_owned();
    OpenOptions::new().write(true).open(path).unwrap().set_len(length.saturating_sub(left.torn)).unwrap();
    SavedPosition::Until(vec![position])
}

/// The lines of an output, in order.
fn lines(scenario: &Scenario, opened: &mut OpenedSink) -> Vec<String> {
    let path = opened.core().unwrap().0.path().to_owned();
    let text = scenario.text(path.file_name().unwrap().to_str().unwrap());
    text.split_inclusive('\n').map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn a_line_is_done_and_in_every_output_or_not_done_and_in_none(left in proptest::collection::vec(any_left(), 1..4)) {
        let scenario = Scenario::new();
        let sinks: Vec<_> = left.iter().enumerate().map(|(n, left)| scenario.sink(&format!("{n}.jsonl"), |jsonl| {
            (jsonl.body, jsonl.records, jsonl.compress) = (Some(left.body), left.wanted, left.compress);
            jsonl.fsync = Fsync::Never;
        })).collect();
        let saved: Vec<_> = sinks.iter().zip(&left).map(|(sink, left)| write(&scenario, sink, left)).collect();
        let open = || -> Vec<_> { sinks.iter().zip(&saved).map(|(sink, saved)| scenario.open(sink, saved.clone())).collect() };
        let mut opened = open();
        let foreign = |line: &String| line.contains("\"source\":\"other\"");
        let before: Vec<Vec<String>> = opened.iter_mut().map(|opened| lines(&scenario, opened).into_iter().filter(foreign).collect()).collect();
        opened.sort_by_key(OpenedSink::rank);
        let done: BTreeSet<u64> = recover(&mut opened).into_iter().collect();
        drop(opened);
        let mut opened = open();
        for (opened, before) in opened.iter_mut().zip(before) {
            let (after, mut own): (Vec<_>, Vec<_>) = lines(&scenario, opened).into_iter().partition(foreign);
            prop_assert_eq!(after, before);
            let is_done = |n: &usize| !is_foreign(*n) && done.contains(&(*n as u64 + 1));
            let mut expected: Vec<_> = (0..LINES).filter(is_done).map(|n| text(opened, n)).filter(|text| !text.is_empty()).collect();
            own.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(own, expected);
        }
        // The same checkpoint again, as after a kill.
        opened.sort_by_key(OpenedSink::rank);
        prop_assert_eq!(recover(&mut opened).into_iter().collect::<BTreeSet<_>>(), done);
    }
}
