//! A disk on which writing fails as a test says.

use std::io;
use std::sync::{Arc, Mutex};

use fetchd::output::{Compress, SavedPosition};

use crate::scenario::{Scenario, append, flush, record, seqs};
use crate::tampered::{Tamper, Tampered};

/// What the next attempts to append do; when none is left, they work.
#[derive(Debug, Default)]
struct Plan(Mutex<Vec<Fault>>);

/// A part of the bytes is written, and then this is said.
#[derive(Clone, Copy, Debug)]
struct Fault {
    written: usize,
    kind: io::ErrorKind,
}

impl Tamper for Plan {
    fn append(&self, bytes: usize) -> io::Result<usize> {
        let mut plan = self.0.lock().unwrap();
        match plan.pop() {
            // As a full disk does it: first less than all is written, and the next attempt fails.
            Some(Fault { written, kind }) if written > 0 => {
                plan.push(Fault { written: 0, kind });
                Ok(written.min(bytes - 1))
            }
            Some(Fault { kind, .. }) => Err(kind.into()),
            None => Ok(bytes),
        }
    }
}

fn with_faults() -> (Scenario, Arc<Plan>) {
    let plan = Arc::<Plan>::default();
    (Scenario::on(Arc::new(Tampered(Arc::clone(&plan)))), plan)
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost_or_there_twice() {
    for (compress, name) in [(Compress::None, "out"), (Compress::Zstd, "out-000001.zst.part")] {
        let (scenario, plan) = with_faults();
        let mut opened = scenario.open(&scenario.sink("out", |jsonl| jsonl.compress = compress), SavedPosition::New);
        append(&mut opened, &record(1));
        flush(&mut opened);
        for (written, kind) in [(0, io::ErrorKind::StorageFull), (9, io::ErrorKind::QuotaExceeded)] {
            plan.0.lock().unwrap().push(Fault { written, kind });
        }
        append(&mut opened, &(record(2) + &record(3)));
        flush(&mut opened);
        assert!(plan.0.lock().unwrap().is_empty());
        assert_eq!(seqs(&scenario.text(name)), [1, 2, 3]);
    }
}

#[test]
fn a_broken_disk_is_an_error_at_once_and_the_torn_record_is_cut_back() {
    let (scenario, plan) = with_faults();
    let mut opened = scenario.open(&scenario.sink("out", |_| {}), SavedPosition::New);
    append(&mut opened, &record(1));
    plan.0.lock().unwrap().push(Fault { written: 9, kind: io::ErrorKind::Other });
    let error = opened.core().unwrap().0.append(record(2).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert_eq!(scenario.text("out"), record(1));
}
