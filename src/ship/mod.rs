//! Shipping: records that wait in the data directory go to a remote place, in their order.
//!
//! In: the finished segments of a staging output, which a sink writes and rotates like any other. Out: each is deleted once all
//! of it has arrived. So the directory is the position, and the checkpoint has nothing of it. A remote place that is down costs
//! disk, up to a limit, and no fetching time.
//!
//! `segments` reads the segments as messages of whole records; `shipper` is the service that has them delivered by what the
//! kind of the sink brings ([`Deliver`]); `backlog` counts what waits, and makes the sink wait when that is too much.

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

/// Delivers messages to a remote place.
pub trait Deliver: Send + Sync {
    /// Makes one attempt, and ends within a time of its own. It may be dropped at any await: the message is delivered again
    /// then, under the same id.
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery>;
}

/// Whole records that are delivered together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name. The same records have the same one in each attempt, also after a restart, and no others have it.
    pub id: String,
    /// How many records it has.
    pub records: u64,
    /// The records, as JSON lines.
    pub text: Bytes,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The remote place has the message.
    Arrived,
    /// It cannot take it now, or cannot be reached.
    Failed {
        /// Why, as a clause.
        reason: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It takes no message from this sender until somebody has changed something, here or there.
    Blocked {
        /// Why, as a clause.
        reason: String,
    },
    /// It does not take this message, for what is in it.
    Refused {
        /// Why, as a clause.
        reason: String,
    },
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It arrived.
    Arrived,
    /// Its records are delivered one by one.
    Split,
    /// Its only record goes to the dead letters, for this reason.
    Buried(String),
}

/// Messages that wait, in their order: [`Segments`] in a thread of their own, or those of a test.
pub trait Staged: Send {
    /// The first message that is not settled; `None` while there is none.
    fn first(&mut self) -> BoxFuture<'_, io::Result<Option<Message>>>;

    /// Settles that message. Returns the length of the segment that is gone by this, if one is.
    fn settle(&mut self, settled: Settled) -> BoxFuture<'_, io::Result<Option<u64>>>;
}
