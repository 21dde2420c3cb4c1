//! The configuration: defaults, examples, and what a person is told about a wrong one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

#[path = "common/certs.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod certs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use certs::{Authority, self_signed};
use clap::Parser;
use fetchd::cli::Cli;
use fetchd::config::{Config, Registry, Written};
use fetchd::diagnostics::Report;
use fetchd::sink::Target;
use fetchd::units::{Size, Span};
use proptest::prelude::*;
use serde_json::Value;

fn check_with(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Config, Report> {
    Written::parse(Path::new("bad.toml"), text, env).check()
}

fn check(text: &str) -> Result<Config, Report> {
    check_with(text, |_| None)
}

/// The whole report as a person sees it.
fn report(text: &str) -> String {
    check(text).unwrap_err().to_string()
}

/// Each problem's sentence, in the order of the report.
fn sentences(text: &str) -> Vec<String> {
    check(text).unwrap_err().problems().into_iter().map(|problem| problem.message.clone()).collect()
}

/// What `run` would do with these arguments.
fn arguments(args: &[&str]) -> Result<Config, Report> {
    Cli::parse_from(std::iter::once(&"fetchd").chain(args)).run.config()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn every_default() -> String {
    fs::read_to_string(repository("config/fetchd.toml")).unwrap()
}

fn examples() -> Vec<PathBuf> {
    let files = fs::read_dir(repository("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A configuration with this webhook, and a data directory.
fn webhook(name: &str, keys: &str) -> String {
    format!("[source.in.stdin]\n[state]\ndata_dir = \"state\"\n[sink.{name}.webhook]\n{keys}\n")
}

fn unnamed(mut config: Config) -> Config {
    config.sources.iter_mut().for_each(|source| source.name = None);
    config.sinks.iter_mut().for_each(|sink| sink.name = None);
    config
}

#[test]
fn an_output_is_no_file_that_the_data_directory_has_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display();
    let problems = |path: &str| {
        let text =
            format!("[source.in.stdin]\n[state]\ndata_dir = '{dir}/state'\n[sink.all.jsonl]\npath = '{dir}/{path}'");
        check(&text).err().map(|report| report.to_string()).unwrap_or_default()
    };
    for path in ["state/checkpoint.json", "state/checkpoint.new", "state/../state/./lock", "state/journal/in/x.jsonl"] {
        let said = problems(path);
        assert!(said.contains(&format!("`{dir}/{path}` is a file of the data directory's own")), "{path}: {said}");
        assert!(said.contains(&format!("for example \"{dir}/state/results.jsonl\"")), "{said}");
    }
    for path in ["state/results.jsonl", "lock", "journal/x.jsonl", "state/journal.jsonl"] {
        assert_eq!(problems(path), "");
    }
}

#[test]
fn a_file_that_another_sink_will_write_once_it_rotates_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
    let dir = dir.path().display();
    let text = |path: &str, keys: &str| {
        format!(
            "[source.in.stdin]\n[sink.a.jsonl]\npath = '{dir}/o.jsonl'\n{keys}\n[sink.b.jsonl]\npath = '{dir}/{path}'"
        )
    };
    for keys in ["rotate_size = '1MiB'", "rotate_every = '1h'", "compress = 'gzip'"] {
        for path in ["o-000001.jsonl", "o-000007.jsonl.gz", "link/o-1234567.jsonl", "o-000001.jsonl.zst.part"] {
            let mut said = sentences(&text(path, keys));
            said.retain(|sentence| !sentence.contains("would hold plain JSON lines"));
            assert!(said.len() == 1 && said[0].contains("the sink `a` can come to write"), "{path}, {keys}: {said:?}");
        }
        for path in ["o-1x.jsonl", "o-000001.json", "p-000001.jsonl", "o.jsonl.1"] {
            assert!(check(&text(path, keys)).is_ok(), "{path}, {keys}");
        }
    }
    assert!(check(&text("o-000001.jsonl", "")).is_ok());
    // Both have numbers, and the same names.
    assert_eq!(sentences(&text("o.jsonl.gz'\ncompress = 'gzip", "rotate_size = '1MiB'")).len(), 2);
}

#[test]
fn a_path_that_ends_like_a_compressed_file_is_refused_unless_the_file_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display();
    let text = |path: &str, keys: &str| format!("[source.in.stdin]\n[sink.a.jsonl]\npath = '{dir}/{path}'\n{keys}");
    for (path, how) in [("o.jsonl.gz", "gzip"), ("o.zst", "zstd")] {
        for keys in ["", "rotate_size = '1MiB'", "compress = 'none'"] {
            let said = sentences(&text(path, keys));
            let words = format!("{path}` would hold plain JSON lines");
            let key = format!("write compress = \"{how}\" under [sink.NAME.jsonl]");
            assert!(said.len() == 1 && said[0].contains(&words) && said[0].contains(&key), "{path}, {keys}: {said:?}");
        }
        for keys in ["compress = 'gzip'", "compress = 'zstd'"] {
            assert!(check(&text(path, keys)).is_ok(), "{path}, {keys}");
        }
    }
    for path in ["o.jsonl", "gz", "o.gz.txt"] {
        assert!(check(&text(path, "")).is_ok(), "{path}");
    }
    let fifo = format!("{dir}/o.gz");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(check(&text("o.gz", "")).is_ok());
}

#[test]
fn two_spellings_of_a_file_are_one_output() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
    let dir = dir.path().display();
    let text = |path: &str| {
        format!("[source.in.stdin]\n[sink.a.jsonl]\npath = '{dir}/out'\n[sink.b.jsonl]\npath = '{dir}/{path}'")
    };
    for path in ["./out", "link/out", "link/./link/out"] {
        let said = sentences(&text(path));
        assert!(said.len() == 1 && said[0].starts_with("the sinks `a` and `b` write to the same place"), "{said:?}");
    }
    assert!(check(&text("out.jsonl")).is_ok());
}

#[test]
fn the_configuration_with_every_default_is_no_configuration() {
    assert_eq!(unnamed(check(&every_default()).unwrap()), Written::default().check().unwrap());
}

/// `TABLE.KEY` of everything that serialises; names, kinds and patterns left out.
fn keys_of(config: &Config) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut collect = |table: &str, component: &Value| {
        keys.extend(component.as_object().unwrap().keys().map(|key| format!("{table}.{key}")));
    };
    for (table, value) in serde_json::to_value(config).unwrap().as_object().unwrap() {
        match (table.as_str(), value) {
            // `-H` has no key.
            ("headers", _) => {}
            ("sources" | "sinks", Value::Array(all)) => {
                let kinds = all.iter().flat_map(|named| named["component"].as_object().unwrap().values());
                kinds.for_each(|kind| collect(table.trim_end_matches('s'), kind));
            }
            ("hosts", Value::Object(patterns)) => patterns.values().for_each(|host| collect("hosts", host)),
            (table, component) => collect(table, component),
        }
    }
    keys
}

/// `TABLE.KEY` of every line `key = …` and `# key = …`.
fn keys_written(text: &str) -> BTreeSet<String> {
    let mut table = "";
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header.split(['.', ']']).next().unwrap();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn the_configuration_with_every_default_has_every_key_and_says_why() {
    let text = every_default();
    let defaults = Written::default().check().unwrap();
    assert_eq!(keys_written(&text), keys_of(&defaults));
    for line in text.lines().filter(|line| line.contains(" = ") && !line.starts_with("# ")) {
        assert!(line.split_once("  # ").or(line.split_once(" # ")).is_some(), "no reason: {line}");
    }
}

#[test]
fn every_commented_key_is_valid_once_it_is_live() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, me) = (Authority::new(), self_signed(&["me"]));
    let mut text = every_default();
    let pem = [authority.pem(), me.certificate_pem(), me.key_pem()];
    for (name, pem) in ["ca.pem", "client.pem", "client.key"].into_iter().zip(pem) {
        let path = dir.path().join(name);
        fs::write(&path, pem).unwrap();
        text = text.replace(&format!("\"{name}\""), &format!("{path:?}"));
    }
    let is_toml =
        |rest: &str| rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let live: String = text
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line)))
        .collect();
    let config = check_with(&live, |_| Some("t0ken".to_owned())).unwrap();
    assert!(config.fetch.proxy.is_some() && config.dns.servers.is_some() && config.tls.ca_file.is_some());
    assert_eq!(config.hosts["api.internal"].headers["authorization"].expose(), "Bearer t0ken");
    assert!(config.hosts["api.internal"].client_key.is_some());
}

#[test]
fn every_example_is_valid_and_says_how_to_run_it() {
    let paths = examples();
    assert!(paths.len() >= 4, "{paths:?}");
    let credentials = tempfile::tempdir().unwrap();
    fs::write(credentials.path().join("token"), "t0ken\n").unwrap();
    fs::write(credentials.path().join("hook-secret"), format!("{HOOK_SECRET}\n")).unwrap();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let env = |name: &str| match name {
            "API_TOKEN" => Some("t0ken".to_owned()),
            "DAY" => Some("2026-11-28".to_owned()),
            "CREDENTIALS_DIRECTORY" => credentials.path().to_str().map(str::to_owned),
            _ => None,
        };
        if let Err(report) = Written::parse(&path, &text, env).check() {
            panic!("{report}");
        }
        assert!(text.starts_with("# ") && text.contains("Run: "), "{}", path.display());
    }
}

#[test]
fn the_unit_gives_the_daemon_more_time_to_stop_than_its_grace() {
    let unit = fs::read_to_string(repository("config/systemd/fetchd.service")).unwrap();
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap().parse().unwrap();
    for config in ["config/debian/fetchd.toml", "config/examples/fifo.toml"] {
        let config = fs::read_to_string(repository(config)).unwrap();
        assert!(Span::secs(stop) > check(&config).unwrap().shutdown.grace);
    }
}

#[test]
fn six_problems_in_four_tables_are_six_reports_with_their_places() {
    let shown = report(
        "[fetch]\ntimout = \"30s\"\nmax_body = \"16 XB\"\n\n[limits]\nconcurency = 5\nrate = 5\n\n[retry]\nbackof = \"1s\"\n\n[log]\nlevel = \"loud\"\n",
    );
    let expected = [
        ("bad.toml:2:1", "unknown key `timout` in [fetch]; did you mean `timeout`?"),
        ("bad.toml:3:12", "`fetch.max_body` is \"16 XB\"; write for example `64KiB` or `16MiB`"),
        ("bad.toml:6:1", "unknown key `concurency` in [limits]; did you mean `concurrency`?"),
        (
            "bad.toml:7:8",
            "`limits.rate` is 5; write for example \"5/s\", \"0.5/s\", \"20/10s\", \"100/min\", \"1000/h\", \"100/day\" or \"unlimited\"",
        ),
        ("bad.toml:10:1", "unknown key `backof` in [retry]; did you mean `backoff`?"),
        ("bad.toml:13:9", "`log.level` is \"loud\"; write `error`, `warn`, `info`, `debug` or `trace`"),
    ];
    let shown: Vec<_> = shown.split("\n\n").collect();
    assert_eq!(shown.len(), expected.len() + 1);
    for (shown, (place, sentence)) in shown.iter().zip(expected) {
        assert!(shown.starts_with(&format!("error: {sentence}\n")), "{shown}\nis not\n{sentence}");
        assert!(shown.contains(&format!("--> {place}\n")), "{shown}\nis not at {place}");
    }
    assert_eq!(shown.last(), Some(&"6 problems"));
}

#[test]
fn a_report_looks_like_this() {
    insta::assert_snapshot!(
        report("[hosts.api.example.com]\nrate = \"5/s\"\n\n[retry]\non_status = [429, \"5xx\"]\n"),
        @r#"
    error: unknown key `example` in [hosts.api]; a pattern with dots needs quotes: [hosts."api.example.com"]
     --> bad.toml:1:12
      |
    1 | [hosts.api.example.com]
      |            ^^^^^^^

    error: an element of `retry.on_status` is "5xx"; write a whole number from 300 to 599
     --> bad.toml:5:19
      |
    5 | on_status = [429, "5xx"]
      |                   ^^^^^

    2 problems
    "#
    );
}

#[test]
fn an_unknown_kind_names_those_there_are() {
    assert_eq!(
        sentences("[source.urls.kafka]\n[sink.out.jsnl]\npath = \"x\"\n"),
        [
            "unknown kind of source `kafka`; there are `stdin`, `file`, `pages` and `http`",
            "unknown kind of sink `jsnl`; did you mean `jsonl`?"
        ]
    );
}

#[test]
fn a_name_has_one_kind() {
    assert_eq!(
        sentences("[source.urls.stdin]\n[source.urls.file]\npaths = [\"x\"]\n"),
        ["`source.urls` is a `stdin` already; give this `file` a name of its own, for example [source.urls-2.file]"]
    );
}

#[test]
fn a_missing_kind_is_told_where_it_goes() {
    assert_eq!(
        sentences("[source.urls]\n[source.file]\npaths = [\"x\"]\n[sink.stdout]\n"),
        [
            "`source.urls` has no kind; write its table as [source.urls.stdin]; there are `stdin`, `file`, `pages` and `http`",
            "`source.file` has no kind; write its table as [source.file.file]; there are `stdin`, `file`, `pages` and `http`",
            "`sink.stdout` has no kind; write its table as [sink.stdout.stdout]; there are `stdout`, `jsonl` and `webhook`",
        ]
    );
}

#[test]
fn sources_and_sinks_keep_the_order_of_the_file() {
    let config =
        check("[sink.z.stdout]\n[sink.a.jsonl]\npath = \"a\"\n[source.y.stdin]\n[source.b.file]\npaths = [\"b\"]\n");
    let config = config.unwrap();
    let sinks: Vec<_> = config.sinks.iter().filter_map(|sink| sink.name.as_deref()).collect();
    let sources: Vec<_> = config.sources.iter().filter_map(|source| source.name.as_deref()).collect();
    assert_eq!((sinks, sources), (vec!["z", "a"], vec!["y", "b"]));
}

#[test]
fn a_required_key_that_is_missing_is_named_and_a_misspelled_one_is_not_missing_too() {
    assert_eq!(sentences("[sink.out.jsonl]\n"), ["[sink.out.jsonl] needs the key `path`; add it"]);
    assert_eq!(
        sentences("[sink.out.jsonl]\npth = \"x\"\n"),
        ["unknown key `pth` in [sink.out.jsonl]; did you mean `path`?"]
    );
    assert_eq!(sentences("[sink.out.jsonl]\npath = 5\n"), ["`sink.out.jsonl.path` is 5; write text in quotes"]);
}

#[test]
fn a_key_in_the_wrong_table_is_told_the_right_one() {
    assert_eq!(
        sentences("retries = 5\n[limits]\nmax_body = \"1MiB\"\n"),
        [
            "`retries` is outside of its table; write it under [retry]",
            "unknown key `max_body` in [limits]; write it under [fetch] or [hosts.\"*\"]",
        ]
    );
    let said = sentences("[source.in.http]\nsocket = \"in.sock\"\ndurable = true\n");
    assert!(said.iter().any(|said| said.starts_with("unknown key `durable` in [source.in.http]; it has ")), "{said:?}");
}

#[test]
fn equal_patterns_are_a_problem_however_they_are_written() {
    let text = "[hosts.\"A.example.\"]\nconcurrency = 1\n[hosts.\"a.example\"]\nconcurrency = 2\n";
    assert_eq!(sentences(text), ["the patterns `A.example.` and `a.example` name the same hosts; keep one"]);
}

#[test]
fn a_syntax_error_does_not_hide_other_problems() {
    let text = "[fetch]\ntimeout = 30s\nmax_bdy = \"1MiB\"\n[log]\nlevel = \"loud\"\n";
    assert_eq!(
        sentences(text),
        [
            "this value is neither a number nor true or false; if it is text, put it in quotes",
            "unknown key `max_bdy` in [fetch]; did you mean `max_body`?",
            "`log.level` is \"loud\"; write `error`, `warn`, `info`, `debug` or `trace`",
        ]
    );
}

#[test]
fn a_line_that_ends_the_parsing_hides_nothing_that_follows() {
    let text = "[fetch]\ntimeout: \"30s\"\nmax_bdy = \"1MiB\"\nhttp2\n[log]\nlevl = \"info\"\n";
    let said = sentences(text);
    assert_eq!(said.len(), 4, "{said:#?}");
    assert!(said[1].contains("`max_body`") && said[3].contains("`level`"), "{said:#?}");
}

#[test]
fn a_missing_variable_is_named_with_its_place_and_no_value_is_printed() {
    let text = "[hosts.\"a.example\"]\nheaders = { authorization = \"Bearer ${API_TOKEN}\", cookie = \"s3cret\" }\n";
    let shown = report(text);
    assert!(shown.contains("`hosts.\"a.example\".headers.authorization` needs the environment variable `API_TOKEN`"));
    assert!(shown.contains("bad.toml:2:29") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_value_of_the_environment_that_does_not_fit_is_not_printed() {
    for (text, fix) in [
        ("[fetch]\ntimeout = \"${V}\"\n", "write for example `500ms`, `30s`, `10m` or `1d`"),
        ("[fetch]\nproxy = \"${V}\"\n", "write for example `http://proxy.example:3128`"),
        ("[output]\nbody = \"${V}\"\n", "write `auto`, `text`, `base64` or `none`"),
        ("[network]\nallow = [\"${V}\"]\n", "write for example `127.0.0.0/8`"),
        ("[limits]\nconcurrency = \"${V}\"\n", "write a number without quotes, or \"adaptive\" in quotes"),
        ("[hosts.x]\nheaders = \"${V}\"\n", "write a table"),
        ("[fetch.headers]\naccept = \"${V}\\u0000\"\n", "has a control character"),
        ("[sink.a.jsonl]\npath = \"${V}\"\n[sink.b.jsonl]\npath = \"${V}\"\n", "give each its own"),
    ] {
        for value in ["s3cret", "s3cret; write s3cret", "`s3cret`, expected s3cret"] {
            let shown = check_with(text, |_| Some(value.to_owned())).unwrap_err().to_string();
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains(fix), "{shown}");
        }
    }
}

#[test]
fn a_dollar_sign_is_written_twice() {
    let config = check("[fetch]\nuser_agent = \"a $$ b $${HOME}\"\n").unwrap();
    assert_eq!(config.fetch.user_agent, "a $ b ${HOME}");
    for lonely in ["$5", "${", "${}", "${a b}"] {
        let said = sentences(&format!("[fetch]\nuser_agent = \"{lonely}\"\n"));
        assert!(said[0].contains("write `${NAME}` for a variable, or `$$` for a dollar sign"), "{said:?}");
    }
}

#[test]
fn credentials_for_every_host_are_refused_and_told_where_they_go() {
    for name in ["authorization", "Cookie", "proxy-authorization"] {
        let said = sentences(&format!("[fetch.headers]\n{name} = \"s3cret\"\n"));
        let expected = format!(
            "`{name}` in `fetch.headers` would go to every host; put it under [hosts.\"example.com\"] as headers = {{ {name} = \"...\" }}"
        );
        assert_eq!(said, [expected]);
    }
}

#[test]
fn no_report_shows_a_secret_however_it_is_written() {
    for text in [
        "[fetch.headers]\nauthorization = \"Bearer s3cret\"\n",
        "[fetch]\nheaders = { authorization = \"Bearer s3cret\", x = 5 }\n",
        "[fetch]\nheaders = \"authorization: Bearer s3cret\"\n",
        "[fetch]\nheaders = [\"authorization: Bearer s3cret\"]\n",
        "[fetch]\nheader = { authorization = \"Bearer s3cret\" }\n",
        "[fetch]\nauthorization = \"Bearer s3cret\"\n",
        "[fetch.headers]\nauthorization = Bearer s3cret\n",
        "[fetch.headers]\nauthorization = \"Bearer s3cret\n",
        "[fetch.headers]\nauthorization = '''Bearer s3cret\n",
        "[fetch.headers]\nauthorization: Bearer s3cret\n",
        "[fetch.headers]\nauthorization \"Bearer s3cret\"\n",
        "[fetch.headers]\na = \"s3cret\"\na = \"s3cret\"\n",
        "[fetch.headers]\n\"b c\" = \"s3cret\"\n",
        "[fetch.headers]\nx = { y = \"s3cret\" }\n",
        "[hosts.x]\nclient_key = \"s3cret\"\nclient_cert = 5\n",
        "[hosts.x]\nclient_keys = \"s3cret\"\n",
        "[tls]\nclient_key = \"s3cret\"\n",
        "[fetch.headers]\nx = \"s3cret\\u0000\"\n",
        "[fetch.headers]\nx = \"s3cret $ alone\"\n",
        "[fetch]\nproxy = \"http://user:s3cret@\"\n",
        "[fetch]\nproxi = \"http://user:s3cret@proxy:3128\"\n",
        "[fetch]\nproxy = [\"http://user:s3cret@proxy:3128\"]\n",
        "[fetch]\nproxy = http://user:s3cret@proxy:3128\n",
        "[hosts.\"a.example\"]\nheaders = { host = \"s3cret\" }\nconcurrency = 0\n",
        "[hosts]\n\"a.example\" = { headers = { authorization = \"s3cret\" }, concurrency = 0 }\n",
        "[hosts]\n\"a.example\" = { concurrency = 0 headers = { authorization = \"s3cret\" } }\n",
        "[hosts.a.example]\nheaders = { authorization = \"s3cret\" }\n",
        "headers = { authorization = \"s3cret\" }\n",
        "token = \"s3cret\"\n",
    ] {
        let shown = report(text);
        assert!(!shown.contains("s3cret"), "{text}\n{shown}");
    }
}

#[test]
fn no_slip_of_the_finger_brings_a_secret_into_a_report() {
    let text = "[fetch]\ntimeout = \"5s\"\nproxy = \"http://me:s3cret@proxy:3128\"\nheaders = { accept = \"s3cret\", x = \"s3cret\" }\n\n\
                [fetch.headers]\nx-token = \"s3cret\"\n\n\
                [hosts.\"a.example\"]\nconcurrency = 0\nheaders = { authorization = 'Bearer s3cret' }\n\n\
                [hosts.\"b.example\".headers]\ncookie = \"\"\"s3cret\"\"\"\n";
    for at in 0..text.len() {
        for slip in ["", "\"", "'", "=", ":", "\n", "[", "]", "{", "}", ",", ".", "#", " ", "x", "$"] {
            let slipped = [&text[..at], slip, &text[at + 1..]].concat();
            // What the slip itself made a comment or a name is no value any more.
            let Err(report) = check(&slipped) else { continue };
            let shown = report.to_string();
            assert!(!shown.contains("s3cret"), "{slip:?} at {at} of\n{slipped}\n{shown}");
        }
    }
}

#[test]
fn a_webhook_says_what_is_wrong_with_it_and_shows_no_secret() {
    let (url, secret) = ("url = \"https://hooks.example.com/s3cret-path\"", format!("secret = \"{HOOK_SECRET}\""));
    check(&webhook("hook", &format!("{url}\n{secret}"))).unwrap();
    let keys = "proxy = \"http://me:s3cret@proxy:3128\"\ntimeout = \"5m\"\nstaging_max = \"1GiB\"\nheaders = { x-key = \"s3cret\" }";
    check(&webhook("a-b_1", &format!("{url}\n{secret}\n{keys}"))).unwrap();
    for (keys, said) in [
        (format!("url = \"s3cret\"\n{secret}"), "is no URL of a receiver"),
        (format!("url = \"ftp://a.test/s3cret\"\n{secret}"), "is no URL of a receiver"),
        (format!("url = \"https://me:s3cret@a.test/\"\n{secret}"), "has credentials in it"),
        (format!("{url}\nsecret = \"s3cret\""), "begins with `whsec_`"),
        (format!("{url}\nsecret = \"whsec_s3cret\""), "not base64"),
        (format!("{url}\nsecret = \"whsec_c2VjcmV0\""), "24 to 64 bytes"),
        (format!("{url}\nsecret = \" \""), "`secret` is empty"),
        (format!("{url}\n{secret}\nheaders = {{ webhook-id = \"s3cret\" }}"), "is set by fetchd"),
        (format!("{url}\n{secret}\nheaders = {{ Content-Type = \"s3cret\" }}"), "is set by fetchd"),
        (format!("{url}\n{secret}\nheaders = {{ x = \"s3cret\\n\" }}"), "control character"),
        (format!("{url}\n{secret}\nstaging_max = \"1KiB\""), "`staging_max` is less than one segment"),
        (format!("{url}\n{secret}\ntimeout = \"1h\""), "it can be from 1s to 10m"),
        (format!("{url}\n{secret}\nproxy = \"s3cret\""), "`proxy` is not a proxy"),
        (secret.clone(), "needs the key `url`"),
        (url.to_owned(), "needs the key `secret`"),
    ] {
        let shown = report(&webhook("hook", &keys));
        assert!(shown.contains(said) && !shown.contains("s3cret") && !shown.contains("whsec_M"), "{keys}\n{shown}");
    }
    let whole = format!("{url}\n{secret}");
    assert!(report(&webhook("\"a/b\"", &whole)).contains("only letters, digits, `-` and `_`"));
    let without = webhook("hook", &whole).replace("[state]\ndata_dir = \"state\"\n", "");
    assert!(report(&without).contains("[sink.hook.webhook] needs a data directory"), "{}", report(&without));
}

#[test]
fn no_message_speaks_the_parsers_language() {
    let config = Written::default().check().unwrap();
    let values =
        ["5", "-5", "99999999999", "1.5", "true", "\"?\"", "[]", "[{}]", "[[5]]", "{}", "{ a = 5 }", "1979-05-27"];
    for key in keys_of(&config) {
        let (table, key) = key.split_once('.').unwrap();
        let header = match table {
            "source" => "source.a.stdin",
            "sink" => "sink.a.stdout",
            "hosts" => "hosts.a",
            table => table,
        };
        for value in values {
            let Err(report) = check(&format!("[{header}]\n{key} = {value}\n")) else { continue };
            for message in report.problems().into_iter().map(|problem| &problem.message) {
                let jargon =
                    ["invalid", "expected", "u32", "u16", "struct", "sequence", "map", "variant", "field", "syntax"];
                let found =
                    jargon.iter().find(|word| message.split(|c: char| !c.is_alphanumeric()).any(|w| w == **word));
                assert!(found.is_none(), "{key} = {value}: {message}");
            }
        }
    }
}

#[test]
fn body_memory_must_hold_every_start_and_two_bodies() {
    let said = sentences("[limits]\nbody_memory = \"1MiB\"\n");
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("256 requests at once need 16MiB"), "{said:#?}");
    assert!(said[1].contains("at least 32MiB, twice `fetch.max_body`"), "{said:#?}");
    assert!(check("[limits]\nbody_memory = \"1MiB\"\nconcurrency = 16\n[fetch]\nmax_body = \"512KiB\"\n").is_ok());
}

#[test]
fn a_look_up_must_be_shorter_than_the_connect_that_contains_it() {
    let said = sentences("[dns]\ntimeout = \"10s\"\n");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("shorter than `fetch.connect_timeout` (10s)"), "{said:#?}");
    let config = check("[fetch]\nconnect_timeout = \"3s\"\n").unwrap();
    assert_eq!(config.dns.timeout, Some("2400ms".parse().unwrap()));
}

#[test]
fn a_key_that_could_not_be_read_is_reported_once_and_judged_no_further() {
    assert_eq!(sentences("[fetch]\nmax_body = \"?\"\n[limits]\nbody_memory = \"17MiB\"\n").len(), 1);
    assert_eq!(sentences("[limits]\nconcurrency = 0\n").len(), 1);
    assert_eq!(sentences("[fetch]\nconnect_timeout = \"0s\"\n").len(), 1);
    assert_eq!(sentences("[source]\nurls = 5\n").len(), 1);
}

#[test]
fn a_flag_alone_takes_what_follows_from_it_along() {
    assert_eq!(arguments(&["--timeout", "5s"]).unwrap().fetch.timeout, Span::secs(5));
    let many = arguments(&["--max-concurrency", "5000"]).unwrap();
    assert_eq!((many.limits.permits(), many.fetch.workers), (5000, Some(5000)));
    assert_eq!(many.limits.body_memory, Some(Size::kib(5000 * 64)));
    assert_eq!(arguments(&["--max-body", "1GiB"]).unwrap().limits.body_memory, Some(Size::mib(2048)));
    assert!(arguments(&["--connect-timeout", "3s"]).unwrap().dns.timeout < Some(Span::secs(3)));
}

#[test]
fn a_host_can_have_as_many_requests_at_once_as_there_are_ports() {
    for key in ["concurrency", "max_concurrency"] {
        let with = |n: u32| check(&format!("hosts.'a.example'.{key} = {n}"));
        assert!(with(1).is_ok() && with(65_535).is_ok(), "{key}");
        for n in [0, 65_536] {
            let said = with(n).unwrap_err().to_string();
            assert!(said.contains(&format!("`hosts.\"a.example\".{key}` is {n}; it can be from 1 to 65535")), "{said}");
        }
    }
}

#[test]
fn a_problem_with_a_flag_names_the_flag() {
    let said = arguments(&["--max-concurrency", "0"]).unwrap_err().to_string();
    assert_eq!(
        said,
        "error: `limits.concurrency` is 0; it can be from 1 to 65535 (`limits.concurrency` comes from --max-concurrency)"
    );
}

#[test]
fn a_value_that_a_flag_replaced_is_not_pointed_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fetchd.toml");
    fs::write(&path, "[limits]\nconcurrency = 64\n").unwrap();
    let said = arguments(&["-c", path.to_str().unwrap(), "--max-concurrency", "0"]).unwrap_err().to_string();
    assert!(said.contains("--max-concurrency") && !said.contains("64"), "{said}");
}

#[test]
fn inputs_and_outputs_of_the_command_line_replace_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fetchd.toml");
    let sources = "[source.a.file]\npaths = [\"a\"]\n[source.b.stdin]\n";
    fs::write(&path, format!("{sources}[sink.a.jsonl]\npath = \"a\"\n[sink.b.stdout]\n")).unwrap();
    let config = arguments(&["-c", path.to_str().unwrap(), "-i", "x", "-i", "-", "-o", "y"]).unwrap();
    let [source] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
    let [sink] = config.sinks.as_slice() else { panic!("{:?}", config.sinks) };
    let inputs = source.component.inputs();
    assert_eq!((source.kind, inputs.stdin, inputs.files), ("file", 1, vec![PathBuf::from("x")]));
    assert_eq!((sink.kind, sink.component.target()), ("jsonl", Target::File(Path::new("y"))));
}

#[test]
fn check_ends_with_0_or_2_and_writes_only_to_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fetchd.toml");
    for (text, code) in [("[retry]\nretries = 5\n", 0), ("[retry]\nretires = 5\n", 2)] {
        fs::write(&path, text).unwrap();
        for command in ["check", "run"].into_iter().take(1 + usize::from(code == 2)) {
            let done = Command::cargo_bin("fetchd").unwrap().arg(command).arg("-c").arg(&path).assert().code(code);
            assert!(done.get_output().stdout.is_empty() && !done.get_output().stderr.is_empty());
        }
    }
    Command::cargo_bin("fetchd").unwrap().args(["check", "-c", "/nowhere/fetchd.toml"]).assert().code(2);
    Command::cargo_bin("fetchd").unwrap().arg("check").assert().code(0);
}

/// A line of a small configuration, right or wrong.
#[expect(clippy::too_many_lines, reason = "a table of lines")]
fn line() -> impl Strategy<Value = String> {
    let header = prop::sample::select(vec![
        "[fetch]",
        "[limits]",
        "[retry]",
        "[hosts.\"*\"]",
        "[hosts.a.b]",
        "[dns]",
        "[log]",
        "[source.a.file]",
        "[source.a]",
        "[sink.a.jsonl]",
        "[sink.b.stdout]",
        "[ftech]",
        "[[fetch]]",
        "[fetch.headers]",
        "[network",
    ]);
    let key = prop::sample::select(vec![
        "timeout",
        "timout",
        "concurrency",
        "rate",
        "headers",
        "paths",
        "path",
        "on_status",
        "servers",
        "allow",
        "level",
        "body_memory",
        "max_body",
        "proxy",
        "a.b",
        "\"ü ü\"",
        "retries",
        "",
    ]);
    let value = prop::sample::select(vec![
        "5",
        "0",
        "-1",
        "\"5s\"",
        "\"5/s\"",
        "\"1KiB\"",
        "\"x\"",
        "\"${V}\"",
        "\"$\"",
        "[1, \"ü\", 500]",
        "[\"10.0.0.0/8\"]",
        "{ a = \"b\", c = 5 }",
        "true",
        "\"ü",
        "'''",
        "30s",
        "",
        "\"info\"",
        "1e400",
        "99999999999999999999",
    ]);
    prop_oneof![
        2 => header.prop_map(str::to_owned),
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => "[ -~ü\r\t]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn check_accepts_exactly_what_run_accepts(lines in prop::collection::vec(line(), 0..8)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetchd.toml");
        fs::write(&path, lines.join("\n")).unwrap();
        let checked = Written::load(Some(&path), &[], &Registry::default()).and_then(Written::check);
        let run = arguments(&["-c", path.to_str().unwrap()]);
        prop_assert_eq!(checked.as_ref().map_err(ToString::to_string), run.as_ref().map_err(ToString::to_string));
        if let Err(report) = run {
            prop_assert!(!report.problems().is_empty());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), lines in prop::collection::vec(line(), 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetchd.toml");
        fs::write(&path, [lines.join("\n").as_bytes(), b"\n", &bytes].concat()).unwrap();
        if let Err(report) = Written::load(Some(&path), &[], &Registry::default()).and_then(Written::check) {
            prop_assert!(!report.to_string().is_empty());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\\[\\]{}=\"'\n\r$#.]){0,40}") {
        if let Err(report) = check(&text) {
            prop_assert!(!report.to_string().is_empty());
        }
    }
}

#[test]
fn a_file_that_is_rotated_has_room_and_time_for_a_record() {
    let problems = |key: &str| sentences(&format!("[sink.a.jsonl]\npath = \"x\"\n{key}\n"));
    for (key, words) in [
        ("rotate_size = \"0\"", "`sink.a.jsonl.rotate_size` is 0"),
        ("rotate_every = \"0s\"", "`sink.a.jsonl.rotate_every` is zero"),
        ("rotate_every = \"9000h\"", "at most a year"),
        ("compress = \"lz4\"", "write `none`, `gzip` or `zstd`"),
        ("fsync = \"always\"", "write `commit`, `batch` or `never`"),
    ] {
        let problems = problems(key);
        assert!(problems.len() == 1 && problems[0].contains(words), "{key}: {problems:?}");
    }
    let right = "rotate_size = \"1KiB\"\nrotate_every = \"1s\"\ncompress = \"zstd\"\nfsync = \"batch\"";
    assert!(check(&format!("[sink.a.jsonl]\npath = \"x\"\n{right}\n")).is_ok());
}

#[test]
fn what_is_wrong_with_a_source_http_is_said_with_the_fix() {
    let state = "[state]\ndata_dir = \"/var/lib/fetchd\"\n";
    let text = |table: &str| format!("[source.in.http]\n{table}\n{state}");
    for right in [
        "socket = \"/run/fetchd/in.sock\"",
        "socket = \"in.sock\"\ntoken = \"t\"",
        "listen = \"127.0.0.1:8099\"\ntoken = \"t\"",
        "listen = \"[::1]:0\"\ntoken = \"t\"",
    ] {
        assert!(check(&text(right)).is_ok(), "{right}");
    }
    for (wrong, says) in [
        ("", "needs a place to listen at; write for example socket = \"/run/fetchd/in.sock\""),
        ("socket = \"a\"\nlisten = \"127.0.0.1:1\"\ntoken = \"t\"", "`socket` and `listen` are both given"),
        ("socket = \"\"", "`socket` is not the path of a file"),
        (&format!("socket = \"/{}\"", "s".repeat(107)), "can have 107 bytes, and `socket` has 108"),
        ("listen = \"localhost:80\"\ntoken = \"t\"", "is `localhost:80`, which is no address with a port"),
        ("listen = \"0.0.0.0:80\"\ntoken = \"t\"", "other machines can reach `listen` at 0.0.0.0:80"),
        ("listen = \"[::]:80\"\ntoken = \"t\"", "write for example \"127.0.0.1:80\", with a proxy in front"),
        ("listen = \"127.0.0.1:80\"", "needs a token; write for example token = \"${file:token}\""),
        ("socket = \"a\"\ntoken = \"\"", "`token` is empty"),
        ("socket = \"a\"\nmax_journal = \"0\"", "`max_journal` is 0"),
        ("socket = \"a\"\nmax_line = \"0\"", "`max_line` is 0"),
        ("socket = \"a\"\nmax_connections = 0", "`max_connections` is 0; it can be from 1 to 10000"),
        ("socket = \"a\"\ntimeout = \"0s\"", "`timeout` is 0"),
    ] {
        let said = sentences(&text(wrong));
        assert!(said.len() == 1 && said[0].contains(says), "{wrong}: {said:?}");
    }
    let said = sentences("[source.in.http]\nsocket = \"a\"");
    assert!(said.len() == 1 && said[0].contains("a journal, which needs a place"), "{said:?}");
}

#[test]
fn two_sources_do_not_listen_at_one_place() {
    let state = "[state]\ndata_dir = \"/var/lib/fetchd\"\n";
    let said = sentences(&format!("[source.a.http]\nsocket = \"s\"\n[source.b.http]\nsocket = \"s\"\n{state}"));
    assert_eq!(said, ["the sources `a` and `b` both listen at s; give each its own"]);
}

#[test]
fn the_token_of_a_source_is_never_shown() {
    let text = "[source.in.http]\nlisten = \"127.0.0.1:1\"\ntoken = \"s3cr3t\"\nmax_line = 5\n";
    assert!(!report(text).contains("s3cr3t"), "{}", report(text));
    let state = "[state]\ndata_dir = \"/var/lib/fetchd\"\n";
    let config = check(&text.replace("max_line = 5\n", state)).unwrap();
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(shown.contains("***") && !shown.contains("s3cr3t"), "{shown}");
}
