//! What operators do: pauses, limits, skips and reloads in any order lose nothing, hold from the reply on, and cost no line its
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fetchd::item::{ErrorKind, Outcome, Sent, WaitedFor};
use fetchd::schedule::{
    Change, Core, HostOverrides, HostRule, LimitsOverride, Overrides, PauseOverride, RateOverride, SLACK, Scope,
    Settings, WaitReason,
};
use proptest::option;
use proptest::prelude::*;

use crate::items::{answered, at_once, failed, get, limits, ms, redirected};
use crate::script::{HOSTS, Script, obedience, renewals, scripts, scripts_with_releases, some_ms};
use crate::verbs::storms;
use crate::world::{Event, Rest, Until, What, name_of, play};

/// What holds at one moment.
struct Orders {
    overrides: Overrides,
    limits: [fetchd::schedule::HostLimits; HOSTS],
    every: Duration,
}

impl Orders {
    fn of(script: &Script) -> Self {
        Self { overrides: Overrides::default(), limits: script.limits, every: script.settings.every }
    }

    /// Follows the history; says what holds at this event.
    fn follow(&mut self, event: &Event) {
        self.overrides = self.overrides.at(event.at);
        match &event.what {
            What::Overridden(new) => self.overrides = (**new).clone(),
            What::Reconfigured(reload) => (self.limits, self.every) = (reload.limits, reload.every),
            _ => {}
        }
    }

    fn of_host(&self, host: usize) -> HostOverrides {
        self.overrides.hosts.get(&*name_of(host)).cloned().unwrap_or_default()
    }

    fn pauses(&self, host: usize) -> bool {
        self.overrides.all.pause.is_some() || self.of_host(host).pause.is_some()
    }

    fn interval(&self, host: usize) -> Duration {
        let of_operator = self.of_host(host).rate;
        of_operator.map_or(self.limits[host].every, |of_operator| of_operator.rate.every())
    }

    fn most(&self, host: usize) -> u32 {
        let of_operator = self.of_host(host).concurrency;
        of_operator.map_or_else(|| at_once(&self.limits[host]), |of_operator| of_operator.limit)
    }

    fn run_interval(&self) -> Duration {
        self.overrides.all.rate.map_or(self.every, |of_operator| of_operator.rate.every())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn in_a_storm_every_line_is_settled_left_or_released_exactly_once(
        script in scripts_with_releases(), storm in storms(), max_hosts in 1usize..6, robots in obedience(),
        renewals in renewals(), give_up in option::of(some_ms(0..2000)), stop in option::of(some_ms(0..2000)),
        durable in any::<[bool; 2]>(),
    ) {
        let script = script.with_max_hosts(max_hosts).obeying_robots(robots).with_tokens(renewals).with_verbs(storm);
        // Without a stop, lines of durable sources keep their places for as long as no token comes.
        let durable = if stop.is_some() { durable.to_vec() } else { Vec::new() };
        let history = play(&script.clone().given_up_at(give_up).stopped_at(stop, durable));
        let mut ended = BTreeSet::new();
        for event in &history {
            match &event.what {
                What::Settled(settled) => prop_assert!(ended.insert(settled.ordinal)),
                What::Released(ordinal) => prop_assert!(ended.insert(*ordinal)),
                _ => {}
            }
        }
        let Some(What::Rests(Rest { left, hosts, until, .. })) = history.last().map(|event| &event.what) else {
            return Err(TestCaseError::fail("it does not rest"));
        };
        prop_assert_eq!(ended.len() as u64 + left, script.lines.len() as u64);
        prop_assert_eq!((*hosts, *until), (0, Until::End), "every host is forgotten");
    }

    #[test]
    fn nothing_starts_at_a_paused_host_nor_at_one_that_is_skipped(
        script in scripts_with_releases(), storm in storms(), robots in obedience(), renewals in renewals()
    ) {
        let script = script.obeying_robots(robots).with_tokens(renewals).with_verbs(storm);
        let mut orders = Orders::of(&script);
        for event in play(&script) {
            orders.follow(&event);
            if let What::Started { ordinal, host, .. } = event.what {
                let holds = orders.pauses(host) || orders.of_host(host).skip.is_some();
                prop_assert!(!holds, "line {ordinal} starts at {:?} under {:?}", event.at, orders.overrides);
            }
        }
    }

    #[test]
    fn requests_are_as_many_and_as_far_apart_as_the_limits_of_their_moment_say(
        script in scripts_with_releases(), storm in storms(), robots in obedience()
    ) {
        let script = script.obeying_robots(robots).with_verbs(storm);
        let mut orders = Orders::of(&script);
        let (mut on_wire, mut last, mut last_of_run) = ([0u32; HOSTS], [None::<Duration>; HOSTS], None::<Duration>);
        for event in play(&script) {
            orders.follow(&event);
            match event.what {
                What::Started { host, .. } => {
                    on_wire[host] += 1;
                    prop_assert!(on_wire[host] <= orders.most(host), "at {:?}", event.at);
                    if let Some(most) = orders.overrides.all.concurrency.map(|of_operator| of_operator.limit) {
                        prop_assert!(on_wire.iter().sum::<u32>() <= most, "at {:?}", event.at);
                    }
                    let (of_host, of_run) = (last[host].replace(event.at), last_of_run.replace(event.at));
                    let is_apart = |last: Option<Duration>, every| last.is_none_or(|last| event.at + SLACK >= last + every);
                    prop_assert!(is_apart(of_host, orders.interval(host)), "{of_host:?}, then {:?}", event.at);
                    prop_assert!(is_apart(of_run, orders.run_interval()), "{of_run:?}, then {:?}", event.at);
                }
                What::Answered { host, .. } => on_wire[host] -= 1,
                _ => {}
            }
        }
    }

    #[test]
    fn a_line_has_its_deadline_paused_time_apart(script in scripts_with_releases(), storm in storms()) {
        let script = script.without_redirects().with_verbs(storm);
        let mut orders = Orders::of(&script);
        // For each host the time that counts, and when that was read.
        let (mut clocks, mut read) = ([Duration::ZERO; HOSTS], Duration::ZERO);
        let mut sent: BTreeMap<u64, (usize, Duration)> = BTreeMap::new();
        for event in play(&script) {
            // A pause that ended in between counts to its end.
            let ends = orders.overrides.next_end().filter(|end| *end < event.at);
            for at in ends.into_iter().chain([event.at]) {
                for (host, clock) in clocks.iter_mut().enumerate() {
                    *clock += if orders.pauses(host) { Duration::ZERO } else { at - read };
                }
                read = at;
                orders.overrides = orders.overrides.at(at);
            }
            orders.follow(&event);
            match &event.what {
                What::Started { ordinal, host, .. } => _ = sent.entry(*ordinal).or_insert((*host, clocks[*host])),
                What::Settled(settled) => {
                    let Some((host, began)) = sent.get(&settled.ordinal) else { continue };
                    let took = clocks[*host] - *began;
                    prop_assert!(took <= script.settings.deadline, "line {} took {took:?}", settled.ordinal);
                    let is_late = took == script.settings.deadline;
                    prop_assert!(is_late || settled.kind != Some(ErrorKind::Deadline), "after {took:?}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_host_whose_causes_all_end_by_themselves_starts_then_if_nothing_else_happens(
        script in scripts_with_releases(), storm in storms(), robots in obedience()
    ) {
        let script = script.obeying_robots(robots).with_verbs(storm);
        let (mut last, mut orders): (Option<Rest>, Orders) = (None, Orders::of(&script));
        for event in play(&script) {
            // The end of another limit is a change like any other.
            let limits = orders.overrides.hosts.values().chain([&orders.overrides.all]).flat_map(HostOverrides::limits);
            let ends_before = limits.filter_map(|limits| limits.until).any(|until| until <= event.at);
            orders.follow(&event);
            if ends_before {
                last = None;
            }
            let Event { at, what } = event;
            let rest = match what {
                What::Rests(rest) => {
                    last = Some(rest);
                    continue;
                }
                _ => last.take(),
            };
            let Some(rest) = rest.filter(|rest| rest.counts.in_flight < script.permits) else { continue };
            let first = rest.starts.iter().flatten().min();
            prop_assert!(first.is_none_or(|first| at <= *first), "nothing starts at {first:?}: {:?}", rest.whys);
            if let What::Started { host, .. } = what {
                prop_assert_eq!(rest.starts[host], Some(at), "{:?}", rest.whys);
            }
        }
    }

    #[test]
    fn after_a_stop_no_line_waits_for_a_pause_that_an_operator_has_to_end(
        script in scripts_with_releases(), storm in storms(), stop in some_ms(0..1000), durable in any::<[bool; 2]>()
    ) {
        let script = script.with_verbs(storm).stopped_at(Some(stop), durable.to_vec());
        for event in play(&script).iter().skip_while(|event| !matches!(event.what, What::Stopped)) {
            if let What::Rests(rest) = &event.what {
                let paused = |why: &WaitReason| {
                    matches!(why, WaitReason::Paused { until: None } | WaitReason::RunPaused { until: None })
                };
                prop_assert!(!rest.whys.iter().flatten().any(paused), "at {:?}: {:?}", event.at, rest.whys);
            }
        }
    }

    #[test]
    fn a_skip_settles_every_line_that_waits_and_none_of_them_starts(
        script in scripts(), host in 0..HOSTS, at in some_ms(0..300)
    ) {
        let script = script.without_redirects().with_verbs(vec![(at, crate::verbs::Verb::Skip(host))]);
        let (mut at_host, mut to_skip, mut skipped_at) = (BTreeSet::new(), BTreeSet::new(), Duration::MAX);
        for event in play(&script) {
            match event.what {
                What::Pushed { ordinal, host: of } | What::Answered { ordinal, host: of, .. } if of == host => {
                    at_host.insert(ordinal);
                }
                What::Started { ordinal, .. } => {
                    prop_assert!(!to_skip.contains(&ordinal), "line {ordinal} starts at {:?}", event.at);
                    at_host.remove(&ordinal);
                }
                What::Skips(lines) => {
                    to_skip.clone_from(&at_host);
                    skipped_at = event.at;
                    prop_assert_eq!(lines, to_skip.len());
                }
                What::Settled(settled) => {
                    at_host.remove(&settled.ordinal);
                    if to_skip.remove(&settled.ordinal) {
                        // A circuit that gives up at the moment of the skip ends its lines by itself.
                        let gave_up = settled.kind == Some(ErrorKind::CircuitOpen) && event.at == skipped_at;
                        prop_assert!(gave_up || settled.kind == Some(ErrorKind::Skipped), "{settled:?}");
                        prop_assert_eq!(settled.outcome, Outcome::Failed);
                    }
                }
                What::Rests(_) => prop_assert!(to_skip.is_empty(), "still there: {to_skip:?}"),
                _ => {}
            }
        }
    }
}

fn paused(scope: Scope, until: Option<Duration>) -> Overrides {
    Overrides::default().apply(Change::Pause(scope, until), 8, ms(0)).expect("it makes sense")
}

fn host(name: &str) -> Scope {
    Scope::Host(name.into())
}

#[test]
fn what_was_paused_when_a_run_was_killed_is_paused_from_the_start_of_the_next_until_its_end() {
    for scope in [Scope::All, host("a.test")] {
        let mut core = Core::new(Settings::default());
        core.set_overrides(&paused(scope, Some(ms(500))), ms(1));
        core.push(get(0, "http://a.test/"), ms(2));
        assert!(core.take(ms(499)).is_none());
        assert_eq!(core.next_wakeup(ms(499)), Some(ms(500)));
        assert!(core.take(ms(500)).is_some());
        assert!(core.overrides().is_empty(), "what is over is gone");
    }
}

#[test]
fn a_pause_gives_lines_and_circuits_back_their_time_also_those_that_were_on_the_wire() {
    for scope in [Scope::All, host("a.test")] {
        let mut core = Core::new(Settings { deadline: ms(1000), ..Settings::default() });
        core.push(get(0, "http://a.test/"), ms(0));
        core.push(get(1, "http://a.test/1"), ms(0));
        let (waits, on_wire) = (core.take(ms(0)).expect("it starts"), core.take(ms(0)).expect("it starts, too"));
        core.complete(waits, answered(503), ms(10), ms(10));
        core.set_overrides(&paused(scope, None), ms(100));
        core.complete(on_wire, answered(503), ms(5000), ms(5000));
        assert!(core.peek(ms(9_000)).is_none() && !core.has_settled());
        assert_eq!(core.next_wakeup(ms(9_000)), None, "nothing ends this pause");
        core.set_overrides(&Overrides::default(), ms(9_000));
        for _ in 0..2 {
            let job = core.take(ms(9_700)).expect("it starts again");
            assert_eq!(job.call.limits.timeout, ms(200), "what was left after 100 ms, and 700 ms since");
        }
    }
}

#[test]
fn a_circuit_does_not_give_up_while_its_host_is_paused() {
    let mut core = Core::new(Settings::default());
    for ordinal in 0..6 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    while let Some(job) = core.take(ms(0)) {
        core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(0), ms(0));
        while core.take_settled().is_some() {}
    }
    core.set_overrides(&paused(host("a.test"), None), ms(1));
    assert_eq!(core.next_wakeup(ms(1)), None, "no line gives up, and none probes");
    assert!(core.peek(ms(500_000)).is_none() && !core.has_settled());
    core.set_overrides(&Overrides::default(), ms(500_000));
    assert!(core.take(ms(500_000)).is_some(), "a probe");
}

#[test]
fn limits_of_an_operator_count_from_the_last_start_and_those_of_the_configuration_come_back() {
    let limits_of = |rate: &str| Overrides {
        hosts: [(
            "a.test".into(),
            HostOverrides {
                rate: Some(RateOverride { rate: rate.parse().expect("a rate"), until: None }),
                ..HostOverrides::default()
            },
        )]
        .into(),
        ..Overrides::default()
    };
    let mut core = Core::new(Settings { any_host: limits(8, ms(100)), ..Settings::default() });
    for ordinal in 0..5 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    core.take(ms(1000)).expect("it starts");
    core.set_overrides(&limits_of("1/s"), ms(1010));
    assert_eq!(core.next_wakeup(ms(1010)), Some(ms(2000) - SLACK));
    core.set_overrides(&limits_of("100/s"), ms(1050));
    assert!(core.take(ms(1050)).is_some(), "it is later than 10 ms after the last start");
    core.set_overrides(&Overrides::default(), ms(1051));
    assert_eq!(core.next_wakeup(ms(1051)), Some(ms(1150) - SLACK));
}

#[test]
fn a_host_that_is_not_in_the_table_counts_as_just_asked_when_its_limits_change() {
    let mut core = Core::new(Settings::default());
    let limits = LimitsOverride { rate: Some("10/s".parse().expect("a rate")), ..LimitsOverride::default() };
    let change = Change::Limit(host("a.test"), limits);
    core.set_overrides(&Overrides::default().apply(change, 8, ms(1000)).expect("it makes sense"), ms(1000));
    core.push(get(0, "http://a.test/"), ms(1020));
    assert!(core.take(ms(1099)).is_none());
    assert!(core.take(ms(1100)).is_some());
}

#[test]
fn a_run_with_nothing_but_paused_lines_is_not_one_of_closed_hosts() {
    let mut any_host = limits(8, ms(0));
    any_host.long_pause = fetchd::schedule::LongPause::End;
    let mut core = Core::new(Settings { any_host, durable: vec![true, true], ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, crate::items::answered_later(503, ms(3_600_000)), ms(1), ms(1));
    assert!(core.only_closed_hosts(ms(1)).is_some());
    let pause = PauseOverride { until: None };
    let of_host = HostOverrides { pause: Some(pause), ..HostOverrides::default() };
    let overrides = [
        Overrides { all: of_host.clone(), ..Overrides::default() },
        Overrides { hosts: [("a.test".into(), of_host)].into(), ..Overrides::default() },
    ];
    for overrides in overrides {
        core.set_overrides(&overrides, ms(2));
        assert_eq!(core.only_closed_hosts(ms(2)), None);
    }
}

/// A core with a port of a host that is a host of its own.
fn core_with_a_port() -> Core {
    let port = ("a.test:81".parse().expect("a pattern"), HostRule::default());
    Core::new(Settings { hosts: [port].into_iter().collect(), ..Settings::default() })
}

#[test]
fn overrides_of_a_name_hold_for_its_ports_and_those_of_a_port_come_first() {
    let mut core = core_with_a_port();
    core.push(get(0, "http://a.test:81/"), ms(0));
    core.push(get(1, "http://a.test/"), ms(0));
    let both = paused(host("a.test"), None).apply(Change::Pause(host("a.test:81"), Some(ms(50))), 8, ms(0));
    core.set_overrides(&both.expect("it makes sense"), ms(1));
    assert!(core.take(ms(60)).is_none(), "the pause of the port is over, and that of the name goes on");
    core.push(get(2, "http://a.test:81/later"), ms(61));
    assert!(core.take(ms(62)).is_none() && core.is_host_paused("a.test:81"));
    assert_eq!(core.paused_lines().map(|paused| (paused.hosts, paused.all)), Some((2, 3)));
    assert_eq!(core.host_report("a.test", ms(62)).map(|host| (host.name, host.waiting)), Some(("a.test:81".into(), 2)));
    core.set_overrides(&Overrides::default(), ms(63));
    assert_eq!((0..3).filter_map(|_| core.take(ms(63))).count(), 3);
}

#[test]
fn a_skip_of_a_name_settles_the_lines_of_its_ports() {
    let mut core = core_with_a_port();
    core.push(get(0, "http://a.test:81/"), ms(0));
    core.push(get(1, "http://a.test/"), ms(0));
    core.push(get(2, "http://b.test/"), ms(0));
    assert_eq!(core.skip("a.test", ms(0)), 2);
    while core.work(ms(0)) > 0 {}
    assert_eq!(std::iter::from_fn(|| core.take_settled()).count(), 2);
    assert!(core.host_why("a.test", ms(0)).is_none());
}

#[test]
fn a_stop_waits_for_a_pause_that_ends_and_not_for_one_that_an_operator_has_to_end() {
    for scope in [Scope::All, host("a.test")] {
        for (until, left) in [(Some(ms(500)), 1), (None, 0)] {
            let mut core = Core::new(Settings::default());
            core.push(get(0, "http://a.test/"), ms(0));
            core.set_overrides(&paused(scope.clone(), until), ms(1));
            core.stop(ms(2));
            assert_eq!((core.counts().waiting, core.has_settled()), (left, left == 0), "{scope:?} {until:?}");
            assert_eq!(core.take(ms(500)).is_some(), left == 1);
        }
    }
}

#[test]
fn a_line_that_waited_for_an_operator_says_so() {
    for scope in [Scope::All, host("a.test")] {
        let mut core = Core::new(Settings::default());
        core.push(get(0, "http://a.test/"), ms(0));
        core.set_overrides(&paused(scope, Some(ms(500))), ms(1));
        let job = core.take(ms(500)).expect("it starts");
        core.complete(job, answered(200), ms(501), ms(501));
        let record = core.take_settled().expect("its record");
        assert_eq!(record.record.times.waited_for, Some(WaitedFor::Paused));
    }
}

#[test]
fn a_host_that_entered_for_a_line_that_is_canceled_there_leaves_again() {
    let mut core = Core::new(Settings::default());
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.set_overrides(&paused(host("b.test"), None), ms(1));
    core.stop(ms(2));
    core.complete(job, redirected(302, "http://b.test/"), ms(3), ms(3));
    assert!(core.take_settled().is_some_and(|done| done.record.outcome == Outcome::Canceled));
    while let Some(at) = core.next_wakeup(ms(3)) {
        assert!(core.take(at).is_none());
    }
    assert_eq!(core.hosts(), 0);
}
