//! A line that goes for a robots.txt on its way: what it may do before others, what it costs, and how it ends.

use std::time::Duration;

use fetchd::item::{Attempt, ErrorKind, Outcome, Sent};
use fetchd::schedule::{Bottleneck, BottleneckKind, Core, HealthPolicy, Settings};
use http::Method;

use crate::items::{answered, answered_later, failed, get, job, limits, ms, redirected, request, robots};
use crate::robots::{ALL, core, policy, settled, take, told};

#[test]
fn a_post_reserves_its_body_only_once_it_may_be_sent() {
    let mut core = core();
    core.push(job(0, request(Method::POST, "http://a.test/form")), ms(0));
    assert!(core.peek(ms(0)).is_some_and(|need| need.memory < Settings::default().largest_body));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.complete(asks, answered(404), ms(1), ms(1));
    assert!(core.peek(ms(1)).is_some_and(|need| need.memory == Settings::default().largest_body));
    assert_eq!(take(&mut core, "http://a.test/form", ms(1)).call.request.method, Method::POST);
}

#[test]
fn when_memory_is_short_the_line_that_went_for_the_rules_stands_in_for_the_oldest() {
    let mut core = core();
    core.push(get(5, "http://a.test/second"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.push(get(3, "http://a.test/first"), ms(0));
    core.complete(asks, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(1));
    let due = core.next_wakeup(ms(1)).expect("it is tried again");
    let asks = core.take_oldest(due).expect("the oldest waits for it");
    assert_eq!(asks.call.request.url.as_str(), "http://a.test/robots.txt");
    core.complete(asks, robots(ALL), ms(1), due);
    assert_eq!(core.take_oldest(due).map(|job| job.ticket.ordinal), Some(3));
}

#[test]
fn a_run_given_up_forgets_its_errands() {
    let mut core = core();
    for ordinal in 0..3 {
        core.push(get(ordinal, "http://a.test/page"), ms(0));
    }
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.give_up(ms(1));
    core.complete(asks, Attempt::Canceled, ms(1), ms(1));
    for _ in 0..3 {
        let record = settled(&mut core).record;
        assert_eq!(
            (record.outcome, record.url.map(|url| url.path().to_owned())),
            (Outcome::Canceled, Some("/page".into()))
        );
    }
}

/// A core in which the one line of a.test went for its robots.txt, was sent on to b.test, and waits there.
fn sent_on(settings: Settings) -> Core {
    let mut core = Core::new(Settings { robots: Some(policy()), ..settings });
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://a.test/"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.complete(asks, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    let asks = take(&mut core, "http://b.test/rules", ms(1));
    core.complete(asks, failed(ErrorKind::Reset, Sent::Something), ms(1), ms(2));
    core
}

#[test]
fn lines_go_on_when_the_one_that_went_for_the_rules_is_settled_by_time_at_another_host() {
    let health = HealthPolicy { failures: 1, cool_down: Duration::from_secs(5), give_up: ms(100) };
    let slow = Settings { any_host: limits(8, Duration::from_secs(10)), ..Settings::default() };
    for settings in [Settings { health, ..slow.clone() }, Settings { deadline: ms(800), ..slow }] {
        let mut core = sent_on(settings);
        let mut now = ms(2);
        while let Some(at) = core.next_wakeup(now) {
            now = at;
        }
        assert_eq!(settled(&mut core).ticket.ordinal, 0);
        take(&mut core, "http://a.test/robots.txt", now);
    }
}

#[test]
fn what_is_disallowed_is_not_sent_when_memory_is_short_either() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.complete(job, answered(200), ms(1), ms(1));
    assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    core.push(get(1, "http://a.test/private"), ms(2));
    core.push(get(2, "http://a.test/page"), ms(2));
    assert_eq!(core.take_oldest(ms(2)).map(|job| job.ticket.ordinal), Some(2), "the oldest that may be fetched");
    assert_eq!(settled(&mut core).record.kind(), Some(ErrorKind::RobotsDenied));
}

#[test]
fn an_errand_that_is_the_oldest_waits_for_no_other() {
    let mut core = core();
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://b.test/"), ms(0));
    let (a, b) = (core.take(ms(0)).expect("a"), core.take(ms(0)).expect("b"));
    core.complete(a, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    let asks = core.take_oldest(ms(1)).expect("b.test's own errand is under way");
    assert_eq!((asks.ticket.ordinal, b.ticket.ordinal), (0, 1));
}

#[test]
fn an_answer_to_the_robots_txt_is_never_the_answer_to_the_line() {
    let too_long = Duration::from_secs(3600);
    // Longer than the line's time, if not too long for the host, whose lines wait no longer.
    let health = HealthPolicy { failures: 5, cool_down: ms(5000), give_up: ms(0) };
    let settings = Settings { robots: Some(policy()), deadline: ms(1000), health, ..Settings::default() };
    let cases = [
        (answered_later(503, too_long), ErrorKind::RetryAfterTooLong),
        (answered_later(503, ms(2000)), ErrorKind::RobotsUnavailable),
    ];
    for (attempt, kind) in cases {
        let mut core = Core::new(settings.clone());
        core.push(get(0, "http://a.test/page"), ms(0));
        let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
        core.complete(asks, attempt, ms(1), ms(1));
        core.next_wakeup(ms(1));
        let record = settled(&mut core).record;
        assert_eq!((record.kind(), record.attempts, record.received.head().is_some()), (Some(kind), 0, false));
        assert!(record.error.is_some_and(|(_, message)| message.contains("robots.txt could not be fetched")));
    }
}

#[test]
fn a_robots_txt_that_comes_when_the_run_is_given_up_settles_its_line_as_canceled() {
    for attempt in [robots(ALL), answered(404), answered(503), redirected(301, "http://b.test/rules")] {
        let mut core = core();
        core.push(get(0, "http://a.test/page"), ms(0));
        let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
        core.give_up(ms(1));
        core.complete(asks, attempt, ms(1), ms(1));
        let record = settled(&mut core).record;
        assert_eq!((record.outcome, record.received.head().is_some()), (Outcome::Canceled, false));
    }
}

#[test]
fn retries_of_a_robots_txt_are_not_the_lines_own() {
    let mut core = core();
    core.push(get(0, "http://a.test/page"), ms(0));
    let mut now = ms(0);
    for _ in 0..2 {
        let asks = take(&mut core, "http://a.test/robots.txt", now);
        core.complete(asks, answered(500), ms(1), now);
        now = core.next_wakeup(now).expect("it is tried again");
    }
    let asks = take(&mut core, "http://a.test/robots.txt", now);
    core.complete(asks, robots(ALL), ms(1), now);
    for attempts in 1..=3 {
        let job = take(&mut core, "http://a.test/page", now);
        core.complete(job, answered(500), ms(1), now);
        match attempts {
            3 => assert_eq!(settled(&mut core).record.attempts, 3),
            _ => now = core.next_wakeup(now).expect("it is tried again"),
        }
    }
}

#[test]
fn what_holds_lines_back_is_said_by_its_name() {
    let of_host = |kind: BottleneckKind| Bottleneck { host: Some("a.test".into()), ..kind.into() };
    let crawl_delay = "User-agent: *\nCrawl-delay: 2\n";
    let mut core = core();
    for ordinal in 0..3 {
        core.push(get(ordinal, "http://a.test/page"), ms(0));
    }
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    assert_eq!(core.bottleneck(ms(0)), of_host(BottleneckKind::Robots));
    core.complete(asks, robots(crawl_delay), ms(1), ms(1));
    assert_eq!(core.bottleneck(ms(1)), of_host(BottleneckKind::CrawlDelay));
    take(&mut core, "http://a.test/page", ms(2000));
    assert_eq!(core.bottleneck(ms(2001)), of_host(BottleneckKind::CrawlDelay));
}
