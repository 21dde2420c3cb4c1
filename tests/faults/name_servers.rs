//! Name servers that are slow, or dead, or drop every second question: an answer counts as long as the look-up has time,
//! whichever question it answers.

use std::time::Duration;

use crate::common::dns::{Dns, SERVFAIL, Say, addresses};
use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;

/// With this time for a look-up, the next question is asked after a second without an answer.
const CONFIG: &str = "dns.timeout = '3s'";

fn here() -> Say {
    addresses(60, &["127.0.0.1"])
}

fn late(ms: u64, say: Say) -> Say {
    Say::Late(Duration::from_millis(ms), say.into())
}

/// What becomes of a line whose name is looked up at servers that say this, question by question; and the servers.
fn look_up<const N: usize>(servers: [Vec<Say>; N], config: &str) -> (String, [Dns; N]) {
    let origin = Origin::start();
    let servers = servers.map(|says| {
        let dns = Dns::start();
        dns.script("a.test", says);
        dns
    });
    let addresses = servers.each_ref().map(|dns| format!("'{}'", dns.address())).join(", ");
    let config = format!("dns.servers = [{addresses}]\nretry.retries = 0\n{config}");
    let ended = Fetchd::local().config(&config).run(origin.url("/ok/1").replace("127.0.0.1", "a.test"));
    let record = ended.only_record();
    (format!("{} {}", record["outcome"].as_str().unwrap(), kind(record)).trim_end().to_owned(), servers)
}

#[test]
fn a_server_that_takes_two_seconds_is_waited_for() {
    let (fate, [dns]) = look_up([vec![late(2000, here())]], "");
    assert_eq!((fate.as_str(), dns.look_ups("a.test")), ("ok", 2), "a second question was asked meanwhile");
    let (fate, _) = look_up([vec![late(6000, here())]], "");
    assert_eq!(fate, "ok", "by default a look-up has eight seconds");
}

#[test]
fn the_answer_to_the_first_question_counts_after_the_last_one_was_asked() {
    let (fate, [dns]) = look_up([vec![late(2500, here()), Say::Silence]], CONFIG);
    assert_eq!((fate.as_str(), dns.look_ups("a.test")), ("ok", 3));
}

#[test]
fn of_two_servers_one_may_be_slow_and_the_other_dead() {
    for servers in [[vec![late(1500, here())], vec![Say::Silence]], [vec![Say::Silence], vec![late(1500, here())]]] {
        assert_eq!(look_up(servers, CONFIG).0, "ok");
    }
}

#[test]
fn a_server_may_drop_every_second_question() {
    let (fate, [dns]) = look_up([vec![Say::Silence, here()]], CONFIG);
    assert_eq!((fate.as_str(), dns.look_ups("a.test")), ("ok", 2));
}

#[test]
fn a_slow_answer_over_tcp_counts() {
    // It takes twice that: over UDP, and over TCP.
    let truncated = late(800, Say::Truncated(here().into()));
    assert_eq!(look_up([vec![truncated]], CONFIG).0, "ok");
}

#[test]
fn a_server_that_fails_late_does_not_spoil_the_answer_of_another() {
    let servers = [vec![late(1200, Say::Nothing(SERVFAIL, None))], vec![late(1500, here())]];
    let (fate, [first, _]) = look_up(servers, CONFIG);
    assert_eq!((fate.as_str(), first.look_ups("a.test")), ("ok", 1), "one that has failed is not asked again");
}

#[test]
fn a_family_that_is_missing_does_not_cut_the_time_of_the_other() {
    let missing = Say::Nothing(crate::common::dns::NO_DATA, Some((60, 60)));
    let slow_v4 = Say::ByFamily(late(2000, here()).into(), missing.into());
    assert_eq!(look_up([vec![slow_v4]], CONFIG).0, "ok");
}

#[test]
fn a_failure_is_told_rather_than_the_silence_of_another_server() {
    let config = "dns.timeout = '1s'";
    let (fate, _) = look_up([vec![Say::Silence], vec![Say::Nothing(SERVFAIL, None)]], config);
    assert_eq!(fate, "failed dns_failed");
    let (fate, _) = look_up([vec![Say::Silence], vec![Say::Silence]], config);
    assert_eq!(fate, "failed dns_timeout");
    let (fate, _) = look_up([vec![late(1500, here())]], config);
    assert_eq!(fate, "failed dns_timeout", "it came after the look-up");
}
