//! Input that is wrong, or too much.
//!
//! Reservation elsewhere: `a_password_is_shown_nowhere`, `an_empty_or_closed_stdin_is_a_clean_end_and_a_directory_a_clear_error`,
//! `a_stdin_that_was_made_non_blocking_loses_nothing_and_costs_nothing` and `an_idle_process_wakes_up_less_than_once_a_second`
//! in `tests/daemon/process.rs`.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::dns::{Dns, addresses};
use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::common::pipe::fill;
use crate::scenario::{Fate, assert_little_memory, fates, fetchd, provoke, seen};

/// The fate of a line that is refused for this reason.
fn rejected(why: &str) -> Fate<'_> {
    ("rejected", why, 0)
}

#[test]
fn blank_lines_are_skipped_and_counted_and_have_no_record() {
    let origin = Origin::start();
    let ended = Fetchd::local().run(format!("\n \t\r\n{}\n\n", origin.url("/ok/1")));
    assert_eq!(ended.only_record()["seq"], 1);
    assert_eq!((&ended.summary()["blank"], &ended.summary()["lines"]), (&json!(3), &json!(1)));
    assert_eq!(seen(&origin), (1, 1));
}

#[test]
fn a_byte_order_mark_crlf_and_a_missing_line_end_are_no_part_of_a_line() {
    let origin = Origin::start();
    let input = format!("\u{feff}{}\r\n \t{}\t \r\n{}", origin.url("/1"), origin.url("/2"), origin.url("/3"));
    let ended = Fetchd::with(["--ordered"]).run(input);
    let inputs: Vec<_> = ended.records.iter().map(|record| record["input"].clone()).collect();
    assert_eq!(inputs, ["/1", "/2", "/3"].map(|path| origin.url(path)));
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn control_characters_within_a_line_are_refused_before_anything_else_is_made_of_them() {
    let origin = Origin::start();
    let controls = ['\r', '\t', '\0', '\u{1}', '\u{b}', '\u{1b}', '\u{7f}', '\u{85}'];
    let bare = controls.map(|control| origin.url(&format!("/ok{control}/1")));
    let within_json = controls.map(|control| json!({ "url": origin.url(&format!("/ok{control}/1")) }).to_string());
    let records = provoke(fetchd([], ""), bare.into_iter().chain(within_json));
    assert_eq!(fates(&records), [rejected("invalid_char"); 16]);
    assert_eq!(seen(&origin), (0, 0));
}

#[test]
fn bytes_that_are_no_text_are_refused_and_the_stream_goes_on() {
    let origin = Origin::start();
    let start = origin.url("/ok/").into_bytes();
    let endings: [&[u8]; 5] = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xfe\xff\x00h"];
    let records = provoke(fetchd([], ""), endings.map(|ending| [&start, ending].concat()));
    assert_eq!(fates(&records), [rejected("not_utf8"); 5]);
    assert_eq!(records[0]["input_bytes"], start.len() + 1);
    assert_eq!(seen(&origin), (0, 0));
}

#[test]
fn a_line_without_end_takes_no_memory_and_the_next_line_is_read() {
    let endless = [b"http://h/".to_vec(), vec![b'x'; 64 << 20]].concat();
    let length = endless.len();
    let records = provoke(fetchd([], ""), [endless]);
    assert_eq!(fates(&records), [rejected("line_too_long")]);
    assert_eq!(records[0]["input_bytes"], length);
}

#[test]
fn a_path_is_sent_as_it_is_written_and_a_host_has_no_escaped_delimiters() {
    let origin = Origin::start();
    let odd = origin.url("/%zz/%");
    let records = provoke(fetchd([], ""), [&odd, "http://127.0.0.1%2Fa/", "http://127.0.0.1%00/"]);
    let refused = rejected("invalid_url");
    assert_eq!(fates(&records), [("http_error", "http_status", 1), refused, refused]);
    assert_eq!(origin.requests()[0].target, "/%zz/%");
    assert_eq!(seen(&origin), (1, 1));
}

#[test]
fn several_urls_on_one_line_or_a_comment_after_one_are_refused_and_spaces_in_a_path_are_not() {
    let origin = Origin::start();
    let (a, b) = (origin.url("/ok/1"), origin.url("/ok/2"));
    let several = [" ", "   ", "\t", " \t ", ", ", " | ", "\u{a0}"].map(|between| format!("{a}{between}{b}"));
    let within_json =
        [json!({ "url": format!("{a} {b}") }).to_string(), json!({ "url": format!("{a}\n{b}") }).to_string()];
    let comment = [format!("{a} # note")];
    let records = provoke(fetchd([], ""), several.iter().chain(&within_json).chain(&comment));
    let (url, control) = (rejected("invalid_url"), rejected("invalid_char"));
    assert_eq!(fates(&records), [url, url, control, control, url, url, url, url, control, url], "{records:#?}");
    for record in &records[..9] {
        let message = record["error"]["message"].as_str().unwrap();
        assert!(message.contains("more than one URL") && message.contains("each on its own line"), "{record:#}");
    }
    assert!(records[9]["error"]["message"].as_str().unwrap().contains("comment"), "{:#}", records[9]);
    assert_eq!(seen(&origin), (0, 0));

    let within = ["my file.pdf", "x \"Title\"", "?to=http://b.test/", ",http://b.test/"];
    let urls = within.map(|path| origin.url(&format!("/echo/{path}")));
    let records = provoke(fetchd([], ""), urls);
    assert!(records.iter().all(|record| record["attempts"] == 1), "{records:#?}");
    let mut targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    targets.sort();
    assert_eq!(
        targets,
        ["/echo/,http://b.test/", "/echo/?to=http://b.test/", "/echo/my%20file.pdf", "/echo/x%20%22Title%22"]
    );
}

#[test]
fn a_password_of_the_second_url_of_a_line_is_shown_nowhere() {
    let lines = ["http://127.0.0.1:1/ http://u:hunter2@b.test/", "http://u:hunter2@a.test/ http://127.0.0.1:1/"];
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records), [rejected("invalid_url"), rejected("credentials_in_url")]);
    assert!(!format!("{records:?}").contains("hunter2"), "{records:#?}");
}

#[test]
fn all_spellings_of_a_name_are_one_host() {
    let origin = Origin::start();
    let port = origin.authority().replace("127.0.0.1:", "");
    let spellings = ["bücher.test", "BÜCHER.test", "xn--bcher-kva.test", "XN--BCHER-KVA.TEST.", "bu\u{308}cher.test."];
    let urls = spellings.iter().cycle().take(20).map(|name| format!("http://{name}:{port}/slow/5"));
    let dns = Dns::start();
    dns.script("*.test", [addresses(60, &["127.0.0.1"])]);
    let config = format!("dns.servers = ['{}']\n", dns.address());
    let records = provoke(fetchd(["--host-concurrency", "1"], &config), urls);
    assert_eq!(fates(&records), [("ok", "", 1); 20]);
    assert_eq!((origin.requests().len(), origin.most_at_once()), (20, 1));
}

#[test]
fn a_json_line_that_asks_for_the_impossible_is_an_invalid_request() {
    let origin = Origin::start();
    let of = |key: &str, value: Value| {
        let mut line = json!({ "url": origin.url("/ok/1") });
        line[key] = value;
        line.to_string()
    };
    let wrong = [
        of("colour", json!("red")),
        of("method", json!("CONNECT")),
        of("method", json!("G T")),
        of("method", json!(1)),
        of("headers", json!(["accept: a"])),
        of("headers", json!({ "x-a": 1 })),
        of("headers", json!({ "host": "h" })),
        of("headers", json!({ "x a": "b" })),
        of("headers", json!({ "x-a": "a\nb" })),
        of("body", json!({ "a": 1 })),
        of("body_base64", json!("*")),
        of("url", json!(["http://h/"])),
        json!({ "method": "GET" }).to_string(),
    ];
    let records = provoke(fetchd([], ""), wrong);
    assert_eq!(fates(&records), [rejected("invalid_request"); 13]);
    assert_eq!(seen(&origin), (0, 0));
}

#[test]
fn what_is_no_json_or_too_deep_for_a_record_is_said_to_be_none() {
    let origin = Origin::start();
    let deep = |levels: usize| {
        let meta = "[".repeat(levels - 1) + &"]".repeat(levels - 1);
        format!("{{\"url\": \"{}\", \"meta\": {meta}}}", origin.url("/ok/1"))
    };
    let lines = [deep(126), deep(127), "{".into(), "{}}".into(), "{\"url\": 'http://h/'}".into()];
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records)[0], ("ok", "", 1));
    assert_eq!(fates(&records)[1..], [rejected("invalid_json"); 4]);
}

#[test]
fn a_record_whose_line_was_cut_is_not_repeatable() {
    let origin = Origin::start();
    let record = json!({ "seq": 1, "input": origin.url("/ok/1"), "input_bytes": 2_000_000, "outcome": "rejected" });
    assert_eq!(fates(&provoke(fetchd([], ""), [record.to_string()])), [rejected("not_repeatable")]);
    assert_eq!(seen(&origin), (0, 0));
}

#[test]
fn a_password_in_a_url_is_refused_and_nothing_is_sent() {
    let origin = Origin::start();
    let url = origin.url("/ok/1");
    let urls = ["u:p@", "u@", ":p@", "u:p%40@"].map(|user| url.replace("//", &format!("//{user}")));
    assert_eq!(fates(&provoke(fetchd([], ""), urls)), [rejected("credentials_in_url"); 4]);
    assert_eq!(seen(&origin), (0, 0));
}

#[test]
fn an_address_is_judged_by_what_it_is_however_it_is_spelt() {
    let (origin, canary) = (Origin::start(), Origin::start_at([127, 0, 0, 3]));
    let urls = |origin: &Origin, spellings: [&str; 6]| {
        let (address, port) = origin.authority().split_once(':').map(|(a, p)| (a.to_owned(), p.to_owned())).unwrap();
        spellings.map(|spelling| format!("http://{}:{port}/ok/1", spelling.replace("ADDRESS", &address)))
    };
    let allowed = ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "127.0.0.1."];
    let forbidden = ["0x7f.3", "2130706435", "0177.0.0.3", "127.3", "[::ffff:127.0.0.3]", "[::ffff:7f00:3]"];
    let lines = urls(&origin, allowed).into_iter().chain(urls(&canary, forbidden));
    let records = provoke(fetchd([], "network.deny = ['127.0.0.3']\n"), lines);
    assert_eq!(fates(&records)[..6], [("ok", "", 1); 6]);
    assert_eq!(fates(&records)[6..], [rejected("forbidden_address"); 6]);
    assert_eq!((origin.requests().len(), canary.accepts()), (6, 0));
}

#[test]
fn a_producer_that_is_faster_than_the_fetching_waits_and_nothing_piles_up() {
    let origin = Origin::start();
    let config = "queue = { window = 100, capacity = 10 }";
    let mut fetchd = Fetchd::with(["--host-concurrency", "2"]).config(config).start();
    let line = origin.url(&format!("/hang?{}\n", "x".repeat(1000)));
    let taken = fill(fetchd.stdin.as_mut().unwrap(), line.as_bytes(), 64 << 20);
    assert!(taken < 1 << 20, "{taken} bytes were taken in, of which none can be got rid of");
    assert_eq!(seen(&origin), (2, 2));
    assert_little_memory(fetchd.pid);
    fetchd.signal(Signal::SIGKILL);
}
