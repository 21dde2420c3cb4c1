//! Paths that meet: `check` says so, and names both keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A directory with a list, a data directory, and a link to itself.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("urls.txt"), "").unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    fs::write(dir.path().join("state/checkpoint.json"), "").unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
    dir
}

/// What `fetchd check` says of a configuration in this directory, and its exit code.
fn check(dir: &Path, text: &str) -> (String, i32) {
    fs::write(dir.join("fetchd.toml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["check", "-c", "fetchd.toml"])
        .current_dir(dir)
        .output()
        .unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

const STDIN: &str = "[source.in.stdin]\n";

fn output(path: &str) -> String {
    format!("[sink.out.jsonl]\npath = '{path}'\n")
}

fn list(path: &str, more: &str) -> String {
    format!("[source.urls.file]\npaths = ['{path}']\n{more}")
}

/// Configurations, and what is said of each.
fn meetings() -> Vec<(String, [&'static str; 2])> {
    let host = "[hosts.'a.test']\nclient_cert = 'urls.txt'\nclient_key = 'urls.txt'\n";
    vec![
        (format!("{STDIN}{}", output("fetchd.toml")), ["sink.out.jsonl.path", "the configuration file itself"]),
        (format!("{STDIN}{}", output("link/./fetchd.toml")), ["sink.out.jsonl.path", "the configuration file itself"]),
        (list("urls.txt", &output("urls.txt")), ["sink.out.jsonl.path", "source.urls.file.paths"]),
        (list("urls.txt", &output("state/../urls.txt")), ["sink.out.jsonl.path", "cannot write to"]),
        (list("new.txt", &output("./new.txt")), ["sink.out.jsonl.path", "source.urls.file.paths"]),
        (list("*.txt", &output("urls.txt")), ["also read as input", "source.urls.file.paths"]),
        (
            list("*.jsonl", &format!("follow = true\n{}", output("o.jsonl"))),
            ["a followed source", "source.urls.file.paths"],
        ),
        (
            list("state/checkpoint.json", &output("o.jsonl")) + "[state]\ndata_dir = 'state'\n",
            ["data directory's own", "state.data_dir"],
        ),
        (format!("{STDIN}{}[state]\ndata_dir = 'state'\n", output("state")), ["sink.out.jsonl.path", "state.data_dir"]),
        (
            format!("{STDIN}{}[state]\ndata_dir = 'new'\n", output("link/new")),
            ["sink.out.jsonl.path", "state.data_dir"],
        ),
        (format!("{STDIN}{}{host}", output("urls.txt")), ["sink.out.jsonl.path", "hosts.a.test.client_cert"]),
        (format!("{STDIN}[sink.show.stdout]\n{}", output("/dev/stdout")), ["`show` and `out`", "the same place"]),
        (format!("{STDIN}[sink.show.stdout]\n{}", output("/proc/self/fd/1")), ["`show` and `out`", "the same place"]),
        (
            format!("{STDIN}{}[sink.p.jsonl]\npath = '/dev/fd/1'\n", output("/dev/stdout")),
            ["`out` and `p`", "the same place"],
        ),
        (format!("{STDIN}{}", list("/dev/stdin", "")), ["standard input", "more than once"]),
        (
            format!("{STDIN}{}[state]\ndata_dir = ''\n", output("o")),
            ["`state.data_dir` is an empty path", "leave it out"],
        ),
        (format!("{STDIN}{}", output("")), ["`sink.out.jsonl.path` is an empty path", "results.jsonl"]),
        (list("", &output("o")), ["`source.urls.file.paths` is an empty path", "urls.txt"]),
    ]
}

#[test]
fn paths_that_meet_are_errors_that_name_both_keys() {
    let dir = place();
    for (text, parts) in meetings() {
        let (said, code) = check(dir.path(), &text);
        assert_eq!(code, 2, "{text}\n{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{text}\n{said}");
    }
}

#[test]
fn paths_that_do_not_meet_are_none() {
    let dir = place();
    for text in [
        format!("{STDIN}{}", output("results.jsonl")),
        format!("{STDIN}{}", output("/dev/stdout")),
        format!("{STDIN}{}[state]\ndata_dir = 'state'\n", output("state/results.jsonl")),
        format!("{STDIN}{}[state]\ndata_dir = '.'\n", output("results.jsonl")),
        list("/dev/null", &output("/dev/null")),
        list("urls.txt", &format!("follow = true\n{}", output("urls.jsonl"))),
        list("/dev/stdin", &output("o.jsonl")),
    ] {
        let (said, code) = check(dir.path(), &text);
        assert_eq!(code, 0, "{text}\n{said}");
    }
}
