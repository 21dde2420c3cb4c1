//! HTTP/2: offered where it is asked for, shared by the lines of a host, and nothing lost when streams are.

use serde_json::{Value, json};

use crate::common::fetchd::{Ended, Fetchd, kind};
use crate::common::frames::{Act, CANCEL, Frames, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM};
use crate::common::http2::Http2;
use crate::common::origin::Origin;
use crate::common::trust::Trust;

const CONFIG: &str = "fetch.http2 = true\noutput.order = 'input'\n";

/// A whole answer.
const WHOLE: &[Act] = &[Act::HeadOf9, Act::LastData(b"the whole")];

fn fetchd(trust: &Trust, config: &str) -> Fetchd {
    trust.fetchd(&format!("{CONFIG}{config}"))
}

/// One GET and one POST, each from a server of its own that plays these scripts in turn.
fn get_and_post(scripts: &[&'static [Act]]) -> [(Ended, Frames); 2] {
    let trust = Trust::new();
    ["GET", "POST"].map(|method| {
        let server = Frames::start(trust.identity().server(), scripts);
        let line = json!({ "url": server.url("/"), "method": method });
        (fetchd(&trust, "").run(line.to_string()), server)
    })
}

fn attempts(ended: &Ended) -> &Value {
    &ended.only_record()["attempts"]
}

#[test]
fn lines_of_a_host_share_one_connection_and_are_no_more_at_once_than_allowed() {
    let trust = Trust::new();
    let server = Http2::start(trust.identity().server(), 4);
    let mut fetchd = fetchd(&trust, "hosts.'*'.concurrency = 4").start();
    fetchd.line(&server.url("/"));
    let first = fetchd.record();
    let writer = fetchd.write_all(vec![server.url("/together"); 96].join("\n").into());
    let ended = fetchd.wait();
    writer.join().unwrap();
    assert!([&first].into_iter().chain(&ended.records).all(|record| record["http"] == "2"), "{ended:?}");
    assert_eq!((ended.count("ok"), server.most_at_once(), server.accepts()), (96, 4, 1));
}

#[test]
fn a_server_that_only_speaks_http_1_is_asked_in_http_1() {
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    let ended = fetchd(&trust, "").run(origin.url("/ok/1"));
    assert_eq!((ended.count("ok"), &ended.only_record()["http"]), (1, &json!("1.1")), "{ended:?}");
}

#[test]
fn http_2_is_not_offered_unless_it_is_asked_for() {
    let trust = Trust::new();
    let mut tls = trust.identity().server();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let origin = Origin::start_tls([127, 0, 0, 1], tls);
    let ended = Fetchd::local().config("tls.ca_file = 'ca.pem'").directory(trust.path()).run(origin.url("/ok/1"));
    assert_eq!((ended.count("ok"), &ended.only_record()["http"]), (1, &json!("1.1")), "{ended:?}");
}

#[test]
fn a_request_that_must_not_leave_its_connection_open_has_one_of_its_own() {
    let trust = Trust::new();
    let server = || Http2::start(trust.identity().server(), 1);
    let (first, other) = (server(), server());
    let mut fetchd = fetchd(&trust, "fetch.idle_connections = 1").start();
    for server in [&first, &other, &other] {
        fetchd.line(&server.url("/"));
        let record = fetchd.record();
        assert_eq!((&record["http"], record.get("reused")), (&json!("2"), None));
    }
    other.wait_for_closes(2);
    fetchd.line(&first.url("/"));
    assert_eq!(fetchd.record()["reused"], true);
    assert_eq!((first.accepts(), other.accepts()), (1, 2));
}

#[test]
fn a_stream_that_was_refused_is_asked_for_again_whatever_the_method() {
    for refusal in [&[Act::Reset(REFUSED_STREAM)][..], &[Act::GoAway(NO_ERROR)], &[Act::GoAway(INTERNAL_ERROR)]] {
        for (ended, _) in get_and_post(&[refusal, WHOLE]) {
            assert_eq!((ended.count("ok"), attempts(&ended)), (1, &json!(2)), "{refusal:?}\n{ended:?}");
            assert_eq!(ended.only_record()["body"], "the whole");
        }
    }
}

#[test]
fn a_stream_or_connection_lost_before_the_answer_is_reset_and_only_a_get_is_repeated() {
    let losses: [&'static [Act]; 3] = [&[Act::Reset(INTERNAL_ERROR)], &[Act::Reset(CANCEL)], &[Act::Cut]];
    for loss in losses {
        for ((ended, _), tried) in get_and_post(&[loss]).iter().zip([3, 1]) {
            assert_eq!((kind(ended.only_record()), attempts(ended)), ("reset", &json!(tried)), "{loss:?}\n{ended:?}");
        }
    }
}

#[test]
fn a_body_that_ends_before_its_stream_or_its_length_does_is_incomplete() {
    let cuts: [&'static [Act]; 6] = [
        &[Act::Head, Act::Data(b"some"), Act::Reset(NO_ERROR)],
        &[Act::Head, Act::Data(b"some"), Act::Reset(CANCEL)],
        &[Act::Head, Act::Data(b"some"), Act::Reset(INTERNAL_ERROR)],
        &[Act::Head, Act::Data(b"some"), Act::Cut],
        &[Act::HeadOf9, Act::Data(b"some"), Act::Reset(NO_ERROR)],
        &[Act::HeadOf9, Act::LastData(b"some")],
    ];
    let trust = Trust::new();
    for cut in cuts {
        let server = Frames::start(trust.identity().server(), &[cut]);
        let ended = fetchd(&trust, "").run(server.url("/"));
        let record = ended.only_record();
        assert_eq!((kind(record), attempts(&ended)), ("body_incomplete", &json!(3)), "{cut:?}\n{record:#}");
    }
}

#[test]
fn a_reset_without_error_after_the_end_of_the_body_takes_nothing_from_it() {
    let after: &[&'static [Act]] = &[&[Act::Head, Act::LastData(b"the whole"), Act::Reset(NO_ERROR)]];
    for (ended, _) in get_and_post(after) {
        assert_eq!((ended.count("ok"), &ended.only_record()["body"]), (1, &json!("the whole")), "{ended:?}");
    }
}

#[test]
fn a_server_that_answers_without_reading_the_whole_request_is_heard() {
    let trust = Trust::new();
    let server =
        Frames::start(trust.identity().server(), &[&[Act::Head, Act::LastData(b"enough"), Act::Reset(NO_ERROR)]]);
    let line = json!({ "url": server.url("/"), "method": "POST", "body": "x".repeat(500_000) });
    let ended = fetchd(&trust, "").run(line.to_string());
    assert_eq!((ended.count("ok"), &ended.only_record()["body"]), (1, &json!("enough")), "{ended:?}");
}

#[test]
fn a_head_that_is_malformed_is_a_protocol_error_and_not_asked_for_twice() {
    for (ended, server) in get_and_post(&[&[Act::MalformedHead]]) {
        assert_eq!((kind(ended.only_record()), attempts(&ended)), ("protocol", &json!(1)), "{ended:?}");
        assert_eq!(server.accepts(), 1);
    }
}
