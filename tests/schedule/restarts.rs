//! The pace of a host over runs: what one ends with, or is killed in, holds for the next.

use std::time::Duration;

use fetchd::schedule::{Core, KnownRobots, SLACK, Settings};
use proptest::prelude::*;

use crate::items::{answered, get, limits, ms, robots};
use crate::robots::policy;

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// At any moment, and nobody knows when.
    Killed,
    Well,
}

/// How long it runs, how it ends, and how long after that the next one begins.
fn runs() -> impl Strategy<Value = Vec<(Duration, End, Duration)>> {
    let end = prop_oneof![Just(End::Killed), Just(End::Well)];
    let run = (0..6000u64, end, 0..4000u64).prop_map(|(time, end, gap)| (ms(time), end, ms(gap)));
    prop::collection::vec(run, 2..12)
}

/// What is left of a run for the next one.
#[derive(Default)]
struct Left {
    ended_ago: Option<Duration>,
    robots: Vec<KnownRobots>,
}

/// Lets one host answer at once for so long; the times of its requests come back.
fn play(settings: &Settings, left: &mut Left, crawl_delay: u64, time: Duration) -> Vec<(Duration, bool)> {
    let mut core = Core::new(settings.clone());
    left.ended_ago.into_iter().for_each(|ago| core.resume_pace(ago, ms(0)));
    core.restore_robots(left.robots.clone(), ms(0));
    (0..50).for_each(|n| core.push(get(n, "http://a.test/page"), ms(0)));
    let (mut now, mut starts) = (ms(0), Vec::new());
    while now < time {
        while let Some(job) = core.take(now) {
            let is_robots = job.call.request.url.path() == "/robots.txt";
            starts.push((now, is_robots));
            let attempt = match is_robots {
                true => robots(&format!("User-agent: *\nCrawl-delay: {}\n", crawl_delay as f64 / 1000.0)),
                false => answered(200),
            };
            core.complete(job, attempt, ms(0), now);
            left.robots.extend(core.take_learnt_robots());
        }
        now = core.next_wakeup(now).unwrap_or(time);
    }
    starts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_two_requests_of_any_runs_are_nearer_than_the_interval(
        runs in runs(), every in 0..2500u64, crawl_delay in 0..2500u64
    ) {
        let settings = Settings { robots: Some(policy()), any_host: limits(8, ms(every)), ..Settings::default() };
        let (mut left, mut began, mut all) = (Left::default(), ms(0), Vec::new());
        for (time, end, gap) in runs {
            let starts = play(&settings, &mut left, crawl_delay, time);
            all.extend(starts.into_iter().map(|(at, is_robots)| (began + at, is_robots)));
            left.ended_ago = Some(match end {
                End::Killed => ms(0),
                End::Well => gap,
            });
            left.robots.iter_mut().for_each(|known| known.age += time + gap);
            began += time + gap;
        }
        let every = ms(every.max(crawl_delay));
        for pair in all.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 + SLACK >= every, "{:?} and {:?} with {every:?}", pair[0], pair[1]);
        }
        prop_assert!(all.iter().filter(|(_, is_robots)| *is_robots).count() <= 1);
    }
}

/// However long the run before is over, a host that it never asked waits for no more than one interval.
#[test]
fn a_host_waits_for_what_is_left_of_its_interval() {
    let settings = Settings { any_host: limits(8, ms(1000)), every: ms(300), ..Settings::default() };
    for (ago, first) in [(0, 1000), (400, 600), (800, 200), (1000, 0), (5000, 0)] {
        let mut core = Core::new(settings.clone());
        core.resume_pace(ms(ago), ms(0));
        core.push(get(0, "http://a.test/page"), ms(0));
        let mut now = ms(0);
        while core.take(now).is_none() {
            now = core.next_wakeup(now).expect("it waits for a time");
        }
        assert_eq!(now, ms(first), "{ago}");
    }
}
