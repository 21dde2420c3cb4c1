//! The suite of sources. A new kind is a [`Producer`], a row here, and its name in `suites!`.

mod cases;
mod producers;
mod push;

use std::collections::BTreeSet;
use std::path::Path;

use fetchd::config::{Config, Written};
use fetchd::source::{KINDS, SourceConfig};

use serde_json::{Value, json};

use crate::common::fetchd::{Ended, Running};
use crate::site::Site;
use producers::{Batch, Followed, Pipe, Walk};
use push::Push;

/// Whoever gives a source its lines.
pub trait Producer {
    /// The source's table, whose name is `in`.
    fn table(&self) -> String;

    /// What the answer to a line is, and where the next one is, for a source that reads answers.
    fn answer(&self, n: u64, _next: Option<String>) -> Value {
        json!({ "n": n })
    }

    /// All lines of the case as they are known by now, before a process starts.
    fn before(&mut self, _all: &[u8]) {}

    /// The lines that a process has not accepted yet, once it runs.
    fn after(&mut self, _running: &mut Running, _rest: &[u8]) {}

    /// The beginning of a line, without its end, while a process runs.
    fn give_half(&mut self, _running: &mut Running, _half: &[u8]) {
        panic!("the row of this kind does not excuse it from lines that are given in pieces");
    }

    /// Gives this line again and again, until nothing of it is taken for a second; how many bytes were. At most so many are given.
    fn overfill(&mut self, _running: &mut Running, _line: &[u8], _most: usize) -> usize {
        panic!("the row of this kind does not excuse it from holding up its producer");
    }

    /// No line comes any more.
    fn end(&mut self, running: Running) -> Ended;

    /// What becomes of a run whose producer is not there.
    fn without_producer(&self) -> Absent;
}

/// What becomes of a run whose producer is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Its input has ended, without a line.
    Ends,
    /// It is refused before anything is sent.
    IsRefused,
    /// It waits for the producer.
    Waits,
}

/// A kind of source, in one of its forms.
pub struct Row {
    /// Its name in the registry.
    pub kind: &'static str,
    /// Its producer, whose files, if it has any, are in the directory of the site.
    pub producer: fn(&Site) -> Box<dyn Producer>,
    /// The cases that make no sense for it.
    pub excused: &'static [(Case, Because)],
}

/// What every source must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Identity,
    SettledOnce,
    UnsettledAgain,
    Kills,
    HalfLine,
    BackPressure,
    StopWhileBlocked,
    Garbage,
    Absent,
}

/// Why a case makes no sense for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It remembers no lines: what a run did not record is lost with it.
    HasNoMemory,
    /// All that there is to read is there at the start.
    IsBatch,
    /// It reads files when it has room; who writes them is never held up.
    ReadsFiles,
    /// It makes its lines itself, each of the answer to the one before: there is one at a time, and when a walk is over there is none.
    /// `tests/daemon/pages.rs` has these cases in its own form.
    Walks,
}

impl Because {
    /// Whether that is so, by what the kind says of itself.
    fn is_true(self, source: &dyn SourceConfig) -> bool {
        match self {
            Self::HasNoMemory => !source.is_durable(),
            Self::IsBatch => source.is_batch(),
            Self::Walks => !source.is_repeated(),
            Self::ReadsFiles => source.inputs().stdin == 0 && !source.inputs().files.is_empty(),
        }
    }
}

impl Row {
    fn config(&self) -> Config {
        let site = Site::new();
        let mut producer = (self.producer)(&site);
        producer.before(b"");
        let text = format!("[state]\ndata_dir = 'state'\n{}", producer.table());
        Written::parse(Path::new("row.toml"), &text, |_| None).check().unwrap()
    }

    /// Runs a case, or checks its excuse.
    fn runs(&self, case: Case, run: fn(&Self)) {
        match self.excused.iter().find(|(excused, _)| *excused == case) {
            None => run(self),
            Some((_, because)) => {
                let config = self.config();
                assert!(because.is_true(config.sources[0].component.as_ref()), "{case:?} is excused for {because:?}");
            }
        }
    }
}

const PLAIN_STDIN: Row = Row {
    kind: "stdin",
    producer: |_| Box::new(Pipe::plain()),
    excused: &[
        (Case::SettledOnce, Because::HasNoMemory),
        (Case::UnsettledAgain, Because::HasNoMemory),
        (Case::Kills, Because::HasNoMemory),
        (Case::HalfLine, Because::HasNoMemory),
    ],
};
const DURABLE_STDIN: Row = Row { kind: "stdin", producer: |_| Box::new(Pipe::durable()), excused: &[] };
const BATCH: Row = Row {
    kind: "file",
    producer: |site| Box::new(Batch::new(site.dir())),
    excused: &[(Case::HalfLine, Because::IsBatch), (Case::BackPressure, Because::ReadsFiles)],
};
const FOLLOWED: Row = Row {
    kind: "file",
    producer: |site| Box::new(Followed::new(site.dir())),
    excused: &[(Case::BackPressure, Because::ReadsFiles)],
};

const PAGES: Row = Row {
    kind: "pages",
    producer: |site| Box::new(Walk::new(site)),
    excused: &[
        (Case::Identity, Because::Walks),
        (Case::SettledOnce, Because::Walks),
        (Case::UnsettledAgain, Because::Walks),
        (Case::HalfLine, Because::Walks),
        (Case::BackPressure, Because::Walks),
        (Case::StopWhileBlocked, Because::Walks),
        (Case::Garbage, Because::Walks),
        (Case::Absent, Because::Walks),
    ],
};

const PUSH: Row = Row { kind: "http", producer: |site| Box::new(Push::new(site.dir())), excused: &[] };

/// A test of each case for each row.
macro_rules! suites {
    ($($row:ident: $its:ident;)*) => {
        const ROWS: &[&Row] = &[$(&$its),*];
        $(mod $row {
            use super::{Case, cases, $its};
            suites! { @cases $its
                an_identity_is_one_line_for_ever: Identity, identity;
                a_settled_line_is_never_yielded_again: SettledOnce, settled_once;
                an_unsettled_line_is_always_yielded_again: UnsettledAgain, unsettled_again;
                a_kill_after_each_record_loses_no_line_and_repeats_none: Kills, kills;
                a_line_of_which_half_was_given_at_a_stop_is_read_whole_or_not_at_all: HalfLine, half_line;
                lines_for_which_there_is_no_room_hold_up_the_producer: BackPressure, back_pressure;
                a_stop_with_a_full_window_ends_in_time_and_loses_nothing: StopWhileBlocked, stop_while_blocked;
                garbage_and_duplicates_each_have_a_record: Garbage, garbage;
                a_producer_that_is_not_there_is_no_surprise: Absent, absent;
            }
        })*
    };
    (@cases $its:ident $($name:ident: $case:ident, $run:ident;)*) => {
        $(#[test]
        fn $name() {
            $its.runs(Case::$case, cases::$run);
        })*
    };
}

suites! {
    stdin_plain: PLAIN_STDIN;
    stdin_durable: DURABLE_STDIN;
    file_batch: BATCH;
    file_followed: FOLLOWED;
    http: PUSH;
    pages: PAGES;
}

#[test]
fn each_kind_of_the_registry_has_a_row() {
    let kinds: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.kind).collect();
    assert_eq!(rows, kinds, "add a row for the kind, as CONTRIBUTING.md says");
    for row in ROWS {
        assert_eq!(row.config().sources[0].kind, row.kind);
    }
}
