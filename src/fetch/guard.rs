//! The address guard: decides which addresses fetchd may connect to. Pure: from the IANA registries (`iana_ranges`),
//! IPv4 addresses embedded in IPv6 ones (`embedded`), and the operator's `network.allow` and `network.deny`.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::NetworkConfig;
use super::embedded::embedded_in;
use super::iana_ranges::{Reach, reach};
use crate::units::Network;

/// Decides which addresses fetchd may connect to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

/// Why an address is forbidden, with the key that changes that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not public, and not in `network.allow`.
    #[error("{0} is not a public address; `network.allow` (or --allow {0}) would allow it")]
    NotPublic(IpAddr),
    /// In `network.deny`.
    #[error("{0} is denied by `network.deny`")]
    Denied(IpAddr),
}

impl Guard {
    /// A guard with the operator's lists.
    pub fn new(config: &NetworkConfig) -> Self {
        let nets = |list: &[Network]| list.iter().map(|network| network.0).collect();
        Self { allow: nets(&config.allow), deny: nets(&config.deny) }
    }

    /// Checks a URL whose host is an address. Names pass; the resolver checks their addresses.
    ///
    /// # Errors
    /// When the address is forbidden.
    pub fn check_literal(&self, url: &Url) -> Result<(), Forbidden> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Checks an address. It is denied if one of its embedded IPv4 addresses is, and public only if all of them are.
    ///
    /// # Errors
    /// When the address is forbidden.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let embedded = embedded_in(address);
        if is_in(&self.deny, address) || embedded.iter().any(|inner| is_in(&self.deny, *inner)) {
            return Err(Forbidden::Denied(address));
        }
        if is_in(&self.allow, address) {
            return Ok(());
        }
        let is_open = |inner: &IpAddr| is_in(&self.allow, *inner) || reach(*inner) == Reach::Global;
        let is_public = match reach(address) {
            Reach::Global => embedded.iter().all(is_open),
            Reach::AsEmbedded => !embedded.is_empty() && embedded.iter().all(is_open),
            Reach::Local => false,
        };
        if is_public { Ok(()) } else { Err(Forbidden::NotPublic(address)) }
    }
}

fn is_in(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str], deny: &[&str]) -> Guard {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        Guard::new(&NetworkConfig { allow: nets(allow), deny: nets(deny) })
    }

    fn allowed(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn an_address_that_carries_a_forbidden_one_is_forbidden() {
        let guard = Guard::default();
        for (address, wanted) in [
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::8.8.8.8", true),
            ("2002:7f00:1::", false),
            ("2002:808:808::1", true),
            // Teredo: the client's bits are inverted.
            ("2001:0:808:808:0:0:f5ff:fffe", false),
            ("2001:0:a00:1:0:0:f7f7:f7f7", false),
            ("2001:0:808:808:0:0:f7f7:f7f7", true),
            // ISATAP: the prefix must be public, too.
            ("2a00::5efe:10.0.0.1", false),
            ("2a00::5efe:8.8.8.8", true),
            ("fe80::5efe:8.8.8.8", false),
            // Forms that are never public.
            ("::8.8.8.8", false),
            ("::ffff:0:8.8.8.8", false),
            ("64:ff9b:1::8.8.8.8", false),
        ] {
            assert_eq!(allowed(&guard, address), wanted, "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_also_where_it_is_carried() {
        let guard = guard(&["127.0.0.0/8", "fd00::/8"], &[]);
        for address in ["127.0.0.2", "::ffff:127.0.0.2", "64:ff9b::127.0.0.2", "fd00::1"] {
            assert!(allowed(&guard, address), "{address}");
        }
        for address in ["10.0.0.1", "::ffff:10.0.0.1", "::1", "fe80::1"] {
            assert!(!allowed(&guard, address), "{address}");
        }
    }

    #[test]
    fn deny_beats_allow_and_sees_through_what_carries() {
        let guard = guard(&["::/0", "0.0.0.0/0"], &["169.254.0.0/16", "8.8.8.0/24", "fd00::/8"]);
        for address in [
            "169.254.169.254",
            "::169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:808:808::1",
            "fd00:ec2::254",
        ] {
            let refusal = guard.check(address.parse().unwrap()).unwrap_err().to_string();
            assert!(refusal.contains("network.deny"), "{address}: {refusal}");
        }
        assert!(allowed(&guard, "10.0.0.1") && allowed(&guard, "::1"));
    }

    #[test]
    fn a_refusal_names_the_address_and_the_key() {
        let refusal = Guard::default().check("10.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(refusal.contains("network.allow") && refusal.contains("10.0.0.1"), "{refusal}");
    }

    #[test]
    fn a_name_in_a_url_is_judged_elsewhere() {
        assert_eq!(Guard::default().check_literal(&Url::parse("http://localhost/").unwrap()), Ok(()));
    }
}
