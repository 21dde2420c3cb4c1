//! Control messages to a running pipeline, from signals and operators.

use std::time::Duration;

/// A control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Accept no more lines, and start no request of a durable source. Requests on the wire, and the accepted lines of
    /// other sources, finish within the grace period.
    Stop,
    /// Stop at once; unfinished lines get no record.
    Abort,
    /// Finish the files of all outputs and go on in new ones; a file that does not rotate is reopened by its path.
    Rotate,
    /// Set the grace period of a stop that has not begun (`shutdown.grace`).
    SetGrace(Duration),
}
