//! A restart is no licence: however often a run is killed and started again, no host gets a request sooner than its interval
//! after the last one, whichever run sent that, and a robots.txt is fetched once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::{Origin, Request, ok_with, send};

/// What may be between the start of a request and its arrival.
const ON_THE_WAY: Duration = Duration::from_millis(250);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A data directory, an input, and what runs on them.
struct Scenario {
    dir: TempDir,
    config: String,
}

impl Scenario {
    fn new(lines: impl IntoIterator<Item = String>, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("urls"), lines.into_iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        Self { dir, config: config.to_owned() }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn start(&self) -> Running {
        let (urls, results) = (self.dir.path().join("urls"), self.dir.path().join("results.jsonl"));
        let args = [Path::new("-i"), &urls, Path::new("-o"), &results, Path::new("--data-dir"), &self.state()];
        Fetchd::with(args).config(&self.config).start()
    }
}

/// A server of its own address with this robots.txt, if it has one.
fn host(number: u8, robots: Option<&str>) -> Origin {
    let origin = Origin::start_at([127, 0, 1, number]);
    if let Some(text) = robots {
        origin.play("/robots.txt", [send(ok_with("", text.as_bytes()))]);
    }
    origin
}

/// Lines of every kind: pages, redirects to the same host, and answers that are retried.
fn lines(origin: &Origin) -> impl Iterator<Item = String> {
    (0..60).map(|n| match n % 3 {
        0 => origin.url(&format!("/ok/{n}")),
        1 => origin.redirect(302, &origin.url(&format!("/ok/{n}"))),
        _ => origin.url(&format!("/flaky/1?{n}")),
    })
}

/// No two requests were nearer to each other than this.
#[track_caller]
fn assert_spaced(requests: &[Request], every: Duration) {
    for (n, pair) in requests.windows(2).enumerate() {
        let gap = pair[1].at - pair[0].at;
        let what = [&pair[0].target, &pair[1].target];
        assert!(
            gap + ON_THE_WAY >= every,
            "{gap:?} instead of {every:?} between the requests {n} and {} ({what:?})",
            n + 1
        );
    }
}

fn robots_fetched(origin: &Origin) -> usize {
    origin.requests_for("/robots.txt")
}

#[test]
fn over_thirty_kills_no_host_is_asked_too_early_and_its_robots_txt_is_fetched_once() {
    // By rate, by Crawl-delay, and by both; with and without a robots.txt.
    let hosts = [
        (host(1, None), ms(1200)),
        (host(2, Some("User-agent: *\nDisallow: /private\n")), ms(1500)),
        (host(3, Some("User-agent: *\nCrawl-delay: 1.1\n")), ms(1100)),
        (host(4, Some("User-agent: *\nCrawl-delay: 1.4\n")), ms(1400)),
        (host(5, Some("User-agent: *\nCrawl-delay: 0.2\n")), ms(1250)),
    ];
    let config = "
        robots.enabled = true
        retry.backoff = '1ms'
        hosts.'127.0.1.1'.rate = '50/min'
        hosts.'127.0.1.2'.rate = '40/min'
        hosts.'127.0.1.4'.rate = '100/min'
        hosts.'127.0.1.5'.rate = '48/min'
    ";
    let scenario = Scenario::new(hosts.iter().flat_map(|(origin, _)| lines(origin)), config);
    let mut random = fastrand::Rng::with_seed(7);
    for run in 0..31 {
        let running = scenario.start();
        // The first run learns of every robots.txt.
        running.silence(ms(if run == 0 { 1000 } else { random.u64(100..3000) }));
        running.kill();
    }
    for (origin, every) in &hosts {
        let requests = origin.requests();
        assert_spaced(&requests, *every);
        assert_eq!((requests[0].path(), robots_fetched(origin)), ("/robots.txt", 1));
        assert!(requests.len() > 8, "only {} requests", requests.len());
    }
}

#[test]
fn what_a_robots_txt_says_is_kept_before_the_first_page_is_fetched() {
    for n in 0..10 {
        let origin = host(20 + n, Some("User-agent: *\nDisallow: /private\n"));
        let scenario = Scenario::new(lines(&origin), "robots.enabled = true\nhosts.'*'.concurrency = 1\n");
        let running = scenario.start();
        origin.wait_for_requests(2);
        running.kill();
        let before = origin.requests().len();
        let running = scenario.start();
        origin.wait_for_requests(before + 1);
        running.kill();
        assert_eq!(robots_fetched(&origin), 1);
    }
}

#[test]
fn a_host_is_not_asked_twice_within_its_interval_by_runs_that_end_well_either() {
    for (rate, every) in [("2/s", ms(500)), ("50/min", ms(1200))] {
        let origin = host(10, None);
        let scenario = Scenario::new(lines(&origin), &format!("hosts.'*'.rate = '{rate}'\nshutdown.grace = '0s'\n"));
        for run in 1..=3 {
            let mut running = scenario.start();
            origin.wait_for_requests(run);
            running.signal(Signal::SIGTERM);
            running.wait();
        }
        assert_spaced(&origin.requests(), every);
    }
}

#[test]
fn a_run_long_after_the_last_one_does_not_wait() {
    let origin = host(11, None);
    let scenario = Scenario::new([origin.url("/ok/1")], "hosts.'*'.rate = '1/min'\n");
    assert_eq!(scenario.start().wait().code, Some(0));
    fs::write(scenario.state().join("lock"), "ended 2020-01-01T00:00:00Z\n").unwrap();
    fs::write(scenario.dir.path().join("urls"), format!("{}\n{}\n", origin.url("/ok/1"), origin.url("/ok/2"))).unwrap();
    assert_eq!(scenario.start().wait().code, Some(0));
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at < Duration::from_secs(30));
}

#[test]
fn after_a_clock_that_jumped_back_a_host_waits_one_interval_and_no_more() {
    let origin = host(12, None);
    let scenario = Scenario::new([origin.url("/ok/1")], "hosts.'*'.rate = '40/min'\n");
    fs::create_dir_all(scenario.state()).unwrap();
    fs::write(scenario.state().join("lock"), "ended 2199-01-01T00:00:00Z\n").unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(scenario.start().wait().code, Some(0));
    let waited = origin.requests()[0].at - before;
    assert!((ms(1500)..ms(15_000)).contains(&waited), "{waited:?}");
}

#[test]
fn the_rate_of_the_whole_run_holds_over_a_kill() {
    let origins = [host(13, None), host(14, None)];
    let scenario = Scenario::new(origins.iter().flat_map(lines), "limits.rate = '50/min'\n");
    for run in 1..=3 {
        let running = scenario.start();
        origins[0].wait_for_requests(run);
        running.kill();
    }
    let mut requests: Vec<_> = origins.iter().flat_map(Origin::requests).collect();
    requests.sort_by_key(|request| request.at);
    assert_spaced(&requests, ms(1200));
}

#[test]
fn a_log_of_robots_txt_files_that_is_torn_or_of_another_crawler_is_asked_for_again() {
    let fetched = jiff::Timestamp::now();
    let whole = |agent: &str, site: &str| {
        let rules = r#"{"disallow":["/ok/1"]}"#;
        format!(r#"{{"site":"{site}","agent":"{agent}","fetched":"{fetched}","rules":{rules}}}"#)
    };
    let origin = host(15, Some("User-agent: *\nDisallow: /ok/2\n"));
    let (site, lines) = (origin.url(""), [origin.url("/ok/1"), origin.url("/ok/2")]);
    let (own, others) = (whole("fetchd", &site), whole("other", &site));
    let stale = own.replace("\"fetched\":\"2", "\"fetched\":\"1");
    let cases = [
        (format!("{own}\n"), 1, 0),
        (format!("{own}\n{}", &own[..own.len() / 2]), 1, 0),
        (format!("{own}\nnot JSON\n\n{{}}\n"), 1, 0),
        (own[..own.len() / 2].to_owned(), 2, 1),
        (format!("{others}\n"), 2, 1),
        (format!("{stale}\n"), 2, 1),
        (String::new(), 2, 1),
    ];
    for (log, denied, asked) in cases {
        let scenario = Scenario::new(lines.clone(), "robots.enabled = true\n");
        fs::create_dir_all(scenario.state()).unwrap();
        fs::write(scenario.state().join("robots.jsonl"), &log).unwrap();
        let before = robots_fetched(&origin);
        assert_eq!(scenario.start().wait().code, Some(0));
        let records = fs::read_to_string(scenario.dir.path().join("results.jsonl")).unwrap();
        let record = records.lines().find(|record| record.contains("robots_denied")).unwrap();
        assert!(record.contains(&format!("/ok/{denied}")), "{log}: {record}");
        assert_eq!(robots_fetched(&origin) - before, asked, "{log}");
    }
}
