//! Lines that are released go back to their source without a record, and all others fare as before. That nothing is lost by it
//! is among the laws of `accounts`; `world` compares the ledgers after each release.

use std::collections::BTreeSet;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{Core, Counts, ReleaseScope, Settings};
use proptest::prelude::*;

use crate::items::{answered, failed, get, limits, ms, robots, source_of};
use crate::robots::{ALL, core as core_with_robots, take};
use crate::script::{obedience, renewals, scripts_with_releases};
use crate::world::{Event, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_released_is_what_waits_of_its_source_and_the_newest_of_that(
        script in scripts_with_releases(), max_hosts in 1usize..6, robots in obedience(), renewals in renewals()
    ) {
        let history = play(&script.with_max_hosts(max_hosts).obeying_robots(robots).with_tokens(renewals));
        let mut waiting = BTreeSet::new();
        let mut owed: Vec<u64> = Vec::new();
        for Event { what, .. } in &history {
            match what {
                What::Released(ordinal) => {
                    prop_assert_eq!(Some(*ordinal), owed.pop());
                    waiting.remove(ordinal);
                    continue;
                }
                _ => prop_assert!(owed.is_empty(), "not released: {owed:?}"),
            }
            match what {
                What::Pushed { ordinal, .. } | What::Answered { ordinal, .. } => _ = waiting.insert(*ordinal),
                What::Started { ordinal, .. } => _ = waiting.remove(ordinal),
                What::Settled(settled) => _ = waiting.remove(&settled.ordinal),
                What::Releases(scope) => {
                    let of_source = waiting.iter().rev().filter(|ordinal| source_of(**ordinal) == scope.source());
                    owed = match scope {
                        ReleaseScope::All { .. } => of_source.copied().collect(),
                        ReleaseScope::Newest { lines, .. } => of_source.take(*lines).copied().collect(),
                    };
                    owed.reverse();
                }
                What::Released(_) | What::Overridden(_) | What::Skips(_) | What::Reconfigured(_) | What::Switched(_) | What::Stopped | What::GaveUp | What::Rests(_) => {}
            }
        }
    }
}

/// The ordinals of the lines that were released.
fn released(core: &mut Core) -> Vec<u64> {
    std::iter::from_fn(|| core.take_released()).map(|ticket| ticket.ordinal).collect()
}

#[test]
fn lines_on_the_wire_stay_and_end_with_their_records() {
    let mut core = Core::new(Settings { any_host: limits(1, ms(0)), ..Settings::default() });
    for ordinal in 0..6 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let first = core.take(ms(0)).expect("the first starts");
    core.release(ReleaseScope::All { source: 0 }, ms(1));
    assert_eq!(core.counts(), Counts { waiting: 3, in_flight: 1, outgoing: 0, released: 2 });
    assert_eq!(released(&mut core), [4, 2]);
    core.complete(first, answered(200), ms(5), ms(5));
    assert_eq!(core.take_settled().map(|done| done.ticket.ordinal), Some(0));
    core.release(ReleaseScope::Newest { source: 1, lines: 2 }, ms(5));
    assert_eq!(released(&mut core), [5, 3]);
    assert_eq!(core.take(ms(5)).map(|job| job.ticket.ordinal), Some(1), "the oldest is still here");
}

#[test]
fn a_line_that_is_to_be_tried_again_can_be_released_and_leaves_no_timer() {
    let mut core = Core::new(Settings::default());
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(1));
    assert!(core.next_wakeup(ms(1)).is_some_and(|at| at < ms(600)), "it waits for its back-off");
    core.release(ReleaseScope::All { source: 0 }, ms(2));
    assert_eq!(released(&mut core), [0]);
    assert!(core.next_wakeup(ms(2)).is_none_or(|at| at > ms(1000)), "nothing but the circuit's memory is left");
    assert_eq!(core.counts(), Counts::default());
}

#[test]
fn a_line_that_was_to_fetch_a_robots_txt_again_leaves_that_to_the_next_one() {
    let mut core = core_with_robots();
    for ordinal in 0..2 {
        core.push(get(ordinal, "http://a.test/page"), ms(0));
    }
    let first = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.complete(first, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(1));
    core.release(ReleaseScope::All { source: 0 }, ms(2));
    assert_eq!(released(&mut core), [0]);
    let second = take(&mut core, "http://a.test/robots.txt", ms(2));
    core.complete(second, robots(ALL), ms(1), ms(3));
    take(&mut core, "http://a.test/page", ms(3));
}

#[test]
fn a_line_without_room_in_the_table_can_be_released() {
    let mut core = Core::new(Settings { max_hosts: 1, ..Settings::default() });
    for (ordinal, url) in (0..).zip(["http://a.test/", "http://b.test/", "http://c.test/"]) {
        core.push(get(ordinal, url), ms(0));
    }
    core.release(ReleaseScope::All { source: 1 }, ms(0));
    assert_eq!(released(&mut core), [1]);
    core.release(ReleaseScope::All { source: 0 }, ms(0));
    assert_eq!((released(&mut core), core.hosts()), (vec![2, 0], 0));
}
