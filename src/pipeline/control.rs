//! Requests to a running pipeline from outside: from signals, and from every other sender of the stream.

/// A control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Accept no more lines, and finish those that were accepted within the grace period.
    Stop,
    /// Stop at once; lines without a record stay without one.
    Abort,
    /// Finish the files of all outputs and go on in new ones; a file that does not rotate is opened anew by its path.
    Rotate,
}
