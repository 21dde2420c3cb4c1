//! A network for one test alone: the test runs itself once more, in a network namespace of its own, where forbidden
//! addresses are those of the machine itself and somebody listens there.

use std::env;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Output};

use crate::canary::Canary;
use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::names::{Names, Script};

/// Where clouds answer with secrets, and where one's own machines are.
pub const FORBIDDEN: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(10, 1, 2, 3)];

/// Says that this process is the one within.
const WITHIN: &str = "FETCHD_TEST_IN_ITS_OWN_NETWORK";

/// What there is in the network.
pub struct Network {
    /// A server at a loopback address, where fetchd may go.
    pub origin: Origin,
    /// The servers' port, the forbidden ones' included.
    pub port: u16,
    pub names: Names,
    canaries: Vec<Canary>,
}

/// Plays the scene of the test with this name in a network of its own, and asserts that no forbidden address was called.
/// Only where the kernel allows no namespaces it is left out, and that is said.
pub fn in_its_own_network(test: &str, script: Script, scene: impl FnOnce(&Network)) {
    if env::var_os(WITHIN).is_some() {
        let network = Network::build(script);
        scene(&network);
        network.canaries.iter().for_each(Canary::assert_was_not_called);
        return;
    }
    if let Err(refusal) = namespaces() {
        // Unlike `eprintln`, this is shown also for a test that passes.
        let left_out = format!("{test} is left out: the kernel allows no network namespace: {refusal}\n");
        io::stderr().write_all(left_out.as_bytes()).unwrap();
        return;
    }
    let itself = env::current_exe().unwrap();
    let output = unshare().arg(itself).args(["--exact", test, "--nocapture"]).env(WITHIN, "1").output().unwrap();
    let said = both(&output);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A command in new namespaces, to be completed.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).env("LC_ALL", "C");
    command
}

/// Whether the kernel allows network namespaces; any trouble but its refusal is a failure of the test.
fn namespaces() -> Result<(), String> {
    let output = unshare().arg("true").output().expect("`unshare`, of util-linux, starts");
    let said = both(&output).trim_end().to_owned();
    if output.status.success() {
        return Ok(());
    }
    // EPERM or EACCES: forbidden; ENOSPC: user.max_user_namespaces is 0; EINVAL or ENOSYS: built without them.
    let refusals = [
        "Operation not permitted",
        "Permission denied",
        "No space left on device",
        "Invalid argument",
        "Function not implemented",
    ];
    assert!(refusals.iter().any(|refusal| said.contains(refusal)), "not the kernel's refusal: {said}");
    Err(said)
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Network {
    fn build(script: Script) -> Self {
        ip(&["link", "set", "lo", "up"]);
        for address in FORBIDDEN {
            ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        let origin = Origin::start();
        let port = origin.authority().rsplit_once(':').unwrap().1.parse().unwrap();
        // Nobody else is in this network, so the port is free at every address.
        let canaries = FORBIDDEN.map(|ip| Canary::listen(ip, port)).into();
        Self { origin, port, names: Names::start(script), canaries }
    }

    /// fetchd, allowed to go to loopback addresses, and with the names of this network.
    pub fn fetchd(&self) -> Fetchd {
        let dns = format!("[dns]\nservers = ['{}']\n[retry]\nbackoff = '1ms'", self.names.address);
        Fetchd::local().config(&dns)
    }

    /// A URL of a host at the servers' port.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("`ip`, of iproute2, starts");
    assert!(output.status.success(), "ip {args:?}: {}", both(&output));
}
