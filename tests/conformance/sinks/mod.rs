//! The suite of sinks. A new kind is a [`Consumer`], a row here, and its name in `suites!`.

mod cases;
mod consumers;
mod posted;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use fetchd::config::{Config, Written};
use fetchd::sink::{KINDS, Target};
use serde_json::Value;

use crate::site::Delivery;
use consumers::{Files, Form, Stdout};
use posted::Posted;

/// Whoever takes the records of a sink.
pub trait Consumer {
    /// The sink's table, with this name.
    fn table(&self, name: &str) -> String;

    /// The standard output of the next process.
    fn stdout(&mut self) -> Stdio {
        Stdio::null()
    }

    /// The whole records that have arrived, also while a process is running.
    fn received(&self) -> Vec<Value>;

    /// Waits until it has all that an ended process has written.
    fn wait_for_the_end(&mut self) {}

    /// Takes nothing any more, or goes on, where it can.
    fn stall(&self, _stalls: Stalls) {
        panic!("the row of this kind does not excuse it from stalling");
    }

    /// Fails in this way from now on, or in none.
    fn fail(&self, _fault: Option<Fault>) {
        panic!("the row of this kind does not excuse it from being remote");
    }

    /// How the sink comes to be unable to write.
    fn breakage(&self) -> Breakage;

    /// The files that it reads.
    fn files(&self) -> Option<&Files> {
        None
    }

    /// That a program which is not ours can read all that was written.
    fn assert_readable_elsewhere(&self);
}

/// Whether a consumer takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalls {
    Yes,
    No,
}

/// How a remote end fails, so that a sink has to wait for it. What it refuses for good, or loses, is for the tests of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens.
    Down,
    /// It answers after seconds.
    Slow,
    /// It answers 503.
    ServerError,
    /// It answers 401.
    Unauthorized,
}

/// How a sink comes to be unable to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// Nobody reads any more.
    ReaderLeaves,
    /// A file may not become so long (`ulimit -f`).
    FileLimit,
}

/// A kind of sink, in one of its forms.
pub struct Row {
    /// Its name in the registry.
    pub kind: &'static str,
    /// Its consumer, whose files, if it has any, are in this directory.
    pub consumer: fn(&Path) -> Box<dyn Consumer>,
    pub delivery: Delivery,
    /// The cases that make no sense for it.
    pub excused: &'static [(Case, Because)],
}

/// What every sink must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Outcomes,
    Kills,
    KillsInRecovery,
    FullDisk,
    WriteError,
    Stalled,
    TornEnd,
    ForeignBytes,
    RotationAndKill,
    Reconfigured,
    Remote,
    Lock,
    OutsideReader,
}

/// Why a case makes no sense for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It writes to no file, so nothing of one can be full, torn, rotated or locked.
    IsNoFile,
    /// It writes to a file, which takes records at once as long as its disk has room: `FullDisk` is how it stalls.
    StallsOnlyWithItsDisk,
    /// Its records wait in the data directory for their consumer, on the disk of the journal and the checkpoint.
    IsStaged,
    /// Its consumer is on this machine.
    IsLocal,
}

impl Because {
    /// Whether that is so, by what the kind says of itself.
    fn is_true(self, target: Target<'_>) -> bool {
        match self {
            Self::IsNoFile => !matches!(target, Target::File(_)),
            Self::StallsOnlyWithItsDisk => matches!(target, Target::File(_)),
            Self::IsStaged => target == Target::Elsewhere,
            Self::IsLocal => target != Target::Elsewhere,
        }
    }
}

impl Row {
    fn config(&self) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let table = (self.consumer)(dir.path()).table("out");
        Written::parse(Path::new("row.toml"), &format!("[state]\ndata_dir = 'state'\n{table}"), |_| None)
            .check()
            .unwrap()
    }

    /// Runs a case, or checks its excuse.
    fn runs(&self, case: Case, test: &str, run: fn(&Self, &str)) {
        match self.excused.iter().find(|(excused, _)| *excused == case) {
            None => run(self, test),
            Some((_, because)) => {
                assert!(
                    because.is_true(self.config().sinks[0].component.target()),
                    "{case:?} is excused for {because:?}"
                );
            }
        }
    }
}

/// Where a disk is all that records need.
const LOCAL_FILE: &[(Case, Because)] =
    &[(Case::Stalled, Because::StallsOnlyWithItsDisk), (Case::Remote, Because::IsLocal)];

const fn jsonl(consumer: fn(&Path) -> Box<dyn Consumer>) -> Row {
    Row { kind: "jsonl", consumer, delivery: Delivery::Once, excused: LOCAL_FILE }
}

const STDOUT: Row = Row {
    kind: "stdout",
    consumer: |_| Box::new(Stdout::default()),
    delivery: Delivery::AtLeastOnce,
    excused: &[
        (Case::FullDisk, Because::IsNoFile),
        (Case::TornEnd, Because::IsNoFile),
        (Case::ForeignBytes, Because::IsNoFile),
        (Case::RotationAndKill, Because::IsNoFile),
        (Case::Lock, Because::IsNoFile),
        (Case::Remote, Because::IsLocal),
    ],
};
const PLAIN: Row = jsonl(|dir| Box::new(Files::new(dir, Form::Plain)));
const ROTATED: Row = jsonl(|dir| Box::new(Files::new(dir, Form::Rotated)));
const GZIP: Row = jsonl(|dir| Box::new(Files::new(dir, Form::Gzip)));
const ZSTD: Row = jsonl(|dir| Box::new(Files::new(dir, Form::ZstdRotated)));

const WEBHOOK: Row = Row {
    kind: "webhook",
    consumer: |_| Box::new(Posted::start()),
    delivery: Delivery::AtLeastOnce,
    excused: &[
        (Case::FullDisk, Because::IsStaged),
        (Case::TornEnd, Because::IsNoFile),
        (Case::ForeignBytes, Because::IsNoFile),
        (Case::Lock, Because::IsNoFile),
    ],
};

/// A test of each case for each row.
macro_rules! suites {
    ($($row:ident: $its:ident;)*) => {
        const ROWS: &[&Row] = &[$(&$its),*];
        $(mod $row {
            use super::{Case, cases, $its};
            suites! { @cases $row $its
                every_outcome_and_odd_body_arrives_whole: Outcomes, outcomes;
                no_record_is_lost_or_twice_over_kills_after_each_record: Kills, kills;
                a_kill_while_it_recovers_is_a_kill_like_any_other: KillsInRecovery, kills_in_recovery;
                a_full_disk_is_waited_for_in_little_memory: FullDisk, full_disk;
                what_cannot_be_written_ends_the_run_with_1: WriteError, write_error;
                a_consumer_that_takes_nothing_holds_up_the_producer_in_little_memory: Stalled, stalled;
                a_torn_end_is_cut_wherever_it_was_torn: TornEnd, torn_end;
                what_others_wrote_behind_the_last_checkpoint_harms_no_record: ForeignBytes, foreign_bytes;
                a_kill_during_a_rotation_loses_nothing: RotationAndKill, rotation_and_kill;
                sinks_may_come_go_and_be_renamed_between_runs: Reconfigured, reconfigured;
                a_remote_end_that_fails_is_outlasted: Remote, remote;
                a_second_process_is_refused: Lock, lock;
                a_program_that_is_not_ours_reads_what_was_written: OutsideReader, outside_reader;
            }
        })*
    };
    (@cases $row:ident $its:ident $($name:ident: $case:ident, $run:ident;)*) => {
        $(#[test]
        fn $name() {
            let test = concat!("sinks::", stringify!($row), "::", stringify!($name));
            $its.runs(Case::$case, test, cases::$run);
        })*
    };
}

suites! {
    stdout: STDOUT;
    jsonl_plain: PLAIN;
    jsonl_rotated: ROTATED;
    jsonl_gzip: GZIP;
    jsonl_zstd_rotated: ZSTD;
    webhook: WEBHOOK;
}

#[test]
fn each_kind_of_the_registry_has_a_row() {
    let kinds: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.kind).collect();
    assert_eq!(rows, kinds, "add a row for the kind, as CONTRIBUTING.md says");
    for row in ROWS {
        let config = row.config();
        assert_eq!(config.sinks[0].kind, row.kind);
    }
}
