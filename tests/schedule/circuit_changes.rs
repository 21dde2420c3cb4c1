//! Circuits that open and close are facts that the core hands out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{CircuitSwitch, HealthConfig, HealthPolicy, MOST_CHANGES, Settings};
use proptest::prelude::*;

use crate::items::ms;
use crate::script::{Reply, Script, scripts};
use crate::simulation::{Manner, Simulation};
use crate::world::{What, name_of, play};

const GOOD: Manner = Manner::Serves { at_once: 8, time: ms(100) };
const DEAD: Manner = Manner::IsDead(ms(50));

/// A host of a script and its port.
type Port = (usize, u16);

/// Whether this reply shows that the port can be reached, if it shows anything.
fn reaches(reply: &Reply) -> Option<bool> {
    match reply {
        Reply::Canceled | Reply::Fails(_, Sent::Refused | Sent::Starved | Sent::Stale) => None,
        Reply::Fails(ErrorKind::Panic, _) => None,
        Reply::Fails(
            ErrorKind::DnsFailed
            | ErrorKind::DnsTimeout
            | ErrorKind::ConnectRefused
            | ErrorKind::ConnectTimeout
            | ErrorKind::ConnectFailed
            | ErrorKind::Reset
            | ErrorKind::Timeout,
            _,
        ) => Some(false),
        _ => Some(true),
    }
}

/// How long an open circuit is remembered after a failure.
fn kept(policy: HealthPolicy) -> Duration {
    policy.give_up.max(policy.cool_down)
}

/// What the history says of circuits.
#[derive(Default)]
struct Circuits {
    ports: BTreeMap<u64, Port>,
    failures: BTreeMap<Port, u32>,
    open: BTreeSet<Port>,
    /// Until when a port that opened is surely not forgotten with its host.
    kept_until: BTreeMap<Port, Duration>,
}

impl Circuits {
    /// Notes an answer; says which port must be open or closed now, if any must.
    fn answer(&mut self, ordinal: u64, reply: &Reply, policy: HealthPolicy, at: Duration) -> Option<(Port, bool)> {
        let port = self.ports[&ordinal];
        let failures = self.failures.entry(port).or_default();
        let kept_until = self.kept_until.get_mut(&port).filter(|until| at < **until);
        match reaches(reply)? {
            false => {
                *failures += 1;
                kept_until.into_iter().for_each(|until| *until = at + kept(policy));
                (policy.failures == 1).then_some((port, true))
            }
            true => {
                *failures = 0;
                kept_until.map(|_| (port, false))
            }
        }
    }

    fn switch(
        &mut self,
        port: Port,
        switch: CircuitSwitch,
        policy: HealthPolicy,
        at: Duration,
    ) -> Result<(), TestCaseError> {
        match switch {
            CircuitSwitch::Opened(_) => {
                let failures = self.failures.get(&port).copied().unwrap_or_default();
                prop_assert!(policy.failures > 0 && failures >= policy.failures, "{port:?} after {failures}");
                self.open.insert(port);
                self.kept_until.insert(port, at + kept(policy));
            }
            CircuitSwitch::GaveUp { lines } => prop_assert!(lines > 0 && self.open.contains(&port), "{port:?}"),
            CircuitSwitch::Closed { .. } => {
                self.kept_until.remove(&port);
                prop_assert!(self.open.remove(&port), "{port:?} was closed");
                prop_assert_eq!(self.failures[&port], 0, "{:?} was not reached", port);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_circuit_that_opens_or_closes_is_told_at_the_answer_that_did_it(script in scripts()) {
        let script = Script { verbs: Vec::new(), ..script }.with_max_hosts(usize::MAX);
        let policy = script.settings.health;
        let (mut circuits, mut due) = (Circuits::default(), None);
        for event in play(&script) {
            match &event.what {
                What::Started { ordinal, host, path, .. } => {
                    let port = if path == "/2" { 81 } else { 80 };
                    circuits.ports.insert(*ordinal, (*host, port));
                }
                What::Answered { ordinal, reply, .. } => due = circuits.answer(*ordinal, reply, policy, event.at),
                What::Switched(change) => {
                    let host = (0..).find(|host| *change.host == name_of(*host)).expect("a host of the script");
                    circuits.switch((host, change.port), change.switch, policy, event.at)?;
                }
                What::Rests(_) => {
                    if let Some((port, is_open)) = due.take() {
                        prop_assert_eq!(circuits.open.contains(&port), is_open, "{:?} at {:?}", port, event.at);
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_host_that_dies_and_comes_back_is_two_changes_and_its_neighbour_none() {
    let mut simulation = Simulation::new(Settings::default(), 256, vec![DEAD, GOOD]);
    (0..2).for_each(|host| (0..100).for_each(|_| simulation.push(host)));
    simulation.play_until(Duration::from_secs(20));
    let opened = simulation.core.take_circuit_change().expect("it is dead");
    assert_eq!((&*opened.host, opened.port), ("h0.test", 80));
    assert_eq!(opened.switch, CircuitSwitch::Opened(ErrorKind::ConnectTimeout));
    assert_eq!(simulation.core.take_circuit_change(), None, "probes that fail change nothing");
    simulation.change(0, GOOD);
    simulation.play_until(Duration::from_secs(3600));
    let closed = simulation.core.take_circuit_change().expect("it is back");
    let CircuitSwitch::Closed { after } = closed.switch else { panic!("{closed:?}") };
    assert!((20..=26).contains(&after.as_secs()), "{after:?}");
    assert_eq!(simulation.core.take_circuit_change(), None);
}

#[test]
fn a_reload_that_switches_health_off_closes_circuits() {
    let mut simulation = Simulation::new(Settings::default(), 256, vec![DEAD]);
    (0..100).for_each(|_| simulation.push(0));
    simulation.play_until(Duration::from_secs(3));
    assert!(simulation.core.take_circuit_change().is_some());
    let health = HealthPolicy::from(&HealthConfig { enabled: false, ..HealthConfig::default() });
    simulation.core.reconfigure(Settings { health, ..Settings::default() }, simulation.now);
    simulation.core.work(simulation.now);
    let closed = simulation.core.take_circuit_change().expect("nobody asks any more");
    assert!(matches!(closed.switch, CircuitSwitch::Closed { .. }), "{closed:?}");
}

#[test]
fn changes_that_nobody_takes_are_counted_beyond_a_bound() {
    const HOSTS: usize = MOST_CHANGES + 76;
    let health = HealthPolicy { failures: 1, ..Settings::default().health };
    let mut simulation = Simulation::new(Settings { health, ..Settings::default() }, HOSTS, vec![DEAD; HOSTS]);
    (0..HOSTS).for_each(|host| simulation.push(host));
    simulation.play_until(Duration::from_secs(1));
    let taken = std::iter::from_fn(|| simulation.core.take_circuit_change()).count();
    assert_eq!((taken, simulation.core.take_dropped_circuit_changes()), (MOST_CHANGES, 76));
    assert_eq!(simulation.core.take_dropped_circuit_changes(), 0);
}

#[test]
fn lines_that_waited_in_vain_are_told_once_with_their_number() {
    let mut simulation = Simulation::new(Settings::default(), 256, vec![DEAD]);
    (0..100).for_each(|_| simulation.push(0));
    simulation.play_until(Duration::from_secs(62));
    (0..20).for_each(|_| simulation.push(0));
    simulation.play_until(Duration::from_secs(64));
    let changes: Vec<_> = std::iter::from_fn(|| simulation.core.take_circuit_change()).collect();
    let switches: Vec<_> = changes.iter().map(|change| change.switch).collect();
    let [CircuitSwitch::Opened(_), CircuitSwitch::GaveUp { lines }] = switches[..] else { panic!("{switches:?}") };
    assert!((90..=100).contains(&lines), "{lines}");
}
