//! What no host is ever asked to bear.

use std::time::Duration;

use fetchd::item::{ErrorKind, Outcome};
use fetchd::schedule::SLACK;
use proptest::prelude::*;

use crate::items::at_once;
use crate::script::{HOSTS, MAX_RETRY_AFTER, Reply, obedience, scripts_with_releases, trickles};
use crate::world::{Event, Settled, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn neither_a_host_nor_the_run_ever_has_more_requests_on_the_wire_than_allowed(
        script in scripts_with_releases(), robots in obedience()
    ) {
        let script = script.obeying_robots(robots);
        let mut in_flight = [0; HOSTS];
        for event in play(&script) {
            match event.what {
                What::Started { host, .. } => in_flight[host] += 1,
                What::Answered { host, .. } => in_flight[host] -= 1,
                _ => continue,
            }
            for (now, limits) in in_flight.iter().zip(&script.limits) {
                prop_assert!(*now <= at_once(limits));
            }
            prop_assert!(in_flight.iter().sum::<u32>() as usize <= script.permits);
        }
    }

    #[test]
    fn no_window_of_time_sees_more_starts_than_the_rates_allow_retries_and_hops_included(
        script in scripts_with_releases(), robots in obedience()
    ) {
        let script = script.obeying_robots(robots);
        let history = play(&script);
        assert_spaced(&starts(&history, |_| true), script.settings.every)?;
        for (host, limits) in script.limits.iter().enumerate() {
            assert_spaced(&starts(&history, |at| at == host), limits.every)?;
        }
    }

    #[test]
    fn a_host_without_lines_between_two_lines_is_still_asked_no_faster_than_its_rate(script in trickles()) {
        assert_spaced(&starts(&play(&script), |_| true), script.limits[0].every)?;
    }

    #[test]
    fn retry_after_holds_for_the_whole_host(script in scripts_with_releases(), robots in obedience()) {
        let script = script.obeying_robots(robots);
        let mut rests_until = [Duration::ZERO; HOSTS];
        for event in play(&script) {
            match event.what {
                What::Answered { host, reply: Reply::RetryAfter(_, wait), .. } => {
                    rests_until[host] = rests_until[host].max(event.at + wait);
                }
                What::Started { host, ordinal, .. } => {
                    prop_assert!(event.at >= rests_until[host], "line {ordinal} started at {:?}", event.at);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn lines_of_a_host_that_asks_for_too_long_a_rest_do_not_wait_for_it(script in scripts_with_releases()) {
        let mut closed_until = [Duration::ZERO; HOSTS];
        let mut at_host = vec![None; script.lines.len()];
        for event in play(&script) {
            match event.what {
                What::Pushed { ordinal, host } => at_host[ordinal as usize] = Some(host),
                What::Answered { ordinal, host, reply } => {
                    at_host[ordinal as usize] = Some(host);
                    match reply {
                        Reply::RetryAfter(_, wait) if wait > MAX_RETRY_AFTER => {
                            closed_until[host] = closed_until[host].max(event.at + wait);
                        }
                        Reply::Redirect { host, .. } => at_host[ordinal as usize] = Some(host),
                        _ => {}
                    }
                }
                What::Started { ordinal, .. } => at_host[ordinal as usize] = None,
                What::Settled(settled) => {
                    let host = at_host[settled.ordinal as usize].take().expect("on the wire nothing settles");
                    assert_settled_for_a_reason(&settled, closed_until[host] > event.at)?;
                }
                What::Rests(_) => {
                    let waits_in_vain = at_host.iter().flatten().find(|host| closed_until[**host] > event.at);
                    prop_assert_eq!(waits_in_vain, None, "a line waits at a closed host at {:?}", event.at);
                }
                What::Released(ordinal) => at_host[ordinal as usize] = None,
                _ => {}
            }
        }
    }
}

fn starts(history: &[Event], wanted: impl Fn(usize) -> bool) -> Vec<Duration> {
    let start = |event: &Event| match event.what {
        What::Started { host, .. } if wanted(host) => Some(event.at),
        _ => None,
    };
    history.iter().filter_map(start).collect()
}

/// Any window `w` sees at most `rate × (w + SLACK) + 1` starts.
fn assert_spaced(starts: &[Duration], every: Duration) -> Result<(), TestCaseError> {
    for (i, from) in starts.iter().enumerate() {
        for (n, to) in (0..).zip(&starts[i..]) {
            prop_assert!(every * n <= *to - *from + SLACK, "{} starts from {from:?} to {to:?}", n + 1);
        }
    }
    Ok(())
}

fn assert_settled_for_a_reason(settled: &Settled, closed: bool) -> Result<(), TestCaseError> {
    if settled.kind != Some(ErrorKind::RetryAfterTooLong) {
        return Ok(());
    }
    prop_assert!(closed, "its host is open: {settled:?}");
    let outcome = if settled.status.is_some() { Outcome::HttpError } else { Outcome::Failed };
    prop_assert_eq!(settled.outcome, outcome);
    prop_assert!(settled.attempts > 0 || settled.outcome == Outcome::Failed);
    Ok(())
}
