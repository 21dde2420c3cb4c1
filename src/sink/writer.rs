//! Writes batches in a thread of its own, so that an output nobody reads holds up the pipeline and nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::oneshot;

use super::Encoder;
use crate::item::Record;

/// One batch, and whom to tell when it is written; the buffer comes back for the next one.
type Batch = (Vec<u8>, oneshot::Sender<(Vec<u8>, io::Result<()>)>);

/// The thread's end in the pipeline.
#[derive(Debug)]
pub(super) struct Writer {
    batches: SyncSender<Batch>,
    /// The buffer to fill.
    buffer: Vec<u8>,
}

impl Writer {
    /// Starts the thread; it ends with the writer.
    pub fn new(file: File) -> Self {
        let (batches, rx) = sync_channel(1);
        std::thread::spawn(move || write_batches(&file, &rx));
        Self { batches, buffer: Vec::new() }
    }

    /// Writes a batch, in pieces: control characters make text six times as long, so a whole batch of large bodies would
    /// not fit into the memory that is meant for them.
    ///
    /// # Errors
    /// The write error, or that the thread is gone.
    pub async fn write(&mut self, batch: &[Record], encoder: &Encoder) -> io::Result<()> {
        const PIECE: usize = 1 << 20;
        for record in batch {
            encoder.encode(record, &mut self.buffer)?;
            if self.buffer.len() >= PIECE {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    /// Writes the buffer, all of it.
    ///
    /// # Errors
    /// The write error, or that the thread is gone.
    async fn flush(&mut self) -> io::Result<()> {
        /// A buffer that one large batch blew up is not kept.
        const KEEP: usize = 1 << 20;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let gone = || io::Error::other("its writer thread is gone");
        let (tell, told) = oneshot::channel();
        // There is room: batches come one at a time.
        self.batches.try_send((std::mem::take(&mut self.buffer), tell)).map_err(|_| gone())?;
        let (mut buffer, result) = told.await.map_err(|_| gone())?;
        buffer.clear();
        buffer.shrink_to(KEEP);
        self.buffer = buffer;
        result
    }
}

fn write_batches(file: &File, batches: &Receiver<Batch>) {
    while let Ok((buffer, tell)) = batches.recv() {
        let result = write_all(file, &buffer);
        if tell.send((buffer, result)).is_err() {
            return;
        }
    }
}

/// Like `Write::write_all`, and waits for a pipe that someone made non-blocking.
fn write_all(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
