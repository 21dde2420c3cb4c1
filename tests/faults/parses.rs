//! Every record is one JSON object on one line, whatever bytes a server sends.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::codings::{brotli, gzip};
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::scenario::{fetchd, provoke};

/// Any bytes, those that mean something to HTTP, JSON, or a terminal more often than others.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(b"\r\n\t \0\x1b\x7f\x85\xa8\xe2\xed\xff:;,=\"\\{}[]u0d8:/<%".to_vec());
    vec(prop_oneof![telling, any::<u8>()], 0..most)
}

/// A header's value: bytes that end no line.
fn value() -> impl Strategy<Value = Vec<u8>> {
    bytes(60).prop_map(|bytes| bytes.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\0')).collect())
}

/// Something that is JSON, or nearly.
fn json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{\"a\":1}",
        "[]",
        "1e999",
        "-0",
        "\"\\ud800\"",
        "\"\\u2028\"",
        "\"\u{2028}\u{85}\"",
        "{\"a\":1,\"a\":2}",
        "nul",
        "tru e",
        "\"\n\"",
        "\u{feff}{}",
        "123456789012345678901234567890",
        "[1,]",
        " \r\n\t",
    ]);
    let deep = (100..140_usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth));
    prop_oneof![4 => vec(piece, 0..3).prop_map(|pieces| pieces.concat()), 1 => deep].prop_map(Into::into)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![bytes(200), json()]
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let of =
        |headers: Vec<u8>, body: Vec<u8>| [b"HTTP/1.1 200 OK\r\n".as_slice(), &headers, b"\r\n\r\n", &body].concat();
    let name = prop::sample::select(vec![
        "x-any",
        "content-type",
        "content-encoding",
        "content-length",
        "transfer-encoding",
        "location",
        "retry-after",
        "set-cookie",
        "connection",
        "date",
    ]);
    let media_type = prop::sample::select(vec!["application/json", "text/plain; charset=latin1", "a/b+json", "*", ""]);
    prop_oneof![
        bytes(200),
        (name, value(), body())
            .prop_map(move |(name, value, body)| of([name.as_bytes(), b": ", &value].concat(), body)),
        (200..600_u16, value()).prop_map(|(status, value)| {
            [
                format!("HTTP/1.1 {status} ").into_bytes(),
                value.clone(),
                b"\r\nlocation: ".into(),
                value,
                b"\r\n\r\n".into(),
            ]
            .concat()
        }),
        (media_type, body()).prop_map(|(name, body)| ok_with(&format!("content-type: {name}\r\n"), &body)),
        body().prop_map(|body| ok_with("content-type: application/json\r\ncontent-encoding: gzip\r\n", &gzip(&body))),
        body().prop_map(|body| ok_with("content-encoding: br\r\n", &brotli(&body))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 50, ..ProptestConfig::with_cases(30) })]

    #[test]
    fn every_output_line_is_one_json_object_whatever_bytes_came(answers in vec(answer(), 1..60)) {
        let origin = Origin::start();
        let script = |answer: &Vec<u8>| Script::from([send(answer.clone()), Step::Close]);
        let urls = answers.iter().enumerate().map(|(n, answer)| origin.play(&format!("/{n}"), script(answer)));
        // A redirect is not followed, for it may lead to anywhere.
        let args = ["--timeout", "2s", "--max-redirects", "0"];
        let records = provoke(fetchd(args, "output = { headers = true, digest = true }\n"), urls);
        prop_assert_eq!(records.len(), answers.len());
    }
}
