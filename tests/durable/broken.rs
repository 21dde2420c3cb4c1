//! Disks that are broken: calls of the system fail, by `strace`, on one file of the real binary. It ends at once and says
//! which file, and the next run finds every accepted line, once.

use std::fs::File;
use std::path::PathBuf;

use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::Origin;
use crate::common::tools::traces;
use crate::place::{Place, gated};

/// A call that fails.
struct Fault {
    path: PathBuf,
    call: &'static str,
    /// From which one on. Each thread counts for itself, and the one that opens everything is another one.
    when: &'static str,
    error: &'static str,
}

fn start(place: &Place, config: &str, fault: &Fault) -> Running {
    let Fault { path, call, when, error } = fault;
    let path = path.display();
    // The tracer is no parent, so that signals and the exit code are those of the process.
    let script = format!(
        "exec strace -D -f -qq -o /dev/null -P '{path}' -e trace={call} -e inject={call}:error={error}:when={when} \
         \"$0\" --allow 127.0.0.0/8 \"$@\""
    );
    Fetchd::in_shell(&script).config(&(place.config() + config)).start()
}

/// Works for some lines and breaks at the next; the journal must have accepted that many then.
fn breaks(good: u64, accepted: u64, says: &str, fault: impl FnOnce(&Place) -> Fault) {
    if !traces() {
        return;
    }
    let (place, origin) = (Place::new(), Origin::start());
    let fault = fault(&place);
    let mut fetchd = start(&place, "", &fault);
    place.one_by_one(&mut fetchd, &origin, 1..=good);
    fetchd.line(&origin.url("/ok/0"));
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = ended.stderr.lines().find(|line| line.contains("Input/output error"));
    let said = said.unwrap_or_else(|| panic!("no message says why: {}", ended.stderr));
    assert!(said.contains(says) && said.contains(place.state.parent().unwrap().to_str().unwrap()), "{said}");
    assert_eq!(place.count("accepted"), accepted);
    place.finish(&origin, accepted + 1..=5);
    assert_eq!(place.recorded(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_and_accepts_nothing_more() {
    breaks(1, 1, "cannot write the journal in", |place| Fault {
        path: place.segment(),
        call: "write",
        when: "2+",
        error: "EIO",
    });
}

#[test]
fn a_batch_whose_sync_fails_is_never_accepted_even_though_it_was_written() {
    breaks(1, 1, "cannot write the journal in", |place| Fault {
        path: place.segment(),
        call: "fdatasync",
        when: "2+",
        error: "EIO",
    });
}

#[test]
fn a_checkpoint_that_cannot_be_written_or_synced_ends_the_run() {
    for call in ["write", "fdatasync", "rename"] {
        // Calls are counted by thread, and a first start writes two checkpoints.
        breaks(2, 3, "cannot write the checkpoint in", |place| Fault {
            path: place.state.join("checkpoint.new"),
            call,
            when: "3+",
            error: "EIO",
        });
    }
}

#[test]
fn a_checkpoint_whose_name_cannot_be_synced_ends_the_run() {
    breaks(3, 4, "cannot write the checkpoint in", |place| Fault {
        path: place.state.clone(),
        call: "fsync",
        when: "4+",
        error: "EIO",
    });
}

#[test]
fn an_output_that_cannot_be_written_ends_the_run() {
    breaks(1, 2, "results.jsonl: ", |place| Fault {
        path: place.output.clone(),
        call: "write",
        when: "2+",
        error: "EIO",
    });
}

#[test]
fn an_output_that_cannot_be_synced_ends_the_run() {
    breaks(1, 2, "results.jsonl: ", |place| Fault {
        path: place.output.clone(),
        call: "fdatasync",
        when: "2+",
        error: "EIO",
    });
}

#[test]
fn a_broken_journal_ends_the_run_also_while_no_line_can_be_taken_from_it() {
    if !traces() {
        return;
    }
    let (place, origin) = (Place::new(), Origin::start());
    let (url, gate) = gated(&origin);
    let fault = Fault { path: place.segment(), call: "fdatasync", when: "2+", error: "EIO" };
    let mut fetchd = start(&place, "[queue]\nwindow = 1\n[fetch]\ntimeout = '1h'\n", &fault);
    fetchd.line(&url);
    origin.wait_for_requests(1);
    fetchd.line(&origin.url("/ok/2"));
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write the journal in"), "{}", ended.stderr);
    gate.add_permits(1);
    place.finish(&origin, 2..=3);
    assert_eq!(place.recorded(), [1, 2, 3]);
}

#[test]
fn a_sync_that_finds_the_disk_full_is_made_good_by_writing_again() {
    if !traces() {
        return;
    }
    for error in ["ENOSPC", "EDQUOT"] {
        let (place, origin) = (Place::new(), Origin::start());
        let fault = Fault { path: place.segment(), call: "fdatasync", when: "2", error };
        let mut fetchd = start(&place, "", &fault);
        place.one_by_one(&mut fetchd, &origin, 1..=3);
        fetchd.message("there is room for");
        fetchd.stdin = None;
        let ended = fetchd.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(place.recorded(), [1, 2, 3]);
    }
}

#[test]
fn an_input_that_cannot_be_read_is_not_taken_for_a_broken_journal() {
    let place = Place::new();
    // There is nothing at the first address of a process.
    let unreadable = File::open("/proc/self/mem").unwrap();
    let ended = place.fetchd().stdin(unreadable).run("");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot read the input: Input/output error"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("journal in"), "{}", ended.stderr);
}

#[test]
fn a_disk_that_is_broken_at_the_start_exits_with_2_and_nothing_is_sent() {
    if !traces() {
        return;
    }
    for (file, call, says) in [
        ("state/checkpoint.new", "fdatasync", "cannot write the checkpoint in"),
        ("state/journal/urls/00000000000000000001.lines", "openat", "the journal in"),
        ("results.jsonl", "openat", "results.jsonl: "),
    ] {
        let (place, origin) = (Place::new(), Origin::start());
        let fault = Fault { path: place.path(file), call, when: "1+", error: "EIO" };
        let ended = start(&place, "", &fault).finish(origin.url("/ok/1"));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(says) && ended.stderr.contains("Input/output error"), "{}", ended.stderr);
        assert_eq!(origin.accepts(), 0);
        place.finish(&origin, 1..=2);
        assert_eq!(place.recorded(), [1, 2]);
    }
}
