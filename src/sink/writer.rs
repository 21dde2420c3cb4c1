//! Writes batches in a thread of its own, so that an output nobody reads, or a full disk, holds up the pipeline and
//! nothing else.

use std::io;

use super::{Encoder, Written};
use crate::disk::DiskThread;
use crate::item::Record;

/// An output, as its thread owns it.
pub(super) trait Put: Send + 'static {
    /// Takes whole records.
    fn put(&mut self, text: &[u8]) -> io::Result<()>;
}

/// The thread's end in the pipeline.
#[derive(Debug)]
pub(super) struct WriterThread<T> {
    thread: DiskThread<T>,
    /// The buffer to fill.
    buffer: Vec<u8>,
    written: Written,
}

impl<T: Put> WriterThread<T> {
    /// Starts the thread; it ends with the writer.
    pub fn new(output: T) -> Self {
        Self { thread: DiskThread::start(output), buffer: Vec::new(), written: Written::default() }
    }

    /// What was written so far.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Lets the thread do something with its output.
    ///
    /// # Errors
    /// The task's own, or that the thread is gone.
    pub async fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut T) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        self.thread.ask(task).await
    }

    /// Writes a batch, in pieces: control characters make text six times as long, so a whole batch of large bodies would
    /// not fit into the memory that is meant for them.
    ///
    /// # Errors
    /// The write error, or that the thread is gone.
    pub async fn write(&mut self, batch: &[Box<Record>], encoder: &Encoder) -> io::Result<()> {
        const PIECE: usize = 1 << 20;
        for record in batch {
            self.written.records += u64::from(encoder.takes(record.outcome));
            encoder.encode(record, &mut self.buffer)?;
            if self.buffer.len() >= PIECE {
                self.put().await?;
            }
        }
        self.put().await
    }

    /// Writes the buffer, all of it.
    async fn put(&mut self) -> io::Result<()> {
        /// A buffer that one large batch blew up is not kept.
        const KEEP: usize = 1 << 20;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.buffer);
        let bytes = text.len() as u64;
        let put = move |output: &mut T| output.put(&text).map(|()| text);
        self.buffer = self.ask(put).await?;
        self.written.bytes += bytes;
        self.buffer.clear();
        self.buffer.shrink_to(KEEP);
        Ok(())
    }
}
