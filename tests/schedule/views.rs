//! What the schedule shows of itself: why lines wait, and which hosts have the most of them. `world` compares the index of
//! hosts with a scan whenever a script rests.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{BottleneckKind, Core, HealthPolicy, HostLimits, Settings, StallReason, Tail, WaitReason};
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::items::{answered, answered_later, failed, get, limits, ms};
use crate::robots::{ALL, policy, take};
use crate::script::{obedience, scripts_with_releases};
use crate::simulation::{Manner, Simulation};
use crate::world::{Event, Rest, What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_host_that_waits_until_a_time_starts_then_if_nothing_else_happens(
        script in scripts_with_releases(), robots in obedience()
    ) {
        let script = script.obeying_robots(robots);
        let history = play(&script);
        let mut last: Option<Rest> = None;
        for Event { at, what } in &history {
            let rest = match what {
                What::Rests(rest) => {
                    last = Some(*rest);
                    continue;
                }
                _ => last.take(),
            };
            let Some(rest) = rest.filter(|rest| rest.counts.in_flight < script.permits) else { continue };
            let ends: Vec<_> = rest.whys.iter().map(|why| why.and_then(WaitReason::until)).collect();
            let first = ends.iter().flatten().min();
            prop_assert!(first.is_none_or(|first| at <= first), "nothing starts at {first:?}: {:?}", rest.whys);
            if let What::Started { host, .. } = what {
                prop_assert_eq!(ends[*host], Some(*at), "{:?}", rest.whys);
            }
        }
    }

    #[test]
    fn no_host_is_ready_while_there_are_permits(script in scripts_with_releases(), robots in obedience()) {
        let script = script.obeying_robots(robots);
        for event in play(&script) {
            if let What::Rests(rest) = event.what {
                let ready = rest.whys.contains(&Some(WaitReason::Ready));
                prop_assert!(!ready || rest.counts.in_flight >= script.permits, "{rest:?}");
            }
        }
    }
}

/// Why the next line of a.test waits.
fn why(core: &Core, now: Duration) -> Option<WaitReason> {
    core.why("a.test", now)
}

/// A core with so many lines for a.test, of which the first is on the wire.
fn with_lines(settings: Settings, lines: u64) -> (Core, Box<fetchd::schedule::Job>) {
    let mut core = Core::new(settings);
    for ordinal in 0..lines {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let first = core.take(ms(0)).expect("the first starts");
    (core, first)
}

#[test]
fn each_limit_is_the_reason_while_it_holds() {
    let any_host = limits(1, ms(0));
    let (mut core, first) = with_lines(Settings { any_host, ..Settings::default() }, 2);
    assert_eq!(why(&core, ms(1)), Some(WaitReason::HostConcurrency { in_flight: 1, limit: 1 }));
    assert_eq!(core.why_line(0, ms(1)), Some(WaitReason::OnWire { since: ms(0) }));
    core.complete(first, answered_later(429, ms(500)), ms(10), ms(10));
    assert_eq!(why(&core, ms(10)), Some(WaitReason::HostPause { until: ms(510) }));
    core.stall(StallReason::Output, ms(20));
    assert_eq!(core.why_line(1, ms(20)), Some(WaitReason::Stalled(StallReason::Output)));
    core.resume(StallReason::Output, ms(30));
    assert_eq!(core.why_line(1, ms(510)), Some(WaitReason::Ready));
    assert_eq!((core.why("b.test", ms(10)), core.why_line(2, ms(10))), (None, None));

    let (core, _first) = with_lines(Settings { any_host: limits(8, ms(100)), ..Settings::default() }, 2);
    assert_eq!(why(&core, ms(1)), Some(WaitReason::HostRate { until: ms(100) }));

    let (core, _first) = with_lines(Settings { every: ms(70), ..Settings::default() }, 2);
    assert_eq!(why(&core, ms(1)), Some(WaitReason::Rate { until: ms(70) }));

    let (core, _first) = with_lines(Settings { adaptive: Some(4), ..Settings::default() }, 2);
    assert_eq!(why(&core, ms(1)), Some(WaitReason::Concurrency { in_flight: 1, limit: 1 }));

    let (mut core, first) = with_lines(Settings::default(), 1);
    core.complete(first, answered(500), ms(1), ms(1));
    assert!(matches!(why(&core, ms(2)), Some(WaitReason::Backoff { until }) if core.next_wakeup(ms(2)) == Some(until)));

    let (mut core, _first) = with_lines(Settings { max_hosts: 1, ..Settings::default() }, 1);
    core.push(get(1, "http://b.test/"), ms(0));
    assert_eq!(core.why_line(1, ms(1)), Some(WaitReason::HostTable));
}

#[test]
fn an_open_circuit_says_when_it_may_be_probed_unless_a_probe_is_under_way() {
    let health = HealthPolicy { failures: 1, cool_down: ms(200), give_up: Duration::from_secs(60) };
    let (mut core, first) = with_lines(Settings { health, ..Settings::default() }, 2);
    core.complete(first, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(1), ms(1));
    assert_eq!(why(&core, ms(1)), Some(WaitReason::CircuitOpen { port: 80, probe_at: Some(ms(201)) }));
    let _probe = core.take(ms(201)).expect("a probe");
    assert_eq!(why(&core, ms(201)), Some(WaitReason::CircuitOpen { port: 80, probe_at: None }));
    let bottleneck = core.bottleneck(ms(201));
    assert_eq!((bottleneck.kind, bottleneck.port), (BottleneckKind::CircuitOpen, Some(80)));
}

#[test]
fn only_lines_of_hosts_that_cannot_be_reached_are_a_tail() {
    let health = HealthPolicy { failures: 1, cool_down: ms(200), give_up: Duration::from_secs(60) };
    let mut core = Core::new(Settings { health, ..Settings::default() });
    assert_eq!(core.tail(ms(0)), None);
    for (ordinal, at) in [(0, 1), (1, 11)] {
        core.push(get(ordinal, &format!("http://h{ordinal}.test/")), ms(at));
        let job = core.take(ms(at)).expect("it starts");
        core.complete(job, failed(ErrorKind::ConnectRefused, Sent::Nothing), ms(0), ms(at));
    }
    core.push(get(2, "http://h1.test/"), ms(100));
    core.push(get(3, "http://h1.test:81/"), ms(100));
    assert_eq!(core.tail(ms(100)), None, "another port of the host is fine");
    let fine = core.take(ms(100)).expect("it starts");
    let tail = Tail { hosts: 2, lines: 4, at_most: ms(59_911) };
    assert_eq!(core.tail(ms(100)), Some(tail.clone()), "the line on the wire counts to its host");
    core.complete(fine, answered(200), ms(1), ms(101));
    core.stall(StallReason::Output, ms(111));
    assert_eq!(
        core.tail(ms(5000)),
        Some(Tail { lines: 3, at_most: ms(59_900), ..tail }),
        "a stall counts against no line"
    );
}

#[test]
fn a_robots_txt_and_its_crawl_delay_are_reasons() {
    let (mut core, first) = with_lines(Settings { robots: Some(policy()), ..Settings::default() }, 3);
    assert_eq!(
        (why(&core, ms(0)), core.why_line(1, ms(0))),
        (Some(WaitReason::Robots { until: None }), Some(WaitReason::Robots { until: None }))
    );
    core.complete(first, crate::items::robots(&format!("{ALL}Crawl-delay: 2\n")), ms(1), ms(1));
    assert_eq!(why(&core, ms(1)), Some(WaitReason::CrawlDelay { until: ms(2000) }));
    take(&mut core, "http://a.test/", ms(2000));
    assert!(matches!(why(&core, ms(2001)), Some(WaitReason::CrawlDelay { until }) if until > ms(3000)));
}

#[test]
fn the_bottleneck_is_the_reason_of_the_host_with_the_most_lines() {
    let fixed = |n| HostLimits { concurrency: Concurrency::Fixed(n), ..limits(n, ms(0)) };
    let settings = Settings { any_host: fixed(2), ..Settings::default() };
    let time = ms(100);
    let mut simulation = Simulation::new(settings, 64, vec![Manner::Serves { at_once: 8, time }; 5]);
    for host in [0, 1, 2, 3, 4, 3, 3, 3, 3, 2, 2, 2] {
        simulation.push(host);
    }
    simulation.play_until(ms(50));
    let busiest: Vec<_> = simulation.core.hosts_by_waiting(simulation.now).take(2).collect();
    assert_eq!(
        busiest.iter().map(|host| (&*host.name, host.waiting)).collect::<Vec<_>>(),
        [("h3.test", 3), ("h2.test", 2)]
    );
    let bottleneck = simulation.core.bottleneck(simulation.now);
    assert_eq!((bottleneck.kind, bottleneck.limit), (BottleneckKind::HostConcurrency, Some(2)));
    assert_eq!(bottleneck.host.as_deref(), Some("h3.test"));
    assert_eq!(simulation.core.oldest(ms(50)).map(|oldest| (oldest.ordinal, oldest.age)), Some((0, ms(50))));
}

#[test]
fn the_slower_of_rate_and_concurrency_limits_a_host_also_while_a_request_is_on_the_wire() {
    for (every, kind) in [(1000, BottleneckKind::HostRate), (10, BottleneckKind::HostConcurrency)] {
        let mut core = Core::new(Settings { any_host: limits(1, ms(every)), ..Settings::default() });
        (0..4).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
        let job = core.take(ms(0)).expect("it may start");
        core.complete(job, answered(200), ms(100), ms(100));
        let start = core.next_wakeup(ms(100)).unwrap_or(ms(100));
        let _second = core.take(start).expect("it may start");
        assert_eq!(core.bottleneck(start + ms(1)).kind, kind, "{every} ms");
    }
}
