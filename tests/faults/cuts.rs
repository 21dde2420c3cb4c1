//! Answers that are cut at every byte, by FIN and by RST. What marks its own end is never `ok` before that end.

use crate::common::codings::{CODINGS, brotli, chunked, gzip};
use crate::common::fetchd::{kind, seq};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::scenario::{Fate, Trust, fate, fetchd};

const TEXT: &[u8] = b"every byte of it, or it is not whole";

/// What a cut answer came to.
#[derive(Debug)]
struct Cut {
    /// How many bytes were sent.
    at: usize,
    record: serde_json::Value,
}

/// Asks for every prefix of an answer, the whole one included, each ended like this.
fn cut_everywhere(answer: &[u8], end: &Step) -> Vec<Cut> {
    cut_everywhere_at(&Origin::start(), "", answer, end)
}

fn cut_everywhere_at(origin: &Origin, config: &str, answer: &[u8], end: &Step) -> Vec<Cut> {
    let prefixes = (0..=answer.len()).map(|at| &answer[..at]).enumerate();
    let urls = prefixes.map(|(at, prefix)| origin.play(&format!("/{at}"), [send(prefix), end.clone()]));
    let input = urls.collect::<Vec<_>>().join("\n");
    let before = origin.requests().len();
    let ended = fetchd(["--retries", "0"], config).run(input);
    let mut cuts: Vec<_> =
        ended.records.into_iter().map(|record| Cut { at: seq(&record) as usize - 1, record }).collect();
    cuts.sort_by_key(|cut| cut.at);
    assert_eq!(cuts.len(), answer.len() + 1);
    assert_eq!(origin.requests().len() - before, cuts.len());
    cuts
}

fn end_of_head(answer: &[u8]) -> usize {
    memchr::memmem::find(answer, b"\r\n\r\n").unwrap() + 4
}

/// Answers whose framing, or whose coding, marks their end.
fn marked() -> Vec<Vec<u8>> {
    let until_close = |coding: &str, body: Vec<u8>| {
        [format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\n\r\n").into_bytes(), body].concat()
    };
    let mut answers = vec![
        // A whole answer must not leave its connection to the next line, for here it ends with it.
        ok_with("connection: close\r\n", TEXT),
        chunked("connection: close\r\n", TEXT),
        ok_with("connection: close\r\ncontent-encoding: gzip\r\n", &gzip(TEXT)),
        chunked("connection: close\r\ncontent-encoding: gzip\r\n", &gzip(TEXT)),
        // Brotli knows its own end, which may come before that of the message.
        chunked("connection: close\r\ncontent-encoding: br\r\n", &brotli(TEXT)),
        until_close("br, gzip", gzip(&brotli(TEXT))),
    ];
    answers.extend(CODINGS.map(|(coding, encode)| until_close(coding, encode(TEXT))));
    answers
}

const LOST: Fate<'_> = ("failed", "reset", 1);
const INCOMPLETE: Fate<'_> = ("failed", "body_incomplete", 1);

#[test]
fn an_answer_that_marks_its_end_is_never_whole_before_it() {
    for answer in marked() {
        let head = end_of_head(&answer);
        for cut in cut_everywhere(&answer, &Step::Close) {
            let want = match cut.at {
                at if at < head => LOST,
                at if at < answer.len() => INCOMPLETE,
                _ => ("ok", "", 1),
            };
            assert_eq!(fate(&cut.record), want, "{cut:#?} of {}", String::from_utf8_lossy(&answer));
        }
    }
}

#[test]
fn an_answer_that_marks_its_end_is_never_whole_before_it_when_the_connection_is_reset() {
    for answer in marked() {
        let head = end_of_head(&answer);
        // A reset may overtake what was sent before it, so the whole answer may be lost, too.
        for cut in cut_everywhere(&answer, &Step::Reset).into_iter().filter(|cut| cut.at < answer.len()) {
            let may_be_incomplete = cut.at >= head && fate(&cut.record) == INCOMPLETE;
            assert!(may_be_incomplete || fate(&cut.record) == LOST, "{cut:#?}");
        }
    }
}

#[test]
fn over_tls_only_close_notify_ends_a_body_that_ends_with_its_connection() {
    let trust = Trust::new();
    let origin = trust.origin();
    let answer = [b"HTTP/1.1 200 OK\r\n\r\n", TEXT].concat();
    let head = end_of_head(&answer);
    for (end, want) in [(Step::Cut, INCOMPLETE), (Step::Close, ("ok", "", 1))] {
        for cut in cut_everywhere_at(&origin, &trust.config, &answer, &end) {
            assert_eq!(fate(&cut.record), if cut.at < head { LOST } else { want }, "{end:?} {cut:#?}");
        }
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_whole_at_fin_and_never_at_rst() {
    let answer = [b"HTTP/1.1 200 OK\r\n\r\n", TEXT].concat();
    let head = end_of_head(&answer);
    for cut in cut_everywhere(&answer, &Step::Close) {
        if cut.at < head {
            assert_eq!(fate(&cut.record), LOST, "{cut:#?}");
        } else {
            let sent = std::str::from_utf8(&answer[head..cut.at]).unwrap();
            assert_eq!((fate(&cut.record), cut.record["body"].as_str()), (("ok", "", 1), Some(sent)), "{cut:#?}");
        }
    }
    for cut in cut_everywhere(&answer, &Step::Reset) {
        assert!(["reset", "body_incomplete"].contains(&kind(&cut.record)), "{cut:#?}");
    }
}
