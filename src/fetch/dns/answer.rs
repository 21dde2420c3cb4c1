//! The result of a look-up and its TTL (RFC 2308 for negative answers), and its parsing from a DNS message. Pure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::fetch::LookUpResult;
use crate::item::{ErrorKind, Sent};

/// The most addresses of one answer that are kept; a client needs no more.
const MOST_KEPT: usize = 32;

/// The longest chain of aliases that is followed.
const MOST_ALIASES: usize = 16;

/// The longest time that addresses are cached (RFC 8767, section 4, recommends a week at most).
const LONGEST_POSITIVE: Duration = Duration::from_secs(24 * 3600);

/// The longest time that a negative answer is cached, because the name may be just being set up. RFC 2308, section 5,
/// calls one to three hours sensible.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(5 * 60);

/// Why a name has no usable address. `failure` finds it among the sources of the client's errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookupError {
    /// The record's error kind.
    pub kind: ErrorKind,
    /// The record's error message.
    pub message: String,
    /// How far the request got: refused, not sent, or not sent because this machine lacked a resource.
    pub sent: Sent,
}

impl LookupError {
    /// A failure caused neither by this machine nor by a forbidden address.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sent: Sent::Nothing }
    }
}

/// The result of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// At least one address, in the order of the answer.
    Addresses { addresses: Arc<[IpAddr]>, ttl: Duration },
    /// The name does not exist. The TTL is absent if the server sent none (RFC 2308, section 5).
    NoName { ttl: Option<Duration> },
    /// The name exists and has no address of the requested family.
    NoAddress { ttl: Option<Duration> },
    /// No name server gave an answer.
    Failed(LookupError),
}

impl Answer {
    /// The label under which the look-up is counted.
    pub fn result(&self) -> LookUpResult {
        match self {
            Self::Addresses { .. } => LookUpResult::Found,
            Self::NoName { .. } | Self::NoAddress { .. } => LookUpResult::NotFound,
            Self::Failed(failure) if failure.kind == ErrorKind::DnsTimeout => LookUpResult::TimedOut,
            Self::Failed(_) => LookUpResult::Failed,
        }
    }

    /// The time that the answer is cached: `failures` for failures (RFC 9520) and missing names without a TTL. Failures
    /// caused by this machine are not cached, because the resource may be available again.
    pub fn lifetime(&self, failures: Duration) -> Duration {
        match self {
            Self::Addresses { ttl, .. } => (*ttl).min(LONGEST_POSITIVE),
            Self::NoName { ttl } | Self::NoAddress { ttl } => ttl.map_or(failures, |ttl| ttl.min(LONGEST_NEGATIVE)),
            Self::Failed(failure) if failure.sent == Sent::Starved => Duration::ZERO,
            Self::Failed(_) => failures,
        }
    }
}

/// The addresses in the order in which they are tried: families alternate, IPv6 first (RFC 8305, section 4).
pub(super) fn interleave(addresses: &[IpAddr]) -> Arc<[IpAddr]> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    std::iter::from_fn(|| match (v6.next(), v4.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    })
    .flatten()
    .flatten()
    .collect()
}

/// Reads the addresses of one family from a DNS answer, those of the name at the end of the aliases.
pub(super) fn read(answer: &DnsResponse, name: &Name, kind: RecordType) -> Answer {
    let Some((owner, alias_ttl)) = follow(&answer.answers, name) else {
        return failed(format!("the name's aliases lead in a circle, or through more than {MOST_ALIASES} names"));
    };
    match answer.response_code {
        ResponseCode::NXDomain => Answer::NoName { ttl: answer.negative_ttl().map(time_to_live) },
        ResponseCode::NoError => {
            let own = answer.answers.iter().filter(|record| record.name == *owner && record.record_type() == kind);
            let addresses: Arc<[_]> = own.clone().filter_map(|record| record.data.ip_addr()).take(MOST_KEPT).collect();
            match own.map(|record| time_to_live(record.ttl)).min() {
                Some(ttl) if !addresses.is_empty() => Answer::Addresses { addresses, ttl: ttl.min(alias_ttl) },
                _ => Answer::NoAddress { ttl: answer.negative_ttl().map(time_to_live) },
            }
        }
        code => failed(format!("the name server answered `{code}`")),
    }
}

/// The name at the end of the aliases, and the shortest TTL among them (RFC 1034, section 3.6.2).
fn follow<'a>(answers: &'a [Record], name: &'a Name) -> Option<(&'a Name, Duration)> {
    let (mut owner, mut ttl) = (name, Duration::MAX);
    for _ in 0..=MOST_ALIASES {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(to) if record.name == *owner => Some((&to.0, time_to_live(record.ttl))),
            _ => None,
        });
        let Some((to, its_ttl)) = alias else { return Some((owner, ttl)) };
        (owner, ttl) = (to, ttl.min(its_ttl));
    }
    None
}

/// A TTL as a duration; with the highest bit set it counts as zero (RFC 2181, section 8).
fn time_to_live(seconds: u32) -> Duration {
    Duration::from_secs(i32::try_from(seconds).unwrap_or(0).unsigned_abs().into())
}

/// A failure caused by the name server.
fn failed(message: String) -> Answer {
    Answer::Failed(LookupError::new(ErrorKind::DnsFailed, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{Message, OpCode};
    use hickory_resolver::proto::rr::rdata::{A, CNAME, SOA};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A::new(192, 0, 2, last)))
    }

    fn alias(owner: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let zone = || name("test.");
        Record::from_rdata(zone(), ttl, RData::SOA(SOA::new(zone(), zone(), 1, 1, 1, 1, minimum)))
    }

    fn found(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Answer {
        let mut message = Message::response(0, OpCode::Query);
        message.metadata.response_code = code;
        message.answers = answers;
        message.authorities = authorities;
        read(&DnsResponse::from_message(message).unwrap(), &name("www.test."), RecordType::A)
    }

    /// The last bytes of the addresses found, and their TTL in seconds.
    fn addresses(answers: Vec<Record>) -> (Vec<u8>, u64) {
        match found(ResponseCode::NoError, answers, Vec::new()) {
            Answer::Addresses { addresses, ttl } => {
                let last = |address: &IpAddr| address.to_string().rsplit('.').next().unwrap().parse().unwrap();
                (addresses.iter().map(last).collect(), ttl.as_secs())
            }
            other => panic!("addresses were due, not {other:?}"),
        }
    }

    #[test]
    fn addresses_keep_their_order_and_live_as_long_as_the_first_of_them_to_die() {
        let answers = vec![a("www.test.", 60, 2), a("WWW.test.", 30, 1), a("other.test.", 1, 9)];
        assert_eq!(addresses(answers), (vec![2, 1], 30));
    }

    #[test]
    fn families_take_turns_and_each_keeps_its_order() {
        let parsed = ["192.0.2.2", "192.0.2.1", "::2", "192.0.2.3", "::1"].map(|address| address.parse().unwrap());
        let shown = interleave(&parsed).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(shown, "::2 192.0.2.2 ::1 192.0.2.1 192.0.2.3");
    }

    #[test]
    fn an_answer_of_hundreds_of_addresses_is_cut() {
        let many = (0..500).map(|n| a("www.test.", 60, u8::try_from(n % 256).unwrap())).collect();
        assert_eq!(addresses(many).0.len(), MOST_KEPT);
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_the_shortest_time_to_live_counts() {
        let answers =
            vec![a("end.test.", 60, 1), alias("mid.test.", 7, "end.test."), alias("www.test.", 50, "mid.test.")];
        assert_eq!(addresses(answers), (vec![1], 7));
    }

    #[test]
    fn aliases_that_never_end_are_a_failure() {
        let circle = vec![alias("www.test.", 60, "b.test."), alias("b.test.", 60, "www.test.")];
        let found = found(ResponseCode::NoError, circle, vec![soa(60, 60)]);
        assert!(
            matches!(&found, Answer::Failed(why) if why.kind == ErrorKind::DnsFailed && why.message.contains("circle"))
        );
    }

    #[test]
    fn what_is_missing_is_so_for_the_shorter_of_the_two_times_that_the_zone_gives() {
        let ttl = Some(Duration::from_secs(60));
        for zone in [soa(60, 300), soa(300, 60)] {
            assert_eq!(found(ResponseCode::NXDomain, Vec::new(), vec![zone.clone()]), Answer::NoName { ttl });
            assert_eq!(found(ResponseCode::NoError, Vec::new(), vec![zone]), Answer::NoAddress { ttl });
        }
        assert_eq!(found(ResponseCode::NXDomain, Vec::new(), Vec::new()), Answer::NoName { ttl: None });
    }

    #[test]
    fn any_other_code_is_a_failure_whatever_else_the_answer_says() {
        for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::FormErr, ResponseCode::Unknown(3841)]
        {
            let found = found(code, vec![a("www.test.", 60, 1)], vec![soa(60, 60)]);
            assert!(matches!(found, Answer::Failed(why) if why.kind == ErrorKind::DnsFailed), "{code}");
        }
    }

    #[test]
    fn no_answer_is_cached_for_longer_than_is_good() {
        let failures = Duration::from_millis(250);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let positive = |ttl| Answer::Addresses { addresses: Arc::new([]), ttl }.lifetime(failures);
        assert_eq!([hours(1), hours(48), Duration::ZERO].map(positive), [hours(1), hours(24), Duration::ZERO]);
        let negative = |ttl| Answer::NoName { ttl }.lifetime(failures);
        assert_eq!(
            [None, Some(Duration::ZERO), Some(hours(3))].map(negative),
            [failures, Duration::ZERO, LONGEST_NEGATIVE]
        );
        assert_eq!(time_to_live(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn a_failure_is_cached_shortly_and_one_of_this_machine_not_at_all() {
        let failures = Duration::from_millis(250);
        let mut failure = LookupError::new(ErrorKind::DnsFailed, "");
        assert_eq!(Answer::Failed(failure.clone()).lifetime(failures), failures);
        failure.sent = Sent::Starved;
        assert_eq!(Answer::Failed(failure).lifetime(failures), Duration::ZERO);
    }
}
