//! Clients that mean no good, or do not know better. Meanwhile the run does its work: one line, one record.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use tokio::time::Instant;

use crate::common::fetchd::Running;
use crate::common::origin::Origin;
use crate::place::{Place, read_until};

/// Gives lines to a run while its API is abused, and demands their records after.
fn with_lines(abuse: impl FnOnce(&Place)) {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let lines = 500;
    (0..lines).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    abuse(&place);
    conserved(&mut running, lines);
}

fn conserved(running: &mut Running, lines: u64) {
    let ended = running.finish("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut seqs: Vec<_> = ended.records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=lines).collect::<Vec<_>>());
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
}

#[test]
fn pages_of_other_sites_get_nothing() {
    with_lines(|place| {
        for headers in [
            "",
            "host: a.test\r\n",
            "host: fetchd\r\n",
            "host: localhost.a.test\r\n",
            "host: localhost\r\nhost: localhost\r\n",
            "host: localhost\r\norigin: http://a.test\r\n",
            "host: localhost\r\norigin: null\r\n",
            "host: localhost\r\nsec-fetch-site: cross-site\r\n",
            "host: localhost:80\r\norigin: http://localhost:81\r\n",
        ] {
            for (method, path) in [("POST", "/v1/drain"), ("GET", "/v1/status"), ("GET", "/metrics")] {
                let answer = place.request(method, path, headers, "");
                assert_eq!(answer.status, 403, "{headers:?}: {answer:?}");
            }
            let answer = place.request("GET", "http://a.test/v1/status", "host: localhost\r\n", "");
            assert_eq!(answer.status, 403, "{answer:?}");
        }
        let same = "host: localhost:80\r\norigin: http://localhost:80\r\nsec-fetch-site: same-origin\r\n";
        assert_eq!(place.request("GET", "/healthz", same, "").status, 200);
    });
}

#[test]
fn a_body_of_a_megabyte_is_refused_whether_its_length_is_known_or_not() {
    with_lines(|place| {
        let known = place.post("/v1/pause", &"x".repeat(1 << 20));
        assert_eq!(known.status, 413, "{known:?}");
        let mut chunked = b"POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..64 {
            chunked.extend_from_slice(b"4000\r\n");
            chunked.extend_from_slice(&[b' '; 0x4000]);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(place.send(&chunked).map(|answer| answer.status), Some(413));
    });
}

#[test]
fn of_a_hundred_requests_in_a_burst_some_fifty_are_answered() {
    with_lines(|place| {
        let mut stream = place.connect();
        let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(99);
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let of = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
        assert_eq!(of("200") + of("429"), 100, "{answers}");
        assert!((45..80).contains(&of("200")) && answers.contains("retry-after: 1"), "{}", of("200"));
    });
}

#[test]
fn slow_heads_and_idle_connections_are_closed_after_five_seconds() {
    with_lines(|place| {
        let begin = Instant::now();
        let mut slow: Vec<UnixStream> = (0..32)
            .map(|n| {
                let mut stream = place.connect();
                stream.write_all(&b"GET /healthz HTTP/1.1\r\nhost: lo"[..n]).unwrap();
                stream
            })
            .collect();
        // The Unix socket has some places more, so an operator gets through.
        assert_eq!(place.get("/healthz").status, 200);
        assert!(begin.elapsed().as_secs() < 4, "{:?}", begin.elapsed());
        let mut idle = place.connect();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).unwrap();
        for stream in &mut slow {
            let _ = stream.read_to_end(&mut rest);
        }
        let seconds = begin.elapsed().as_secs();
        assert!((4..9).contains(&seconds), "{seconds} s");
        assert_eq!(place.get("/healthz").status, 200);
    });
}

#[test]
fn ten_thousand_connects_leave_the_api_and_the_run_as_they_were() {
    with_lines(|place| {
        for n in 0..10_000 {
            let mut stream = place.connect();
            if n % 10 == 0 {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\n");
            }
        }
        place.wait_until(|status| status["state"] == "running");
    });
}

#[test]
fn a_reader_that_reads_nothing_holds_up_neither_records_nor_the_end() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = place.connect();
            stream.write_all(b"GET /v1/records HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            read_until(&mut stream, "x-ndjson");
            stream
        })
        .collect();
    let fifth = place.get("/v1/records");
    assert!(fifth.status == 429 && fifth.message().contains("four readers"), "{fifth:?}");
    let lines = 2000;
    let input: String = (0..lines).map(|n| origin.url(&format!("/ok/{n}?{}\n", "x".repeat(500)))).collect();
    let ended = running.finish(input);
    assert_eq!((ended.code, ended.records.len()), (Some(0), lines), "{}", ended.stderr);
    drop(readers);
}

#[test]
fn requests_that_are_no_http_are_answered_or_closed_and_no_more() {
    with_lines(|place| {
        for bytes in [
            &b"\r\n\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET\r\n\r\n",
            b"GET /healthz HTTP/9.9\r\n\r\n",
            b"POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let mut stream = place.connect();
            let _ = stream.write_all(bytes);
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer);
            assert!(
                text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4"),
                "{bytes:?}: {text}"
            );
        }
        let mut huge = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n".to_vec();
        (0..2000).for_each(|n| huge.extend_from_slice(format!("x-{n}: {}\r\n", "y".repeat(100)).as_bytes()));
        huge.extend_from_slice(b"\r\n");
        assert_eq!(place.send(&huge).map(|answer| answer.status), Some(431));
        assert_eq!(place.get("/healthz").status, 200);
    });
}
