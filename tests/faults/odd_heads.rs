//! Heads as the web sends them: against the letter of RFC 9112, and clear all the same. What leaves the framing in doubt is
//! still refused; `an_answer_that_is_not_http_…` in `http.rs` has more of that.

use serde_json::json;

use crate::common::curl::curl;
use crate::common::origin::{Origin, Step, send};
use crate::scenario::{fates, fetchd, provoke, scripted};

const SHOW_HEADERS: &str = "output.headers = true\n";

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("x-{n}: a\r\n")).collect()
}

/// Whole answers with the body `whole`, of which the header `x-odd` is to be this.
fn odd() -> Vec<(&'static str, String, Option<&'static str>)> {
    let ok = |odd: &str| format!("HTTP/1.1 200 OK\r\n{odd}content-length: 5\r\n\r\nwhole");
    vec![
        ("many lines", ok(&format!("{}x-odd: last\r\n", lines(900))), Some("last")),
        ("large", ok(&format!("x-large: {}\r\nx-odd: a\r\n", "a".repeat(300_000))), Some("a")),
        ("space before the colon", ok("x-odd : a\r\n"), Some("a")),
        ("tab before the colon", ok("x-odd\t: a\r\n"), Some("a")),
        ("folded", ok("x-odd: a\r\n b\r\n\tc\r\n"), Some("a b c")),
        ("folded to nothing", ok("x-odd: a\r\n \r\n"), Some("a")),
        ("no header", ok("what is this line?\r\nx-odd: a\r\n"), Some("a")),
        ("a name with a space", ok("set cookie: x\r\nx-odd: a\r\n"), Some("a")),
        ("a name with a bracket", ok("x[1]: x\r\nx-odd: a\r\n"), Some("a")),
        ("no name", ok(": x\r\nx-odd: a\r\n"), Some("a")),
        ("a control character", ok("x-ctl: a\x01b\r\nx-odd: a\r\n"), Some("a")),
        ("an empty value", ok("x-odd:\r\n"), Some("")),
        ("a status line once more", ok("HTTP/1.1 200 OK\r\nx-odd: a\r\n"), Some("a")),
        ("lines that end with LF", "HTTP/1.1 200 OK\nx-odd: a\ncontent-length: 5\n\nwhole".to_owned(), Some("a")),
        ("no reason", "HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nwhole".to_owned(), None),
        ("an empty reason", "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nwhole".to_owned(), None),
        ("a long reason", format!("HTTP/1.1 200 {}\r\ncontent-length: 5\r\n\r\nwhole", "a ".repeat(5000)), None),
        ("another reason", "HTTP/1.1 200 Not Found\r\ncontent-length: 5\r\n\r\nwhole".to_owned(), None),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nx-odd: a\r\ncontent-length: 5\r\n\r\nwhole".to_owned(), Some("a")),
        ("the same length twice", ok("x-odd: a\r\ncontent-length: 5\r\n"), Some("a")),
    ]
}

#[test]
fn a_head_is_received_as_curl_receives_it() {
    let origin = Origin::start();
    let urls = scripted(&origin, odd().into_iter().map(|(_, answer, _)| answer));
    let records = provoke(fetchd([], SHOW_HEADERS), &urls);
    for ((record, url), (name, _, value)) in records.iter().zip(&urls).zip(odd()) {
        assert_eq!((&record["outcome"], &record["body"]), (&json!("ok"), &json!("whole")), "{name} {record:#}");
        assert_eq!(record["http"], if name == "HTTP/1.0" { "1.0" } else { "1.1" }, "{name} {record:#}");
        assert_eq!(record["headers"].get("x-odd").map(|value| value.as_str().unwrap()), value, "{name}");
        let theirs = curl(url, &[]);
        // curl has limits of its own for heads (100 KB a line), and refuses control characters.
        if theirs.exit == 0 {
            assert_eq!((theirs.status, theirs.body), (200, b"whole".to_vec()), "{name}");
        }
    }
}

#[test]
fn a_reason_of_other_bytes_than_ascii_is_no_matter() {
    let origin = Origin::start();
    let answers: [&[u8]; 2] = [b"HTTP/1.1 200 tr\xe8s bien\r\n", b"HTTP/1.1 200 tr\xc3\xa8s bien\r\n"];
    let answers = answers.map(|line| [line, b"content-length: 5\r\n\r\nwhole"].concat());
    assert_eq!(fates(&provoke(fetchd([], ""), scripted(&origin, answers))), [("ok", "", 1); 2]);
}

#[test]
fn a_head_of_http_1_0_without_a_length_ends_with_its_connection() {
    let origin = Origin::start();
    let url = origin.play("/", [send("HTTP/1.0 200 OK\r\nnot a header\r\n\r\nwhole"), Step::Close]);
    let records = provoke(fetchd([], ""), [url]);
    assert_eq!((fates(&records), &records[0]["body"]), (vec![("ok", "", 1)], &json!("whole")));
}

/// Two readings of where the body ends, of which one is due to leniency alone.
#[test]
fn a_framing_that_leniency_would_read_in_another_way_is_refused() {
    let origin = Origin::start();
    let framed = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}");
    let chunks = "5\r\nwhole\r\n0\r\n\r\n";
    let answers = [
        framed("content-length: 5\r\ntransfer-encoding : chunked\r\n", chunks),
        framed("transfer-encoding : chunked\r\ncontent-length: 15\r\n", chunks),
        framed("content-length : 5\r\ncontent-length: 9\r\n", "whole"),
        framed("content-length: 5\r\ncontent-length\t: 9\r\n", "whole"),
        framed("transfer-encoding: chunked\r\ncontent-length : 5\r\n", chunks),
        framed("transfer-encoding: gzip,\r\n chunked\r\n", chunks),
        framed("transfer-encoding: chunked\r\ntransfer-encoding :\r\n identity\r\n", chunks),
        framed("content-length: 1\r\n 5\r\n", "whole"),
        framed("content-length: 5\r\n\t, 9\r\n", "whole"),
        framed("content-length:\r\n -5\r\n", "whole"),
    ];
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    for record in &records {
        assert_eq!(record["error"]["kind"], "protocol", "{record:#}");
        assert!(record.get("body").is_none() && record.get("bytes").is_none(), "{record:#}");
    }
}

/// RFC 9112 gives these one reading: sections 5.1 (what a proxy must make of the space) and 5.2 (of the fold).
#[test]
fn a_framing_that_has_one_reading_is_read_so() {
    let origin = Origin::start();
    let framed = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}");
    let chunks = "5\r\nwhole\r\n0\r\n\r\n";
    let answers = [
        framed("content-length : 5\r\n", "whole"),
        framed("content-length:\r\n 5\r\n", "whole"),
        framed("transfer-encoding : chunked\r\n", chunks),
        framed("transfer-encoding:\r\n\tchunked\r\n", chunks),
    ];
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    for record in &records {
        assert_eq!((&record["outcome"], &record["body"]), (&json!("ok"), &json!("whole")), "{record:#}");
    }
}

/// Without the line, the body ends with its connection, so nothing after it is taken for the next answer.
#[test]
fn a_framing_line_that_is_no_header_leaves_nothing_for_the_next_request() {
    let origin = Origin::start();
    let second = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for line in ["content-length\u{b}: 5\r\n", "content-length 5\r\n", "transfer-encoding\u{b}: chunked\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{line}\r\nwhole{second}");
        let urls = [origin.play("/first", [send(answer), Step::Close]), origin.url("/ok/1")];
        let records = provoke(fetchd(["--host-concurrency", "1"], ""), urls);
        assert_eq!(fates(&records), [("ok", "", 1); 2]);
        assert_eq!((&records[0]["body"], &records[1]["json"]), (&json!(format!("whole{second}")), &json!({ "n": 1 })));
    }
}

#[test]
fn a_head_has_limits_all_the_same() {
    let origin = Origin::start();
    let ok = |odd: &str| format!("HTTP/1.1 200 OK\r\n{odd}content-length: 5\r\n\r\nwhole");
    let records = provoke(fetchd([], ""), scripted(&origin, [ok(&lines(999)), ok(&lines(1000)), ok(&lines(5000))]));
    assert_eq!(fates(&records), [("ok", "", 1), ("failed", "protocol", 1), ("failed", "protocol", 1)]);
}

/// Beyond four hundred lines a head is received over a connection of its own, as one that meets the end of a kept one.
#[test]
fn a_long_head_costs_a_second_request_and_no_attempt() {
    let long = |count: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 5\r\n\r\nwhole", lines(count));
    for (count, asked, fate) in [
        (399, 1, ("ok", "", 1)),
        (400, 2, ("ok", "", 1)),
        (999, 2, ("ok", "", 1)),
        (1000, 2, ("failed", "protocol", 1)),
    ] {
        let origin = Origin::start();
        let url = origin.script("/", long(count));
        let records = provoke(fetchd(["--retries", "0"], ""), [url]);
        assert_eq!((fates(&records), origin.requests().len()), (vec![fate], asked), "{count}: {records:#?}");
    }
}

#[test]
fn a_long_head_of_a_redirect_or_a_robots_txt_is_read_and_one_of_a_post_comes_once() {
    let origin = Origin::start();
    let page = origin.script("/page", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole");
    let hop = format!("HTTP/1.1 302 Found\r\n{}location: /page\r\ncontent-length: 0\r\n\r\n", lines(500));
    let hop = origin.script("/hop", hop);
    let rules = "User-agent: *\nDisallow: /secret\n";
    let head = format!("HTTP/1.1 200 OK\r\n{}content-length: {}\r\n\r\n", lines(500), rules.len());
    origin.script("/robots.txt", head + rules);
    let post = origin.script("/post", format!("HTTP/1.1 200 OK\r\n{}content-length: 5\r\n\r\nwhole", lines(500)));
    let post = json!({ "url": post, "method": "POST", "body": "once" }).to_string();
    let records = provoke(fetchd([], "robots.enabled = true\n"), [hop, page, post, origin.url("/secret")]);
    let ok = ("ok", "", 1);
    assert_eq!(fates(&records), [ok, ok, ok, ("rejected", "robots_denied", 0)], "{records:#?}");
    assert_eq!(["/robots.txt", "/hop", "/post"].map(|path| origin.requests_for(path)), [2, 2, 1]);
}
