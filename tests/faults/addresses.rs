//! Names with several addresses, of one or both families, of which some are dead: the living one is reached within
//! `connect_timeout` (RFC 8305). Where both families take part, the test has a network of its own, so that there is IPv6.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::common::dns::{AAAA, Dns, Over, SERVFAIL, Say, addresses};
use crate::common::fetchd::{Fetchd, kind};
use crate::common::namespace::{self, Own, both};
use crate::common::origin::Origin;

/// An address that answers no connection: the queue of its listener is full.
struct Silent {
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl Silent {
    fn at(ip: &str, port: u16) -> Self {
        let address = SocketAddr::new(ip.parse().unwrap(), port);
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        Self { _listener: listener, _queue: std::iter::from_fn(connect).collect() }
    }
}

/// Fetches from a name of the origin's, once.
fn fetch(origin: &Origin, dns: &Dns, config: &str) -> Value {
    let url = format!("http://a.test:{}/ok/1", origin.address().port());
    let dns = format!("dns.servers = ['{}']\nretry.retries = 0\nnetwork.allow = ['::1', '127.0.0.0/8']", dns.address());
    Fetchd::bare([""; 0]).config(&format!("{dns}\n{config}")).run(url).only_record().clone()
}

fn elapsed(record: &Value) -> f64 {
    record["elapsed_ms"].as_f64().unwrap()
}

/// What curl makes of the same addresses at the same port.
fn curl_reaches(port: u16, addresses: &[&str]) -> String {
    let bracketed = |address: &&str| if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
    let addresses = addresses.iter().map(bracketed).collect::<Vec<_>>().join(",");
    let output = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{remote_ip}", "--connect-timeout", "10", "--resolve"])
        .args([format!("a.test:{port}:{addresses}"), format!("http://a.test:{port}/ok/1")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// curl is no judge here: it waits for refused addresses, too, until almost all of its time is gone.
#[test]
fn the_last_of_many_addresses_is_reached_when_those_before_it_refuse() {
    let (origin, dns) = (Origin::start(), Dns::start());
    for dead in [4, 15] {
        let mut all: Vec<_> = (0..dead).map(|n| format!("127.0.9.{}", n + 1)).collect();
        all.push("127.0.0.1".to_owned());
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        dns.script("a.test", [addresses(0, &all)]);
        assert_eq!(fetch(&origin, &dns, "")["ip"], "127.0.0.1");
    }
}

#[test]
fn addresses_that_say_nothing_leave_time_for_the_one_that_lives() {
    let (origin, dns) = (Origin::start(), Dns::start());
    let dead = ["127.0.9.1", "127.0.9.2", "127.0.9.3", "127.0.9.4"];
    let _silent = dead.map(|ip| Silent::at(ip, origin.address().port()));
    dns.script("a.test", [addresses(60, &[&dead[..], &["127.0.0.1"]].concat())]);
    let record = fetch(&origin, &dns, "fetch.connect_timeout = '5s'");
    assert_eq!(record["ip"], "127.0.0.1", "{record:#}");
    assert!((3_900.0..5_000.0).contains(&elapsed(&record)), "a second for each: {record:#}");
}

#[test]
fn the_fewer_seconds_there_are_the_fewer_addresses_are_tried() {
    let (origin, dns) = (Origin::start(), Dns::start());
    let with_origin_at = |place: usize| {
        let mut all = ["127.0.9.1", "127.0.9.2", "127.0.9.3", "127.0.9.4", "127.0.9.5", "127.0.9.6"];
        all[place] = "127.0.0.1";
        addresses(0, &all)
    };
    for (timeout, place, reached) in [("1s", 3, true), ("1s", 4, false), ("2500ms", 4, true), ("2500ms", 5, false)] {
        dns.script("a.test", [with_origin_at(place)]);
        let record = fetch(&origin, &dns, &format!("fetch.connect_timeout = '{timeout}'"));
        assert_eq!(record["outcome"] == "ok", reached, "{timeout}, {place}: {record:#}");
    }
}

#[test]
fn only_allowed_addresses_are_dialled_however_many_come_before_them() {
    let origin = Origin::start();
    let canary = TcpListener::bind(("127.0.0.3", origin.address().port())).unwrap();
    canary.set_nonblocking(true).unwrap();
    let dns = Dns::start();
    let all = [["127.0.0.3", "::ffff:127.0.0.3"]; 12].concat();
    dns.script("a.test", [addresses(60, &[&all[..], &["127.0.0.1"]].concat())]);
    let record = fetch(&origin, &dns, "network.deny = ['127.0.0.3']");
    assert_eq!(record["ip"], "127.0.0.1", "{record:#}");
    assert!(canary.accept().is_err(), "a forbidden address was dialled");
}

/// Plays a scenario in a network with IPv6, where nobody but the test listens.
fn with_ipv6(test: &str, scenario: impl FnOnce()) {
    namespace::with(Own::Network, test, || {
        for args in ["link set lo up", "address add 2001:db8::1/64 dev lo", "-6 route add 2000::/3 dev lo"] {
            let output = Command::new("ip").args(args.split(' ')).output().expect("`ip`, of iproute2, starts");
            assert!(output.status.success(), "ip {args}: {}", both(&output));
        }
        scenario();
    });
}

const FAMILIES: [&str; 2] = ["127.0.0.1", "::1"];

#[test]
fn a_family_that_is_refused_or_silent_does_not_keep_a_name_from_the_other() {
    with_ipv6("addresses::a_family_that_is_refused_or_silent_does_not_keep_a_name_from_the_other", || {
        for (living, dead) in [FAMILIES, ["::1", "127.0.0.1"]].map(|[living, dead]| (living, dead)) {
            let origin = Origin::start_at(living.parse::<IpAddr>().unwrap());
            let dns = Dns::start();
            dns.script("a.test", [addresses(0, &FAMILIES)]);
            assert_eq!(fetch(&origin, &dns, "")["ip"], living);
            let _silent = Silent::at(dead, origin.address().port());
            let record = fetch(&origin, &dns, "");
            assert_eq!(record["ip"], living, "{record:#}");
            // The other one begins after 300 ms.
            assert!(elapsed(&record) < 2_000.0, "{record:#}");
            assert_eq!(curl_reaches(origin.address().port(), &FAMILIES), living);
        }
    });
}

#[test]
fn where_both_families_live_ipv6_is_used_and_both_were_asked_for_once() {
    with_ipv6("addresses::where_both_families_live_ipv6_is_used_and_both_were_asked_for_once", || {
        let origin = Origin::start();
        let other = Origin::start_on(TcpListener::bind(("::1", origin.address().port())).unwrap());
        let dns = Dns::start();
        dns.script("a.test", [addresses(60, &FAMILIES)]);
        assert_eq!(fetch(&origin, &dns, "")["ip"], "::1");
        assert_eq!(dns.asked("a.test"), [1, 1]);
        assert_eq!((origin.accepts(), other.accepts()), (0, 1));
    });
}

#[test]
fn a_family_that_dns_gives_no_answer_for_holds_up_no_other() {
    with_ipv6("addresses::a_family_that_dns_gives_no_answer_for_holds_up_no_other", || {
        let living = || addresses(60, &FAMILIES);
        let late = Say::Late(Duration::from_millis(200), living().into());
        let cases = [
            (Say::ByFamily(living().into(), Say::Silence.into()), "127.0.0.1", 1_000.0),
            (Say::ByFamily(living().into(), Say::Nothing(SERVFAIL, None).into()), "127.0.0.1", 1_000.0),
            (Say::ByFamily(Say::Nothing(SERVFAIL, None).into(), living().into()), "::1", 1_000.0),
            (Say::ByFamily(Say::Silence.into(), living().into()), "::1", 4_000.0),
            (Say::ByFamily(late.into(), living().into()), "::1", 1_000.0),
        ];
        for (say, ip, soon) in cases {
            let origin = Origin::start_at(ip.parse::<IpAddr>().unwrap());
            let dns = Dns::start();
            dns.script("a.test", [say.clone()]);
            let record = fetch(&origin, &dns, "");
            assert_eq!(record["ip"], ip, "{say:?}: {record:#}");
            assert!(elapsed(&record) < soon, "{say:?}: {record:#}");
            assert!(dns.queries("a.test", AAAA, Over::Udp) >= 1);
        }
    });
}

#[test]
fn a_name_of_which_one_family_failed_and_the_other_has_nothing_failed() {
    with_ipv6("addresses::a_name_of_which_one_family_failed_and_the_other_has_nothing_failed", || {
        let (origin, dns) = (Origin::start(), Dns::start());
        dns.script("a.test", [Say::ByFamily(Say::Nothing(SERVFAIL, None).into(), addresses(60, &[]).into())]);
        let record = fetch(&origin, &dns, "");
        assert_eq!((kind(&record), &record["attempts"]), ("dns_failed", &json!(1)), "{record:#}");
    });
}
