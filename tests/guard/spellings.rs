//! An address is judged the same in every spelling that a URL may have of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fetchd::fetch::Guard;
use url::Url;

use crate::opinion::Opinion;

#[test]
fn every_spelling_of_an_address_is_judged_as_the_address() {
    let guard = Guard::default();
    for opinion in Opinion::all() {
        let (address, expected) = (opinion.of.address, opinion.expected());
        for host in hosts(address) {
            let url = Url::parse(&format!("http://{host}/")).unwrap_or_else(|error| panic!("{host}: {error}"));
            let plain = url.host_str().unwrap().trim_matches(['[', ']']).parse();
            assert_eq!(plain, Ok(address), "{host} is another address");
            assert_eq!(guard.check_literal(&url).is_ok(), expected, "{host}");
        }
    }
}

#[test]
fn within_brackets_no_other_writing_is_read() {
    for host in ["[%31::1]", "[１::1]", "[::1%25lo]", "[::ffff:0x7f.0.0.1]", "[::ffff:127.1]", "[::ffff:2130706433]"] {
        assert!(Url::parse(&format!("http://{host}/")).is_err(), "{host}");
    }
}

#[test]
fn a_number_that_is_no_address_is_no_name_either() {
    for host in
        ["127.0.0.256", "256.1", "0x100000000", "4294967296", "127.0.0.0.1", "127.0.0.09", "a.0x7f", "１２７.0.0.256"]
    {
        assert!(Url::parse(&format!("http://{host}/")).is_err(), "{host}");
    }
}

/// The address as it may stand in a URL, in all its spellings.
pub fn hosts(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => {
            let plain = numeric(v4);
            let disguised: Vec<_> = plain.iter().step_by(17).flat_map(|text| disguises(text)).collect();
            [plain, disguised].concat()
        }
        IpAddr::V6(v6) => {
            let texts = groups(v6).into_iter().flat_map(|groups| shortened(&groups));
            texts.flat_map(|text| [format!("[{}]", text.to_uppercase()), format!("[{text}]")]).collect()
        }
    }
}

/// One to four numbers, of which the last takes up the bytes that are left, each in one of the bases.
fn numeric(address: Ipv4Addr) -> Vec<String> {
    let bytes = address.octets();
    let mut all = Vec::new();
    for parts in 1..=4 {
        let (heads, tail) = bytes.split_at(parts - 1);
        let tail = tail.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let numbers = heads.iter().map(|byte| u32::from(*byte)).chain([tail]);
        let texts = numbers.fold(vec![String::new()], |texts, number| {
            let append = |text: &String, digits| if text.is_empty() { digits } else { format!("{text}.{digits}") };
            texts.iter().flat_map(|text| bases(number).map(|digits| append(text, digits))).collect()
        });
        all.extend(texts);
    }
    all
}

fn bases(number: u32) -> [String; 4] {
    [format!("{number}"), format!("0x{number:x}"), format!("0X00{number:X}"), format!("0{number:o}")]
}

/// Writings that a URL's parser takes for the same text: escapes, full-width and circled characters, other dots.
fn disguises(text: &str) -> [String; 5] {
    let escaped = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap();
    let circled = |c: char| match c {
        '0' => '⓪',
        '1'..='9' => char::from_u32(u32::from('①') + u32::from(c) - u32::from('1')).unwrap(),
        c => c,
    };
    [
        format!("{text}."),
        escaped,
        text.chars().map(wide).collect(),
        text.chars().map(circled).collect(),
        text.replace('.', "。"),
    ]
}

/// The address as groups between colons: in full, without leading zeros, and with its end as an IPv4 address.
fn groups(address: Ipv6Addr) -> [Vec<String>; 3] {
    let segments = address.segments();
    let [.., a, b, c, d] = address.octets();
    let short: Vec<_> = segments.iter().map(|segment| format!("{segment:x}")).collect();
    let dotted = short[..6].iter().cloned().chain([Ipv4Addr::new(a, b, c, d).to_string()]).collect();
    [segments.iter().map(|segment| format!("{segment:04x}")).collect(), short, dotted]
}

/// The groups as they are, and with each run of zeros that can be left out left out.
fn shortened(groups: &[String]) -> Vec<String> {
    let is_zero = |group: &String| group.bytes().all(|byte| byte == b'0');
    let mut all = vec![groups.join(":")];
    for start in 0..groups.len() {
        for end in start + 1..=groups.len() {
            if groups[start..end].iter().all(is_zero) {
                all.push(format!("{}::{}", groups[..start].join(":"), groups[end..].join(":")));
            }
        }
    }
    all
}
