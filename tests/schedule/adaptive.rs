//! How many requests at once the core finds out to be good, for one host and for the whole run: told by simulated hosts.

use std::time::Duration;

use fetchd::schedule::{HostLimits, Settings};
use fetchd::units::Concurrency;

use crate::items::{limits, ms};
use crate::simulation::{Manner, Simulation};

/// Longer than the limit takes to settle.
const PERIOD: Duration = Duration::from_secs(300);

fn settings() -> Settings {
    let any_host = HostLimits { concurrency: Concurrency::Adaptive, ..Settings::default().any_host };
    Settings { any_host, ..Settings::default() }
}

fn serves(at_once: usize, time: Duration) -> Manner {
    Manner::Serves { at_once, time }
}

/// Requests at once, on average over a period in which the host always has lines that wait.
fn settled(simulation: &mut Simulation, lines: usize) -> f64 {
    (0..lines).for_each(|_| simulation.push(0));
    let half = simulation.now + PERIOD;
    simulation.play_until(half);
    simulation.play_until(half + PERIOD);
    assert!(simulation.core.counts().waiting > 0, "lines ran out");
    simulation.seen[0].at_once(PERIOD)
}

#[track_caller]
fn assert_near(knee: usize, settled: f64) {
    assert!((settled / knee as f64 - 1.0).abs() <= 0.25, "a knee at {knee}, settled at {settled:.2}");
}

#[test]
fn the_limit_of_a_host_settles_at_its_knee() {
    for knee in [4, 8, 16, 32, 48] {
        let mut simulation = Simulation::new(settings(), 256, vec![serves(knee, ms(500))]);
        assert_near(knee, settled(&mut simulation, 60_000));
    }
}

#[test]
fn a_host_that_refuses_what_is_too_much_is_asked_as_much_as_it_takes() {
    for knee in [4, 8, 16, 32] {
        let mut simulation = Simulation::new(settings(), 256, vec![Manner::Rejects { at_once: knee, time: ms(500) }]);
        assert_near(knee, settled(&mut simulation, 60_000));
    }
}

#[test]
fn a_host_that_gets_slow_and_recovers_is_asked_as_much_as_before() {
    let mut simulation = Simulation::new(settings(), 256, vec![serves(16, ms(100))]);
    assert_near(16, settled(&mut simulation, 150_000));
    simulation.change(0, serves(4, ms(400)));
    assert_near(4, settled(&mut simulation, 20_000));
    simulation.change(0, serves(16, ms(100)));
    assert_near(16, settled(&mut simulation, 150_000));
}

#[test]
fn neither_the_most_nor_the_permits_are_ever_exceeded() {
    for (most, permits) in [(10, 256), (64, 12)] {
        let any_host = HostLimits { max_concurrency: most, ..settings().any_host };
        let mut simulation = Simulation::new(Settings { any_host, ..settings() }, permits, vec![serves(100, ms(100))]);
        let bound = permits.min(most as usize) as f64;
        let settled = settled(&mut simulation, 100_000);
        assert!((bound * 0.9..=bound).contains(&settled), "{settled} of {bound}");
    }
}

#[test]
fn a_host_with_few_lines_does_not_make_its_limit_grow() {
    let mut simulation = Simulation::new(settings(), 256, vec![serves(100, ms(100))]);
    for _ in 0..1000 {
        simulation.push(0);
        let next = simulation.now + ms(200);
        simulation.play_until(next);
    }
    (0..1000).for_each(|_| simulation.push(0));
    let soon = simulation.now + ms(100);
    simulation.play_until(soon);
    assert!(simulation.seen[0].requests <= 2, "{} at once", simulation.seen[0].requests);
}

#[test]
fn the_limit_of_the_whole_run_settles_at_its_knee() {
    for knee in [8, 32] {
        let settings = Settings { any_host: limits(1000, ms(0)), adaptive: Some(256), ..settings() };
        let mut simulation = Simulation::new(settings, 256, vec![serves(knee, ms(500))]);
        assert_near(knee, settled(&mut simulation, 60_000));
    }
}

#[test]
fn a_run_with_one_line_for_each_host_does_not_stay_at_one_at_a_time() {
    let settings = Settings { adaptive: Some(256), ..Settings::default() };
    let mut simulation = Simulation::new(settings, 256, vec![serves(1, ms(500)); 2000]);
    (0..2000).for_each(|host| simulation.push(host));
    simulation.play_until(Duration::from_secs(3600));
    let last = simulation.seen.iter().map(|seen| seen.last).max().expect("many hosts");
    assert!(last < Duration::from_secs(100), "{last:?}, and 1000 s one at a time");
}

#[test]
fn a_host_that_lacks_everything_is_asked_as_much_as_any_other() {
    let mut simulation = Simulation::new(settings(), 256, vec![Manner::Lacks(ms(100))]);
    let settled = settled(&mut simulation, 400_000);
    assert!(settled > 40.0, "{settled}");
}

#[test]
fn what_was_found_out_is_remembered_from_one_burst_to_the_next() {
    let mut simulation = Simulation::new(settings(), 256, vec![serves(16, ms(100))]);
    (0..3000).for_each(|_| simulation.push(0));
    simulation.play_until(Duration::from_secs(40));
    assert_eq!(simulation.seen[0].ok, 3000);
    simulation.play_until(Duration::from_secs(60));
    (0..100).for_each(|_| simulation.push(0));
    let soon = simulation.now + ms(50);
    simulation.play_until(soon);
    assert!(simulation.seen[0].requests >= 10, "{} at once", simulation.seen[0].requests);
}
