//! Credentials, and the hosts that get them: those that are named, and no other. Every test has a canary that must never
//! see the secret.

use std::fs;

use serde_json::{Value, json};

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::Origin;

const SECRET: &str = "s3cr3t";

/// A host that the credentials are meant for, and the canary, which is another.
struct Hosts {
    own: Origin,
    canary: Origin,
}

impl Hosts {
    fn new() -> Self {
        Self { own: Origin::start_at([127, 0, 0, 1]), canary: Origin::start_at([127, 0, 0, 2]) }
    }

    fn lines(&self, hosts: &str) -> String {
        let line = |host| if host == 'a' { self.own.url("/ok/1\n") } else { self.canary.url("/ok/1\n") };
        hosts.chars().map(line).collect()
    }

    /// The canary had so many requests, and none with the secret.
    fn canary_is_well(&self, requests: usize) {
        let seen = self.canary.requests();
        assert_eq!(seen.len(), requests);
        assert!(seen.iter().all(|request| !request.headers.iter().any(|(_, value)| value.contains(SECRET))));
    }

    /// How many requests of its own host had the secret.
    fn told(&self, header: &str) -> usize {
        self.own.requests().iter().filter(|request| request.header(header) == Some(SECRET)).count()
    }
}

fn with_header(name: &str) -> Fetchd {
    Fetchd::with(["-H", &format!("{name}: {SECRET}"), "-H", "accept: text/csv"])
}

fn check(config: &str) -> Ended {
    Fetchd::local().config(config).run("")
}

#[test]
fn credentials_of_the_command_line_are_for_the_host_of_the_first_line() {
    for name in ["authorization", "Cookie", "x-api-key", "API-Key"] {
        let hosts = Hosts::new();
        let ended = with_header(name).run(hosts.lines("abbaab"));
        assert_eq!((ended.code, hosts.told(&name.to_lowercase())), (Some(0), 3), "{}", ended.stderr);
        hosts.canary_is_well(3);
        assert!(hosts.canary.requests().iter().all(|request| request.header("accept") == Some("text/csv")));
        assert_eq!(ended.stderr.matches("only to 127.0.0.1, the host of the first line").count(), 1);
        assert!(ended.stderr.contains("not to 127.0.0.2") && !ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

#[test]
fn lines_of_one_host_have_them_without_a_word_whatever_comes_before() {
    let hosts = Hosts::new();
    let input = format!("\n# not a URL\nnonsense\n{}", hosts.lines("aaa"));
    let ended = with_header("authorization").run(input);
    assert_eq!((ended.code, hosts.told("authorization")), (Some(0), 3));
    assert!(!ended.stderr.contains("of the first line"), "{}", ended.stderr);
    // Another port is the same host, as for [hosts].
    let other_port = Origin::start();
    with_header("authorization").run(format!("{}{}", hosts.lines("a"), other_port.url("/ok/1")));
    assert_eq!(other_port.requests()[0].header("authorization"), Some(SECRET));
    hosts.canary_is_well(0);
}

#[test]
fn a_run_that_resumes_does_not_take_its_own_first_line_for_that_of_the_input() {
    let (hosts, dir) = (Hosts::new(), tempfile::tempdir().unwrap());
    let run = |text: String| {
        fs::write(dir.path().join("urls"), text).unwrap();
        let fetchd = Fetchd::with(["-H", &format!("authorization: {SECRET}"), "-i", "urls", "--data-dir", "state"]);
        fetchd.directory(dir.path()).run("")
    };
    // A byte order mark is no part of the first line.
    let first = format!("\u{feff}{}", hosts.lines("a"));
    run(first.clone());
    let ended = run(format!("{first}{}", hosts.lines("ba")));
    assert_eq!((ended.records.len(), hosts.told("authorization")), (2, 2), "{}", ended.stderr);
    hosts.canary_is_well(1);
}

#[test]
fn a_journal_of_earlier_lines_leaves_later_ones_without_credentials() {
    let (hosts, dir) = (Hosts::new(), tempfile::tempdir().unwrap());
    let config = "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n";
    let run = |input: String| with_header("authorization").directory(dir.path()).config(config).run(input);
    run(hosts.lines("a"));
    assert_eq!(hosts.told("authorization"), 1);
    let ended = run(hosts.lines("ba"));
    assert_eq!((ended.records.len(), hosts.told("authorization")), (2, 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("which an earlier run had, not to 127.0.0.2"), "{}", ended.stderr);
    hosts.canary_is_well(1);
}

#[test]
fn credentials_for_every_host_are_refused_unless_that_is_said() {
    for name in ["authorization", "Proxy-Authorization", "cookie", "X-API-Key", "api-key"] {
        let refused = check(&format!("[fetch]\nheaders = {{ {name} = '{SECRET}' }}"));
        assert_eq!(refused.code, Some(2), "{name}");
        assert!(refused.stderr.contains("would go to every host") && !refused.stderr.contains(SECRET));
    }
    for name in ["authorization", "cookie", "X-API-Key", "api-key"] {
        let any = format!("[hosts.'*']\nheaders = {{ {name} = '{SECRET}' }}\n");
        let refused = check(&any);
        assert_eq!(refused.code, Some(2), "{name}");
        assert!(
            refused.stderr.contains("`everywhere = true`") && !refused.stderr.contains(SECRET),
            "{}",
            refused.stderr
        );
        let hosts = Hosts::new();
        let said = Fetchd::local().config(&format!("{any}everywhere = true")).run(hosts.lines("aa"));
        assert_eq!((said.code, hosts.told(&name.to_lowercase())), (Some(0), 2), "{}", said.stderr);
        hosts.canary_is_well(0);
    }
    let misplaced = check("[hosts.'a.test']\neverywhere = true");
    assert!(misplaced.code == Some(2) && misplaced.stderr.contains("has no meaning"), "{}", misplaced.stderr);
}

#[test]
fn a_header_that_looks_like_a_credential_is_warned_of() {
    let config =
        "fetch.headers = { x-auth-token = 's3cr3t' }\n[hosts.'*']\nheaders = { App-Secret = 's3cr3t', x-tokens = '1' }";
    let ended = check(config);
    assert_eq!(ended.code, Some(0));
    for word in ["`x-auth-token` in `fetch.headers` goes to every host", "`App-Secret` in `hosts."] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("x-tokens") && !ended.stderr.contains(SECRET), "{}", ended.stderr);
    let named = check("[hosts.'a.test']\nheaders = { x-auth-token = 's3cr3t' }");
    assert!(!named.stderr.contains("x-auth-token"), "{}", named.stderr);
}

#[test]
fn a_header_that_is_an_empty_variable_is_refused_and_a_part_of_one_is_not() {
    let config = |value: &str| format!("[hosts.'127.0.0.1']\nheaders = {{ authorization = '{value}' }}");
    let run = |value| {
        let hosts = Hosts::new();
        let fetchd = Fetchd::local().env("EMPTY", "").env("TOKEN", SECRET).config(&config(value));
        (fetchd.run(hosts.lines("ab")), hosts)
    };
    let (refused, hosts) = run("${EMPTY}");
    assert_eq!((refused.code, hosts.own.accepts()), (Some(2), 0));
    assert!(refused.stderr.contains("is ${EMPTY}, which is empty"), "{}", refused.stderr);
    for (value, sent) in [("Bearer ${EMPTY}", "Bearer"), ("${TOKEN}${EMPTY}", SECRET), ("", "")] {
        let (ended, hosts) = run(value);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(hosts.own.requests()[0].header("authorization").map(str::trim), Some(sent));
        hosts.canary_is_well(1);
    }
    // Elsewhere an empty value may be meant.
    let (ended, _) = (Fetchd::local().env("EMPTY", "").config("fetch.user_agent = 'me${EMPTY}'").run(""), ());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_pattern_that_matched_no_request_is_named_in_the_summary() {
    let hosts = Hosts::new();
    let redirect = hosts.own.redirect(302, &hosts.canary.url("/ok/1"));
    let config = "log.format = 'text'\nhosts.'127.0.0.1'.rate = '99/s'\nhosts.'127.0.0.2'.rate = '99/s'\n\
                  hosts.'*.test'.rate = '1/s'\nhosts.'api.exmaple.com'.headers = { authorization = 's3cr3t' }";
    let ended = Fetchd::local().config(config).run(redirect);
    assert_eq!(ended.code, Some(0));
    let said = "no request was for a host of hosts.\"*.test\" hosts.\"api.exmaple.com\"";
    assert!(ended.stderr.contains(said) && !ended.stderr.contains(SECRET), "{}", ended.stderr);
    let nothing = Fetchd::local().config(config).run("");
    assert!(!nothing.stderr.contains("no request"), "{}", nothing.stderr);
    let seen: Vec<Value> =
        hosts.canary.requests().iter().map(|request| json!(request.header("authorization"))).collect();
    assert_eq!(seen, [Value::Null]);
}
