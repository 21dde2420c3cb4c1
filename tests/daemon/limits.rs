//! Limits of the system, set by a shell's `ulimit`: none ends the process without a sentence that names it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::Origin;

/// Lines with records of half a kilobyte and more, one after the other.
fn lines(origin: &Origin, number: usize) -> String {
    (0..number).map(|n| origin.url(&format!("/bytes/500?{n}\n"))).collect()
}

/// Every whole line of a file is a record.
fn is_jsonl(dir: &TempDir, name: &str) -> bool {
    let text = fs::read_to_string(dir.path().join(name)).unwrap();
    (text.is_empty() || text.ends_with('\n')) && text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())
}

fn says(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "`{part}` is missing in: {}", ended.stderr);
    }
}

#[test]
fn an_output_that_reaches_the_limit_of_file_sizes_ends_the_run_with_its_path_and_the_limit() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    // In blocks of 512 bytes, and in some shells of 1,024.
    let script = "ulimit -f 8; exec \"$0\" --allow 127.0.0.0/8 -o out.jsonl";
    let ended = Fetchd::in_shell(script).directory(dir.path()).run(lines(&origin, 100));
    says(&ended, &["cannot write to out.jsonl", "ulimit -f", "LimitFSIZE", " bytes"]);
    assert!(is_jsonl(&dir, "out.jsonl"));
}

#[test]
fn a_standard_output_that_reaches_the_limit_of_file_sizes_ends_the_run_with_the_limit_and_a_whole_record() {
    for redirection in ["> out.jsonl", ">> out.jsonl"] {
        let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("out.jsonl"), "{}\n").unwrap();
        let script = format!("ulimit -f 8; exec \"$0\" --allow 127.0.0.0/8 {redirection}");
        let ended = Fetchd::in_shell(&script).directory(dir.path()).run(lines(&origin, 100));
        says(&ended, &["cannot write to", "ulimit -f"]);
        assert!(is_jsonl(&dir, "out.jsonl"));
    }
}

#[test]
fn who_writes_to_the_same_standard_output_afterwards_goes_on_behind_the_last_whole_record() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let script = "ulimit -f 8; { \"$0\" --allow 127.0.0.0/8; echo '{}'; } > out.jsonl; exit 1";
    let ended = Fetchd::in_shell(script).directory(dir.path()).run(lines(&origin, 100));
    says(&ended, &["ulimit -f"]);
    assert!(is_jsonl(&dir, "out.jsonl"));
    assert!(fs::read_to_string(dir.path().join("out.jsonl")).unwrap().ends_with("}\n{}\n"));
}

#[test]
fn a_journal_or_checkpoint_that_reaches_the_limit_of_file_sizes_ends_the_run_with_its_path_and_the_limit() {
    let origin = Origin::start();
    for durable in ["", "[source.urls.stdin]\ndurable = true\n"] {
        let dir = tempfile::tempdir().unwrap();
        let config = format!("{durable}[state]\ndata_dir = 'state'\nmin_free = '1'\n[retry]\nretries = 0\n");
        fs::write(dir.path().join("fetchd.toml"), config).unwrap();
        fs::write(dir.path().join("urls.txt"), lines(&origin, 200)).unwrap();
        let input = if durable.is_empty() { "-i urls.txt" } else { "" };
        let limit = if durable.is_empty() { 0 } else { 4 };
        let script = format!("ulimit -f {limit}; exec \"$0\" --allow 127.0.0.0/8 -c fetchd.toml {input}");
        let ended = Fetchd::in_shell(&script).directory(dir.path()).run(lines(&origin, 200));
        assert!(matches!(ended.code, Some(1 | 2)), "{:?}: {}", ended.code, ended.stderr);
        assert!(ended.stderr.contains("state") && ended.stderr.contains("ulimit -f"), "{}", ended.stderr);
    }
}

#[test]
fn a_command_that_writes_to_a_file_beyond_the_limit_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let script = "ulimit -f 0; exec \"$0\" man > page";
    let ended = Fetchd::in_shell(script).directory(dir.path()).run("");
    says(&ended, &["cannot write the manual page"]);
}

#[test]
fn the_limit_of_cpu_time_stops_the_run_in_good_order_and_is_named() {
    // Lines that are rejected cost nothing but CPU.
    let input = "no url\n".repeat(3_000_000);
    for limit in ["ulimit -t 2", "ulimit -Ht 60; ulimit -St 1"] {
        let script = format!("{limit}; exec \"$0\" -o /dev/null");
        let ended = Fetchd::in_shell(&script).run(input.clone());
        says(&ended, &["1 s of CPU time", "ulimit -t", "LimitCPU"]);
    }
}

#[test]
fn threads_that_cannot_be_started_are_an_error_that_names_the_limit() {
    // The limit of processes does not hold for root: it gets another user for the test.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let user = if is_root { "setpriv --reuid 54321 --clear-groups" } else { "" };
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("fetchd");
    fs::copy(env!("CARGO_BIN_EXE_fetchd"), &binary).unwrap();
    let allow = Command::new("chmod").args(["-R", "a+rx"]).arg(directory.path()).status().unwrap();
    assert!(allow.success());
    let script = format!("exec prlimit --nproc=1 {user} {}", binary.display());
    let ended = Fetchd::in_shell(&script).run("");
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in ["threads can be started", "ulimit -u", "TasksMax"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn too_few_open_files_for_the_runtime_are_an_error_that_names_the_limit() {
    for (limit, command) in
        [(4, ""), (5, "check"), (6, ""), (7, "check"), (8, ""), (9, "man"), (15, "completions bash")]
    {
        let ended = Fetchd::in_shell(&format!("ulimit -n {limit}; exec \"$0\" {command}")).run("");
        assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{limit}: {}", ended.stderr);
        for part in [&format!("at most {limit} files"), "ulimit -Hn", "LimitNOFILE="] {
            assert!(ended.stderr.contains(part), "{limit}: {}", ended.stderr);
        }
    }
    let ended = Fetchd::in_shell("ulimit -n 16; exec \"$0\" completions bash > /dev/null").run("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = Fetchd::in_shell("ulimit -Sn 5; exec \"$0\" check").run("");
    assert_eq!(ended.code, Some(0), "the hard limit is what counts: {}", ended.stderr);
}
