//! Answers to queries about a line: where it is, and what holds it back.

use std::sync::Arc;
use std::time::Duration;

use super::reports::Cause;
use crate::item::Ticket;

/// The line of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKey {
    /// The number among all accepted lines, from 0.
    Ordinal(u64),
    /// Source, file and number there.
    Identity {
        /// The name of the source, if it has one.
        source: Option<Arc<str>>,
        /// The file; `None` for any.
        file: Option<Arc<str>>,
        /// Its number there, from 1.
        seq: u64,
    },
}

impl LineKey {
    /// Whether this is the key of the line with this ticket.
    pub fn names(&self, ticket: &Ticket) -> bool {
        match self {
            Self::Ordinal(ordinal) => ticket.ordinal == *ordinal,
            Self::Identity { source, file, seq } => {
                let id = &ticket.id;
                (id.seq, &id.source) == (*seq, source) && (file.is_none() || id.file == *file)
            }
        }
    }
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineAnswer {
    /// It is accepted, and not in the schedule yet.
    Queued,
    /// It waits.
    Waiting {
        /// Its ordinal.
        ordinal: u64,
        /// Its host; `None` while the table has no room for it.
        host: Option<Arc<str>>,
        /// The causes that hold it back now; none if it only waits for the turns of others.
        causes: Vec<Cause>,
        /// Lines of its host that start before it, as of now.
        ahead: usize,
    },
    /// Its request is under way.
    OnTheWire {
        /// Its ordinal.
        ordinal: u64,
        /// Its host.
        host: Arc<str>,
        /// For how long.
        since: Duration,
    },
    /// It is settled, and waits for the record of an earlier line, to keep the order of the input.
    HeldForOrder {
        /// The ordinal of that line.
        behind: u64,
    },
    /// It is settled, and its source reads the response before any sink has the record.
    ReadBySource,
    /// It is settled, and a sink has not taken its record yet.
    WaitingForSink,
    /// It is not here: it has its record, or was never accepted.
    NotHere,
}
