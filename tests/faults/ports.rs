//! A host of which one port is dead and another is not: by name, by address, behind redirects, with robots.txt, and behind a
//! proxy. curl says of the same URLs what can be reached.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use serde_json::Value;

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::{Origin, ok_with, send};
use crate::common::proxy::{Proxy, Then};
use crate::scenario::{Trust, fate, provoke};

/// Lines wait for less than two seconds, with a handful of probes.
const SHORT: &str = "health = { cool_down = '200ms', give_up = '1500ms' }\n";

/// A port of the address where nobody listens, kept for as long as this lives.
struct Dead(#[expect(dead_code, reason = "it keeps the port")] socket2::Socket, SocketAddr);

impl Dead {
    fn at(ip: impl Into<std::net::IpAddr>) -> Self {
        let address = SocketAddr::new(ip.into(), 0);
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        socket.bind(&address.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self(socket, address)
    }

    fn urls(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("http://{}/{n}", self.1)).collect()
    }
}

fn good(origin: &Origin, count: usize) -> Vec<String> {
    (0..count).map(|n| origin.url(&format!("/ok/{n}"))).collect()
}

/// That the records of these URLs say what each of them can be.
#[track_caller]
fn assert_told_apart(records: &[Value], dead: &Dead, good: usize) {
    let port = format!(":{}/", dead.1.port());
    let (gone, rest): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record["url"].as_str().unwrap().contains(&port));
    assert_eq!(rest.len(), good);
    for record in rest {
        assert_eq!(fate(record), ("ok", "", 1), "{record:#}");
    }
    for record in gone {
        assert_eq!((fate(record).0, kind(record)), ("failed", "circuit_open"), "{record:#}");
        let message = record["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("port {} of the host could not", dead.1.port())), "{message}");
    }
}

/// What curl exits with: 0, or 7 where there is no connection.
fn curl(args: &[&str]) -> Option<i32> {
    Command::new("curl").args(["-sS", "-o", "/dev/null", "--noproxy", "*"]).args(args).output().unwrap().status.code()
}

#[test]
fn lines_of_a_port_that_is_up_are_fetched_wherever_those_of_a_dead_one_stand() {
    let (origin, dead) = (Origin::start_at([127, 0, 0, 5]), Dead::at([127, 0, 0, 5]));
    let (gone, up) = (dead.urls(40), good(&origin, 100));
    assert_eq!((curl(&[&gone[0]]), curl(&[&up[0]])), (Some(7), Some(0)));
    let mixed = gone.iter().zip(&up).flat_map(|(a, b)| [a.clone(), b.clone()]).chain(up[40..].to_vec()).collect();
    for lines in [[gone.clone(), up.clone()].concat(), mixed, [up, gone].concat()] {
        let records = provoke(Fetchd::local().config(SHORT), lines);
        assert_told_apart(&records, &dead, 100);
    }
    assert_eq!(origin.requests().len(), 301);
}

#[test]
fn in_order_and_under_a_rate_it_is_the_same() {
    let (origin, dead) = (Origin::start_at([127, 0, 0, 5]), Dead::at([127, 0, 0, 5]));
    let lines = [dead.urls(10), good(&origin, 30)].concat();
    let fetchd = Fetchd::with(["--ordered", "--host-rate", "40/s"]).config(SHORT);
    assert_told_apart(&provoke(fetchd, lines), &dead, 30);
}

#[test]
fn an_ipv6_literal_has_ports_like_a_name() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let (origin, dead) = (Origin::start_at(Ipv6Addr::LOCALHOST), Dead::at(Ipv6Addr::LOCALHOST));
    let lines = [dead.urls(20), good(&origin, 20)].concat();
    let records = provoke(Fetchd::with(["--allow", "::1"]).config(SHORT), lines);
    assert_told_apart(&records, &dead, 20);
}

#[test]
fn https_goes_on_where_http_is_dead_and_a_redirect_between_them_waits_for_its_port_alone() {
    let (trust, dead) = (Trust::new(), Dead::at([127, 0, 0, 1]));
    let origin = trust.origin();
    let there = origin.redirect(302, &origin.url("/ok/1"));
    let lost = origin.redirect(302, &format!("https://{}/lost", dead.1));
    let lines = [dead.urls(20), vec![lost], vec![there; 20]].concat();
    let records = provoke(Fetchd::local().config(&format!("{SHORT}{}", trust.config)), lines);
    for (n, record) in records.iter().enumerate() {
        match n {
            0..20 => assert_eq!((fate(record).0, kind(record)), ("failed", "circuit_open"), "{record:#}"),
            20 => assert_eq!((kind(record), record["hops"].as_array().map(Vec::len)), ("circuit_open", Some(1))),
            _ => assert_eq!(fate(record), ("ok", "", 1), "{record:#}"),
        }
    }
}

#[test]
fn the_robots_txt_of_each_port_is_waited_for_by_its_own_lines() {
    let (origin, dead) = (Origin::start_at([127, 0, 0, 5]), Dead::at([127, 0, 0, 5]));
    origin.play("/robots.txt", [send(ok_with("", b"User-agent: *\nDisallow: /private\n"))]);
    let lines = [dead.urls(10), good(&origin, 30)].concat();
    let records = provoke(Fetchd::local().config(&format!("{SHORT}robots.enabled = true\n")), lines);
    let ok = records.iter().filter(|record| fate(record) == ("ok", "", 1)).count();
    assert_eq!((ok, origin.requests_for("/robots.txt")), (30, 1), "{records:#?}");
}

#[test]
fn a_port_that_a_pattern_names_is_a_host_of_its_own_with_a_circuit_of_its_own() {
    let (origin, dead) = (Origin::start_at([127, 0, 0, 5]), Dead::at([127, 0, 0, 5]));
    let lines = [dead.urls(20), good(&origin, 20)].concat();
    for named in [origin.authority(), dead.1.to_string()] {
        let config = format!("{SHORT}hosts.'{named}'.concurrency = 2\n");
        assert_told_apart(&provoke(Fetchd::local().config(&config), lines.clone()), &dead, 20);
    }
}

/// Behind a proxy the connection is the proxy's, and so is its word about what it leads to.
#[test]
fn behind_a_proxy_that_answers_no_circuit_opens_and_one_that_is_dead_holds_up_everybody() {
    let refusing =
        Proxy::http(Then::Answer(b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
    let lines: Vec<_> = (0..20).map(|n| format!("http://a.test:{}/{n}", 80 + n % 2)).collect();
    let args = |proxy: &str| ["-x", proxy, "--retries", "0"].map(str::to_owned);
    let ended = Fetchd::with(args(&refusing.url(""))).config(SHORT).run(lines.join("\n"));
    assert!(ended.records.iter().all(|record| record["status"] == 502), "{ended:?}");
    let dead = Dead::at([127, 0, 0, 1]);
    let ended = Fetchd::with(args(&format!("http://{}", dead.1))).config(SHORT).run(lines.join("\n"));
    let kinds: Vec<_> = ended.records.iter().map(kind).collect();
    assert!(kinds.iter().all(|kind| ["connect_refused", "connect_failed", "circuit_open"].contains(kind)), "{kinds:?}");
    assert_eq!(kinds.len(), 20);
}
