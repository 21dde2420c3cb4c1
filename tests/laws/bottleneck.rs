//! The limit that is named for the longest part of a run is among the two whose removal shortens it most.

use std::time::Duration;

use fetchd::pipeline::Settings;
use fetchd::schedule::{Bottleneck, BottleneckKind, HostRule, QuotaPolicy};

use crate::script::{ms, secs};
use crate::simulated::{Host, ListOrder, Manner, Mix, host, name};

/// A limit that can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Concurrency,
    Rate,
    Window,
    WindowBytes,
    GiveUp,
    Backoff,
    HostConcurrency(usize),
    HostRate(usize),
    HostPause(usize),
    Quota(usize),
}

impl Limit {
    fn all(hosts: usize) -> Vec<Self> {
        let of_host = |n| [Self::HostConcurrency(n), Self::HostRate(n), Self::HostPause(n), Self::Quota(n)];
        let of_run = [Self::Concurrency, Self::Rate, Self::Window, Self::WindowBytes, Self::GiveUp, Self::Backoff];
        of_run.into_iter().chain((0..hosts).flat_map(of_host)).collect()
    }

    /// What a bottleneck names.
    fn named(bottleneck: &Bottleneck, hosts: usize) -> Option<Self> {
        let host = (0..hosts).find(|n| bottleneck.host.as_deref() == Some(&name(*n)));
        Some(match bottleneck.kind {
            BottleneckKind::Concurrency => Self::Concurrency,
            BottleneckKind::Rate => Self::Rate,
            BottleneckKind::Window => Self::Window,
            BottleneckKind::WindowBytes => Self::WindowBytes,
            BottleneckKind::CircuitOpen => Self::GiveUp,
            BottleneckKind::Backoff => Self::Backoff,
            BottleneckKind::HostConcurrency => Self::HostConcurrency(host?),
            BottleneckKind::HostRate => Self::HostRate(host?),
            BottleneckKind::HostPause => Self::HostPause(host?),
            BottleneckKind::Quota => Self::Quota(host?),
            _ => return None,
        })
    }

    /// The same run without it.
    fn removed(self, mut mix: Mix) -> Mix {
        let (settings, hosts) = (&mut mix.settings, &mut mix.hosts);
        match self {
            Self::Concurrency => (settings.concurrency, settings.workers) = (2000, 2000),
            Self::Rate => settings.schedule.every = Duration::ZERO,
            Self::Window => settings.window = 1_000_000,
            Self::WindowBytes => settings.window_bytes = 1 << 30,
            Self::GiveUp => settings.schedule.health.give_up = ms(1),
            Self::Backoff => settings.schedule.retry.backoff = ms(1),
            Self::HostConcurrency(n) => hosts[n] = hosts[n].at_once(2000),
            Self::HostRate(n) => hosts[n] = hosts[n].every(Duration::ZERO),
            Self::HostPause(n) => {
                if let Manner::Pauses { time, .. } = hosts[n].manner {
                    hosts[n].manner = Manner::Serves(time);
                }
            }
            Self::Quota(n) => {
                if let Manner::Limits { time, .. } = hosts[n].manner {
                    let rule = HostRule { quota: Some(QuotaPolicy::Ignore), ..hosts[n].rule };
                    hosts[n] = Host { manner: Manner::Serves(time), rule, ..hosts[n] };
                }
            }
        }
        mix
    }
}

/// Hosts that hold up nobody.
fn quick(hosts: usize, lines: usize) -> Vec<Host> {
    vec![host(Manner::Serves(ms(100)), lines); hosts]
}

fn with(host: Host, others: Vec<Host>) -> Vec<Host> {
    // In the middle of a sorted list.
    let mut hosts = others;
    hosts.insert(hosts.len() / 2, host);
    hosts
}

/// Ten mixes of hosts.
fn mixes(order: ListOrder) -> Vec<(&'static str, Mix)> {
    let serves = |time, lines| host(Manner::Serves(ms(time)), lines);
    let pauses = Manner::Pauses { every: 10, rest: secs(5), time: ms(100) };
    let limits = Manner::Limits { most: 20, window: secs(30), time: ms(100) };
    let of = |hosts| Mix::of(hosts, order);
    let narrow = |mix: Mix, window| mix.settings(|settings| settings.window = window);
    vec![
        (
            "a host with a low rate among quick ones with more lines",
            of(with(serves(100, 60).every(secs(1)), quick(9, 150))),
        ),
        ("a slow host with one request at a time", of(with(serves(1000, 80).at_once(1), quick(9, 150)))),
        ("the rate of the run", of(quick(10, 60)).settings(|settings| settings.schedule.every = ms(100))),
        ("few requests at once", of(quick(10, 100)).settings(|settings| settings.concurrency = 3)),
        ("a dead host", of(with(host(Manner::IsDead(ms(500)), 50), quick(9, 150)))),
        (
            "two hosts with rates, of which the one with fewer lines takes longer",
            of(with(serves(50, 300).every(ms(200)), with(serves(50, 100).every(secs(1)), quick(6, 50)))),
        ),
        ("a host that asks for pauses", of(with(host(pauses, 150), quick(9, 100)))),
        ("a host with a quota", of(with(host(limits, 100), quick(9, 100)))),
        ("hosts that are slow alike, in a small window", narrow(of(vec![serves(1000, 100).at_once(4); 8]), 60)),
        (
            "a rate that takes longer than the few requests at once let the others",
            of(with(serves(100, 100).every(secs(1)), quick(8, 150))).settings(|settings| settings.concurrency = 4),
        ),
        (
            "few bytes of lines",
            of(vec![serves(1000, 100).at_once(4); 8]).settings(|settings| settings.window_bytes = 60 * 21),
        ),
    ]
}

/// Fails unless the limit that is named for the longest time is one of the two that cost the run most.
fn assert_named(what: &str, mix: &Mix) {
    let seen = mix.run();
    let (bottleneck, _) = seen.bottlenecks.most().unwrap();
    let saved = |limit: Limit| seen.took.as_secs_f64() - limit.removed(mix.clone()).run().took.as_secs_f64();
    let mut all: Vec<_> = Limit::all(mix.hosts.len()).into_iter().map(|limit| (limit, saved(limit))).collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let named = Limit::named(bottleneck, mix.hosts.len());
    let said = format!("{what}, {:?}: {named:?} is named of {:.1?}", mix.order, &all[..4]);
    let saves = all.iter().find(|(limit, _)| Some(*limit) == named).expect(&said).1;
    assert!(saves > 0.1, "{said}");
    // What saves as much but for chance is as good.
    let better = all.iter().filter(|(_, other)| *other > 1.02 * saves + 0.1).count();
    assert!(better < 2, "{said}");
}

#[test]
fn of_a_shuffled_list_the_limit_that_is_named_costs_the_run_most() {
    for (what, mix) in mixes(ListOrder::Shuffled) {
        assert_named(what, &mix);
    }
}

#[test]
fn of_a_sorted_list_the_limit_that_is_named_costs_the_run_most() {
    for (what, mix) in mixes(ListOrder::Sorted) {
        assert_named(what, &mix);
        let window = mix.settings.window.min(150);
        assert_named(what, &mix.settings(|settings| settings.window = window));
    }
}

#[test]
fn a_small_window_is_named_while_it_keeps_hosts_waiting_that_are_slow_alike() {
    for small in
        [|settings: &mut Settings| settings.window = 60, |settings: &mut Settings| settings.window_bytes = 1260]
    {
        let alike = vec![host(Manner::Serves(ms(1000)), 100).at_once(4); 8];
        let seen = Mix::of(alike, ListOrder::Sorted).settings(small).run();
        let named = seen.bottlenecks.most().unwrap().0;
        assert!(matches!(named.kind, BottleneckKind::Window | BottleneckKind::WindowBytes), "{named:?}");
    }
}

#[test]
fn the_tail_of_a_run_says_for_how_long_it_waits_for_hosts_that_cannot_be_reached() {
    let dead = host(Manner::IsDead(ms(500)), 50);
    let seen = Mix::of([dead, dead].into_iter().chain(quick(4, 50)), ListOrder::Shuffled).run();
    let begin = seen.tails.first().unwrap().0;
    assert!(begin < secs(10) && seen.took > secs(60), "{begin:?} of {:?}", seen.took);
    for (at, tail) in &seen.tails {
        let left = seen.took - *at;
        assert!(
            tail.hosts == 2 && tail.at_most <= left + secs(1) && left <= tail.at_most + secs(1),
            "{tail:?}, {left:?}"
        );
    }
}
