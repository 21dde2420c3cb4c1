//! Name servers and search domains, from the configuration or from resolv.conf(5).

use std::net::SocketAddr;

use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf;

/// The port of name servers.
const PORT: u16 = 53;

/// Name servers and search domains. By default there are none, so that only the hosts file is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// In the order in which they are queried.
    pub servers: Vec<SocketAddr>,
    /// The search domains.
    domains: Vec<Name>,
    /// Search domains apply to names with fewer dots.
    dots: usize,
}

impl ResolvConf {
    /// These servers, without search domains.
    pub fn of_servers(servers: &[SocketAddr]) -> Self {
        Self { servers: servers.to_vec(), ..Self::default() }
    }

    /// Reads the text of a resolv.conf.
    ///
    /// # Errors
    /// When it names no server.
    pub fn parse(text: &[u8]) -> Result<Self, NetError> {
        let (config, options) = system_conf::parse_resolv_conf(text)?;
        Ok(Self::from_parts(&config, &options))
    }

    fn from_parts(config: &ResolverConfig, options: &ResolverOpts) -> Self {
        let mut domains: Vec<Name> = Vec::new();
        for domain in config.domain().into_iter().chain(config.search()) {
            if !domain.is_root() && !domains.contains(domain) {
                domains.push(domain.clone());
            }
        }
        let servers = config.name_servers().iter().map(|server| SocketAddr::new(server.ip, PORT)).collect();
        Self { servers, domains, dots: options.ndots }
    }

    /// The full names to try for a name, in order. A name with enough dots or a trailing dot is tried only as it is:
    /// `www.example.com` must never mean `www.example.com.corp.example`.
    pub fn names(&self, name: &Name) -> Vec<Name> {
        let mut whole = name.clone();
        whole.set_fqdn(true);
        let dots = name.iter().count().saturating_sub(1);
        let domains = self.domains.iter().filter(|_| self.completes(dots) && !name.is_fqdn());
        // A name that the domain makes too long is skipped.
        domains.filter_map(|domain| name.clone().append_domain(domain).ok()).chain([whole]).collect()
    }

    /// Whether search domains apply to a name with so many dots.
    pub fn completes(&self, dots: usize) -> bool {
        dots < self.dots && !self.domains.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(resolv_conf: &str) -> ResolvConf {
        ResolvConf::parse(resolv_conf.as_bytes()).unwrap()
    }

    fn names(system: &ResolvConf, name: &str) -> Vec<String> {
        system.names(&Name::from_ascii(name).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_short_name_is_searched_for_and_one_with_enough_dots_is_not() {
        let one = system("nameserver 192.0.2.53\nsearch corp.example eng.corp.example\n");
        assert_eq!(names(&one, "wiki"), ["wiki.corp.example.", "wiki.eng.corp.example.", "wiki."]);
        assert_eq!(names(&one, "www.example.com"), ["www.example.com."]);
        assert_eq!(names(&one, "wiki."), ["wiki."]);
        let two = system("nameserver 192.0.2.53\nsearch svc.local\noptions ndots:2\n");
        assert_eq!(names(&two, "api.team"), ["api.team.svc.local.", "api.team."]);
        assert_eq!(names(&two, "api.team.example"), ["api.team.example."]);
    }

    #[test]
    fn a_name_that_a_search_domain_makes_too_long_is_left_out() {
        let long = system(&format!("nameserver 192.0.2.53\nsearch {}\n", [&"x".repeat(60)[..]; 4].join(".")));
        assert_eq!(names(&long, &"y".repeat(60)).len(), 1);
    }

    #[test]
    fn servers_are_those_of_the_operator_or_else_the_systems() {
        let there: SocketAddr = "127.0.0.9:5353".parse().unwrap();
        assert_eq!(ResolvConf::of_servers(&[there]).servers, [there]);
        let servers = system("nameserver 192.0.2.53\nnameserver 2001:db8::53\n").servers;
        assert_eq!(servers, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()]);
    }
}
