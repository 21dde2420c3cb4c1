//! Good hosts among bad ones: they must hardly notice.

use std::time::Duration;

use fetchd::schedule::Settings;

use crate::items::ms;
use crate::simulation::{Manner, Simulation};

/// Each is the bottleneck of its own lines, even while all permits are taken.
const GOOD: Manner = Manner::Serves { at_once: 4, time: ms(200) };
const HOSTS: usize = 50;
const LINES: usize = 10_000;

/// Lines for fifty good hosts, with others for bad ones evenly in between; says when the last good one was settled.
fn time_of_the_good_ones(bad: &[Manner], bad_lines: usize) -> Duration {
    let manners = [vec![GOOD; HOSTS], bad.to_vec()].concat();
    let mut simulation = Simulation::new(Settings::default(), 256, manners);
    for line in 0..LINES {
        simulation.push(line % HOSTS);
        if !bad.is_empty() && line % (LINES / bad_lines) == 0 {
            simulation.push(HOSTS + line / (LINES / bad_lines) % bad.len());
        }
    }
    simulation.play_until(Duration::from_secs(24 * 3600));
    assert!(simulation.seen[..HOSTS].iter().all(|seen| seen.ok == LINES / HOSTS));
    let settled: usize = simulation.seen.iter().flat_map(|seen| seen.kinds.values()).sum();
    assert_eq!(settled, if bad.is_empty() { LINES } else { LINES + bad_lines });
    simulation.seen[..HOSTS].iter().map(|seen| seen.last).max().expect("fifty hosts")
}

#[track_caller]
fn assert_hardly_slower(bad: &[Manner], bad_lines: usize) {
    let (alone, together) = (time_of_the_good_ones(&[], 0), time_of_the_good_ones(bad, bad_lines));
    assert!(together <= alone.mul_f64(1.05), "{together:?}, and {alone:?} alone");
}

#[test]
fn one_bad_host_among_fifty_good_ones_costs_them_at_most_a_twentieth() {
    for bad in [Manner::Hangs, Manner::IsDead(Duration::from_secs(10)), Manner::Fails, Manner::Refuses] {
        assert_hardly_slower(&[bad], 200);
    }
}

#[test]
fn a_thousand_lines_of_bad_hosts_cost_ten_thousand_good_ones_at_most_a_twentieth() {
    let dead = Manner::IsDead(Duration::from_secs(10));
    let drips = Manner::Serves { at_once: 100, time: Duration::from_secs(60) };
    assert_hardly_slower(&[Manner::Hangs, dead, drips, Manner::Fails], 1000);
}
