//! robots.txt (RFC 9309): who fetches it, what it means, and what happens when it cannot be had.

use std::time::Duration;

use fetchd::item::{Attempt, Done, ErrorKind, Outcome, Record, Sent};
use fetchd::schedule::{Core, Job, RobotsPolicy, Settings};
use http::Method;
use proptest::prelude::*;
use proptest::sample::select;

use crate::items::{answered, answered_later, failed, get, limits, ms, redirected, robots};
use crate::script::{Reply, scripts};
use crate::world::{What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_disallowed_is_never_sent_whichever_line_is_taken(
        script in scripts(), max_hosts in 1usize..6, cache in select(vec![1, 1 << 20])
    ) {
        let obedient = RobotsPolicy { cache, ..policy() };
        let script = script.with_replies(|_| Reply::Status(200)).with_max_hosts(max_hosts).obeying_robots(Some(obedient));
        for event in play(&script) {
            match event.what {
                What::Started { path, ordinal, .. } => prop_assert_ne!(path, "/1", "line {}", ordinal),
                What::Settled(settled) => {
                    let allowed = script.lines[settled.ordinal as usize].path != 1;
                    prop_assert!(allowed || matches!(settled.kind, Some(ErrorKind::RobotsDenied | ErrorKind::RobotsUnavailable | ErrorKind::CircuitOpen | ErrorKind::Deadline)));
                }
                _ => {}
            }
        }
    }
}

pub const ALL: &str = "User-agent: *\nDisallow: /private\n";

pub fn policy() -> RobotsPolicy {
    RobotsPolicy { agent: "fetchd".to_owned(), max_crawl_delay: Duration::from_secs(60), cache: 1 << 20 }
}

pub fn core() -> Core {
    Core::new(Settings { robots: Some(policy()), ..Settings::default() })
}

/// Takes the one line that may start, which must be for this URL.
#[track_caller]
pub fn take(core: &mut Core, url: &str, now: Duration) -> Box<Job> {
    let job = core.take(now);
    assert_eq!(job.as_ref().map(|job| job.call.request.url.as_str()), Some(url));
    job.expect("it is there")
}

#[track_caller]
pub fn settled(core: &mut Core) -> Done {
    core.take_settled().expect("a line is settled")
}

/// A core that was told this of http://a.test/robots.txt by its first line, which asks for `/page`.
pub fn told(attempt: Attempt) -> Core {
    let mut core = core();
    core.push(get(0, "http://a.test/page"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    core.complete(asks, attempt, ms(1), ms(1));
    core
}

/// What becomes of a line for this URL, if it gets a 200.
fn comes_of(core: &mut Core, url: &str) -> Box<Record> {
    core.push(get(9, url), ms(2));
    if let Some(job) = core.take(ms(2)) {
        assert_eq!(job.call.request.url.as_str(), url);
        core.complete(job, answered(200), ms(1), ms(3));
    }
    settled(core).record
}

#[test]
fn the_first_line_of_a_site_goes_for_its_robots_txt_and_the_others_wait() {
    let mut core = core();
    for ordinal in 0..3 {
        core.push(get(ordinal, &format!("http://a.test/{ordinal}?q=1")), ms(0));
    }
    core.push(get(3, "http://b.test/"), ms(0));
    let asks = take(&mut core, "http://a.test/robots.txt", ms(0));
    assert_eq!((asks.call.request.method.clone(), asks.call.request.extra.is_none()), (Method::GET, true));
    take(&mut core, "http://b.test/robots.txt", ms(0));
    assert!(core.take(ms(0)).is_none(), "the rest of the host waits");
    core.complete(asks, robots(ALL), ms(1), ms(1));
    for ordinal in 0..3 {
        let job = take(&mut core, &format!("http://a.test/{ordinal}?q=1"), ms(1));
        core.complete(job, answered(200), ms(1), ms(2));
        let record = settled(&mut core).record;
        assert_eq!((record.outcome, record.attempts, record.id.seq), (Outcome::Ok, 1, ordinal + 1));
        assert_eq!(record.url.map(|url| url.path().to_owned()), Some(format!("/{ordinal}")));
    }
}

#[test]
fn what_is_disallowed_is_rejected_unsent_and_says_by_whom() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.complete(job, answered(200), ms(1), ms(2));
    assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    let record = comes_of(&mut core, "http://a.test/private/1");
    assert_eq!((record.kind(), record.outcome, record.attempts), (Some(ErrorKind::RobotsDenied), Outcome::Rejected, 0));
    let message = record.error.map(|(_, message)| message).unwrap_or_default();
    assert!(message.contains("http://a.test/robots.txt") && message.contains("`fetchd`"), "{message}");
}

#[test]
fn the_line_that_brought_the_file_obeys_it_too() {
    let mut core = told(robots("User-agent: FETCHD\nDisallow: /page\n"));
    assert_eq!(settled(&mut core).record.kind(), Some(ErrorKind::RobotsDenied));
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
fn while_a_server_fails_to_give_its_robots_txt_its_lines_wait_and_then_they_are_rejected() {
    for status in [429, 500, 503] {
        let (mut core, mut now) = (core(), ms(0));
        core.push(get(0, "http://a.test/page"), now);
        core.push(get(1, "http://a.test/other"), now);
        let mut asked = Vec::new();
        while core.counts().outgoing < 2 {
            if let Some(asks) = core.take(now) {
                assert_eq!(asks.call.request.url.path(), "/robots.txt");
                asked.push(now);
                core.complete(asks, answered(status), ms(1), now);
            }
            now = core.next_wakeup(now).unwrap_or(now);
        }
        // Thrice as for a line, then once each cool-down of 5 s, or later where the host is paused for its 429s.
        let spaced = |pair: &[Duration]| pair[1] >= pair[0] + Duration::from_secs(5);
        assert!(asked[2..].windows(2).all(spaced) && asked.len() > 3, "{status}: {asked:?}");
        assert!(now >= asked[2] + Duration::from_secs(60), "{status}: {now:?} and {asked:?}");
        for _ in 0..2 {
            let record = settled(&mut core).record;
            assert_eq!((record.kind(), record.outcome), (Some(ErrorKind::RobotsUnavailable), Outcome::Rejected));
            assert_eq!((record.attempts, record.url.map(|url| url.path() == "/robots.txt")), (0, Some(false)));
        }
        // Later lines are rejected, too, but for one each cool-down, which asks again.
        core.push(get(2, "http://a.test/page"), now);
        let asks = core.take(now + Duration::from_secs(61)).expect("it asks");
        core.complete(asks, robots(ALL), ms(1), now + Duration::from_secs(61));
        take(&mut core, "http://a.test/page", now + Duration::from_secs(61));
    }
}

#[test]
fn a_host_that_cannot_be_reached_fails_the_line_by_its_own_error() {
    let mut core = told(failed(ErrorKind::DnsNotFound, Sent::Nothing));
    let record = settled(&mut core).record;
    assert_eq!((record.kind(), record.outcome), (Some(ErrorKind::DnsNotFound), Outcome::Failed));
    assert!(record.error.is_some_and(|(_, message)| message.contains("robots.txt")));
    core.push(get(1, "http://a.test/page"), ms(2));
    take(&mut core, "http://a.test/robots.txt", ms(2));
}

#[test]
fn a_failed_robots_txt_is_tried_again_as_a_line_is() {
    let mut core = told(failed(ErrorKind::Reset, Sent::Something));
    let due = core.next_wakeup(ms(1)).expect("it is tried again");
    let asks = take(&mut core, "http://a.test/robots.txt", due);
    core.complete(asks, robots(ALL), ms(1), due);
    let job = take(&mut core, "http://a.test/page", due);
    core.complete(job, answered(200), ms(1), due);
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
            core.complete(asks, redirected(301, &to), ms(1), ms(1));
            asks = core.take(ms(1)).expect("it goes on");
            let expected = if n < 5 { to.as_str() } else { "http://a.test/private" };
            assert_eq!(asks.call.request.url.as_str(), expected);
        }
        if obeyed {
            core.complete(asks, robots(ALL), ms(1), ms(1));
            let record = settled(&mut core).record;
            assert_eq!((record.kind(), record.hops.len()), (Some(ErrorKind::RobotsDenied), 0));
        } else {
            core.complete(asks, answered(200), ms(1), ms(1));
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
    core.complete(a, redirected(302, "http://b.test/rules"), ms(1), ms(1));
    core.complete(b, redirected(302, "http://a.test/rules"), ms(1), ms(1));
    for _ in 0..2 {
        let asks = core.take(ms(1)).expect("it goes on");
        core.complete(asks, robots(ALL), ms(1), ms(1));
    }
    for _ in 0..2 {
        let job = core.take(ms(1)).expect("it goes on");
        core.complete(job, answered(200), ms(1), ms(2));
        assert_eq!(settled(&mut core).record.outcome, Outcome::Ok);
    }
}

#[test]
fn the_target_of_a_redirect_is_asked_for_its_rules_first() {
    let mut core = told(robots(ALL));
    let job = take(&mut core, "http://a.test/page", ms(1));
    core.complete(job, redirected(302, "http://b.test/private"), ms(1), ms(2));
    let asks = take(&mut core, "http://b.test/robots.txt", ms(2));
    core.complete(asks, robots(ALL), ms(1), ms(3));
    let record = settled(&mut core).record;
    assert_eq!((record.kind(), record.outcome), (Some(ErrorKind::RobotsDenied), Outcome::Failed));
    assert_eq!(record.final_url.map(|url| url.to_string()), Some("http://b.test/private".to_owned()));
}

#[test]
fn the_crawl_delay_spaces_starts_and_has_a_limit() {
    for (text, every) in [("2", 2000), ("0.5", 500), ("86400", 60_000), ("soon", 0), ("-3", 0)] {
        let mut core = told(robots(&format!("User-agent: *\nCrawl-delay: {text}\nDisallow: /private\n")));
        for ordinal in 1..4 {
            core.push(get(ordinal, "http://a.test/page"), ms(1));
        }
        // The request for the file at 0 was one to the host, too.
        let mut now = core.next_wakeup(ms(1)).unwrap_or(ms(1));
        assert!(now >= ms(every), "{text}: {now:?}");
        for _ in 0..3 {
            let job = take(&mut core, "http://a.test/page", now);
            core.complete(job, answered(200), ms(1), now);
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
    core.complete(job, answered(200), ms(1), ms(2));
    for (hours, url) in [(23, "http://a.test/page"), (24, "http://a.test/robots.txt")] {
        let now = Duration::from_secs(hours * 3600 + 1);
        core.push(get(hours, "http://a.test/page"), now);
        let job = take(&mut core, url, now);
        core.complete(job, answered(200), ms(1), now);
    }
}

#[test]
fn a_scheme_and_a_port_are_sites_of_their_own() {
    let mut core = told(robots("User-agent: *\nDisallow: /\n"));
    assert_eq!(settled(&mut core).record.kind(), Some(ErrorKind::RobotsDenied));
    for (ordinal, site) in (1..).zip(["https://a.test", "http://a.test:8080"]) {
        core.push(get(ordinal, &format!("{site}/page")), ms(2));
        let asks = take(&mut core, &format!("{site}/robots.txt"), ms(2));
        core.complete(asks, answered(404), ms(1), ms(2));
        take(&mut core, &format!("{site}/page"), ms(2));
    }
}

#[test]
fn lines_that_are_denied_take_turns_with_those_of_other_hosts() {
    let mut core = told(robots(ALL));
    take(&mut core, "http://a.test/page", ms(1));
    for ordinal in 1..=100 {
        core.push(get(ordinal, "http://a.test/private"), ms(1));
    }
    core.push(get(101, "http://b.test/"), ms(1));
    take(&mut core, "http://b.test/robots.txt", ms(1));
    assert!(core.counts().waiting > 90, "{:?}", core.counts());
    assert!(core.take(ms(1)).is_none());
    assert_eq!(core.counts().outgoing, 100);
}

#[test]
fn a_file_with_wildcards_without_number_is_a_ban_and_one_with_many_is_obeyed() {
    let rules = |n| (0..n).map(|n| format!("disallow: /*x*z{n}\n")).collect::<String>();
    let file = |n| format!("user-agent: *\n{}disallow: /private\n", rules(n));
    assert_eq!(comes_of(&mut asked(&file(1000)), "http://a.test/other").outcome, Outcome::Ok);
    let record = comes_of(&mut asked(&file(1001)), "http://a.test/other");
    assert_eq!(record.kind(), Some(ErrorKind::RobotsDenied));
    assert!(record.error.is_some_and(|(_, message)| message.contains("wildcards")));
}

/// A core whose first line, for `/page`, brought this file and is settled.
fn asked(file: &str) -> Core {
    let mut core = told(robots(file));
    if let Some(job) = core.take(ms(1)) {
        core.complete(job, answered(200), ms(1), ms(1));
    }
    settled(&mut core);
    core
}
