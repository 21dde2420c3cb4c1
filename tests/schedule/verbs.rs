//! What an operator does while a script is played.

use std::time::Duration;

use fetchd::schedule::{Change, HealthPolicy, HostLimits, LimitsOverride, Scope};
use fetchd::units::Rate;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::items::ms;
use crate::script::{HOSTS, health, host_limits, some_ms};
use crate::world::{MOST_AT_ONCE, name_of};

/// When the last pause of a storm is over.
const END: Duration = ms(4000);

#[derive(Clone, Debug)]
pub enum Verb {
    Change(Change),
    /// The lines of this host that wait are skipped.
    Skip(usize),
    Reload(Reload),
}

/// What another configuration has.
#[derive(Clone, Debug)]
pub struct Reload {
    pub limits: [HostLimits; HOSTS],
    pub every: Duration,
    pub health: HealthPolicy,
    pub crawl_delay: Duration,
}

/// Verbs in any order; in the end nothing is paused.
pub fn storms() -> impl Strategy<Value = Vec<(Duration, Verb)>> {
    vec(some_ms(0..1500).prop_flat_map(|at| (Just(at), verb(at))), 0..10).prop_map(|mut verbs| {
        verbs.sort_by_key(|(at, _)| *at);
        let scopes = (0..HOSTS).map(host).chain([Scope::All]);
        verbs.extend(scopes.map(|scope| (END, Verb::Change(Change::Resume(scope)))));
        verbs
    })
}

fn verb(at: Duration) -> impl Strategy<Value = Verb> {
    let until = move || option::of(some_ms(1..600).prop_map(move |length| at + length));
    let change = prop_oneof![
        4 => (scope(), until()).prop_map(|(scope, until)| Change::Pause(scope, until)),
        2 => scope().prop_map(Change::Resume),
        3 => (scope(), limits(), until())
            .prop_map(|(scope, limits, until)| Change::Limit(scope, LimitsOverride { until, ..limits })),
        1 => scope().prop_map(Change::ClearLimits),
        1 => (0..HOSTS, some_ms(1..300)).prop_map(move |(n, length)| Change::Skip(name_of(n).into(), at + length)),
        1 => (0..HOSTS).prop_map(|n| Change::EndSkip(name_of(n).into())),
    ];
    prop_oneof![
        8 => change.prop_map(Verb::Change),
        1 => (0..HOSTS).prop_map(Verb::Skip),
        3 => reload().prop_map(Verb::Reload),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![1 => Just(Scope::All), 3 => (0..HOSTS).prop_map(host)]
}

fn host(number: usize) -> Scope {
    Scope::Host(name_of(number).into())
}

fn limits() -> impl Strategy<Value = LimitsOverride> {
    let rate =
        select(vec!["unlimited", "500/s", "50/s", "10/s"]).prop_map(|rate| rate.parse::<Rate>().expect("a rate"));
    (option::of(rate), option::of(1..MOST_AT_ONCE)).prop_map(|(rate, concurrency)| LimitsOverride {
        rate,
        concurrency,
        until: None,
    })
}

fn reload() -> impl Strategy<Value = Reload> {
    let every = prop_oneof![3 => Just(Duration::ZERO), 1 => some_ms(1..40)];
    let limits = [host_limits(), host_limits(), host_limits(), host_limits()];
    (limits, every, health(), some_ms(0..150)).prop_map(|(limits, every, health, crawl_delay)| Reload {
        limits,
        every,
        health,
        crawl_delay,
    })
}
