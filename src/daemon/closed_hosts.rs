//! The closing messages of a run that ended because only lines of closed hosts were left.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::pipeline::LeftHosts;
use crate::schedule::{ClosedHost, Opening};
use crate::units::counted;
use jiff::{SignedDuration, Timestamp};

/// The most hosts that are named.
const MOST: usize = 3;

/// Warns of the hosts whose lines wait, with the time until which each waits.
pub(super) fn say_what_waits(left: &LeftHosts, config: &Config) {
    let refusals: BTreeSet<u16> =
        config.hosts.values().flat_map(|host| host.refresh_on.iter().flatten().copied()).collect();
    sentences(&left.hosts, &refusals, left.clock.elapsed(), Timestamp::now())
        .into_iter()
        .for_each(|text| tracing::warn!("{text}"));
}

/// `refusals` are the statuses that refuse a token.
fn sentences(hosts: &[ClosedHost], refusals: &BTreeSet<u16>, now: Duration, time: Timestamp) -> Vec<String> {
    let refusals = refusals.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let way = match hosts.iter().all(|host| matches!(host.opens, Opening::WithToken(_))) {
        true => format!("run again when it is there, with --again {refusals} for the lines that were refused"),
        false => "run again then (or set hosts.quota = \"wait\", and the run goes on until then)".to_owned(),
    };
    let waits = |lines: u64| if lines == 1 { "waits" } else { "wait" };
    let named = hosts.iter().take(MOST).map(|ClosedHost { name, lines, opens }| {
        let lines = *lines as u64;
        let until = match opens {
            Opening::At(at) => format!("until {}", shown(at.saturating_sub(now), time)),
            Opening::WithToken(files) => format!("for a new token in {files}"),
        };
        format!("{} of {name} {} {until}", counted(lines, "line"), waits(lines))
    });
    let mut sentences: Vec<_> = named.collect();
    let others = &hosts[sentences.len()..];
    if !others.is_empty() {
        let lines = others.iter().map(|host| host.lines as u64).sum();
        sentences.push(format!(
            "{} of {} {}, too",
            counted(lines, "line"),
            counted(others.len() as u64, "more host"),
            waits(lines)
        ));
    }
    if let Some(last) = sentences.last_mut() {
        last.push_str(&format!("; {way}"));
    }
    sentences
}

/// The time after `wait`, rounded up to seconds, because a start before it would send nothing.
fn shown(wait: Duration, time: Timestamp) -> String {
    let at = SignedDuration::try_from(wait).ok().and_then(|wait| time.checked_add(wait).ok()).unwrap_or(Timestamp::MAX);
    let seconds = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hosts_are_named_and_the_others_counted() {
        let now = Duration::from_secs(5);
        let time: Timestamp = "2026-11-27T10:00:00.5Z".parse().unwrap();
        let host = |name: &str, lines, wait| {
            let opens = Opening::At(now + Duration::from_secs(wait));
            ClosedHost { name: name.into(), lines, opens }
        };
        let all = [host("a.test", 1000, 60), host("b.test", 1, 3600), host("c.test", 2, 1), host("d.test", 1, 10)];
        let way_out = "; run again then (or set hosts.quota = \"wait\", and the run goes on until then)";
        let a = "1,000 lines of a.test wait until 2026-11-27T10:01:01Z";
        assert_eq!(sentences(&all[..1], &BTreeSet::from([401]), now, time), [format!("{a}{way_out}")]);
        assert_eq!(
            sentences(&all, &BTreeSet::from([401]), now, time),
            [
                a.to_owned(),
                "1 line of b.test waits until 2026-11-27T11:00:01Z".to_owned(),
                "2 lines of c.test wait until 2026-11-27T10:00:02Z".to_owned(),
                format!("1 line of 1 more host waits, too{way_out}"),
            ]
        );
        assert!(sentences(&[], &BTreeSet::from([401]), now, time).is_empty());
        let token =
            ClosedHost { name: "a.test".into(), lines: 7, opens: Opening::WithToken("the file `token`".to_owned()) };
        let waits = "7 lines of a.test wait for a new token in the file `token`";
        let way_out = "; run again when it is there, with --again 401 for the lines that were refused";
        assert_eq!(sentences(&[token], &BTreeSet::from([401]), now, time), [format!("{waits}{way_out}")]);
    }
}
