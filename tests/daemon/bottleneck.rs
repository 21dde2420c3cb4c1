//! What limited a run, and the key that holds in fact: the summary names it, as the progress line does.

use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, refusing_address};

/// Lines that all ask for this path.
fn lines(origin: &Origin, path: &str, count: usize) -> String {
    (0..count).map(|n| origin.url(&format!("{path}?{n}")) + "\n").collect()
}

/// What the summary says that limited a run of these lines.
fn limited_by(args: &[&str], config: &str, lines: String) -> String {
    let ended = Fetchd::with(args).config(config).run(lines);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.summary()["limited_by"].as_str().unwrap().to_owned()
}

#[test]
fn the_key_of_the_pattern_is_named_that_sets_the_limit_of_a_host() {
    let origin = Origin::start_at([127, 0, 0, 2]);
    let (address, authority) = ("127.0.0.2", origin.authority());
    let cases = [
        (format!("hosts.'{address}'.rate = '10/s'\n"), "host-rate of 127.0.0.2 (hosts.\"127.0.0.2\".rate)".to_owned()),
        (
            format!("hosts.'{authority}'.concurrency = 1\nhosts.'{address}'.concurrency = 2\n"),
            format!("host-concurrency 1 of {authority} (hosts.\"{authority}\".concurrency)"),
        ),
        // A table that leaves the key out is not what limits.
        (
            format!("hosts.'{address}'.concurrency = 4\nhosts.'*'.rate = '10/s'\n"),
            "host-rate of 127.0.0.2 (hosts.\"*\".rate)".to_owned(),
        ),
        (format!("hosts.'{address}'.timeout = '9s'\nhosts.'*'.concurrency = 1\n"), {
            "host-concurrency 1 of 127.0.0.2 (hosts.\"*\".concurrency)".to_owned()
        }),
    ];
    for (config, named) in cases {
        assert_eq!(limited_by(&[], &config, lines(&origin, "/slow/50", 15)), format!("limited by {named}"));
    }
}

#[test]
fn too_few_workers_are_named_as_such() {
    let origin = Origin::start();
    let named = limited_by(&["--host-concurrency", "64"], "fetch.workers = 1", lines(&origin, "/slow/50", 15));
    assert_eq!(named, "limited by fetch.workers");
    let args = ["--host-concurrency", "64", "--max-concurrency", "1"];
    let named = limited_by(&args, "", lines(&origin, "/slow/50", 15));
    assert_eq!(named, "limited by concurrency (--max-concurrency)");
}

#[test]
fn a_limit_is_named_by_its_flag_where_that_sets_it_and_else_by_its_key_in_the_file() {
    let origin = Origin::start();
    let lines = || lines(&origin, "/slow/50", 15);
    let many = &["--host-concurrency", "64"][..];
    let cases = [
        (many, "limits.concurrency = 1", "concurrency (limits.concurrency)"),
        (many, "limits.rate = '20/s'", "rate (limits.rate)"),
        (&["--host-concurrency", "64", "--rate", "20/s"], "limits.rate = '9/s'", "rate (--rate)"),
        (&[], "hosts.'*'.rate = '20/s'", "host-rate of 127.0.0.1 (hosts.\"*\".rate)"),
        (&["--host-rate", "20/s"], "", "host-rate of 127.0.0.1 (--host-rate)"),
    ];
    for (args, config, named) in cases {
        assert_eq!(limited_by(args, config, lines()), format!("limited by {named}"));
    }
    let ended = Fetchd::with(["--set", "hosts.*.concurrency=1"]).run(lines());
    assert_eq!(ended.summary()["limited_by"], "limited by host-concurrency 1 of 127.0.0.1 (--host-concurrency)");
}

#[test]
fn a_window_full_of_few_hosts_lines_is_named_while_others_wait_behind_it() {
    let hosts: Vec<Origin> = (2..6).map(|n| Origin::start_at([127, 0, 0, n])).collect();
    let sorted: String = hosts.iter().map(|origin| lines(origin, "/slow/20", 40)).collect();
    let named = limited_by(&["--host-concurrency", "1"], "queue.window = 16", sorted);
    assert!(named.starts_with("limited by queue.window: 1"), "{named}");
    assert!(
        named.ends_with("; mix the hosts of the input, or raise it") && named.contains(" lines of only "),
        "{named}"
    );
}

#[test]
fn a_window_full_of_long_lines_is_named_by_its_bytes() {
    let hosts: Vec<Origin> = (2..6).map(|n| Origin::start_at([127, 0, 0, n])).collect();
    let long = "x".repeat(200);
    let sorted: String = hosts.iter().map(|origin| lines(origin, &format!("/slow/20/{long}"), 40)).collect();
    let config = "queue.window_bytes = '4KiB'\nsource.lines.stdin.max_line = '1KiB'";
    let named = limited_by(&["--host-concurrency", "1"], config, sorted);
    assert!(named.starts_with("limited by queue.window_bytes: 1"), "{named}");
    assert!(named.ends_with("; mix the hosts of the input, or raise it"), "{named}");
}

/// Flags and keys.
type Options = (&'static [&'static str], &'static str);

/// A run that a limit makes long.
struct Long {
    lines: String,
    always: &'static [&'static str],
    limit: Options,
    /// What removes it, where that is not the default.
    cure: Options,
    /// What removes another limit.
    other: Options,
    named: &'static str,
}

impl Long {
    /// What the run is limited by with these options, and its seconds.
    fn run(&self, options: &[Options]) -> (String, f64) {
        let args = options.iter().flat_map(|(args, _)| args.iter()).chain(self.always);
        let config: String = options.iter().map(|(_, config)| *config).collect();
        let summary = Fetchd::with(args).config(&config).run(self.lines.as_str()).summary();
        (summary["limited_by"].as_str().unwrap().to_owned(), summary["elapsed_s"].as_f64().unwrap())
    }
}

/// Runs that are long by one limit.
fn long_runs(hosts: &[Origin]) -> [Long; 4] {
    let quick = lines(&hosts[1], "/slow/10", 200);
    let refuses = refusing_address();
    let dead: String = (0..10).map(|n| format!("http://{refuses}/{n}\n")).collect();
    let many: Options = (&["--host-concurrency", "64"], "");
    [
        Long {
            lines: quick.clone() + &lines(&hosts[0], "/ok/1", 15),
            always: &[],
            limit: (&[], "hosts.'127.0.0.2'.rate = '5/s'\n"),
            cure: (&[], ""),
            other: many,
            named: "host-rate of 127.0.0.2 (hosts.\"127.0.0.2\".rate)",
        },
        Long {
            lines: dead + &quick,
            always: &["--retries", "9"],
            limit: (&["--give-up", "3s"], ""),
            cure: (&["--give-up", "200ms"], ""),
            other: many,
            named: ", which cannot be reached (health)",
        },
        Long {
            lines: hosts.iter().map(|origin| lines(origin, "/slow/20", 40)).collect(),
            always: &["--host-concurrency", "1"],
            limit: (&[], "queue.window = 16\n"),
            cure: (&[], ""),
            other: (&["--give-up", "1s"], ""),
            named: "queue.window: ",
        },
        Long {
            lines: lines(&hosts[0], "/slow/20", 60) + &lines(&hosts[1], "/slow/20", 60),
            always: &[],
            limit: (&["--max-concurrency", "1"], ""),
            cure: (&[], ""),
            other: many,
            named: "concurrency (--max-concurrency)",
        },
    ]
}

#[test]
fn without_the_limit_that_is_named_the_run_is_much_shorter_and_without_another_it_is_not() {
    let hosts: Vec<Origin> = (2..6).map(|n| Origin::start_at([127, 0, 0, n])).collect();
    for run in long_runs(&hosts) {
        let (named, long) = run.run(&[run.limit]);
        assert!(named.contains(run.named), "{named}");
        let (_, short) = run.run(&[run.cure]);
        assert!(short < 0.6 * long, "{named}: {short} s without it, {long} s with it");
        let (_, other) = run.run(&[run.limit, run.other]);
        assert!(other > 0.8 * long, "{named}: {other} s without another limit, {long} s with both");
    }
}

#[test]
fn a_list_of_one_host_is_not_limited_by_the_window_wherever_its_redirects_lead() {
    let (origin, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let redirects: String =
        (0..20).map(|n| origin.redirect(302, &other.url(&format!("/ok/{n}"))) + &format!("&n={n}\n")).collect();
    for lines in [lines(&origin, "/slow/20", 60), redirects + &lines(&origin, "/slow/20", 60)] {
        let named = limited_by(&["--host-concurrency", "1"], "queue.window = 16", lines);
        assert_eq!(named, "limited by host-concurrency 1 of 127.0.0.1 (--host-concurrency)");
    }
}

#[test]
fn the_summary_names_the_statuses_and_hosts_of_what_is_not_ok() {
    let (origin, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let not_ok = lines(&origin, "/status/401", 9) + &lines(&other, "/status/404", 2) + &lines(&origin, "/close", 1);
    let ended = Fetchd::with(["--retries", "0"]).run(not_ok + &lines(&other, "/ok/1", 20) + "nonsense\n");
    let summary = ended.summary();
    assert_eq!(summary["statuses"], "401 × 9 · 404 × 2");
    assert_eq!(summary["worst_hosts"], "127.0.0.1 10 · 127.0.0.2 2");
    let text = Fetchd::with(["--log-format", "text"]).run(lines(&origin, "/status/401", 3));
    assert!(text.stderr.contains("\n  statuses     401 × 3\n  worst hosts  127.0.0.1 3\n"), "{}", text.stderr);
    let none = Fetchd::with(["--log-format", "text"]).run(lines(&origin, "/ok/1", 3));
    assert!(!none.stderr.contains("statuses") && !none.stderr.contains("worst"), "{}", none.stderr);
}

#[test]
fn progress_says_for_how_long_hosts_that_cannot_be_reached_are_waited_for() {
    let dead = format!("http://{}", refusing_address());
    let mut fetchd = Fetchd::with(["--progress", "always", "--give-up", "3s", "--retries", "9"]).start();
    let input: String = (0..12).map(|n| format!("{dead}/{n}\n")).collect();
    let producer = fetchd.write_all(input.into());
    let said = fetchd.message(" for health.give_up, at most ");
    assert!(said.contains(" · 1 host, 12 lines wait for health.give_up, at most "), "{said}");
    assert!(["1 s more", "2 s more", "3 s more"].iter().any(|left| said.contains(left)), "{said}");
    let ended = fetchd.wait();
    producer.join().unwrap();
    assert!(ended.records.iter().all(|record| record["error"]["kind"] == "circuit_open"), "{:#?}", ended.records);
}
