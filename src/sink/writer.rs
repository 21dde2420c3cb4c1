//! Writes batches in a dedicated thread, so that a blocked output or a full disk blocks only the pipeline.

use std::io;

use super::{Encoder, Written};
use crate::disk::DiskThread;
use crate::item::Record;

/// An output that a writer thread owns.
pub(super) trait Put: Send + 'static {
    /// Writes whole records.
    fn put(&mut self, text: &[u8]) -> io::Result<()>;
}

/// The handle of a writer thread.
#[derive(Debug)]
pub(super) struct WriterThread<T> {
    thread: DiskThread<T>,
    /// The encoded records that are not written yet.
    buffer: Vec<u8>,
    written: Written,
}

impl<T: Put> WriterThread<T> {
    /// Starts the thread; it ends when the handle is dropped.
    pub fn new(output: T) -> Self {
        Self { thread: DiskThread::start(output), buffer: Vec::new(), written: Written::default() }
    }

    /// Records and bytes written so far.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Runs a task on the output in the thread.
    ///
    /// # Errors
    /// The error of the task, or that the thread has ended.
    pub async fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut T) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        self.thread.ask(task).await
    }

    /// Writes a batch in pieces: escaped control characters are six times as long, so a whole batch of large bodies
    /// would exceed the memory budget.
    ///
    /// # Errors
    /// The write error, or that the thread has ended.
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

    /// Writes and empties the buffer.
    async fn put(&mut self) -> io::Result<()> {
        /// The capacity that the buffer keeps after a large record.
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
