//! Sources: where lines come from.
//!
//! A source is a stream of lines and, when it is durable, someone to tell which of them are done. Next: `pipeline::feed`.

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::error::BoxError;
use crate::item::{Input, Receipt};

/// An open source.
pub struct Source {
    /// Its lines, in order. The end of the stream is the end of the input; an error ends the run.
    ///
    /// The stream may wait for ever and is dropped when the run stops. It keeps no line from being seen: what was read
    /// completely is yielded before the next wait.
    pub lines: BoxStream<'static, Result<Input, BoxError>>,
    /// Whom to tell what is done. A source without it forgets unfinished lines when the run ends.
    pub settle: Option<Box<dyn Settle>>,
}

/// Learns which lines are done, so that a restart does not yield them again.
///
/// It is called with lines whose records every sink has made as durable as it can, each line once, in no particular
/// order, and never while another call is under way. An error ends the run.
pub trait Settle: Send {
    /// Makes it last that these lines are done.
    fn settle<'a>(&'a mut self, done: &'a [Receipt]) -> BoxFuture<'a, Result<(), BoxError>>;
}
