//! Connections over many hosts: which are kept for the next line, which are closed, and which resume a TLS session.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio_rustls::rustls::server::{NoClientAuth, ServerSessionMemoryCache};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::common::trust::Trust;

/// The nth host: an address of this machine.
fn host(n: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + n as u32)
}

/// Lines for all hosts in turn, as the frontier of a crawl has them.
fn lines(server: &Origin, hosts: usize, each: usize) -> String {
    let of = |n: usize| server.url(&format!("/ok/{n}")).replace("0.0.0.0", &host(n % hosts).to_string()) + "\n";
    (0..hosts * each).map(of).collect()
}

/// What the run counted: connections that it opened, requests that reused one, TLS sessions that it resumed.
fn counted(ended: &Ended) -> [u64; 3] {
    let summary = ended.summary();
    ["connections_opened", "connections_reused", "tls_sessions_resumed"].map(|key| summary[key].as_u64().unwrap())
}

#[test]
fn hosts_with_waiting_lines_keep_their_connections_however_few_requests_go_out_at_once() {
    const HOSTS: usize = 40;
    let server = Origin::start_at([0, 0, 0, 0]);
    let config = "log.format = 'json'\nlimits.concurrency = 4\nhosts.'*'.concurrency = 1";
    let ended = Fetchd::local().config(config).run(lines(&server, HOSTS, 10));
    assert_eq!(ended.count("ok"), 10 * HOSTS, "{ended:?}");
    assert_eq!(server.accepts(), HOSTS);
    assert_eq!(counted(&ended), [HOSTS as u64, 9 * HOSTS as u64, 0]);
    let reused = ended.records.iter().filter(|record| record["reused"] == true).count();
    assert_eq!(reused, 9 * HOSTS);
}

#[test]
fn a_host_that_is_asked_slowly_keeps_its_connection_too() {
    const HOSTS: usize = 40;
    let server = Origin::start_at([0, 0, 0, 0]);
    let config = "limits.concurrency = 4\nhosts.'*' = { concurrency = 2, rate = '10/s' }";
    let ended = Fetchd::local().config(config).run(lines(&server, HOSTS, 4));
    assert_eq!(ended.count("ok"), 4 * HOSTS, "{ended:?}");
    assert!(server.accepts() <= HOSTS + HOSTS / 8, "{} connections to {HOSTS} hosts", server.accepts());
}

#[test]
fn while_many_are_kept_a_host_closes_its_connection_with_its_last_line() {
    const HOSTS: usize = 300;
    let server = Origin::start_at([0, 0, 0, 0]);
    let config = "limits.concurrency = 4\nhosts.'*'.concurrency = 1";
    let ended = Fetchd::local().config(config).run(lines(&server, HOSTS, 2));
    assert_eq!(ended.count("ok"), 2 * HOSTS, "{ended:?}");
    assert_eq!(server.accepts(), HOSTS, "each second line goes over the connection of the first");
    let closing = server.requests().iter().filter(|request| request.header("connection") == Some("close")).count();
    assert!((HOSTS - 256..HOSTS - 200).contains(&closing), "{closing} connections were closed");
}

#[test]
fn beyond_the_bound_connections_close_and_every_line_has_its_record() {
    let server = Origin::start_at([0, 0, 0, 0]);
    let config = "fetch.idle_connections = 8\nlimits.concurrency = 4\nhosts.'*'.concurrency = 2";
    let ended = Fetchd::local().config(config).run(lines(&server, 30, 6));
    assert_eq!(ended.count("ok"), 30 * 6, "{ended:?}");
    let closing = server.requests().iter().filter(|request| request.header("connection") == Some("close")).count();
    assert!(closing >= 22 * 6, "{closing} of {} requests", 30 * 6);
}

#[test]
fn servers_that_close_their_connections_take_none_of_the_bound() {
    let (closing, keeping) = (Origin::start_at([0, 0, 0, 0]), Origin::start());
    let heads = ["HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"];
    closing.on_accept(heads.map(|head| vec![Step::Read, send(head), Step::Close]));
    let config = "fetch.idle_connections = 4\nhosts.'*'.concurrency = 1";
    let mut fetchd = Fetchd::local().config(config).start();
    for line in lines(&closing, 20, 3).lines() {
        fetchd.line(line);
        assert_eq!(fetchd.record()["outcome"], "ok");
    }
    for _ in 0..50 {
        fetchd.line(&keeping.url("/ok/1"));
        assert_eq!(fetchd.record()["outcome"], "ok");
    }
    assert_eq!(keeping.accepts(), 1);
}

#[test]
fn tls_sessions_of_more_hosts_are_resumed_than_requests_go_out_at_once() {
    const HOSTS: usize = 100;
    const EACH: usize = 3;
    let trust = Trust::new();
    let addresses: Vec<String> = (0..HOSTS).map(|n| host(n).to_string()).collect();
    let identity = trust.authority.identity(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for version in [&TLS13, &TLS12] {
        let tls = identity.server_that_asks(&[version], Arc::new(NoClientAuth));
        let server = Origin::start_tls([0, 0, 0, 0], tls);
        // Each connection is for one request.
        let answer = ok_with("connection: close\r\n", b"{}");
        server.on_accept([vec![Step::Read, send(answer), Step::Close]]);
        let config = "log.format = 'json'\nlimits.concurrency = 8\nhosts.'*'.concurrency = 1";
        let ended = trust.fetchd(config).run(lines(&server, HOSTS, EACH));
        assert_eq!(ended.count("ok"), HOSTS * EACH, "{ended:?}");
        assert_eq!((server.accepts(), server.resumed()), (HOSTS * EACH, HOSTS * (EACH - 1)), "{version:?}");
        assert_eq!(counted(&ended), [HOSTS * EACH, 0, HOSTS * (EACH - 1)].map(|n| n as u64), "{version:?}");
    }
}

#[test]
fn a_session_that_the_server_declines_counts_as_not_resumed() {
    let trust = Trust::new();
    let mut tls = trust.identity().server();
    // It hands out sessions, and forgets them.
    tls.session_storage = ServerSessionMemoryCache::new(1);
    let server = Origin::start_tls([0, 0, 0, 0], tls);
    server.on_accept([vec![Step::Read, send(ok_with("connection: close\r\n", b"{}")), Step::Close]]);
    let input: String = (0..12)
        .map(|n| format!("{}\n", server.url("/ok/1").replace("0.0.0.0", &format!("127.0.0.{}", 1 + n % 2))))
        .collect();
    let ended = trust.fetchd("log.format = 'json'\nhosts.'*'.concurrency = 1").run(input);
    assert_eq!(ended.count("ok"), 12, "{ended:?}");
    assert_eq!(counted(&ended)[2], server.resumed() as u64);
    assert!(server.resumed() < 10, "{} were resumed", server.resumed());
}

#[test]
fn the_summary_says_what_became_of_connections() {
    let server = Origin::start();
    let ended = Fetchd::local()
        .config("log.format = 'text'\nlimits.concurrency = 1")
        .run(format!("{}\n", server.url("/ok/1")).repeat(5));
    assert!(ended.stderr.contains("  connections  1 opened · 4 requests reused one\n"), "{ended:?}");
    let offline = Fetchd::local().config("log.format = 'text'").run("not a URL\n");
    assert!(!offline.stderr.contains("connections"), "{offline:?}");
}
