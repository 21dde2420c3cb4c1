//! Nobody is called at a forbidden address, whatever leads there, while the allowed address next to it is fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::common::fetchd::kind;
use crate::names::Script;
use crate::network::{FORBIDDEN, Network, in_its_own_network};
use crate::spellings::hosts;

const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(FORBIDDEN[0]);
const PRIVATE: IpAddr = IpAddr::V4(FORBIDDEN[1]);
/// 10.1.2.3, which the kernel dials for it.
const MAPPED: IpAddr = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a01, 0x0203));

const NAMES: Script = &[
    ("good.test", &[&[GOOD]]),
    ("metadata.test", &[&[METADATA]]),
    ("private.test", &[&[PRIVATE]]),
    ("mapped.test", &[&[MAPPED]]),
    ("both.test", &[&[METADATA, GOOD, PRIVATE]]),
    ("rebound.test", &[&[GOOD], &[PRIVATE]]),
];

/// Every spelling of every forbidden address.
fn forbidden_hosts() -> Vec<String> {
    FORBIDDEN.into_iter().flat_map(|v4| [hosts(v4.into()), hosts(v4.to_ipv6_mapped().into())].concat()).collect()
}

/// An answer after which the connection ends, so that the next request looks the name up again.
fn last_answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n")
}

fn assert_refused(record: &Value, outcome: &str) {
    assert_eq!((&record["outcome"], kind(record)), (&outcome.into(), "forbidden_address"), "{record:#}");
}

#[test]
fn no_url_calls_a_forbidden_address() {
    in_its_own_network("calls::no_url_calls_a_forbidden_address", NAMES, |network| {
        let hosts = forbidden_hosts();
        let lines = hosts.iter().map(|host| network.url(host, "/ok/1")).chain([network.origin.url("/ok/1")]);
        let ended = network.fetchd().run(lines.collect::<Vec<_>>().join("\n"));
        assert_eq!((ended.count("ok"), ended.count("rejected")), (1, hosts.len()), "{}", ended.stderr);
        assert_eq!(ended.records.iter().filter(|record| kind(record) == "forbidden_address").count(), hosts.len());
    });
}

#[test]
fn no_redirect_calls_a_forbidden_address() {
    in_its_own_network("calls::no_redirect_calls_a_forbidden_address", NAMES, |network| {
        let origin = &network.origin;
        let hosts = forbidden_hosts().into_iter().step_by(50);
        let names = ["metadata.test", "private.test", "mapped.test"].map(str::to_owned);
        let lines: Vec<_> = hosts.chain(names).map(|host| origin.redirect(302, &network.url(&host, "/ok/1"))).collect();
        let to_a_good_one = origin.redirect(302, &network.url("good.test", "/ok/1"));
        let ended = network.fetchd().run([lines.join("\n"), to_a_good_one].join("\n"));
        let (good, refused): (Vec<_>, Vec<_>) = ended.records.iter().partition(|record| record["outcome"] == "ok");
        assert_eq!((good.len(), refused.len()), (1, lines.len()), "{}", ended.stderr);
        refused.into_iter().for_each(|record| assert_refused(record, "failed"));
    });
}

#[test]
fn no_dns_answer_calls_a_forbidden_address() {
    in_its_own_network("calls::no_dns_answer_calls_a_forbidden_address", NAMES, |network| {
        for name in ["metadata.test", "private.test", "mapped.test"] {
            assert_refused(network.fetchd().run(network.url(name, "/ok/1")).only_record(), "rejected");
        }
        for name in ["good.test", "both.test"] {
            let ended = network.fetchd().run(network.url(name, "/ok/1"));
            assert_eq!(ended.only_record()["ip"], "127.0.0.1", "{:#}", ended.only_record());
        }
    });
}

#[test]
fn no_second_dns_answer_calls_a_forbidden_address() {
    in_its_own_network("calls::no_second_dns_answer_calls_a_forbidden_address", NAMES, |network| {
        network.origin.script("/once", last_answer("200 OK", ""));
        let mut fetchd = network.fetchd().start();
        let url = network.url("rebound.test", "/once");
        fetchd.line(&url);
        assert_eq!(fetchd.record()["outcome"], "ok");
        fetchd.line(&url);
        assert_refused(&fetchd.record(), "rejected");
        assert_asked_again(network);
    });
}

#[test]
fn no_retry_calls_a_forbidden_address() {
    in_its_own_network("calls::no_retry_calls_a_forbidden_address", NAMES, |network| {
        network.origin.script("/busy", last_answer("503 Busy", ""));
        let ended = network.fetchd().run(network.url("rebound.test", "/busy"));
        assert_refused(ended.only_record(), "failed");
        assert_eq!(network.origin.requests().len(), 1);
        assert_asked_again(network);
    });
}

#[test]
fn no_redirect_to_the_same_name_calls_a_forbidden_address() {
    in_its_own_network("calls::no_redirect_to_the_same_name_calls_a_forbidden_address", NAMES, |network| {
        network.origin.script("/there", last_answer("302 Found", "location: /ok/1\r\n"));
        let ended = network.fetchd().run(network.url("rebound.test", "/there"));
        assert_refused(ended.only_record(), "failed");
        assert_asked_again(network);
    });
}

fn assert_asked_again(network: &Network) {
    assert!(network.names.asked("rebound.test") >= 2, "the second answer was never given");
}
