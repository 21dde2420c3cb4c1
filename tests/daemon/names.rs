//! What can go wrong with names, answered by a scripted name server; that no packet goes where it must not.

use std::collections::HashMap;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::common::dns::{A, AAAA, Dns, NO_DATA, NXDOMAIN, Over, REFUSED, SERVFAIL, Say, addresses};
use crate::common::fetchd::{Ended, Fetchd, kind};
use crate::common::origin::{Origin, ok_with};

/// A process that asks this name server, and may fetch from loopback addresses.
fn asking(dns: &Dns, args: &[&str], config: &str) -> Fetchd {
    Fetchd::with(args).config(&format!("dns.servers = ['{}']\n{config}", dns.address()))
}

/// The URL of a path at the origin, by this name.
fn by_name(origin: &Origin, name: &str, path: &str) -> String {
    origin.url(path).replace("127.0.0.1", name)
}

/// A path whose answer ends the connection, so that each request needs a new one.
fn closing(origin: &Origin) -> &'static str {
    origin.script("/closing", ok_with("connection: close\r\n", b"closed"));
    "/closing"
}

/// The records by the host of their URL.
fn by_host(ended: &Ended) -> HashMap<String, &Value> {
    let host = |record: &Value| {
        let url = url::Url::parse(record["url"].as_str().unwrap()).unwrap();
        url.host_str().unwrap().to_owned()
    };
    ended.records.iter().map(|record| (host(record), record)).collect()
}

/// An origin on 127.0.0.1, and on the same port of 127.0.0.3 a listener that nobody may come to.
fn origin_and_canary() -> (Origin, Canary) {
    let pair = || {
        let origin = Origin::start();
        let port = url::Url::parse(&origin.url("/")).unwrap().port().unwrap();
        let listener = TcpListener::bind(("127.0.0.3", port)).ok()?;
        listener.set_nonblocking(true).unwrap();
        Some((origin, Canary(listener)))
    };
    (0..100).find_map(|_| pair()).unwrap()
}

struct Canary(TcpListener);

impl Canary {
    /// Nobody has connected: the kernel would have taken the connection without being asked.
    fn sings(&self) {
        let visitor = self.0.accept().map(|(_, peer)| peer);
        assert!(visitor.is_err(), "a connection to the forbidden address came from {visitor:?}");
    }
}

const DENIED: &str = "network.deny = ['127.0.0.3']";

/// A name, what is said to it, its kind, its attempts, and the queries for its IPv4 addresses.
type Case = (&'static str, Say, &'static str, u32, usize);

/// Fetches from all of these names and a good one, with one retry.
fn go_wrong(cases: &[Case], config: &str) {
    let (origin, dns) = (Origin::start(), Dns::start());
    for (name, say, ..) in cases {
        dns.script(name, [say.clone()]);
    }
    dns.script("good.test", [addresses(60, &["127.0.0.1"])]);
    let names = cases.iter().map(|(name, ..)| *name).chain(["good.test"]);
    let input: String = names.map(|name| by_name(&origin, name, "/ok/1\n")).collect();
    let ended = asking(&dns, &["--retries", "1"], &format!("{config}\nretry.backoff = '1ms'")).run(input);

    let records = by_host(&ended);
    for (name, _, its_kind, attempts, queries) in cases {
        let record = records[*name];
        assert_eq!((kind(record), &record["attempts"]), (*its_kind, &json!(attempts)), "{record:#}");
        assert_eq!(dns.look_ups(name), *queries, "queries for {name}");
    }
    assert_eq!((&records["good.test"]["status"], origin.requests().len()), (&json!(200), 1));
}

#[test]
fn what_an_answer_has_wrong_with_it_has_its_kind_and_its_numbers_of_attempts_and_queries() {
    let (circle, cut) = (Say::Aliases(60, vec!["b.test", "circle.test"], Vec::new()), Say::Malformed.into());
    go_wrong(
        &[
            ("missing.test", Say::Nothing(NXDOMAIN, Some((60, 60))), "dns_not_found", 1, 1),
            ("empty.test", Say::Nothing(NO_DATA, Some((60, 60))), "dns_not_found", 1, 1),
            ("a..test", Say::Silence, "dns_not_found", 1, 0),
            ("servfail.test", Say::Nothing(SERVFAIL, None), "dns_failed", 2, 2),
            ("refused.test", Say::Nothing(REFUSED, None), "dns_failed", 2, 2),
            ("malformed.test", Say::Malformed, "dns_failed", 2, 2),
            ("circle.test", circle, "dns_failed", 2, 2),
            ("cut.test", Say::Truncated(cut), "dns_failed", 2, 2),
        ],
        "",
    );
}

#[test]
fn a_name_that_no_answer_comes_for_is_asked_for_three_times_by_each_attempt() {
    let forged = Say::Forged(addresses(60, &["127.0.0.1"]).into(), Say::Silence.into());
    go_wrong(
        &[("silent.test", Say::Silence, "dns_timeout", 2, 6), ("forged.test", forged, "dns_timeout", 2, 6)],
        "dns.timeout = '1s'",
    );
}

#[test]
fn a_name_is_looked_up_whatever_characters_it_has() {
    let (origin, dns) = (Origin::start(), Dns::start());
    let longest = "x".repeat(63) + ".test";
    let hosts = [
        "my_bucket.s3.test",
        "xn--bcher-kva.test",
        "a.-b.test",
        "-a.test",
        "a-.test",
        "_dmarc._tcp.test",
        "1.2.test",
        "a*b.test",
        "*.a.test",
        "a~!$&'()+,;=.test",
        "--.test",
        &longest,
    ];
    for name in hosts {
        dns.script(name, [addresses(60, &["127.0.0.1"])]);
    }
    let spellings = hosts.into_iter().chain(["B\u{fc}cher.TEST", "A.-B.test."]);
    let input = spellings.map(|host| by_name(&origin, host, "/ok/1\n")).collect::<String>();
    let ended = asking(&dns, &[], "").run(input);
    assert_eq!(ended.count("ok"), hosts.len() + 2, "{:#?}", ended.records);
}

#[test]
fn a_name_that_no_message_of_dns_can_hold_is_not_asked_for() {
    let (origin, dns) = (Origin::start(), Dns::start());
    let names = ["x".repeat(64) + ".test", ["x".repeat(63).as_str(); 4].join(".") + ".test", "a..test".to_owned()];
    let input = names.clone().map(|name| by_name(&origin, &name, "/ok/1\n")).concat();
    for record in asking(&dns, &[], "").run(input).records {
        assert_eq!(kind(&record), "dns_not_found", "{record:#}");
        assert!(record["error"]["message"].as_str().unwrap().contains("too long"), "{record:#}");
    }
    assert_eq!(names.map(|name| dns.look_ups(&name)), [0; 3]);
}

#[test]
fn a_forged_answer_is_not_believed_and_the_true_one_after_it_is() {
    let (origin, canary) = origin_and_canary();
    let dns = Dns::start();
    let (forged, right) = (addresses(60, &["127.0.0.3"]), addresses(60, &["127.0.0.1"]));
    dns.script("a.test", [Say::Forged(forged.into(), right.into())]);
    let ended = asking(&dns, &[], "").run(by_name(&origin, "a.test", "/ok/1"));
    assert_eq!((ended.count("ok"), dns.look_ups("a.test")), (1, 1));
    canary.sings();
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again_over_tcp_and_sixteen_of_500_addresses_are_tried() {
    let (origin, dns) = (Origin::start(), Dns::start());
    // Nobody listens there.
    let nobody: Vec<_> = (0..500).map(|n| format!("127.0.{}.{}", 20 + n / 250, 1 + n % 250)).collect();
    let with_origin_at = |place: usize| {
        let mut all: Vec<_> = nobody.iter().map(String::as_str).collect();
        all[place] = "127.0.0.1";
        Say::Truncated(addresses(60, &all).into())
    };
    dns.script("sixteenth.test", [with_origin_at(15)]);
    dns.script("seventeenth.test", [with_origin_at(16)]);
    let input = ["sixteenth.test", "seventeenth.test"].map(|name| by_name(&origin, name, "/ok/1")).join("\n");
    let ended = asking(&dns, &["--retries", "0"], "").run(input);
    let records = by_host(&ended);
    assert_eq!(
        (&records["sixteenth.test"]["ip"], kind(records["seventeenth.test"])),
        (&json!("127.0.0.1"), "connect_refused")
    );
    for name in ["sixteenth.test", "seventeenth.test"] {
        assert_eq!([Over::Udp, Over::Tcp].map(|over| dns.queries(name, A, over)), [1, 1]);
    }
    assert_eq!(origin.accepts(), 1);
}

#[test]
fn of_many_addresses_only_those_that_are_allowed_are_dialled() {
    let (origin, canary) = origin_and_canary();
    let dns = Dns::start();
    dns.script("some.test", [addresses(60, &["127.0.0.3", "10.1.2.3", "127.0.0.1"])]);
    dns.script("none.test", [addresses(60, &["127.0.0.3"])]);
    dns.script("private.test", [addresses(60, &["10.1.2.3", "169.254.169.254"])]);
    let names = ["some.test", "none.test", "private.test"];
    let ended = asking(&dns, &[], DENIED).run(names.map(|name| by_name(&origin, name, "/ok/1")).join("\n"));
    let records = by_host(&ended);
    assert_eq!(records["some.test"]["ip"], "127.0.0.1");
    for (name, key) in [("none.test", "network.deny"), ("private.test", "network.allow")] {
        let record = records[name];
        assert_eq!((kind(record), &record["outcome"]), ("forbidden_address", &json!("rejected")));
        assert!(record["error"]["message"].as_str().unwrap().contains(key), "{record:#}");
    }
    canary.sings();
}

/// A name server that names the origin once, and then the canary.
fn rebinding() -> Dns {
    let dns = Dns::start();
    dns.script("a.test", [addresses(0, &["127.0.0.1"]), addresses(0, &["127.0.0.3"])]);
    dns
}

#[test]
fn a_name_whose_next_answer_is_forbidden_is_not_dialled_by_a_retry() {
    let ((origin, canary), dns) = (origin_and_canary(), rebinding());
    let ended = asking(&dns, &["--retries", "5"], DENIED).run(by_name(&origin, "a.test", "/close"));
    let record = ended.only_record();
    assert_eq!((kind(record), &record["outcome"]), ("forbidden_address", &json!("failed")), "{record:#}");
    assert_eq!((origin.requests().len(), dns.look_ups("a.test")), (1, 2));
    canary.sings();
}

#[test]
fn a_name_whose_next_answer_is_forbidden_is_not_dialled_by_a_redirect() {
    let ((origin, canary), dns) = (origin_and_canary(), rebinding());
    let path = closing(&origin);
    let mut fetchd = asking(&dns, &[], DENIED).start();
    fetchd.line(&by_name(&origin, "a.test", path));
    assert_eq!(fetchd.record()["outcome"], "ok");
    fetchd.line(&origin.redirect(302, &by_name(&origin, "a.test", "/ok/1")));
    let record = fetchd.record();
    assert_eq!((kind(&record), &record["outcome"]), ("forbidden_address", &json!("failed")), "{record:#}");
    assert_eq!(record["hops"][0]["status"], 302);
    assert_eq!((origin.requests().len(), dns.look_ups("a.test")), (2, 2));
    canary.sings();
}

#[test]
fn a_name_whose_next_answer_is_forbidden_is_not_dialled_by_a_new_connection() {
    let ((origin, canary), dns) = (origin_and_canary(), rebinding());
    let path = closing(&origin);
    let mut fetchd = asking(&dns, &[], DENIED).start();
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        fetchd.line(&by_name(&origin, "a.test", path));
        outcomes.push(fetchd.record()["outcome"].clone());
    }
    assert_eq!((outcomes, dns.look_ups("a.test")), (vec![json!("ok"), json!("rejected"), json!("rejected")], 3));
    canary.sings();
}

#[test]
fn an_ipv6_address_is_reached_or_fails_with_its_retries_where_there_is_no_ipv6() {
    let dns = Dns::start();
    dns.script("six.test", [addresses(60, &["::1"])]);
    let origin = TcpListener::bind("[::1]:0").map(|_| Origin::start_at(std::net::Ipv6Addr::LOCALHOST));
    let literal = origin.as_ref().map_or("http://[::1]:9/".to_owned(), |origin| origin.url("/ok/1"));
    let input = format!("{literal}\n{}", literal.replace("[::1]", "six.test"));
    let args = ["--allow", "::1", "--retries", "1"];
    for record in asking(&dns, &args, "retry.backoff = '1ms'").run(input).records {
        match origin {
            Ok(_) => assert_eq!((&record["ip"], &record["status"]), (&json!("::1"), &json!(200)), "{record:#}"),
            Err(_) => assert_eq!((kind(&record), &record["attempts"]), ("connect_failed", &json!(2)), "{record:#}"),
        }
    }
    assert_eq!(dns.asked("six.test"), [1, 1]);
    assert_eq!(dns.queries("six.test", AAAA, Over::Tcp), 0);
}

#[test]
fn a_name_without_a_way_to_its_ipv4_address_is_reached_by_its_ipv6_address() {
    let dns = Dns::start();
    // No machine has a way to the address of a broadcast.
    dns.script("a.test", [addresses(60, &["255.255.255.255", "::1"])]);
    let origin = TcpListener::bind("[::1]:0").map(|_| Origin::start_at(std::net::Ipv6Addr::LOCALHOST));
    let url =
        origin.as_ref().map_or("http://a.test/".to_owned(), |origin| origin.url("/ok/1").replace("[::1]", "a.test"));
    let ended = asking(&dns, &["--allow", "::1"], "").run(url);
    match origin {
        Ok(_) => assert_eq!(ended.only_record()["ip"], "::1"),
        Err(_) => assert_eq!(kind(ended.only_record()), "forbidden_address"),
    }
    assert_eq!(dns.asked("a.test"), [1, 1]);
}
