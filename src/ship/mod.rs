//! Shipping: delivers staged records from the data directory to a remote receiver, in order.
//!
//! The input is the finished segments of a staging output, which a sink writes and rotates like any other. Each segment
//! is deleted once it is delivered, so the directory is the position, and the checkpoint contains none. A receiver that
//! is down costs disk space, up to a limit, but does not slow down fetching.
//!
//! `segments` reads the segments as messages of whole records. `shipper` is the service that delivers them through the
//! sink's [`Deliver`]. `backlog` counts undelivered segments and applies back-pressure to the sink.

mod backlog;
mod backoff;
mod dead_letters;
mod places;
mod said;
mod segments;
mod shipper;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

pub use backlog::{Backlog, Lag, Writing};
pub use backoff::backoff;
pub use places::{Orphan, StagingPlace, orphans};
pub use segments::Segments;
pub use shipper::Shipper;

/// Delivers messages to a remote receiver.
pub trait Deliver: Send + Sync {
    /// Makes one attempt with its own timeout. The future may be dropped: the message is then delivered again under the
    /// same id.
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery>;
}

/// Whole records that are delivered together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The unique id of these records. It is the same in each attempt, even after a restart.
    pub id: String,
    /// The number of records.
    pub records: u64,
    /// The records, as JSON lines.
    pub text: Bytes,
}

/// The result of one delivery attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has accepted the message.
    Arrived,
    /// The receiver is unavailable or cannot be reached.
    Failed {
        /// Why, as a clause.
        reason: String,
        /// The Retry-After of the receiver.
        retry_after: Option<Duration>,
    },
    /// The receiver accepts no message until an operator changes the configuration of either side.
    Blocked {
        /// Why, as a clause.
        reason: String,
    },
    /// The receiver refuses this message because of its contents.
    Refused {
        /// Why, as a clause.
        reason: String,
    },
}

/// How a message is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The message was delivered.
    Arrived,
    /// The records are delivered one by one.
    Split,
    /// The only record becomes a dead letter, for this reason.
    Buried(String),
}

/// A queue of staged messages: [`Segments`] in a dedicated thread, or a fake in tests.
pub trait Staged: Send {
    /// The first unsettled message; `None` while there is none.
    fn first(&mut self) -> BoxFuture<'_, io::Result<Option<Message>>>;

    /// Settles the first message. Returns the length of the segment if that completes and deletes it.
    fn settle(&mut self, settled: Settled) -> BoxFuture<'_, io::Result<Option<u64>>>;
}
