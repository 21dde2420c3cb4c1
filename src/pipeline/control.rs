//! What a running pipeline can be told from outside: by signals, and by whoever else holds the other end of the stream.

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
