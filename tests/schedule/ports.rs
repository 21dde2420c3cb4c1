//! Whether a host can be reached is a matter of its ports: what is said of one of them costs the others nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{BottleneckKind, Core, HealthPolicy, ReleaseScope, RetryPolicy, Settings, WaitReason};
use proptest::prelude::*;

use crate::items::{answered, failed, get, limits, ms, redirected, robots};
use crate::robots::{ALL, policy, settled, take};
use crate::script::{Picks, Script, scripts};
use crate::simulation::{Manner, Simulation};
use crate::world::{What, play};

const GOOD: Manner = Manner::Serves { at_once: 8, time: ms(100) };
const DEAD: Manner = Manner::IsDead(ms(50));

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The servers at two ports of one host, of which the second is dead.
fn simulation(settings: Settings) -> Simulation {
    Simulation::new(settings, 256, vec![GOOD, DEAD])
}

/// Opens the circuit of port 81 of a.test with a single failure.
fn one_failure() -> Settings {
    let health = HealthPolicy { failures: 1, cool_down: secs(5), give_up: secs(60) };
    Settings { health, ..Settings::default() }
}

fn refused() -> fetchd::item::Attempt {
    failed(ErrorKind::ConnectRefused, Sent::Nothing)
}

/// A core whose circuit of http://a.test:81 is open since the start, with the line that found out.
fn core_with_a_dead_port(settings: Settings) -> Core {
    let mut core = Core::new(settings);
    core.push(get(0, "http://a.test:81/0"), ms(0));
    let job = take(&mut core, "http://a.test:81/0", ms(0));
    core.complete(job, refused(), ms(0), ms(0));
    core
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn lines_of_one_port_are_sent_in_the_order_in_which_they_came(script in scripts()) {
        let script = Script { picks: Picks::InTurn, ..script };
        let mut last: BTreeMap<(usize, bool), u64> = BTreeMap::new();
        let mut sent = BTreeSet::new();
        for event in play(&script) {
            if let What::Started { ordinal, host, .. } = event.what
                && sent.insert(ordinal)
            {
                let line = &script.lines[ordinal as usize];
                prop_assert_eq!(host, line.host);
                let last = last.insert((host, line.path == 2), ordinal);
                prop_assert!(last < Some(ordinal), "line {} after {:?}", ordinal, last);
            }
        }
    }
}

#[test]
fn lines_of_a_port_that_is_up_go_on_wherever_those_of_a_dead_one_are() {
    const LINES: usize = 400;
    let mut alone = simulation(Settings::default());
    (0..LINES).for_each(|_| alone.push_to(0, 0));
    alone.play_until(secs(3600));
    let orders: [fn(usize) -> usize; 4] =
        [|n| usize::from(n < LINES), |n| n % 2, |n| usize::from(n >= LINES), |n| usize::from(n % 20 < 10)];
    for (nth, order) in orders.into_iter().enumerate() {
        let mut simulation = simulation(Settings::default());
        (0..2 * LINES).for_each(|n| simulation.push_to(0, order(n)));
        simulation.play_until(secs(3600));
        let (good, dead) = (&simulation.seen[0], &simulation.seen[1]);
        assert_eq!((good.ok, good.requests), (LINES, LINES), "order {nth}: {:?}", good.kinds);
        // A few attempts at the dead port come first, and a probe now and then.
        assert!(good.last <= alone.seen[0].last + secs(1), "order {nth}: {:?}", good.last);
        assert_eq!(dead.of_kind(ErrorKind::CircuitOpen), LINES, "order {nth}: {:?}", dead.kinds);
        assert!(dead.requests < 40, "order {nth}: {} requests", dead.requests);
        // They have had their turn when those before them are done.
        assert!((secs(60)..secs(66)).contains(&dead.last), "order {nth}: {:?}", dead.last);
    }
}

#[test]
fn a_port_that_comes_back_loses_no_line_and_keeps_their_order() {
    let mut core = core_with_a_dead_port(one_failure());
    for ordinal in 1..7 {
        core.push(get(ordinal, &format!("http://a.test:{}/{ordinal}", 80 + ordinal % 3)), ms(0));
    }
    // Port 82 is as dead; port 80 is not.
    let order: Vec<_> = std::iter::from_fn(|| core.take(ms(1))).collect();
    let of = |jobs: &[Box<fetchd::schedule::Job>]| jobs.iter().map(|job| job.ticket.ordinal).collect::<Vec<_>>();
    assert_eq!(of(&order), [2, 3, 5, 6]);
    for job in order {
        let dead = job.call.request.url.port() == Some(82);
        core.complete(job, if dead { refused() } else { answered(200) }, ms(1), ms(1));
    }
    // One probe of each, with a line that was not sent yet where there is one.
    let probes: Vec<_> = std::iter::from_fn(|| core.take(secs(6))).collect();
    assert_eq!(of(&probes), [1, 2]);
    for job in probes {
        core.complete(job, answered(200), ms(1), secs(6));
    }
    let rest: Vec<_> = std::iter::from_fn(|| core.take(secs(6))).collect();
    let mut rest = of(&rest);
    rest[..2].sort_unstable();
    assert_eq!(rest, [0, 5, 4], "lines that were sent go first");
}

#[test]
fn lines_of_ports_that_come_back_together_go_in_the_order_in_which_they_came() {
    let mut core = Core::new(Settings { any_host: limits(64, ms(0)), ..one_failure() });
    for (ordinal, port) in (0..).zip([81, 82, 81, 82, 81, 82, 81, 80]) {
        core.push(get(ordinal, &format!("http://a.test:{port}/")), ms(0));
    }
    for _ in 0..2 {
        let job = core.take(ms(0)).expect("the first of each port");
        core.complete(job, refused(), ms(0), ms(0));
    }
    assert_eq!(core.take(ms(0)).map(|job| job.ticket.ordinal), Some(7), "the only one of a port that is up");
    let probes: Vec<_> = std::iter::from_fn(|| core.take(secs(6))).collect();
    assert_eq!(probes.iter().map(|job| job.ticket.ordinal).collect::<Vec<_>>(), [2, 3]);
    for job in probes {
        core.complete(job, answered(200), ms(1), secs(6));
    }
    let rest: Vec<_> = std::iter::from_fn(|| core.take(secs(6))).map(|job| job.ticket.ordinal).collect();
    assert_eq!(rest[2..], [4, 5, 6]);
}

#[test]
fn probes_of_many_dead_ports_leave_a_slow_host_half_of_its_rate() {
    const DEAD_PORTS: usize = 20;
    let every = ms(1000);
    let manners = [vec![GOOD], vec![DEAD; DEAD_PORTS]].concat();
    let settings = Settings { any_host: limits(8, every), ..one_failure() };
    let mut simulation = Simulation::new(settings, 256, manners);
    for server in (1..=DEAD_PORTS).chain([0; 100]) {
        (0..5).for_each(|_| simulation.push_to(0, server));
    }
    simulation.play_until(secs(30));
    simulation.play_until(secs(80));
    let requests = simulation.seen[0].requests;
    assert!((22..=26).contains(&requests), "{requests} of 50 requests");
}

#[test]
fn a_redirect_to_a_dead_port_waits_there_and_one_back_goes_on() {
    let mut core = core_with_a_dead_port(one_failure());
    for ordinal in 1..3 {
        core.push(get(ordinal, &format!("http://a.test/{ordinal}")), ms(1));
    }
    let job = take(&mut core, "http://a.test/1", ms(1));
    core.complete(job, redirected(302, "http://a.test:81/there"), ms(1), ms(2));
    assert_eq!(core.why_line(1, ms(2)), Some(WaitReason::CircuitOpen { port: 81, probe_at: Some(secs(5)) }));
    let job = take(&mut core, "http://a.test/2", ms(2));
    core.complete(job, answered(200), ms(1), ms(3));
    settled(&mut core);
    assert!(core.take(ms(3)).is_none());
    let probe = take(&mut core, "http://a.test:81/there", secs(5));
    core.complete(probe, redirected(302, "http://a.test/back"), ms(1), secs(6));
    let back: Vec<_> = std::iter::from_fn(|| core.take(secs(6))).map(|job| job.call.request.url.to_string()).collect();
    assert_eq!(back, ["http://a.test:81/0", "http://a.test/back"]);
}

#[test]
fn the_robots_txt_of_a_dead_port_holds_up_that_port_alone() {
    let mut core = Core::new(Settings { robots: Some(policy()), ..one_failure() });
    for (ordinal, url) in (0..).zip(["http://a.test:81/0", "http://a.test:81/1", "http://a.test/2", "http://a.test/3"])
    {
        core.push(get(ordinal, url), ms(0));
    }
    let dead = take(&mut core, "http://a.test:81/robots.txt", ms(0));
    let living = take(&mut core, "http://a.test/robots.txt", ms(0));
    assert!(core.take(ms(0)).is_none());
    core.complete(dead, refused(), ms(1), ms(1));
    core.complete(living, robots(ALL), ms(1), ms(1));
    for ordinal in 2..4 {
        let job = take(&mut core, &format!("http://a.test/{ordinal}"), ms(1));
        core.complete(job, answered(200), ms(1), ms(1));
    }
    assert_eq!(core.why_line(1, ms(1)), Some(WaitReason::Robots { until: None }));
    let again = take(&mut core, "http://a.test:81/robots.txt", secs(6));
    core.complete(again, robots(ALL), ms(1), secs(6));
    for ordinal in 0..2 {
        take(&mut core, &format!("http://a.test:81/{ordinal}"), secs(6));
    }
}

#[test]
fn waiting_lines_of_a_dead_port_can_be_looked_at_released_and_overdue_like_any() {
    let settings = Settings { deadline: secs(20), ..one_failure() };
    let mut core = core_with_a_dead_port(settings);
    for ordinal in 1..5 {
        core.push(get(ordinal, "http://a.test:81/"), ms(0));
    }
    let open = Some(WaitReason::CircuitOpen { port: 81, probe_at: Some(secs(5)) });
    assert_eq!((core.why("a.test", ms(1)), core.why_line(3, ms(1))), (open, open));
    let bottleneck = core.bottleneck(ms(1));
    assert_eq!((bottleneck.kind, bottleneck.port), (BottleneckKind::CircuitOpen, Some(81)));
    assert_eq!(core.host("a.test", ms(1)).map(|host| host.waiting), Some(5));
    core.release(ReleaseScope::Newest { source: 1, lines: 1 }, ms(1));
    assert_eq!(core.take_released().map(|ticket| ticket.release().id.seq), Some(4));
    assert_eq!(core.host("a.test", ms(1)).map(|host| host.waiting), Some(4));
    assert!(core.take_oldest(ms(1)).is_none());
    let probe = core.take_oldest(secs(5)).expect("the oldest is the probe");
    assert_eq!(probe.ticket.ordinal, 0);
    core.complete(probe, refused(), ms(1), secs(6));
    assert!(core.take(secs(20)).is_some_and(|probe| probe.ticket.ordinal == 1));
    let done = settled(&mut core);
    assert_eq!((done.ticket.ordinal, done.record.kind()), (0, Some(ErrorKind::Deadline)));
    core.give_up(secs(20));
    assert_eq!(
        (settled(&mut core).record.kind(), settled(&mut core).record.kind()),
        (Some(ErrorKind::Canceled), Some(ErrorKind::Canceled))
    );
}

#[test]
fn lines_of_a_dead_port_give_up_while_others_of_the_host_still_wait_for_its_rate() {
    let settings = Settings { any_host: limits(8, secs(1)), ..one_failure() };
    let mut simulation = simulation(settings);
    simulation.push_to(0, 1);
    for _ in 0..100 {
        simulation.push_to(0, 0);
    }
    (0..10).for_each(|_| simulation.push_to(0, 1));
    simulation.play_until(secs(59));
    assert_eq!(simulation.seen[1].kinds.len(), 0, "they wait");
    simulation.play_until(secs(62));
    assert_eq!(simulation.seen[1].of_kind(ErrorKind::CircuitOpen), 1, "the one that has had its turn");
    simulation.play_until(secs(3600));
    assert_eq!((simulation.seen[0].kinds.len(), simulation.seen[1].of_kind(ErrorKind::CircuitOpen)), (1, 10));
}

#[test]
fn the_next_run_knows_which_ports_cannot_be_reached() {
    let known = core_with_a_dead_port(one_failure()).host_states(secs(2));
    assert_eq!(known.iter().map(|known| known.unreachable.len()).collect::<Vec<_>>(), [1]);
    let mut core = Core::new(one_failure());
    core.restore(known, ms(0));
    for (ordinal, port) in [(0, 81), (1, 80), (2, 82)] {
        core.push(get(ordinal, &format!("http://a.test:{port}/")), ms(0));
    }
    take(&mut core, "http://a.test/", ms(0));
    take(&mut core, "http://a.test:82/", ms(0));
    assert!(core.take(ms(2900)).is_none());
    take(&mut core, "http://a.test:81/", secs(3));
}

#[test]
fn a_host_with_very_many_dead_ports_forgets_them_and_is_told_of_in_few_words() {
    let mut core =
        Core::new(Settings { retry: RetryPolicy { retries: 0, ..Settings::default().retry }, ..one_failure() });
    for n in 0..3000u64 {
        let (url, now) = (format!("http://a.test:{}/", 1000 + n), ms(100 * n));
        core.push(get(n, &url), now);
        let job = take(&mut core, &url, now);
        core.complete(job, refused(), ms(1), now);
        settled(&mut core);
    }
    let known = core.host_states(secs(300));
    assert_eq!((known.len(), known[0].unreachable.len()), (1, 16));
    assert!(known[0].unreachable.iter().all(|open| !open.remembered.is_zero()), "{known:?}");
    core.next_wakeup(secs(400));
    assert_eq!((core.hosts(), core.host_states(secs(400))), (0, vec![]));
}
