//! Signals as whoever started the process has left them: ignored by `nohup` or a shell, blocked by a parent that waits for
//! its own.

use nix::sys::signal::Signal;

use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::Origin;

const RUN: &str = "exec \"$0\" --allow 127.0.0.0/8";

fn fetch(fetchd: &mut Running, origin: &Origin) {
    fetchd.line(&origin.url("/ok/1"));
    assert_eq!(fetchd.record()["outcome"], "ok");
}

/// It lives after these, and ends well by the last.
fn outlives(script: &str, ignored: &[Signal], end: Signal) {
    let origin = Origin::start();
    let mut fetchd = Fetchd::in_shell(script).start();
    fetch(&mut fetchd, &origin);
    for signal in ignored {
        // Twice: a second one would abort the run.
        fetchd.signal(*signal);
        fetchd.signal(*signal);
        fetch(&mut fetchd, &origin);
    }
    fetchd.signal(end);
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(0), "{script}: {}", ended.stderr);
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    outlives("exec nohup \"$0\" --allow 127.0.0.0/8", &[Signal::SIGHUP], Signal::SIGTERM);
    outlives(&format!("trap '' HUP; {RUN}"), &[Signal::SIGHUP], Signal::SIGINT);
    // As a shell without job control does it to a job in the background.
    outlives(&format!("trap '' INT QUIT; {RUN}"), &[Signal::SIGINT], Signal::SIGHUP);
    outlives(&format!("trap '' TERM USR1; {RUN}"), &[Signal::SIGTERM, Signal::SIGUSR1], Signal::SIGINT);
}

#[test]
fn ignored_signals_are_named_at_the_start_with_the_way_to_stop_the_run() {
    for (ignored, names, way) in [
        ("HUP", "SIGHUP is ignored, because the process that started fetchd ignores it", "kill "),
        ("INT QUIT", "SIGINT is ignored, because the process that started fetchd ignores it", "kill "),
        ("INT HUP", "SIGINT and SIGHUP are ignored, because the process that started fetchd ignores them", "kill "),
        ("TERM", "SIGTERM is ignored, because the process that started fetchd ignores it", "kill -INT "),
        (
            "TERM INT",
            "SIGTERM and SIGINT are ignored, because the process that started fetchd ignores them",
            "kill -HUP ",
        ),
    ] {
        let running = Fetchd::in_shell(&format!("trap '' {ignored}; {RUN}")).start();
        let sentence = format!("{names}; to stop the run, write: {way}{}\"", running.pid);
        let said = running.message(" ignored, because ");
        assert!(said.contains(&sentence) && said.contains("INFO"), "{said}");
    }
    for quiet in ["", "trap '' USR1 QUIT; "] {
        let ended = Fetchd::in_shell(&format!("{quiet}{RUN}")).run("");
        assert!(!ended.stderr.contains("ignored"), "{}", ended.stderr);
    }
}

#[test]
fn a_run_whose_signals_are_all_ignored_ends_with_its_input() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::in_shell(&format!("trap '' HUP INT TERM USR1 XCPU XFSZ; {RUN}")).start();
    fetch(&mut fetchd, &origin);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGXCPU] {
        fetchd.signal(signal);
    }
    fetch(&mut fetchd, &origin);
    fetchd.stdin = None;
    assert_eq!(fetchd.wait().code, Some(0));
}

#[test]
fn a_signal_that_was_blocked_at_the_start_is_taken() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        outlives("exec env --block-signal \"$0\" --allow 127.0.0.0/8", &[], signal);
    }
}

#[test]
fn a_reader_that_leaves_ends_the_run_whether_sigpipe_was_ignored_or_not() {
    let origin = Origin::start();
    for sigpipe in ["", "trap '' PIPE; "] {
        let (mut fetchd, stdout) = Fetchd::in_shell(&format!("{sigpipe}{RUN}")).start_unread();
        drop(stdout);
        fetchd.line(&origin.url("/ok/1"));
        let ended = fetchd.wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("closed by its reader"), "{}", ended.stderr);
    }
}
