//! Sinks: where records go.

use futures::future::BoxFuture;

use crate::error::BoxError;
use crate::item::Record;

/// Takes records.
///
/// `Ok` means that every record of the batch is as durable as this sink makes it; there is no other way to say it. An
/// error ends the run. Batches come one at a time and in order; a slow sink slows the whole pipeline down to its source.
pub trait Sink: Send {
    /// Writes a batch.
    fn write<'a>(&'a mut self, batch: &'a [Record]) -> BoxFuture<'a, Result<(), BoxError>>;
}
