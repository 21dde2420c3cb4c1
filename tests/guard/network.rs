//! A network for one test alone, where forbidden addresses are those of the machine itself and somebody listens there.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::canary::Canary;
use crate::common::fetchd::Fetchd;
use crate::common::namespace::{self, Own, both};
use crate::common::origin::Origin;
use crate::names::{Names, Script};

/// Where clouds answer with secrets, and where one's own machines are.
pub const FORBIDDEN: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(10, 1, 2, 3)];

/// What there is in the network.
pub struct Network {
    /// A server at a loopback address, where fetchd may go.
    pub origin: Origin,
    /// The servers' port, the forbidden ones' included.
    pub port: u16,
    pub names: Names,
    canaries: Vec<Canary>,
}

/// Plays the scenario of the test with this name in a network of its own, and asserts that no forbidden address was called.
/// Only where the kernel allows no namespaces it is left out, and that is said.
pub fn in_its_own_network(test: &str, script: Script, scenario: impl FnOnce(&Network)) {
    namespace::with(Own::Network, test, || {
        let network = Network::build(script);
        scenario(&network);
        network.canaries.iter().for_each(Canary::assert_was_not_called);
    });
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
