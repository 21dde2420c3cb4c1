//! A machine that moves to another network: its resolv.conf and hosts file change under the running process. Each test has
//! a network of its own, for there name servers have port 53, and an `/etc` of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::dns::{Dns, NXDOMAIN, Say, addresses};
use crate::common::fetchd::{Fetchd, Running, kind};
use crate::common::namespace::{self, Own, both};
use crate::common::origin::{Origin, ok_with};

/// Two networks, each with a name server and an origin on the same port.
struct Machine {
    etc: TempDir,
    old: Dns,
    new: Dns,
    origins: [Origin; 2],
}

const OLD: &str = "nameserver 127.0.0.53\n";
const NEW: &str = "nameserver 127.0.0.54\n";

impl Machine {
    fn boot() -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        let etc = tempfile::tempdir().unwrap();
        run("mount", &["--bind", etc.path().to_str().unwrap(), "/etc"]);
        fs::write("/etc/resolv.conf", OLD).unwrap();
        fs::write("/etc/hosts", "127.0.0.1 listed.test\n").unwrap();
        let origin = Origin::start();
        let other = TcpListener::bind(("127.0.0.2", origin.address().port())).unwrap();
        let origins = [origin, Origin::start_on(other)];
        for origin in &origins {
            origin.script("/", ok_with("connection: close\r\n", b"closed"));
        }
        let [old, new] = ["127.0.0.53:53", "127.0.0.54:53"].map(|address| Dns::start_at(address.parse().unwrap()));
        old.script("moved.test", [addresses(3600, &["127.0.0.1"])]);
        new.script("moved.test", [addresses(3600, &["127.0.0.2"])]);
        old.script("only-new.test", [Say::Nothing(NXDOMAIN, Some((3600, 3600)))]);
        new.script("only-new.test", [addresses(3600, &["127.0.0.2"])]);
        Self { etc, old, new, origins }
    }

    fn start(&self, config: &str) -> Running {
        // The tests ask again and again.
        Fetchd::local().config(&format!("hosts.'*'.rate = '50/s'\n{config}")).start()
    }

    fn etc(&self, name: &str) -> PathBuf {
        self.etc.path().join(name)
    }

    /// The address that a name was fetched from, or else the kind of the error.
    fn fetch(&self, fetchd: &mut Running, name: &str) -> String {
        fetchd.line(&format!("http://{name}:{}/", self.origins[0].address().port()));
        let record = fetchd.record();
        record["ip"].as_str().map_or_else(|| kind(&record).to_owned(), str::to_owned)
    }

    /// Fetches from a name until it is this that comes of it.
    fn until(&self, fetchd: &mut Running, name: &str, wanted: &str) {
        let start = Instant::now();
        while self.fetch(fetchd, name) != wanted {
            assert!(start.elapsed() < PATIENCE, "{name} never became {wanted}");
        }
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", both(&output));
}

/// Plays a scenario on a machine of its own.
fn on_a_machine(test: &str, scenario: impl FnOnce(&Machine)) {
    namespace::with(Own::NetworkAndMounts, test, || scenario(&Machine::boot()));
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn name_servers_that_change_are_asked_and_what_the_old_ones_said_is_forgotten() {
    on_a_machine("networks::name_servers_that_change_are_asked_and_what_the_old_ones_said_is_forgotten", |machine| {
        let rewrite = |text: &str| fs::write("/etc/resolv.conf", text).unwrap();
        let rename = |text: &str| replace(Path::new("/etc/resolv.conf"), text);
        let mut fetchd = machine.start("retry.retries = 0");
        for write in [&rewrite as &dyn Fn(&str), &rename] {
            machine.until(&mut fetchd, "moved.test", "127.0.0.1");
            assert_eq!(machine.fetch(&mut fetchd, "only-new.test"), "dns_not_found");
            write(NEW);
            machine.until(&mut fetchd, "moved.test", "127.0.0.2");
            assert_eq!(machine.fetch(&mut fetchd, "only-new.test"), "127.0.0.2");
            write(OLD);
        }
    });
}

#[test]
fn while_resolv_conf_is_empty_or_gone_the_servers_of_before_are_asked() {
    on_a_machine("networks::while_resolv_conf_is_empty_or_gone_the_servers_of_before_are_asked", |machine| {
        let mut fetchd = machine.start("dns.cache = 0\nretry.retries = 0");
        for take_away in [|path: &Path| fs::write(path, "").unwrap(), |path: &Path| fs::remove_file(path).unwrap()] {
            machine.until(&mut fetchd, "moved.test", "127.0.0.1");
            take_away(&machine.etc("resolv.conf"));
            let before = machine.old.look_ups("moved.test");
            let start = Instant::now();
            while start.elapsed().as_secs() < 3 {
                assert_eq!(machine.fetch(&mut fetchd, "moved.test"), "127.0.0.1");
            }
            assert!(machine.old.look_ups("moved.test") > before + 10);
            fetchd.message("the previous ones are still used");
            fs::write("/etc/resolv.conf", NEW).unwrap();
            machine.until(&mut fetchd, "moved.test", "127.0.0.2");
            fs::write("/etc/resolv.conf", OLD).unwrap();
        }
    });
}

#[test]
fn a_machine_that_starts_without_a_network_gets_one() {
    on_a_machine("networks::a_machine_that_starts_without_a_network_gets_one", |machine| {
        fs::remove_file("/etc/resolv.conf").unwrap();
        let mut fetchd = machine.start("retry.retries = 0");
        fetchd.message("names no DNS server");
        assert_eq!(machine.fetch(&mut fetchd, "moved.test"), "dns_failed");
        fs::write("/etc/resolv.conf", NEW).unwrap();
        machine.until(&mut fetchd, "moved.test", "127.0.0.2");
    });
}

#[test]
fn a_short_name_is_completed_by_a_search_domain_and_one_with_a_dot_at_its_end_is_not() {
    on_a_machine(
        "networks::a_short_name_is_completed_by_a_search_domain_and_one_with_a_dot_at_its_end_is_not",
        |machine| {
            fs::write("/etc/resolv.conf", "nameserver 127.0.0.54\nsearch corp.test\n").unwrap();
            machine.new.script("wiki.corp.test", [addresses(60, &["127.0.0.2"])]);
            machine.new.script("-wiki.corp.test", [addresses(60, &["127.0.0.2"])]);
            machine.new.script("wiki", [Say::Nothing(NXDOMAIN, None)]);
            let mut fetchd = machine.start("retry.retries = 0");
            let fetched = ["wiki", "wiki.", "wiki.corp.test.", "-wiki"].map(|name| machine.fetch(&mut fetchd, name));
            assert_eq!(fetched, ["127.0.0.2", "dns_not_found", "127.0.0.2", "127.0.0.2"]);
        },
    );
}

#[test]
fn the_hosts_file_is_read_again_when_it_changes() {
    on_a_machine("networks::the_hosts_file_is_read_again_when_it_changes", |machine| {
        let mut fetchd = machine.start("retry.retries = 0");
        assert_eq!(machine.fetch(&mut fetchd, "listed.test"), "127.0.0.1");
        replace(&machine.etc("hosts"), "127.0.0.2 listed.test a.-b.test\n");
        machine.until(&mut fetchd, "listed.test", "127.0.0.2");
        assert_eq!(machine.fetch(&mut fetchd, "a.-b.test"), "127.0.0.2");
        fs::remove_file("/etc/hosts").unwrap();
        // The server refuses names that it has no script for.
        machine.until(&mut fetchd, "listed.test", "dns_failed");
    });
}

#[test]
fn servers_of_the_configuration_are_asked_in_every_network() {
    on_a_machine("networks::servers_of_the_configuration_are_asked_in_every_network", |machine| {
        let mut fetchd = machine.start("dns = { servers = ['127.0.0.53:53'], cache = 0 }");
        assert_eq!(machine.fetch(&mut fetchd, "moved.test"), "127.0.0.1");
        fs::write("/etc/resolv.conf", NEW).unwrap();
        // What changes for certain says that the files were looked at.
        fs::write("/etc/hosts", "127.0.0.2 listed.test\n").unwrap();
        machine.until(&mut fetchd, "listed.test", "127.0.0.2");
        assert_eq!(machine.fetch(&mut fetchd, "moved.test"), "127.0.0.1");
        assert_eq!(machine.new.look_ups("moved.test"), 0);
    });
}

#[test]
fn a_look_up_that_hangs_in_the_old_network_ends_and_the_retry_asks_in_the_new_one() {
    on_a_machine(
        "networks::a_look_up_that_hangs_in_the_old_network_ends_and_the_retry_asks_in_the_new_one",
        |machine| {
            machine.old.script("moved.test", [Say::Silence]);
            let mut fetchd = machine.start("dns.timeout = '3s'\nretry = { retries = 1, backoff = '1s' }");
            fetchd.line(&format!("http://moved.test:{}/", machine.origins[0].address().port()));
            machine.old.wait_for_names(1);
            fs::write("/etc/resolv.conf", NEW).unwrap();
            let record = fetchd.record();
            assert_eq!(
                (record["ip"].as_str(), record["attempts"].as_u64()),
                (Some("127.0.0.2"), Some(2)),
                "{record:#}"
            );
        },
    );
}
