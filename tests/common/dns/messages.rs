//! DNS messages as bytes (RFC 1035, section 4): a query is read, and what is said to it is written.

use std::net::IpAddr;

use super::{A, AAAA, NO_DATA, Over, Say};

/// What a query asks for, besides [`A`] and [`AAAA`].
const CNAME: u16 = 5;
const SOA: u16 = 6;

/// A query with one question.
pub struct Query {
    pub id: [u8; 2],
    /// As it came: the name, its kind and its class.
    pub question: Vec<u8>,
    /// In small letters, without a dot at its end.
    pub name: String,
    pub kind: u16,
    pub over: Over,
}

impl Query {
    pub fn read(message: &[u8], over: Over) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        Self {
            id: [message[0], message[1]],
            question: message[12..at + 5].to_vec(),
            name: labels.join("."),
            kind: u16::from_be_bytes([message[at + 1], message[at + 2]]),
            over,
        }
    }
}

/// The messages that say it.
pub fn messages(query: &Query, say: Say) -> Vec<Vec<u8>> {
    match say {
        Say::Addresses(ttl, addresses) => vec![found(query, &[], ttl, &addresses)],
        Say::Aliases(ttl, aliases, addresses) => {
            let aliases: Vec<_> = aliases.into_iter().map(|alias| (alias, ttl)).collect();
            vec![found(query, &aliases, 60, &addresses)]
        }
        Say::Nothing(code, soa) => vec![nothing(query, code, soa)],
        Say::Malformed => {
            let mut whole = found(query, &[("elsewhere.test", 60)], 60, &[]);
            whole.truncate(whole.len() - 5);
            vec![whole]
        }
        Say::Forged(first, second) => {
            let other_id = [query.id[0], query.id[1] ^ 1];
            let forged = Query { id: other_id, question: query.question.clone(), name: query.name.clone(), ..*query };
            [messages(&forged, *first), messages(query, *second)].concat()
        }
        Say::Truncated(say) if query.over == Over::Tcp => messages(query, *say),
        Say::Truncated(_) => vec![message(query, 0x02, NO_DATA, &[], &[])],
        Say::Silence | Say::Late(..) | Say::ByFamily(..) => Vec::new(),
    }
}

/// The name's aliases, one leading to the next, and the addresses of the last.
fn found(query: &Query, aliases: &[(&str, u32)], ttl: u32, addresses: &[IpAddr]) -> Vec<u8> {
    let (mut owner, mut answers) = (wire(&query.name), Vec::new());
    for (alias, its_ttl) in aliases {
        answers.push(record(&owner, CNAME, *its_ttl, &wire(alias)));
        owner = wire(alias);
    }
    for address in addresses {
        match address {
            IpAddr::V4(v4) if query.kind == A => answers.push(record(&owner, A, ttl, &v4.octets())),
            IpAddr::V6(v6) if query.kind == AAAA => answers.push(record(&owner, AAAA, ttl, &v6.octets())),
            _ => {}
        }
    }
    message(query, 0, NO_DATA, &answers, &[])
}

fn nothing(query: &Query, code: u8, soa: Option<(u32, u32)>) -> Vec<u8> {
    let soa = soa.map(|(ttl, minimum)| {
        // The server, the mailbox, then serial, refresh, retry, expire and minimum.
        let numbers = [1, 1, 1, 1, minimum].map(u32::to_be_bytes).concat();
        record(&wire("test"), SOA, ttl, &[wire("ns.test"), wire("admin.test"), numbers].concat())
    });
    message(query, 0, code, &[], soa.as_slice())
}

/// A response: the header, the question, the records.
fn message(query: &Query, flags: u8, code: u8, answers: &[Vec<u8>], authorities: &[Vec<u8>]) -> Vec<u8> {
    let count = |records: &[Vec<u8>]| u16::try_from(records.len()).unwrap().to_be_bytes();
    let ([a, b], [c, d]) = (count(answers), count(authorities));
    // A response, recursion desired and available; one question.
    let header = [query.id[0], query.id[1], 0x81 | flags, 0x80 | code, 0, 1, a, b, c, d, 0, 0];
    [&header[..], &query.question, &answers.concat(), &authorities.concat()].concat()
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let [kind, class, length] = [kind, 1, u16::try_from(data.len()).unwrap()].map(u16::to_be_bytes);
    [owner, &kind, &class, &ttl.to_be_bytes(), &length, data].concat()
}

/// A name as labels with their lengths.
fn wire(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    let mut wire = name.split('.').flat_map(label).collect::<Vec<_>>();
    wire.push(0);
    wire
}
