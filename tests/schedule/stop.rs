//! After a stop no request of a durable source starts. What is on the wire ends with its record if it is done when it comes
//! back, and all else is left for the next start, without a record. Other sources do not notice.

use std::collections::BTreeSet;

use fetchd::item::{Attempt, ErrorKind, Outcome, Sent};
use fetchd::schedule::{Core, Counts, Settings};
use proptest::option;
use proptest::prelude::*;

use crate::items::{answered, answered_later, failed, get, limits, ms, redirected, robots, source_of};
use crate::robots::{ALL, policy, settled, take};
use crate::script::{obedience, renewals, scripts, some_ms};
use crate::world::{Event, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn after_a_stop_nothing_of_a_durable_source_starts_and_nothing_waits(
        script in scripts(), durable in durable(), max_hosts in 1usize..6, stop in some_ms(0..600), robots in obedience()
    ) {
        let script = script.stopped_at(Some(stop), durable.clone()).with_max_hosts(max_hosts).obeying_robots(robots);
        let is_durable = |ordinal: u64| durable[source_of(ordinal)];
        let history = play(&script);
        let mut waiting = BTreeSet::new();
        let (mut has_stopped, mut left) = (false, 0);
        for Event { what, .. } in &history {
            match what {
                What::Stopped => {
                    has_stopped = true;
                    waiting.retain(|ordinal| !is_durable(*ordinal));
                }
                What::Pushed { ordinal, .. } | What::Answered { ordinal, .. }
                    if !(has_stopped && is_durable(*ordinal)) =>
                {
                    waiting.insert(*ordinal);
                }
                What::Started { ordinal, .. } => {
                    prop_assert!(!(has_stopped && is_durable(*ordinal)), "line {} starts", ordinal);
                    waiting.remove(ordinal);
                }
                What::Settled(settled) => _ = waiting.remove(&settled.ordinal),
                What::Rests(rest) => {
                    prop_assert!(!has_stopped || rest.counts.waiting == waiting.len());
                    left = rest.left;
                }
                _ => {}
            }
        }
        let settled = history.iter().filter(|event| matches!(event.what, What::Settled(_))).count();
        prop_assert_eq!(settled as u64 + left, script.lines.len() as u64);
    }

    #[test]
    fn what_is_canceled_of_a_durable_source_has_no_record(
        script in scripts(), durable in durable(), stop in option::of(some_ms(0..600)), give_up in some_ms(0..900),
        renewals in renewals(),
    ) {
        let script = script.stopped_at(stop, durable.clone()).given_up_at(Some(give_up)).with_tokens(renewals);
        let mut ended = 0;
        for Event { what, .. } in play(&script) {
            match what {
                What::Settled(settled) => {
                    ended += 1;
                    let is_canceled = settled.outcome == Outcome::Canceled;
                    prop_assert!(!(is_canceled && durable[source_of(settled.ordinal)]), "{:?}", settled);
                }
                What::Rests(rest) if rest.until == crate::world::Until::End => ended += rest.left,
                _ => {}
            }
        }
        prop_assert_eq!(ended, script.lines.len() as u64);
    }
}

/// Which of the two sources are durable: at least one is.
fn durable() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![Just(vec![true, true]), Just(vec![true, false]), Just(vec![false, true])]
}

/// Lines with even ordinals are of a durable source, those with odd ones are not.
fn settings() -> Settings {
    Settings { durable: vec![true, false], ..Settings::default() }
}

#[test]
fn what_is_not_final_when_it_comes_back_is_left() {
    let cases: [(Attempt, Option<Outcome>); 8] = [
        (answered(200), Some(Outcome::Ok)),
        (answered(404), Some(Outcome::HttpError)),
        (failed(ErrorKind::TlsFailed, Sent::Nothing), Some(Outcome::Failed)),
        (answered(503), None),
        (answered_later(503, ms(2000)), None),
        (redirected(302, "http://b.test/"), None),
        (failed(ErrorKind::Reset, Sent::Stale), None),
        (Attempt::NoMemory { need: 1 << 20 }, None),
    ];
    for (attempt, outcome) in cases {
        let shown = format!("{attempt:?}");
        let mut core = Core::new(settings());
        core.push(get(0, "http://a.test/"), ms(0));
        let job = core.take(ms(0)).expect("it starts");
        core.stop(ms(1));
        core.complete(job, attempt, ms(2), ms(2));
        assert_eq!(core.take_settled().map(|done| done.record.outcome), outcome, "{shown}");
        assert_eq!((core.left(), core.counts()), (u64::from(outcome.is_none()), Counts::default()), "{shown}");
        assert!(core.take(ms(100_000)).is_none(), "{shown}");
    }
}

#[test]
fn lines_of_other_sources_finish_with_all_their_attempts() {
    let mut core = Core::new(Settings { any_host: limits(1, ms(0)), ..settings() });
    for ordinal in 0..4 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let first = core.take(ms(0)).expect("the first starts");
    core.stop(ms(1));
    assert_eq!((core.left(), core.counts().waiting, core.counts().in_flight), (1, 2, 1));
    core.complete(first, answered(200), ms(5), ms(5));
    let second = core.take(ms(5)).expect("the second starts");
    core.complete(second, answered(500), ms(5), ms(5));
    let third = core.take(ms(5)).expect("the third starts");
    core.complete(third, answered(200), ms(5), ms(6));
    let due = core.next_wakeup(ms(6)).expect("the second is tried again");
    assert_eq!(core.take(due).map(|job| job.ticket.ordinal), Some(1));
}

#[test]
fn a_robots_txt_that_a_line_that_stays_has_fetched_serves_the_others() {
    let mut core = Core::new(Settings { robots: Some(policy()), ..settings() });
    core.push(get(0, "http://a.test/page"), ms(0));
    core.push(get(1, "http://a.test/page"), ms(0));
    let fetches = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.stop(ms(1));
    core.complete(fetches, robots(ALL), ms(2), ms(2));
    assert_eq!((core.left(), core.has_settled()), (1, false));
    assert_eq!(take(&mut core, "http://a.test/page", ms(2)).ticket.ordinal, 1);
}

#[test]
fn a_robots_txt_that_failed_is_fetched_by_the_next_line_that_does_not_stay() {
    let mut core = Core::new(Settings { robots: Some(policy()), ..settings() });
    core.push(get(0, "http://a.test/page"), ms(0));
    core.push(get(1, "http://a.test/page"), ms(0));
    let fetches = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.stop(ms(1));
    core.complete(fetches, failed(ErrorKind::Reset, Sent::Something), ms(2), ms(2));
    assert_eq!(core.left(), 1);
    assert_eq!(take(&mut core, "http://a.test/robots.txt", ms(2)).ticket.ordinal, 1);
}

#[test]
fn a_line_without_room_in_the_table_is_left_and_one_that_comes_later_too() {
    let mut core = Core::new(Settings { max_hosts: 1, ..settings() });
    for (ordinal, url) in [(0, "http://a.test/"), (2, "http://b.test/")] {
        core.push(get(ordinal, url), ms(0));
    }
    core.stop(ms(0));
    core.push(get(4, "http://c.test/"), ms(1));
    assert_eq!((core.left(), core.counts(), core.hosts()), (3, Counts::default(), 0));
}

#[test]
fn a_run_given_up_before_the_stop_stays_given_up() {
    let mut core = Core::new(settings());
    core.give_up(ms(0));
    core.stop(ms(1));
    core.push(get(1, "http://a.test/"), ms(1));
    assert_eq!(settled(&mut core).record.outcome, Outcome::Canceled);
    assert!(core.is_given_up());
}
