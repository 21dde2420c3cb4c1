//! When a run ends, as it is said while it goes on: near the truth for a shuffled list, and never too late for a sorted one.

use std::time::Duration;

use fetchd::schedule::Eta;

use crate::script::{ms, secs};
use crate::simulated::{Host, ListOrder, Manner, Mix, Seen, host};

/// Runs of each kind of list.
const SEEDS: u64 = 100;

/// What hosts are like, by chance: fast or slow, some with a rate, few requests at once, failures or pauses, and perhaps a dead
/// one; in a window and with permits that may be what limits the run.
fn any_mix(seed: u64, order: ListOrder) -> Mix {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut hosts: Vec<Host> = (0..chance.usize(2..10)).map(|_| any_host(&mut chance)).collect();
    if chance.u8(..4) == 0 {
        hosts.push(host(Manner::IsDead(secs(2)), chance.usize(10..60)));
    }
    let (window, permits, every) = (chance.usize(50..800), chance.usize(4..200), chance.u64(10..60));
    let is_paced = chance.u8(..5) == 0;
    let mix = Mix { seed, ..Mix::of(hosts, order) };
    mix.settings(|settings| {
        (settings.window, settings.concurrency) = (window, permits);
        if is_paced {
            settings.schedule.every = ms(every);
        }
    })
}

fn any_host(chance: &mut fastrand::Rng) -> Host {
    let lines = if chance.u8(..4) == 0 { chance.usize(200..600) } else { chance.usize(20..200) };
    let time = ms(chance.u64(20..1500));
    let manner = match chance.u8(..10) {
        0 => Manner::FailsOnce(time),
        1 => Manner::Pauses { every: chance.usize(10..40), rest: ms(chance.u64(500..3000)), time },
        _ => Manner::Serves(time),
    };
    match chance.u8(..4) {
        0 => host(manner, lines).every(ms(chance.u64(50..800))),
        1 => host(manner, lines).at_once(chance.u32(1..4)),
        _ => host(manner, lines),
    }
}

/// What was said, when, and what was the case.
fn statements(seen: &Seen) -> impl Iterator<Item = (Duration, Option<Eta>, f64)> {
    seen.etas.iter().map(|(at, eta)| (*at, *eta, (seen.took - *at).as_secs_f64()))
}

/// How far from the truth a statement may be: towards the end, what a few lines take by chance is much of what is left.
fn tolerance(seen: &Seen, left: f64) -> f64 {
    0.25 * left + (0.02 * seen.took.as_secs_f64()).max(1.5)
}

#[test]
fn of_a_shuffled_list_the_end_is_said_within_a_quarter_from_a_third_of_the_run_on() {
    for seed in 0..SEEDS {
        let seen = any_mix(seed, ListOrder::Shuffled).run();
        for (at, eta, left) in statements(&seen).filter(|(at, ..)| *at * 3 >= seen.took) {
            let off = eta.map_or(f64::MAX, |eta| (eta.left().as_secs_f64() - left).abs());
            assert!(off <= tolerance(&seen, left), "seed {seed}: {eta:?} at {at:?} of {:?}", seen.took);
        }
    }
}

#[test]
fn of_a_sorted_list_a_bound_is_said_that_is_never_too_late_and_the_end_once_all_is_read() {
    let mut bounds = 0;
    for seed in 0..SEEDS {
        let seen = any_mix(seed, ListOrder::Sorted).run();
        for (at, eta, left) in statements(&seen).filter_map(|(at, eta, left)| Some((at, eta?, left))) {
            let over = eta.left().as_secs_f64() - left;
            let most = match eta {
                Eta::AtLeast(_) => 0.001,
                // All is read, and each host has shown how fast it is.
                Eta::About(_) if at * 3 >= seen.took => tolerance(&seen, left),
                Eta::About(_) => f64::MAX,
            };
            bounds += usize::from(matches!(eta, Eta::AtLeast(_)));
            assert!(over <= most, "seed {seed}: {eta:?} at {at:?} of {:?}", seen.took);
        }
    }
    assert!(bounds > 10_000, "{bounds}");
}

/// A list of one host is known to be one by its last line; another last line says that other hosts come.
#[test]
fn of_one_host_the_end_is_said_and_a_bound_if_the_last_line_is_of_another() {
    let slow = host(Manner::Serves(ms(500)), 600).at_once(2);
    let alone = Mix::of([slow], ListOrder::Sorted).settings(|settings| settings.window = 50);
    let with_another = Mix { hosts: vec![slow, host(Manner::Serves(ms(20)), 50)], ..alone.clone() };
    let said_amid = |mix: Mix| mix.run().etas[200].1.unwrap();
    assert!(matches!(said_amid(alone), Eta::About(left) if left > secs(120)));
    assert!(matches!(said_amid(with_another), Eta::AtLeast(left) if left < secs(20)));
}

/// The first answers say how much is left, and not how much there is in each window.
#[test]
fn while_a_host_waits_for_its_quota_for_the_first_time_a_bound_is_said() {
    let limits = Manner::Limits { most: 20, window: secs(30), time: ms(100) };
    let seen = Mix::of([host(limits, 100)], ListOrder::Shuffled).run();
    let said = |second: usize| seen.etas[second * 10].1.unwrap();
    assert!(matches!(said(20), Eta::AtLeast(_)), "{:?}", said(20));
    let left = seen.took.as_secs_f64() - 80.0;
    assert!(
        matches!(said(80), Eta::About(said) if (said.as_secs_f64() - left).abs() < 0.25 * left),
        "{:?}, {left}",
        said(80)
    );
}
