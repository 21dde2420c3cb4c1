//! What the process is like to live with: the pipes it is given, the time it takes, the secrets it keeps.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Fetchd, seq};
use crate::common::origin::{Origin, Step, ok_with, send};

fn set_nonblocking(pipe: impl AsFd) {
    let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL).unwrap());
    fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
}

/// Ticks of 10 ms that the process has spent on a processor.
fn cpu_ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold anything; user and system time are fields 14 and 15 of proc(5).
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How often the threads of the process have gone to sleep.
fn sleeps(pid: Pid) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_thread = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap().to_owned();
        line.trim().parse::<u64>().unwrap()
    };
    threads.map(|thread| of_thread(fs::read_to_string(thread.unwrap().path().join("status")).unwrap())).sum()
}

/// The threads of the runtime besides the first.
fn runtime_threads(pid: Pid) -> usize {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |thread: std::io::Result<fs::DirEntry>| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap();
    threads.map(name).filter(|name| name.starts_with("tokio")).count()
}

#[test]
fn attempts_have_as_many_threads_as_they_are_given() {
    for (threads, own) in [(1, 0), (3, 3)] {
        let origin = Origin::start();
        let config = format!("[fetch]\nthreads = {threads}\n[hosts.\"*\"]\nconcurrency = 50\n");
        let mut running = Fetchd::local().config(&config).start();
        (0..500).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
        assert_eq!(running.record()["outcome"], "ok");
        assert_eq!(runtime_threads(running.pid), own);
        let ended = running.finish("");
        assert_eq!((ended.code, ended.records.len()), (Some(0), 499));
        assert!(ended.records.iter().all(|record| record["outcome"] == "ok"));
    }
}

#[test]
fn an_idle_process_wakes_up_less_than_once_a_second() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::local().start();
    fetchd.line(&origin.url("/ok/1"));
    fetchd.record();
    // The status is still brought up to date once after the last record.
    fetchd.silence(Duration::from_secs(1));
    let before = sleeps(fetchd.pid);
    fetchd.silence(Duration::from_secs(3));
    let woken = sleeps(fetchd.pid) - before;
    assert!(woken < 3, "{woken} times in 3 s");
}

#[test]
fn a_stdin_that_was_made_non_blocking_loses_nothing_and_costs_nothing() {
    let origin = Origin::start();
    let (reader, mut writer) = std::io::pipe().unwrap();
    set_nonblocking(&reader);
    let fetchd = Fetchd::local().stdin(reader).start();
    writeln!(writer, "{}", origin.url("/ok/1")).unwrap();
    fetchd.record();
    let before = cpu_ticks(fetchd.pid);
    fetchd.silence(Duration::from_secs(1));
    let spent = cpu_ticks(fetchd.pid) - before;
    assert!(spent < 10, "{spent} ticks of 10 ms in a second of silence");
    for n in 2..100 {
        writeln!(writer, "{}", origin.url("/ok/1")).unwrap();
        assert_eq!(seq(&fetchd.record()), n);
    }
}

#[test]
fn a_stdout_that_was_made_non_blocking_loses_nothing() {
    let origin = Origin::start();
    let (reader, writer) = std::io::pipe().unwrap();
    set_nonblocking(&writer);
    let mut fetchd = Fetchd::local().stdout(writer).start();
    let input = (0..100).map(|_| origin.url("/bytes/10000\n")).collect::<String>();
    let _producer = fetchd.write_all(input.into());
    // All but the last few are fetched while the pipe is full.
    origin.wait_for_requests(100);
    let text = std::io::read_to_string(reader).unwrap();
    assert_eq!(text.lines().count(), 100);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert_eq!(fetchd.wait().code, Some(0));
}

#[test]
fn an_empty_or_closed_stdin_is_a_clean_end_and_a_directory_a_clear_error() {
    let ended = Fetchd::local().stdin(Stdio::null()).run("");
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
    let directory = fs::File::open(std::env::temp_dir()).unwrap();
    let ended = Fetchd::local().stdin(directory).run("");
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("is a directory"), "{}", ended.stderr);
    let ended = Fetchd::in_shell("exec \"$0\" \"$@\" <&-").run("");
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn records_for_a_closed_standard_output_are_not_lost_in_silence() {
    let origin = Origin::start();
    for (stdout, is_said) in [(">&-", true), (">/dev/null", false)] {
        let ended = Fetchd::in_shell(&format!("exec \"$0\" \"$@\" --allow 127.0.0.0/8 {stdout}"))
            .run(format!("{}\n", origin.url("/ok/1")));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("standard output is closed"), is_said, "{stdout}: {}", ended.stderr);
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_the_records_nor_the_end() {
    let origin = Origin::start();
    for format in ["json", "text"] {
        let (_reader, writer) = std::io::pipe().unwrap();
        fill(&writer);
        let args = ["-vv", "--progress", "always", "--log-format", format];
        let mut fetchd = Fetchd::with(args).stderr(writer).start();
        for n in 1..=100 {
            fetchd.line(&origin.url("/ok/1"));
            assert_eq!(seq(&fetchd.record()), n);
        }
        let start = Instant::now();
        fetchd.signal(Signal::SIGTERM);
        assert_eq!(fetchd.wait().code, Some(0));
        assert!(start.elapsed() < PATIENCE / 2, "{format}: {:?}", start.elapsed());
    }
}

/// Fills a pipe to the brim.
fn fill(mut pipe: &std::io::PipeWriter) {
    set_nonblocking(pipe);
    while pipe.write(&[b'\n'; 4096]).is_ok() {}
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL).unwrap());
    fcntl(pipe, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).unwrap();
}

#[test]
fn a_password_is_shown_nowhere() {
    const CANARY: &str = "CANARY";
    let origin = Origin::start();
    let url = format!("http://u:{CANARY}@127.0.0.1/");
    let lines = [
        url.clone(),
        format!("u:{CANARY}@127.0.0.1"),
        json!({ "url": url }).to_string(),
        json!({ "url": url, "colour": 1 }).to_string(),
        format!("{{\"url\": \"{url}\""),
        json!({ "seq": 1, "input": url }).to_string(),
        format!("{url}{}", "x".repeat(5000)),
        origin.redirect(302, &origin.url("/ok/1")),
        origin.script("/there", format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n")),
    ];
    let input = [lines.join("\n").as_bytes(), b"\n", url.as_bytes(), b"\xff"].concat();
    let config = "source.in.stdin.max_line = '4KiB'\nhosts.'127.0.0.1'.headers = { cookie = '${SECRET}' }";
    for format in ["text", "json"] {
        let authorization = format!("authorization: {CANARY}");
        let fetchd = Fetchd::with(["-vv", "--log-format", format, "-H", &authorization]).config(config);
        let ended = fetchd.env("SECRET", CANARY).run(input.clone());
        assert_eq!(ended.records.len(), lines.len() + 1);
        for record in &ended.records {
            assert!(!record.to_string().contains(CANARY), "{record:#}");
        }
        assert!(!ended.stderr.contains(CANARY), "{}", ended.stderr);
    }
    let requests = origin.requests();
    assert_eq!((requests.len(), requests[0].header("authorization")), (6, Some(CANARY)));
}

#[test]
fn an_attempt_that_ran_out_of_time_while_the_process_was_stopped_is_made_again_uncharged() {
    let origin = Origin::start();
    let failing = "HTTP/1.1 500 Failing\r\ncontent-length: 0\r\n\r\n";
    let url = origin.play_in_turn("/", [vec![Step::Stall], vec![send(failing)], vec![send(ok_with("", b"at last"))]]);
    let mut fetchd = Fetchd::with(["--timeout", "1s", "--retries", "1"]).start();
    fetchd.line(&url);
    origin.wait_for_requests(1);
    fetchd.signal(Signal::SIGSTOP);
    fetchd.silence(Duration::from_secs(7));
    fetchd.signal(Signal::SIGCONT);
    let record = fetchd.record();
    assert_eq!((&record["outcome"], &record["attempts"]), (&json!("ok"), &json!(3)), "{record:#}");
}
