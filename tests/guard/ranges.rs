//! The guard and Python agree on both edges of every special range, their neighbours, and thousands of other addresses,
//! but for the differences that are listed.

use fetchd::fetch::Guard;
use ipnet::IpNet;

use crate::opinion::{DIFFERENCES, Opinion};

#[test]
fn every_address_is_as_public_as_the_registries_say() {
    let guard = Guard::default();
    for opinion in Opinion::all() {
        let address = opinion.of.address;
        assert_eq!(guard.check(address).is_ok(), opinion.expected(), "{address}");
    }
}

#[test]
fn every_difference_makes_one() {
    let opinions = Opinion::all();
    for (range, _, why) in DIFFERENCES {
        let range: IpNet = range.parse().unwrap();
        let mut within = opinions.iter().filter(|opinion| range.contains(&opinion.of.address));
        assert!(within.any(|opinion| opinion.expected() != opinion.of.is_global), "{range}: {why}");
    }
}
