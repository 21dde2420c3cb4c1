//! What becomes of hosts that cannot be reached, that fail, and that say 429: told by simulated hosts.

use std::time::Duration;

use fetchd::item::ErrorKind;
use fetchd::schedule::{HealthConfig, HealthPolicy, RetryBudgetPolicy, RetryPolicy, SLACK, Settings};

use crate::items::{limits, ms};
use crate::simulation::{Manner, Simulation};

const GOOD: Manner = Manner::Serves { at_once: 8, time: ms(100) };
const DEAD: Manner = Manner::IsDead(ms(50));

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings(retries: u32) -> Settings {
    let retry = RetryPolicy { retries, ..Settings::default().retry };
    Settings { retry, ..Settings::default() }
}

fn simulation(settings: Settings, manners: &[Manner]) -> Simulation {
    Simulation::new(settings, 256, manners.to_vec())
}

fn push(simulation: &mut Simulation, host: usize, lines: usize) {
    (0..lines).for_each(|_| simulation.push(host));
}

#[test]
fn a_dead_host_with_many_lines_is_asked_little_and_costs_others_nothing() {
    let mut alone = simulation(settings(2), &[GOOD]);
    push(&mut alone, 0, 2000);
    alone.play_until(secs(3600));

    let mut simulation = simulation(settings(2), &[GOOD, DEAD]);
    for _ in 0..1000 {
        push(&mut simulation, 0, 2);
        push(&mut simulation, 1, 1);
    }
    simulation.play_until(secs(3600));
    let (good, dead) = (&simulation.seen[0], &simulation.seen[1]);
    assert_eq!(good.ok, 2000);
    assert!(good.last <= alone.seen[0].last.mul_f64(1.05), "{:?} and alone {:?}", good.last, alone.seen[0].last);
    assert_eq!(dead.of_kind(ErrorKind::CircuitOpen), 1000, "{:?}", dead.kinds);
    assert!(dead.requests < 40, "{} requests", dead.requests);
    assert!((secs(60)..secs(61)).contains(&dead.last), "{:?}", dead.last);
}

#[test]
fn lines_of_a_host_that_comes_back_in_time_are_all_fetched() {
    let mut simulation = simulation(settings(2), &[DEAD]);
    push(&mut simulation, 0, 1000);
    simulation.play_until(secs(50));
    simulation.change(0, GOOD);
    simulation.play_until(secs(3600));
    assert_eq!(simulation.seen[0].ok, 1000, "{:?}", simulation.seen[0].kinds);
}

#[test]
fn an_open_circuit_lets_one_probe_a_cool_down_through() {
    let mut simulation = simulation(settings(2), &[DEAD]);
    push(&mut simulation, 0, 100);
    simulation.play_until(secs(1));
    simulation.play_until(secs(55));
    let starts = &simulation.seen[0].starts;
    assert!((9..=11).contains(&starts.len()), "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= secs(5)), "{starts:?}");
    assert_eq!(simulation.seen[0].kinds.len(), 0, "lines wait");
}

#[test]
fn after_giving_up_lines_fail_at_once_and_probing_goes_on_until_the_host_is_back() {
    let mut simulation = simulation(settings(2), &[DEAD]);
    push(&mut simulation, 0, 100);
    simulation.play_until(secs(63));
    for second in 64..84 {
        push(&mut simulation, 0, 1);
        simulation.play_until(secs(second));
        assert_eq!(
            simulation.seen[0].of_kind(ErrorKind::CircuitOpen),
            1,
            "second {second}: {:?}",
            simulation.seen[0].kinds
        );
    }
    simulation.change(0, GOOD);
    for second in 84..90 {
        push(&mut simulation, 0, 1);
        simulation.play_until(secs(second));
    }
    push(&mut simulation, 0, 100);
    simulation.play_until(secs(100));
    assert_eq!(simulation.seen[0].ok, 100, "{:?}", simulation.seen[0].kinds);
}

#[test]
fn without_retries_the_probes_fail_with_their_own_error() {
    let mut simulation = simulation(settings(0), &[DEAD]);
    push(&mut simulation, 0, 100);
    simulation.play_until(secs(3600));
    let seen = &simulation.seen[0];
    assert_eq!(seen.of_kind(ErrorKind::ConnectTimeout), seen.requests);
    assert_eq!(seen.of_kind(ErrorKind::CircuitOpen), 100 - seen.requests);
    assert!(seen.requests < 25, "{}", seen.requests);
}

#[test]
fn switched_off_every_line_makes_all_its_attempts() {
    let health = HealthPolicy::from(&HealthConfig { enabled: false, ..HealthConfig::default() });
    let mut simulation = simulation(Settings { health, ..settings(2) }, &[DEAD]);
    push(&mut simulation, 0, 20);
    simulation.play_until(secs(3600));
    assert_eq!((simulation.seen[0].requests, simulation.seen[0].of_kind(ErrorKind::ConnectTimeout)), (60, 20));
}

#[test]
fn a_silent_host_is_a_dead_host() {
    let mut simulation = simulation(settings(2), &[Manner::Hangs]);
    push(&mut simulation, 0, 1000);
    simulation.play_until(secs(3600));
    let seen = &simulation.seen[0];
    assert!(seen.requests < 30 && seen.of_kind(ErrorKind::CircuitOpen) == 1000, "{} {:?}", seen.requests, seen.kinds);
}

#[test]
fn retries_of_a_host_that_fails_are_a_tenth_of_its_requests_on_top_of_the_floor() {
    const LINES: usize = 20_000;
    let mut simulation = simulation(settings(2), &[Manner::Fails]);
    push(&mut simulation, 0, LINES);
    simulation.play_until(secs(3600));
    let seen = &simulation.seen[0];
    assert_eq!(seen.of_kind(ErrorKind::HttpStatus), LINES);
    // The floor is ten a second, and windows last ten.
    let floor = 10 * (seen.last.as_secs() as usize + 10);
    assert!(seen.requests <= LINES + LINES / 10 + floor, "{} requests in {:?}", seen.requests, seen.last);
    assert!(seen.requests >= LINES + LINES / 12, "{} requests", seen.requests);
}

#[test]
fn retries_of_many_hosts_together_keep_to_a_budget_too() {
    let budget = RetryBudgetPolicy::new(Some(10), secs(10));
    let mut simulation = simulation(Settings { budget, ..settings(2) }, &vec![Manner::Fails; 50]);
    for host in 0..50 {
        push(&mut simulation, host, 10);
    }
    simulation.play_until(secs(3600));
    let requests: usize = simulation.seen.iter().map(|seen| seen.requests).sum();
    assert!((501..=560).contains(&requests), "{requests} requests for 500 lines");
}

#[test]
fn a_host_that_says_429_is_left_alone_for_twice_as_long_each_time() {
    let mut simulation = simulation(Settings { any_host: limits(1, ms(0)), ..settings(5) }, &[Manner::Refuses]);
    push(&mut simulation, 0, 1);
    simulation.play_until(secs(3600));
    let starts = &simulation.seen[0].starts;
    assert_eq!(starts.len(), 6);
    for (nth, pair) in (0..).zip(starts.windows(2)) {
        let (gap, full) = (pair[1] - pair[0], ms(500 << nth));
        assert!(gap >= full / 2 && gap <= full + SLACK, "pause {nth}: {gap:?}");
    }
}

#[test]
fn the_pause_after_a_429_holds_for_all_lines_of_the_host() {
    let mut simulation = simulation(settings(2), &[Manner::Refuses]);
    push(&mut simulation, 0, 100);
    simulation.play_until(secs(30));
    // Eight together, a pause, eight more: 0.5, 1, 2, 4, 8 … s at most.
    assert!(simulation.seen[0].requests <= 8 * 8, "{} requests in 30 s", simulation.seen[0].requests);
    simulation.change(0, GOOD);
    simulation.play_until(secs(3600));
    assert!(simulation.seen[0].ok >= 30, "{:?}", simulation.seen[0].kinds);
}
