//! A robots.txt that cannot be fetched: what its lines wait for, what operators are told, and when.

use std::time::Duration;

use fetchd::item::{ErrorKind, WaitedFor};
use fetchd::schedule::{BottleneckKind, Core, Eta, HealthPolicy, Remedy, RobotsSwitch, Settings, WaitReason};

use crate::items::{answered, get, limits, ms, robots};
use crate::robots::{ALL, policy, settled, take};

const COOL_DOWN: Duration = Duration::from_secs(5);

/// A core with three lines of a site.
fn unavailable(give_up: Duration) -> Core {
    with_lines(3, give_up, Settings::default())
}

fn with_lines(lines: u64, give_up: Duration, settings: Settings) -> Core {
    let health = HealthPolicy { cool_down: COOL_DOWN, give_up, ..HealthPolicy::from(&Default::default()) };
    let mut core = Core::new(Settings { robots: Some(policy()), health, ..settings });
    (0..lines).for_each(|ordinal| core.push(get(ordinal, &format!("http://a.test/{ordinal}")), ms(0)));
    core
}

/// Answers each fetch of the file with this status until all lines wait for the cool-down; returns the time.
fn fail_until_unavailable(core: &mut Core, mut now: Duration) -> Duration {
    loop {
        while let Some(asks) = core.take(now) {
            assert_eq!(asks.call.request.url.path(), "/robots.txt");
            core.complete(asks, answered(503), ms(1), now);
        }
        let wait = core.why_line(2, now);
        if matches!(wait, Some(WaitReason::Robots { until: Some(_) })) {
            return now;
        }
        now = core.next_wakeup(now).expect("the file is fetched again");
    }
}

#[test]
fn its_lines_wait_for_it_and_not_for_a_back_off() {
    let mut core = unavailable(Duration::from_secs(60));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    assert_eq!(core.bottleneck(ms(0)).kind, BottleneckKind::Robots);
    core.complete(asks, answered(503), ms(1), ms(1));
    let retry = core.next_wakeup(ms(1)).expect("the file is fetched again");
    assert_eq!(core.why_line(0, ms(1)), Some(WaitReason::Robots { until: Some(retry) }), "the line that fetches it");
    assert_eq!(core.why_line(1, ms(1)), Some(WaitReason::Robots { until: None }));
    assert_eq!(core.bottleneck(ms(1)).kind, BottleneckKind::RobotsUnavailable);
    let now = fail_until_unavailable(&mut core, retry);
    for ordinal in 0..3 {
        assert_eq!(core.why_line(ordinal, now), Some(WaitReason::Robots { until: Some(now + COOL_DOWN) }));
    }
    let limit = core.bottleneck(now);
    assert_eq!((limit.kind, limit.host.as_deref()), (BottleneckKind::RobotsUnavailable, Some("a.test")));
    let fails_in = Duration::from_secs(60);
    assert_eq!(core.eta(now), Some(Eta::About(fails_in)));
    let tail = core.tail(now).expect("no other line is left");
    assert_eq!((tail.hosts, tail.lines, tail.at_most), (1, 3, fails_in));
    let asks = take(&mut core, "http://a.test/robots.txt", now + COOL_DOWN);
    core.complete(asks, robots(ALL), ms(1), now + COOL_DOWN);
    for ordinal in 0..3 {
        let job = take(&mut core, &format!("http://a.test/{ordinal}"), now + COOL_DOWN);
        core.complete(job, answered(200), ms(1), now + COOL_DOWN);
        assert_eq!(settled(&mut core).record.times.waited_for, Some(WaitedFor::Robots), "line {ordinal}");
    }
}

#[test]
fn it_is_reported_once_when_it_begins_and_once_when_it_ends() {
    let mut core = unavailable(Duration::from_secs(60));
    let now = fail_until_unavailable(&mut core, ms(0));
    let change = core.take_robots_change().expect("it is unavailable");
    assert_eq!(&*change.site, "http://a.test");
    assert!(matches!(change.switch, RobotsSwitch::Unavailable(why) if why.contains("503")));
    let again = fail_until_unavailable(&mut core, now + COOL_DOWN);
    assert_eq!((again, core.take_robots_change()), (now + COOL_DOWN, None), "a further failure changes nothing");
    let asks = take(&mut core, "http://a.test/robots.txt", again + COOL_DOWN);
    core.complete(asks, robots(ALL), ms(1), again + COOL_DOWN);
    let change = core.take_robots_change().expect("it was fetched");
    assert_eq!(change.switch, RobotsSwitch::Fetched(2 * COOL_DOWN));
    assert_eq!(core.take_robots_change(), None);
}

#[test]
fn the_end_is_expected_when_its_lines_fail_and_not_later() {
    let settings = Settings { any_host: limits(8, Duration::from_secs(1)), ..Settings::default() };
    let mut core = with_lines(100, Duration::from_secs(20), settings);
    let now = fail_until_unavailable(&mut core, ms(0));
    let Some(Eta::About(fails_in)) = core.eta(now) else { panic!("{:?}", core.eta(now)) };
    assert!(fails_in > Duration::from_secs(15) && fails_in <= Duration::from_secs(20), "{fails_in:?}");
    let why = core.host_why("a.test", now).expect("it has lines");
    let remedy = why.causes.iter().find_map(|cause| cause.remedy.clone().filter(|_| cause.reason.name() == "robots"));
    assert_eq!(remedy, Some(Remedy::Robots { fails_in: Some(fails_in) }));
}

#[test]
fn while_it_is_fetched_again_nothing_better_is_expected() {
    let settings = Settings { any_host: limits(8, Duration::from_millis(200)), ..Settings::default() };
    let mut core = with_lines(50, Duration::from_secs(60), settings);
    let mut now = fail_until_unavailable(&mut core, ms(0));
    let fails_at = now + core.eta(now).expect("it is known").left();
    let is_expected = |core: &Core, now: Duration| {
        assert_eq!(core.eta(now), Some(Eta::About(fails_at - now)), "{now:?}");
        assert_eq!(core.tail(now).map(|tail| tail.at_most), Some(fails_at - now), "{now:?}");
        if core.why("a.test", now) == Some(WaitReason::Ready) {
            return;
        }
        assert_eq!(core.bottleneck(now).kind, BottleneckKind::RobotsUnavailable, "{now:?}");
        let causes = core.host_why("a.test", now).expect("it has lines").causes;
        let robots = causes.iter().find(|cause| cause.reason.name() == "robots").expect("it is named");
        assert_eq!(robots.remedy, Some(Remedy::Robots { fails_in: Some(fails_at - now) }), "{now:?}");
        assert!(causes.iter().all(|cause| cause.pace.is_none()), "{now:?}: {causes:?}");
    };
    is_expected(&core, now);
    while now < Duration::from_secs(30) {
        now = core.next_wakeup(now).expect("it is fetched again");
        // Due, and not sent yet.
        is_expected(&core, now);
        let asks: Vec<_> = std::iter::from_fn(|| core.take(now)).collect();
        is_expected(&core, now);
        for asks in asks {
            is_expected(&core, now + ms(300));
            core.complete(asks, answered(503), ms(300), now + ms(300));
        }
        now += ms(300);
        assert!(core.take(now).is_none(), "the other lines wait for the next attempt");
        is_expected(&core, now);
    }
    now = core.next_wakeup(now).expect("it is fetched again");
    let asks = core.take(now).expect("it is fetched again");
    core.complete(asks, robots(ALL), ms(1), now);
    let Some(Eta::About(left)) = core.eta(now) else { panic!("{:?}", core.eta(now)) };
    assert!(left < Duration::from_secs(12), "fifty lines at 5/s: {left:?}");
    assert_ne!(core.bottleneck(now).kind, BottleneckKind::RobotsUnavailable);
}

#[test]
fn lines_that_fail_because_of_it_are_reported_once() {
    let mut core = unavailable(Duration::from_secs(4));
    let mut now = fail_until_unavailable(&mut core, ms(0));
    assert!(core.take_robots_change().is_some());
    while core.counts().outgoing < 3 {
        now = core.next_wakeup(now).expect("lines fail");
        while let Some(asks) = core.take(now) {
            core.complete(asks, answered(503), ms(1), now);
        }
    }
    for _ in 0..3 {
        let record = settled(&mut core).record;
        assert_eq!(
            (record.kind(), record.times.waited_for),
            (Some(ErrorKind::RobotsUnavailable), Some(WaitedFor::Robots))
        );
    }
    assert_eq!(core.take_robots_change().map(|change| change.switch), Some(RobotsSwitch::GaveUp));
    assert_eq!(core.take_robots_change(), None);
}
