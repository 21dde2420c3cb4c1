//! Requests to a running pipeline from outside: from signals, and from every other sender of the stream.

use std::time::Duration;

/// A control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Accept no more lines, and start no request of a durable source. What is on the wire, and the accepted lines of other
    /// sources, finish within the grace period.
    Stop,
    /// Stop at once; lines without a record stay without one.
    Abort,
    /// Finish the files of all outputs and go on in new ones; a file that does not rotate is opened anew by its path.
    Rotate,
    /// From now on this is the grace period of a stop that has not begun (`shutdown.grace`).
    SetGrace(Duration),
}
