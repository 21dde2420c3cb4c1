//! `fetchd check`: the warnings and the options of a run.

use serde_json::Value;

use crate::common::fetchd::{Ended, Fetchd};

fn check(args: &[&str], config: &str) -> Ended {
    Fetchd::bare(["check"].iter().chain(args)).config(config).run("")
}

/// The warnings of a run that has no lines, as its log has them.
fn warnings_of_run(config: &str) -> Vec<String> {
    let ended = Fetchd::bare(["run"]).config(config).run("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warnings = events.filter(|event| event["level"] == "WARN");
    warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn check_gives_the_warnings_that_a_run_begins_with() {
    let cases = [
        ("[robots]\nenabled = true\n[fetch]\nuser_agent = 'r2d2/1.0'", Some("robots.txt files are read for `r`")),
        (
            "[hosts.'127.0.0.1']\nrate = '1/s'",
            Some(
                "requests to hosts.\"127.0.0.1\" are refused: 127.0.0.1 is not a public address; `network.allow` (or --allow 127.0.0.1) would allow it",
            ),
        ),
        ("[hosts.'[::1]:8080']\nrate = '1/s'", Some("requests to hosts.\"[::1]:8080\" are refused: ::1 is not")),
        (
            "network.deny = ['9.9.9.9']\n[hosts.'9.9.9.9']\nrate = '1/s'",
            Some("hosts.\"9.9.9.9\" are refused: 9.9.9.9 is denied by `network.deny`"),
        ),
        ("[hosts.'a.test']\ninsecure = true", Some("the certificates of a.test are not verified")),
        ("[hosts.'a.test']\nrefresh_on = [401]", Some("`hosts.\"a.test\".refresh_on` has no effect")),
        ("[fetch.headers]\nx-auth-token = 'a'", Some("`x-auth-token` in `fetch.headers` goes to every host")),
        ("network.allow = ['127.0.0.0/8']\n[hosts.'127.0.0.1']\nrate = '1/s'\n[hosts.'a.test']\nrate = '1/s'", None),
    ];
    for (config, warning) in cases {
        let ended = check(&[], config);
        let said: Vec<_> = ended.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("the configuration is valid\n"), "{}", ended.stderr);
        match warning {
            None => assert!(said.is_empty(), "{said:?}"),
            Some(words) => assert!(said.len() == 1 && said[0].contains(words), "{words}: {}", ended.stderr),
        }
        assert_eq!(warnings_of_run(config), said, "{config}");
    }
}

#[test]
fn check_takes_the_options_of_a_run() {
    let config = "limits.rate = '5/s'";
    let fine = ["--set", "limits.rate=9/s", "--host-rate", "2/s", "--revalidate", "-i", "urls", "--robots"];
    let ended = check(&fine, config);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "the configuration is valid\n"));
    for wrong in [
        &["--set", "limits.rate=fast"][..],
        &["--max-concurrency", "0"],
        &["--set", "limits.rate=9/s", "--rate", "9/s"],
        &["-o", "out", "-H", "authorization"],
    ] {
        let run = Fetchd::bare(["run"].iter().chain(wrong)).config(config).run("");
        let ended = check(wrong, config);
        assert_eq!((ended.code, run.code), (Some(2), Some(2)), "{wrong:?}: {}", ended.stderr);
        let first = |ended: &Ended| ended.stderr.lines().next().unwrap_or_default().to_owned();
        assert_eq!(first(&ended), first(&run));
    }
}

#[test]
fn check_names_the_way_to_give_a_file_if_there_is_none() {
    let ended = Fetchd::bare(["check", "--rate", "5/s"]).run("");
    assert!(ended.code == Some(0) && ended.stderr.contains("only the options were checked"), "{}", ended.stderr);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f.toml"), "limits.rate = 'fast'").unwrap();
    for args in [&["f.toml"][..], &["-c", "f.toml"], &["-c", "f.toml", "f.toml"]] {
        let ended = Fetchd::bare(["check"].iter().chain(args)).directory(dir.path()).run("");
        let problem = if args.len() == 3 { "cannot be used with" } else { "fast" };
        assert!(ended.code == Some(2) && ended.stderr.contains(problem), "{args:?}: {}", ended.stderr);
    }
}
