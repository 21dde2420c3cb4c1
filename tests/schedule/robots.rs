//! robots.txt (RFC 9309): who fetches it, what it means, and what happens when it cannot be had.

use std::time::Duration;

use fetchd::item::{Attempt, Done, Job, Kind, Outcome, Record, Sent};
use fetchd::schedule::{Core, HealthPolicy, RobotsPolicy, Settings};
use http::Method;

use crate::items::{answered, answered_later, failed, get, job, limits, ms, redirected, request, robots};

const ALL: &str = "User-agent: *\nDisallow: /private\n";

fn policy() -> RobotsPolicy {
    RobotsPolicy { agent: "fetchd".to_owned(), max_crawl_delay: Duration::from_secs(60), cache: 1 << 20 }
}

fn core() -> Core {
    Core::new(Settings { robots: Some(policy()), ..Settings::default() })
}

/// Takes the one line that may start, which must be for this URL.
#[track_caller]
fn take(core: &mut Core, url: &str, now: Duration) -> Box<Job> {
    let job = core.take(now);
    assert_eq!(job.as_ref().map(|job| job.request.url.as_str()), Some(url));
    job.expect("it is there")
}

#[track_caller]
fn settled(core: &mut Core) -> Done {
    core.take_settled().expect("a line is settled")
}

/// A core that was told this of http://a.test/robots.txt by its first line, which asks for `/page`.
fn told(attempt: Attempt) -> Core {
    let mut core = core();
    core.push(get(0, "http://a.test/page"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.verdict(asks, attempt, ms(1), ms(1));
    core
}

/// What becomes of a line for this URL, if it gets a 200.
fn comes_of(core: &mut Core, url: &str) -> Record {
    core.push(get(9, url), ms(2));
    if let Some(job) = core.take(ms(2)) {
        assert_eq!(job.request.url.as_str(), url);
        core.verdict(job, answered(200), ms(1), ms(3));
    }
    settled(core).record
}

#[test]
fn the_first_line_of_a_site_goes_for_its_robots_txt_and_the_others_wait() {
    let mut core = core();
    for turn in 0..3 {
        core.push(get(turn, &format!("http://a.test/{turn}?q=1")), ms(0));
    }
    core.push(get(3, "http://b.test/"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    assert_eq!((asks.request.method.clone(), asks.request.headers.len()), (Method::GET, 0));
    take(&mut core, "http://b.test/robots.txt", ms(0));
    assert!(core.take(ms(0)).is_none(), "the rest of the host waits");
    core.verdict(asks, robots(ALL), ms(1), ms(1));
    for turn in 0..3 {
        let job = take(&mut core, &format!("http://a.test/{turn}?q=1"), ms(1));
        core.verdict(job, answered(200), ms(1), ms(2));
        let record = settled(&mut core).record;
        assert_eq!((record.outcome, record.attempts, record.id.seq), (Outcome::Ok, 1, turn + 1));
        assert_eq!(record.url.map(|url| url.path().to_owned()), Some(format!("/{turn}")));
    }
}

#[test]
fn what_is_disallowed_is_rejected_unsent_and_says_by_whom() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.verdict(job, answered(200), ms(1), ms(2));
    assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    let record = comes_of(&mut core, "http://a.test/private/1");
    assert_eq!((record.kind(), record.outcome, record.attempts), (Some(Kind::RobotsDenied), Outcome::Rejected, 0));
    let message = record.error.map(|(_, message)| message).unwrap_or_default();
    assert!(message.contains("http://a.test/robots.txt") && message.contains("`fetchd`"), "{message}");
}

#[test]
fn the_line_that_brought_the_file_obeys_it_too() {
    let mut core = told(robots("User-agent: FETCHD\nDisallow: /page\n"));
    assert_eq!(settled(&mut core).record.kind(), Some(Kind::RobotsDenied));
    assert!(core.take(ms(2)).is_none());
}

#[test]
fn without_a_file_everything_may_be_fetched() {
    for status in [400, 401, 403, 404, 410] {
        let mut core = told(answered(status));
        take(&mut core, "http://a.test/page", ms(1));
        assert_eq!(comes_of(&mut core, "http://a.test/private").outcome, Outcome::Ok, "{status}");
    }
}

#[test]
fn a_server_that_fails_bans_for_a_while_after_all_attempts() {
    for status in [429, 500, 503] {
        let mut core = core();
        core.push(get(0, "http://a.test/page"), ms(0));
        let mut now = ms(0);
        for _ in 0..3 {
            let asks = take(&mut core, "http://a.test/robots.txt", now);
            core.verdict(asks, answered(status), ms(1), now);
            if !core.has_settled() {
                now = core.next_wakeup(now).expect("it is tried again");
            }
        }
        let record = settled(&mut core).record;
        assert_eq!((record.kind(), record.attempts), (Some(Kind::RobotsDenied), 0), "{status}");
        core.push(get(1, "http://a.test/other"), now);
        // A 429 means a pause for the host besides.
        let now = if status == 429 { core.next_wakeup(now).expect("the pause ends") } else { now };
        assert!(core.take(now).is_none());
        assert_eq!(settled(&mut core).record.kind(), Some(Kind::RobotsDenied), "{status}");
        let later = now + Duration::from_secs(61);
        core.push(get(2, "http://a.test/other"), later);
        take(&mut core, "http://a.test/robots.txt", later);
    }
}

#[test]
fn a_host_that_cannot_be_reached_fails_the_line_by_its_own_error() {
    let mut core = told(failed(Kind::DnsNotFound, Sent::Nothing));
    let record = settled(&mut core).record;
    assert_eq!((record.kind(), record.outcome), (Some(Kind::DnsNotFound), Outcome::Failed));
    assert!(record.error.is_some_and(|(_, message)| message.contains("robots.txt")));
    core.push(get(1, "http://a.test/page"), ms(2));
    take(&mut core, "http://a.test/robots.txt", ms(2));
}

#[test]
fn a_failed_robots_txt_is_tried_again_as_a_line_is() {
    let mut core = told(failed(Kind::Reset, Sent::Something));
    let due = core.next_wakeup(ms(1)).expect("it is tried again");
    let asks = take(&mut core, "http://a.test/robots.txt", due);
    core.verdict(asks, robots(ALL), ms(1), due);
    let job = take(&mut core, "http://a.test/page", due);
    core.verdict(job, answered(200), ms(1), due);
    assert_eq!(settled(&mut core).record.attempts, 1);
}

#[test]
fn a_retry_after_of_the_robots_txt_holds_for_the_host() {
    let mut core = told(answered_later(503, Duration::from_secs(7)));
    let due = core.next_wakeup(ms(1)).expect("it is tried again");
    assert!(due >= ms(7001), "{due:?}");
    take(&mut core, "http://a.test/robots.txt", due);
}

#[test]
fn up_to_five_redirects_are_followed_to_other_hosts_as_well() {
    for (redirects, obeyed) in [(5, true), (6, false)] {
        let mut core = core();
        core.push(get(0, "http://a.test/private"), ms(0));
        let mut asks = take(&mut core, "http://a.test/robots.txt", ms(0));
        for n in 0..redirects {
            let to = format!("http://r{n}.test/rules");
            core.verdict(asks, redirected(301, &to), ms(1), ms(1));
            asks = core.take(ms(1)).expect("it goes on");
            let expected = if n < 5 { to.as_str() } else { "http://a.test/private" };
            assert_eq!(asks.request.url.as_str(), expected);
        }
        if obeyed {
            core.verdict(asks, robots(ALL), ms(1), ms(1));
            let record = settled(&mut core).record;
            assert_eq!((record.kind(), record.hops.len()), (Some(Kind::RobotsDenied), 0));
        } else {
            core.verdict(asks, answered(200), ms(1), ms(1));
            assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
        }
    }
}

#[test]
fn two_sites_whose_robots_txt_lead_to_each_other_do_not_wait_for_each_other() {
    let mut core = Core::new(Settings { robots: Some(policy()), any_host: limits(1, ms(0)), ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://b.test/"), ms(0));
    let (a, b) = (core.take(ms(0)).expect("a"), core.take(ms(0)).expect("b"));
    core.verdict(a, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    core.verdict(b, redirected(302, "http://a.test/rules"), ms(1), ms(1));
    for _ in 0..2 {
        let asks = core.take(ms(1)).expect("it goes on");
        core.verdict(asks, robots(ALL), ms(1), ms(1));
    }
    for _ in 0..2 {
        let job = core.take(ms(1)).expect("it goes on");
        core.verdict(job, answered(200), ms(1), ms(2));
        assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    }
}

#[test]
fn the_target_of_a_redirect_is_asked_for_its_rules_first() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.verdict(job, redirected(302, "http://b.test/private"), ms(1), ms(2));
    let asks = take(&mut core, "http://b.test/robots.txt", ms(2));
    core.verdict(asks, robots(ALL), ms(1), ms(3));
    let record = settled(&mut core).record;
    assert_eq!((record.kind(), record.outcome), (Some(Kind::RobotsDenied), Outcome::Failed));
    assert_eq!(record.final_url.map(|url| url.to_string()), Some("http://b.test/private".to_owned()));
}

#[test]
fn the_crawl_delay_spaces_starts_and_has_a_limit() {
    for (text, every) in [("2", 2000), ("0.5", 500), ("86400", 60_000), ("soon", 0), ("-3", 0)] {
        let mut core = told(robots(&format!("User-agent: *\nCrawl-delay: {text}\nDisallow: /private\n")));
        for turn in 1..4 {
            core.push(get(turn, "http://a.test/page"), ms(1));
        }
        let mut now = ms(1);
        for _ in 0..3 {
            let job = take(&mut core, "http://a.test/page", now);
            core.verdict(job, answered(200), ms(1), now);
            let next = core.next_wakeup(now);
            let soonest = now + ms(every) - ms(2).min(ms(every));
            now = next.filter(|_| every > 0).unwrap_or(now);
            assert!(now >= soonest, "{text}: {now:?} and not {soonest:?}");
        }
    }
}

#[test]
fn a_file_is_believed_for_a_day() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.verdict(job, answered(200), ms(1), ms(2));
    for (hours, url) in [(23, "http://a.test/page"), (24, "http://a.test/robots.txt")] {
        let now = Duration::from_secs(hours * 3600 + 1);
        core.push(get(hours, "http://a.test/page"), now);
        let job = take(&mut core, url, now);
        core.verdict(job, answered(200), ms(1), now);
    }
}

#[test]
fn a_scheme_and_a_port_are_sites_of_their_own() {
    let mut core = told(robots("User-agent: *\nDisallow: /\n"));
    assert_eq!(settled(&mut core).record.kind(), Some(Kind::RobotsDenied));
    for (turn, site) in (1..).zip(["https://a.test", "http://a.test:8080"]) {
        core.push(get(turn, &format!("{site}/page")), ms(2));
        let asks = take(&mut core, &format!("{site}/robots.txt"), ms(2));
        core.verdict(asks, answered(404), ms(1), ms(2));
        take(&mut core, &format!("{site}/page"), ms(2));
    }
}

#[test]
fn a_post_reserves_its_body_only_once_it_may_be_sent() {
    let mut core = core();
    core.push(job(0, request(Method::POST, "http://a.test/form")), ms(0));
    assert!(core.peek(ms(0)).is_some_and(|need| need.memory < Settings::default().largest_body));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.verdict(asks, answered(404), ms(1), ms(1));
    assert!(core.peek(ms(1)).is_some_and(|need| need.memory == Settings::default().largest_body));
    assert_eq!(take(&mut core, "http://a.test/form", ms(1)).request.method, Method::POST);
}

#[test]
fn when_memory_is_short_the_line_that_went_for_the_rules_stands_in_for_the_oldest() {
    let mut core = core();
    core.push(get(5, "http://a.test/second"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.push(get(3, "http://a.test/first"), ms(0));
    core.verdict(asks, failed(Kind::Reset, Sent::Something), ms(1), ms(1));
    let due = core.next_wakeup(ms(1)).expect("it is tried again");
    let asks = core.take_oldest(due).expect("the oldest waits for it");
    assert_eq!(asks.request.url.as_str(), "http://a.test/robots.txt");
    core.verdict(asks, robots(ALL), ms(1), due);
    assert_eq!(core.take_oldest(due).map(|job| job.ticket.turn), Some(3));
}

#[test]
fn a_run_given_up_forgets_its_errands() {
    let mut core = core();
    for turn in 0..3 {
        core.push(get(turn, "http://a.test/page"), ms(0));
    }
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.give_up(ms(1));
    core.verdict(asks, Attempt::Canceled, ms(1), ms(1));
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
    core.verdict(asks, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    let asks = take(&mut core, "http://b.test/rules", ms(1));
    core.verdict(asks, failed(Kind::Reset, Sent::Something), ms(1), ms(2));
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
        assert_eq!(settled(&mut core).ticket.turn, 0);
        take(&mut core, "http://a.test/robots.txt", now);
    }
}

#[test]
fn what_is_disallowed_is_not_sent_when_memory_is_short_either() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.verdict(job, answered(200), ms(1), ms(1));
    assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    core.push(get(1, "http://a.test/private"), ms(2));
    core.push(get(2, "http://a.test/page"), ms(2));
    assert_eq!(core.take_oldest(ms(2)).map(|job| job.ticket.turn), Some(2), "the oldest that may be fetched");
    assert_eq!(settled(&mut core).record.kind(), Some(Kind::RobotsDenied));
}

#[test]
fn an_errand_that_is_the_oldest_waits_for_no_other() {
    let mut core = core();
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://b.test/"), ms(0));
    let (a, b) = (core.take(ms(0)).expect("a"), core.take(ms(0)).expect("b"));
    core.verdict(a, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    let asks = core.take_oldest(ms(1)).expect("b.test's own errand is under way");
    assert_eq!((asks.ticket.turn, b.ticket.turn), (0, 1));
}

#[test]
fn an_answer_to_the_robots_txt_is_never_the_answer_to_the_line() {
    let too_long = Duration::from_secs(3600);
    // Longer than the line's time, if not too long for the host.
    let settings = Settings { robots: Some(policy()), deadline: ms(1000), ..Settings::default() };
    let cases =
        [(answered_later(503, too_long), Kind::RetryAfterTooLong), (answered_later(503, ms(2000)), Kind::RobotsDenied)];
    for (attempt, kind) in cases {
        let mut core = Core::new(settings.clone());
        core.push(get(0, "http://a.test/page"), ms(0));
        let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
        core.verdict(asks, attempt, ms(1), ms(1));
        let record = settled(&mut core).record;
        assert_eq!((record.kind(), record.attempts, record.answer.is_some()), (Some(kind), 0, false));
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
        core.verdict(asks, attempt, ms(1), ms(1));
        let record = settled(&mut core).record;
        assert_eq!((record.outcome, record.answer.is_some()), (Outcome::Canceled, false));
    }
}

#[test]
fn retries_of_a_robots_txt_are_not_the_lines_own() {
    let mut core = core();
    core.push(get(0, "http://a.test/page"), ms(0));
    let mut now = ms(0);
    for _ in 0..2 {
        let asks = take(&mut core, "http://a.test/robots.txt", now);
        core.verdict(asks, answered(500), ms(1), now);
        now = core.next_wakeup(now).expect("it is tried again");
    }
    let asks = take(&mut core, "http://a.test/robots.txt", now);
    core.verdict(asks, robots(ALL), ms(1), now);
    for attempts in 1..=3 {
        let job = take(&mut core, "http://a.test/page", now);
        core.verdict(job, answered(500), ms(1), now);
        match attempts {
            3 => assert_eq!(settled(&mut core).record.attempts, 3),
            _ => now = core.next_wakeup(now).expect("it is tried again"),
        }
    }
}
