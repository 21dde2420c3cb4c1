//! Nothing is lost, nothing is told twice, and the table of hosts keeps its bound.

use std::collections::BTreeSet;

use fetchd::item::Outcome;
use fetchd::schedule::{Core, Counts, Settings};
use proptest::option;
use proptest::prelude::*;

use crate::items::{answered_later, get, ms};
use crate::script::{obedience, renewals, scripts, scripts_with_releases, some_ms};
use crate::world::{Event, Rest, Until, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_line_is_settled_or_released_exactly_once_whatever_happens(
        script in scripts_with_releases(), max_hosts in 1usize..6, give_up in option::of(some_ms(0..2000)),
        robots in obedience(), renewals in renewals(),
    ) {
        let script = script.with_max_hosts(max_hosts).given_up_at(give_up).obeying_robots(robots).with_tokens(renewals);
        let mut ended: Vec<u64> = play(&script).iter().filter_map(ended).collect();
        ended.sort_unstable();
        let all: Vec<u64> = script.lines.iter().map(|line| line.ordinal).collect();
        prop_assert_eq!(ended, all);
    }

    #[test]
    fn the_counts_say_where_every_line_is(
        script in scripts_with_releases(), max_hosts in 1usize..6, give_up in option::of(some_ms(0..2000)),
        robots in obedience(), renewals in renewals(),
    ) {
        let script = script.with_max_hosts(max_hosts).given_up_at(give_up).obeying_robots(robots).with_tokens(renewals);
        let mut here = Counts::default();
        for event in play(&script) {
            match event.what {
                What::Pushed { .. } => here.waiting += 1,
                What::Started { .. } => (here.waiting, here.in_flight) = (here.waiting - 1, here.in_flight + 1),
                What::Answered { .. } => (here.waiting, here.in_flight) = (here.waiting + 1, here.in_flight - 1),
                What::Settled(_) | What::Released(_) => here.waiting -= 1,
                What::Stopped | What::GaveUp | What::Releases(_) => {}
                What::Overridden(_) | What::Skips(_) | What::Reconfigured(_) | What::Switched(_) => {}
                What::Rests(Rest { counts, in_window, .. }) => {
                    prop_assert_eq!(counts, here);
                    prop_assert_eq!(in_window, here.waiting + here.in_flight);
                }
            }
        }
    }

    #[test]
    fn a_run_given_up_starts_nothing_more_and_does_not_wait(script in scripts(), give_up in some_ms(0..600)) {
        let history = play(&script.given_up_at(Some(give_up)));
        let mut after = history.into_iter().skip_while(|event| !matches!(event.what, What::GaveUp));
        let gave_up = after.next().expect("the script says so");
        for Event { at, what } in after {
            match what {
                What::Started { ordinal, .. } => prop_assert!(false, "line {ordinal} starts"),
                What::Settled(settled) if at > gave_up.at => prop_assert_eq!(settled.outcome, Outcome::Canceled),
                What::Rests(rest) => prop_assert_eq!(rest.counts, Counts::default()),
                _ => {}
            }
        }
    }

    #[test]
    fn without_redirects_the_table_never_has_more_hosts_than_it_may(script in scripts(), max_hosts in 1usize..4) {
        // Out of turn, when memory is short, the oldest line finds room beyond the bound: everything may wait for it.
        for event in play(&script.without_redirects().taken_in_turn().with_max_hosts(max_hosts)) {
            if let What::Rests(rest) = event.what {
                prop_assert!(rest.hosts <= max_hosts);
            }
        }
    }

    #[test]
    fn every_host_is_forgotten_in_the_end(
        script in scripts_with_releases(), give_up in option::of(some_ms(0..600)), robots in obedience(),
        renewals in renewals(),
    ) {
        let history = play(&script.given_up_at(give_up).obeying_robots(robots).with_tokens(renewals));
        let last = history.last().map(|event| &event.what);
        prop_assert!(matches!(last, Some(What::Rests(Rest { hosts: 0, until: Until::End, .. }))), "{last:?}");
    }

    #[test]
    fn a_line_starts_only_while_it_waits(script in scripts_with_releases(), renewals in renewals()) {
        let mut waiting = BTreeSet::new();
        for event in play(&script.with_tokens(renewals)) {
            match event.what {
                What::Pushed { ordinal, .. } | What::Answered { ordinal, .. } => prop_assert!(waiting.insert(ordinal)),
                What::Started { ordinal, .. } => prop_assert!(waiting.remove(&ordinal)),
                What::Settled(settled) => prop_assert!(waiting.remove(&settled.ordinal)),
                What::Released(ordinal) => prop_assert!(waiting.remove(&ordinal)),
                _ => {}
            }
        }
    }
}

/// The line that is settled or released here.
fn ended(event: &Event) -> Option<u64> {
    match &event.what {
        What::Settled(settled) => Some(settled.ordinal),
        What::Released(ordinal) => Some(*ordinal),
        _ => None,
    }
}

#[test]
fn a_closed_host_does_not_keep_others_out_of_the_table() {
    let mut core = Core::new(Settings { max_hosts: 1, ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://b.test/"), ms(0));
    let job = core.take(ms(0)).expect("the first starts");
    core.complete(job, answered_later(503, ms(1_000_000_000)), ms(10), ms(10));
    assert!(core.take(ms(10)).is_some_and(|job| job.ticket.ordinal == 1), "the second has waited for its place");
    core.push(get(2, "http://c.test/"), ms(20));
    assert!(core.take(ms(20)).is_none(), "the table is full of a host with a line");
}
