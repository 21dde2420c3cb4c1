//! How often names are looked up, and how long what was found is believed.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::common::dns::{Dns, NXDOMAIN, REFUSED, SERVFAIL, Say, addresses};
use crate::common::fetchd::{Fetchd, Running, kind};
use crate::common::origin::{Origin, ok_with};

/// What a busy machine may add to a time limit of the product.
const SLACK: Duration = Duration::from_secs(2);

/// A name server, and an origin where each request needs a new connection and so an address.
struct World {
    origin: Origin,
    dns: Dns,
}

impl World {
    /// What is said to names, and to which.
    fn new<const N: usize>(scripts: [(&str, Say); N]) -> Self {
        let (origin, dns) = (Origin::start(), Dns::start());
        origin.script("/closing", ok_with("connection: close\r\n", b"closed"));
        for (name, say) in scripts {
            dns.script(name, [say]);
        }
        Self { origin, dns }
    }

    fn url(&self, name: &str) -> String {
        self.origin.url("/closing").replace("127.0.0.1", name)
    }

    fn fetchd(&self, config: &str) -> Fetchd {
        let config = format!("dns.servers = ['{}']\nhealth.enabled = false\n{config}", self.dns.address());
        Fetchd::local().config(&config)
    }

    /// Fetches from these names, each when the one before is done; the outcomes.
    fn one_by_one(&self, config: &str, names: &[&str]) -> Vec<String> {
        let mut fetchd = self.fetchd(config).start();
        let mut outcome = |name: &&str| {
            fetchd.line(&self.url(name));
            let record = fetchd.record();
            format!("{} {}", record["outcome"].as_str().unwrap(), kind(&record)).trim_end().to_owned()
        };
        names.iter().map(&mut outcome).collect()
    }
}

fn here(ttl: u32) -> Say {
    addresses(ttl, &["127.0.0.1"])
}

#[test]
fn a_hundred_lines_of_one_name_at_once_are_one_look_up() {
    let world = World::new([("a.test", Say::Late(Duration::from_millis(300), here(60).into()))]);
    let input: String = (0..100).map(|_| world.url("a.test") + "\n").collect();
    let ended = world.fetchd("hosts.'*'.concurrency = 100").run(input);
    assert_eq!((ended.count("ok"), world.origin.accepts(), world.dns.look_ups("a.test")), (100, 100, 1));
}

#[test]
fn an_answer_is_believed_for_as_long_as_it_says_and_one_that_says_nothing_once() {
    let world = World::new([("long.test", here(60)), ("never.test", here(0))]);
    assert_eq!(world.one_by_one("", &["long.test", "never.test", "long.test", "never.test"]), ["ok"; 4]);
    assert_eq!((world.dns.look_ups("long.test"), world.dns.look_ups("never.test")), (1, 2));
}

#[test]
fn an_alias_is_believed_for_no_longer_than_what_leads_to_it() {
    let at_once = Say::Aliases(0, vec!["b.test"], vec!["127.0.0.1".parse().unwrap()]);
    let world = World::new([("a.test", at_once)]);
    assert_eq!(world.one_by_one("", &["a.test", "a.test"]), ["ok"; 2]);
    assert_eq!(world.dns.look_ups("a.test"), 2);
}

#[test]
fn a_missing_name_is_believed_to_be_missing_for_as_long_as_its_zone_says() {
    let missing = |ttl, minimum| Say::Nothing(NXDOMAIN, Some((ttl, minimum)));
    let world = World::new([("long.test", missing(60, 300)), ("never.test", missing(60, 0))]);
    let outcomes = world.one_by_one("", &["long.test", "never.test", "long.test", "never.test"]);
    assert_eq!(outcomes, ["failed dns_not_found"; 4]);
    assert_eq!((world.dns.look_ups("long.test"), world.dns.look_ups("never.test")), (1, 2));
}

#[test]
fn a_look_up_that_failed_is_made_again_by_the_first_retry() {
    let world = World::new([]);
    world.dns.script("a.test", [Say::Nothing(SERVFAIL, None), here(60)]);
    assert_eq!(world.one_by_one("retry.retries = 1", &["a.test"]), ["ok"]);
    assert_eq!(world.dns.look_ups("a.test"), 2);
}

#[test]
fn a_failure_is_told_to_other_lines_of_the_name_for_as_long_as_no_retry_comes() {
    let world = World::new([("a.test", Say::Nothing(SERVFAIL, None))]);
    let ended = world.fetchd("retry = { retries = 0, backoff = '60s' }").run([&*world.url("a.test"); 100].join("\n"));
    assert_eq!(ended.count("failed"), 100);
    // One a second; without memory it would be one for each of the lines that do not come at the same moment.
    let queries = world.dns.look_ups("a.test");
    let seconds = ended.summary()["elapsed_s"].as_f64().unwrap();
    assert!(queries as f64 <= 1.0 + seconds, "{queries} queries in {seconds} s");
}

#[test]
fn a_name_with_a_dot_at_its_end_and_in_capitals_is_the_same_name() {
    let world = World::new([("a.test", here(60))]);
    assert_eq!(world.one_by_one("", &["a.test", "a.test.", "A.Test"]), ["ok"; 3]);
    assert_eq!(world.dns.look_ups("a.test"), 1);
}

#[test]
fn no_more_names_are_remembered_than_configured() {
    for (cache, queries) in [(0, 3), (1, 2), (2, 1)] {
        let world = World::new([("a.test", here(60)), ("b.test", here(60))]);
        let config = format!("dns.cache = {cache}");
        assert_eq!(world.one_by_one(&config, &["a.test", "b.test", "a.test", "a.test"]), ["ok"; 4]);
        assert_eq!(world.dns.look_ups("a.test"), queries, "with room for {cache}");
    }
}

#[test]
fn where_one_server_does_not_know_or_is_silent_the_next_is_asked_and_then_first() {
    for bad in [Say::Nothing(REFUSED, None), Say::Nothing(SERVFAIL, None), Say::Silence, Say::Malformed] {
        let (world, first) = (World::new([("*.test", here(60))]), Dns::start());
        first.script("*.test", [bad]);
        let servers = format!("servers = ['{}', '{}']", first.address(), world.dns.address());
        let config = format!("dns = {{ {servers}, timeout = '3s' }}\nretry.retries = 0");
        let mut fetchd = Fetchd::local().config(&config).start();
        for name in ["a.test", "b.test"] {
            fetchd.line(&world.url(name));
            assert_eq!(fetchd.record()["outcome"], "ok");
        }
        assert_eq!((first.look_ups("a.test"), first.look_ups("b.test")), (1, 0));
    }
}

/// A process with 1,000 requests whose names no server answers, and its stdin open.
fn hanging(dns: &Dns) -> Running {
    let config = format!(
        "dns = {{ servers = ['{}'], timeout = '9s' }}\nlimits.concurrency = 1100\nshutdown.grace = '1s'",
        dns.address()
    );
    let mut fetchd = Fetchd::local().config(&config).start();
    for n in 0..1000 {
        fetchd.line(&format!("http://n{n}.silent.test/"));
    }
    dns.wait_for_names(1000);
    fetchd
}

#[test]
fn a_thousand_look_ups_that_hang_hold_up_no_other_name_and_not_the_end() {
    let world = World::new([("*.good.test", here(60)), ("*.silent.test", Say::Silence)]);
    let mut fetchd = hanging(&world.dns);
    for n in 0..100 {
        fetchd.line(&world.url(&format!("n{n}.good.test")));
    }
    // Each comes before any of those that hang, which were there first.
    for _ in 0..100 {
        assert_eq!(fetchd.record()["outcome"], "ok");
    }
    assert!(world.dns.most_at_once() >= 1000, "{}", world.dns.most_at_once());

    let start = Instant::now();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.count("canceled")), (Some(4), 1000), "{}", ended.stderr);
    assert!(start.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", start.elapsed());
}
