//! Reads a file, pipe or terminal in a thread of its own, in chunks as bytes come, with bounded buffers.
//!
//! A detached thread, because Tokio's stdin cannot be cancelled and its files use the blocking pool, which is joined at
//! exit.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// Bytes per read, at most.
const CHUNK: usize = 64 << 10;

/// A message of the thread. If the channel closes without `End`, the thread failed.
#[derive(Debug)]
pub(super) enum Chunk {
    Bytes(Bytes),
    End,
    Failed(io::Error),
}

/// Starts the thread. It ends with the file, or once the receiver is dropped.
pub(super) fn read(mut file: File) -> mpsc::Receiver<Chunk> {
    let (tx, rx) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let chunk = read_chunk(&mut file);
            let last = !matches!(chunk, Chunk::Bytes(_));
            if tx.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    rx
}

fn read_chunk(file: &mut File) -> Chunk {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Chunk::End,
            Ok(n) => {
                // A short read must not pin a whole buffer for as long as its lines live.
                buffer.truncate(n);
                buffer.shrink_to_fit();
                return Chunk::Bytes(buffer.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_until_readable(file),
            Err(error) => return Chunk::Failed(error),
        }
    }
}

/// Waits for a pipe that another process made non-blocking. The next read returns an error, if there is one.
fn wait_until_readable(file: &File) {
    let _ = poll(&mut [PollFd::new(file, PollFlags::IN)], None);
}
