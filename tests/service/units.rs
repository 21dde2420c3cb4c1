//! The units, under systemd with all their filters.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::dns::{Dns, addresses};
use crate::common::origin::Origin;
use crate::machine::{Init, Machine};
use crate::repository;

const UNITS: [&str; 2] = ["fetchd.service", "fetchd.socket"];

const RESULTS: &str = "/var/lib/fetchd/results.jsonl";

/// A machine with fetchd's binary, users, units and configuration, as the package would have them, and these lines of configuration.
fn machine(init: Init, tables: &str) -> Option<Machine> {
    let machine = Machine::start(init, &["systemd-analyze", "nsenter"])?;
    machine.install(env!("CARGO_BIN_EXE_fetchd").as_ref(), "/usr/bin/fetchd");
    machine.shell(
        "groupadd --system fetchd-producers; useradd --system --no-create-home --home-dir /var/lib/fetchd fetchd",
    );
    for unit in UNITS {
        let text = fs::read_to_string(repository("config/systemd").join(unit)).unwrap();
        machine.write(&format!("/run/units/{unit}"), &text);
    }
    let config = fs::read_to_string(repository("config/debian/fetchd.toml")).unwrap();
    machine.write("/etc/fetchd/fetchd.toml", &config.replace("rate = \"10/s\"", tables));
    Some(machine)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        std::thread::yield_now();
    }
}

/// Writes a line to the FIFO as a producer that then leaves.
fn produce(machine: &Machine, url: &str) {
    let mut fifo = OpenOptions::new().write(true).open(machine.path("/run/fetchd/urls")).unwrap();
    writeln!(fifo, "{url}").unwrap();
}

fn records(machine: &Machine, number: usize) -> String {
    let mut text = String::new();
    until(&format!("{number} records"), || {
        text = machine.read(RESULTS);
        text.lines().count() >= number
    });
    text
}

fn property(machine: &Machine, name: &str) -> String {
    machine.done(["systemctl", "show", "--value", "--property", name, "fetchd.service"]).trim().to_owned()
}

#[test]
fn systemd_finds_no_fault_with_the_units_and_an_exposure_of_at_most_1_2() {
    let Some(machine) = machine(Init::Nothing, "") else { return };
    let paths = UNITS.map(|unit| format!("/run/units/{unit}"));
    let verify = ["systemd-analyze", "verify", "--man=no", &paths[0], &paths[1]];
    assert_eq!(machine.done(verify), "");
    let security = ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=12", &paths[0]];
    machine.done(security);
}

#[test]
fn the_service_fetches_resolves_and_is_scraped_under_its_filters_and_outlives_producers_and_kills() {
    let (origin, dns) = (Origin::start(), Dns::start());
    dns.script("site.test", [addresses(60, &["127.0.0.1"])]);
    let url = |n: usize| format!("http://site.test:{}/ok/{n}", origin.address().port());
    // A port that is free now.
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tables = format!(
        "[network]\nallow = [\"127.0.0.0/8\"]\n[dns]\nservers = [\"{}\"]\n[log]\nformat = \"text\"\n",
        dns.address()
    );
    let Some(machine) = machine(Init::Systemd, &tables) else { return };
    let config = machine.read("/etc/fetchd/fetchd.toml");
    let listening = format!("metrics_listen = \"{metrics}\"");
    machine.write("/etc/fetchd/fetchd.toml", &config.replace("# metrics_listen = \"127.0.0.1:9180\"", &listening));
    machine
        .write("/run/units/fetchd.service.d/test.conf", "[Service]\nStandardError=append:/run/stderr\nRestartSec=0\n");
    until("systemd", || machine.run(["systemctl", "start", "fetchd.socket"]).code == Some(0));

    a_line_of_a_producer_starts_it(&machine, &url);
    assert!(dns.look_ups("site.test") > 0);
    it_has_its_filters_and_is_scraped(&machine, metrics);
    it_goes_on_after_a_kill(&machine, &url(3));
    it_stops_without_trouble(&machine);
}

/// Producers are those of the group, and none of them is the last.
fn a_line_of_a_producer_starts_it(machine: &Machine, url: &impl Fn(usize) -> String) {
    let produce_as = |group: &str| {
        let line = format!("echo {} > /run/fetchd/urls", url(1));
        let group = format!("--regid={group}");
        machine.run(["setpriv", "--reuid=nobody", &group, "--clear-groups", "sh", "-c", &line]).code == Some(0)
    };
    assert!(!produce_as("nogroup"), "anybody may write to the FIFO");
    assert!(produce_as("fetchd-producers"));
    assert!(records(machine, 1).contains("\"outcome\":\"ok\""), "{}", machine.read(RESULTS));
    produce(machine, &url(2));
    assert!(records(machine, 2).contains("/ok/2"), "the first producer that left was the end");
}

/// The filters are those of the unit, and metrics and API get through.
fn it_has_its_filters_and_is_scraped(machine: &Machine, metrics: SocketAddr) {
    let status = machine.read(&format!("/proc/{}/status", property(machine, "MainPID")));
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    let get =
        |path: &str| machine.done(["curl", "--silent", "--show-error", "--fail", &format!("http://{metrics}/{path}")]);
    get("healthz");
    let scraped = get("metrics");
    let value = |name: &str| {
        let line =
            scraped.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {scraped}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("fetchd_lines_accepted_total{"), 2.0);
    assert!(value("process_start_time_seconds ") > 1.7e9, "{scraped}");
    assert!(property(machine, "StatusText").starts_with("Running: "));
    machine.done(["systemctl", "reload", "fetchd.service"]);
}

/// What a killed service had not read waits in the FIFO for the next one.
fn it_goes_on_after_a_kill(machine: &Machine, url: &str) {
    let killed = machine.path("/proc").join(property(machine, "MainPID"));
    machine.done(["systemctl", "kill", "--signal=KILL", "fetchd.service"]);
    until("the end of the killed service", || !killed.exists());
    produce(machine, url);
    assert!(records(machine, 3).contains("/ok/3"));
    assert_eq!(property(machine, "NRestarts"), "1");
}

fn it_stops_without_trouble(machine: &Machine) {
    machine.done(["systemctl", "stop", "fetchd.socket", "fetchd.service"]);
    assert_eq!((property(machine, "ActiveState"), property(machine, "Result")), ("inactive".into(), "success".into()));
    let log = machine.read("/run/stderr");
    // A stop is said as one.
    let is_trouble = |line: &&str| line.contains("WARN") && !line.contains("signal again to stop now");
    assert_eq!(log.lines().filter(is_trouble).collect::<Vec<_>>(), [""; 0], "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}
