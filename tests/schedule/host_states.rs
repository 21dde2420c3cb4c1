//! What one run leaves of hosts in trouble, and what the next one makes of it.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{Core, HealthConfig, HealthPolicy, HostState, Settings};
use proptest::prelude::*;

use crate::items::{answered, answered_later, failed, get, limits, ms, url_of};
use crate::simulation::{Manner, Simulation};

const GOOD: Manner = Manner::Serves { at_once: 8, time: ms(100) };
const DEAD: Manner = Manner::IsDead(ms(50));

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Two hosts in the next run, of which the first was in trouble.
fn after_restart(known: Vec<HostState>, settings: Settings, first: Manner) -> Simulation {
    let mut simulation = Simulation::new(settings, 256, vec![first, GOOD]);
    simulation.core.restore(known, simulation.now);
    for _ in 0..20 {
        simulation.push(0);
        simulation.push(1);
    }
    simulation
}

/// A host that answered 429 with this Retry-After.
fn asked_for_rest(wait: Duration) -> Core {
    let mut core = Core::new(Settings::default());
    ask(&mut core, 0, wait);
    core
}

/// Lets the host of this number answer so at the start.
fn ask(core: &mut Core, host: usize, wait: Duration) {
    core.push(get(host as u64, url_of(host, 0).as_str()), Duration::ZERO);
    let job = core.take(Duration::ZERO).expect("it may start");
    core.complete(job, answered_later(429, wait), Duration::ZERO, Duration::ZERO);
}

/// What is left of a host that was dead for so long.
fn dead_for(time: Duration) -> Vec<HostState> {
    let mut simulation = Simulation::new(Settings::default(), 256, vec![DEAD]);
    (0..100).for_each(|_| simulation.push(0));
    simulation.play_until(time);
    simulation.core.host_states(simulation.now)
}

proptest! {
    #[test]
    fn a_pause_holds_for_what_was_left_of_it_and_for_its_host_alone(wait in 1..300u64, after in 0..400u64) {
        let known = asked_for_rest(secs(wait)).host_states(secs(after));
        let mut simulation = after_restart(known, Settings::default(), GOOD);
        let start = simulation.now;
        simulation.play_until(secs(3600));
        prop_assert_eq!(simulation.seen[0].starts[0], start + secs(wait.saturating_sub(after)));
        prop_assert_eq!(simulation.seen[1].starts[0], start);
        prop_assert_eq!((simulation.seen[0].ok, simulation.seen[1].ok), (20, 20));
    }

    #[test]
    fn however_often_it_is_saved_and_restored_a_pause_ends_when_it_was_to_end(
        runs in prop::collection::vec(1..50u64, 1..8)
    ) {
        let (mut core, mut left) = (asked_for_rest(secs(200)), secs(200));
        for run in runs {
            let known = core.host_states(secs(run));
            left = left.saturating_sub(secs(run));
            prop_assert_eq!(known.iter().map(|known| known.paused).max().unwrap_or_default(), left);
            core = Core::new(Settings::default());
            core.restore(known, Duration::ZERO);
        }
    }
}

#[test]
fn a_host_that_asked_for_too_much_rest_stays_closed() {
    let known = asked_for_rest(secs(1000)).host_states(secs(10));
    assert_eq!((known[0].paused, known[0].closed), (Duration::ZERO, secs(990)));
    let mut simulation = after_restart(known, Settings::default(), GOOD);
    simulation.play_until(secs(100));
    assert_eq!(simulation.seen[0].of_kind(ErrorKind::RetryAfterTooLong), 20);
    assert_eq!((simulation.seen[0].requests, simulation.seen[1].ok), (0, 20));
    simulation.play_until(secs(991));
    simulation.push(0);
    simulation.play_until(secs(992));
    assert_eq!(simulation.seen[0].ok, 1);
}

#[test]
fn a_circuit_is_still_open_and_one_probe_goes_before_all_other_lines() {
    let mut simulation = after_restart(dead_for(secs(21)), Settings::default(), GOOD);
    simulation.play_until(secs(3600));
    let starts = &simulation.seen[0].starts;
    assert!(starts[0] <= secs(5) && starts[1] >= starts[0] + ms(90), "{starts:?}");
    assert_eq!((simulation.seen[0].ok, simulation.seen[1].ok), (20, 20));
    assert!(simulation.seen[1].starts[0] < starts[0]);
}

#[test]
fn lines_wait_for_an_open_circuit_for_what_was_left_of_their_time() {
    let mut simulation = after_restart(dead_for(secs(21)), Settings::default(), DEAD);
    simulation.play_until(secs(3600));
    let seen = &simulation.seen[0];
    assert_eq!(seen.of_kind(ErrorKind::CircuitOpen), 20, "{:?}", seen.kinds);
    assert!((secs(39)..secs(41)).contains(&seen.last), "{:?}", seen.last);
    assert!((7..=9).contains(&seen.requests), "{} requests", seen.requests);
}

#[test]
fn without_circuits_one_that_was_left_open_is_forgotten() {
    let health = HealthPolicy::from(&HealthConfig { enabled: false, ..HealthConfig::default() });
    let mut simulation = after_restart(dead_for(secs(21)), Settings { health, ..Settings::default() }, GOOD);
    let start = simulation.now;
    simulation.play_until(secs(3600));
    assert_eq!(simulation.seen[0].starts[7], start);
}

#[test]
fn what_is_over_is_not_told() {
    assert_eq!(asked_for_rest(secs(10)).host_states(secs(10)), []);
    let mut simulation = Simulation::new(Settings::default(), 256, vec![DEAD]);
    (0..100).for_each(|_| simulation.push(0));
    simulation.play_until(secs(20));
    assert_eq!(simulation.core.host_states(simulation.now).len(), 1);
    assert_eq!(simulation.core.host_states(secs(200)), [], "nobody has asked it for long");
    simulation.change(0, GOOD);
    simulation.play_until(secs(40));
    assert_eq!(simulation.core.host_states(simulation.now), [], "it is back");
}

#[test]
fn only_what_changed_is_news() {
    let mut core = asked_for_rest(secs(10));
    assert!(core.has_host_state_changes());
    core.host_states(secs(1));
    assert!(!core.has_host_state_changes());
    // The line is fetched: the pause is over when it was to be over.
    let job = core.take(secs(10)).expect("it may start");
    core.complete(job, answered(200), ms(1), secs(10));
    assert!(!core.has_host_state_changes());
    for ordinal in 10..15 {
        core.push(get(ordinal, url_of(0, 0).as_str()), secs(10));
        let job = core.take(secs(10)).expect("it may start");
        core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(1), secs(10));
    }
    assert!(core.has_host_state_changes(), "its circuit is open");
}

#[test]
fn of_very_many_hosts_in_trouble_those_are_told_of_first_that_asked_for_rest() {
    let health = HealthPolicy { failures: 1, ..Settings::default().health };
    let mut core = Core::new(Settings { health, any_host: limits(1, Duration::ZERO), ..Settings::default() });
    (0..10).for_each(|host| ask(&mut core, host, secs(1)));
    for host in 10..6000 {
        core.push(get(host as u64, url_of(host, 0).as_str()), Duration::ZERO);
        let job = core.take(Duration::ZERO).expect("it may start");
        core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(1), Duration::ZERO);
    }
    let told = core.host_states(ms(500));
    assert_eq!((told.len(), told.iter().filter(|known| known.paused == ms(500)).count()), (4096, 10));
}

#[test]
fn hosts_whose_trouble_is_over_take_no_place_of_others() {
    let mut core = Core::new(Settings { any_host: limits(1, Duration::ZERO), ..Settings::default() });
    (0..5000).for_each(|host| ask(&mut core, host, secs(1)));
    // Hosts that asked for rest come before those that cannot be reached.
    for ordinal in 0..50 {
        core.push(get(ordinal, url_of(5000 + ordinal as usize % 10, 0).as_str()), Duration::ZERO);
        let job = core.take(Duration::ZERO).expect("it may start");
        core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(1), Duration::ZERO);
    }
    let told = core.host_states(secs(2));
    assert_eq!((told.len(), told.iter().all(|known| !known.unreachable.is_empty())), (10, true));
}

#[test]
fn a_port_that_is_a_host_of_its_own_is_restored_as_one_and_otherwise_as_its_host() {
    let known =
        |host: &str| HostState { host: host.into(), paused: secs(9), closed: Duration::ZERO, unreachable: vec![] };
    let rule = |text: &str| (text.parse().expect("a pattern"), fetchd::schedule::HostRule::default());
    let hosts = [rule("a.test:81"), rule("[::1]:81")].into_iter().collect();
    let mut core = Core::new(Settings { hosts, ..Settings::default() });
    core.restore(["a.test:81", "b.test:81", "[::1]:81", "[::2]"].map(known).to_vec(), Duration::ZERO);
    let mut free = Vec::new();
    for (ordinal, url) in (0..).zip(["a.test", "a.test:81", "b.test", "[::1]", "[::1]:81", "[::2]"]) {
        core.push(get(ordinal, &format!("http://{url}/")), Duration::ZERO);
        free.extend(core.take(Duration::ZERO).map(|_| url));
    }
    assert_eq!(free, ["a.test", "[::1]"]);
}
