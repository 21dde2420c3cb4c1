//! Durable standard input: lines go into a journal and are read back from it once they are accepted.
//!
//! One thread moves lines from the pipe into the journal in batches, through the [`Intake`]; another thread reads the
//! journal behind it (`read_back`).

use std::io;
use std::sync::Arc;

use futures::executor::block_on;
use tokio::sync::mpsc;

use super::chunk_reader::{Chunk, read};
use super::intake::Intake;
use super::journal_gauge::Bounds;
use super::splitter::{Split, Splitter};
use super::{SavedState, Source, line_stream, read_back};
use crate::error::BoxError;
use crate::journal::Batch;

/// Approximate bytes of a batch.
const BATCH: usize = 1 << 20;

/// Opens standard input and its journal.
///
/// # Errors
/// When one of the two cannot be opened.
pub(super) fn open(
    max_line: u64,
    bounds: Bounds,
    name: Option<Arc<str>>,
    saved: &SavedState,
) -> Result<Source, BoxError> {
    let input = line_stream::standard_input()?;
    let splitter = Splitter::new(usize::try_from(max_line)?);
    let most = BATCH.min(usize::try_from(bounds.max_journal / 4).unwrap_or(BATCH));
    let intake = Intake::open(bounds, saved)?;
    let (source, failed) = read_back::source(&intake, name, saved);
    std::thread::spawn(move || {
        let mut pipe = Pipe { intake, splitter, most };
        let ended = pipe.take_all(read(input));
        pipe.intake.end(ended, failed);
    });
    Ok(source)
}

/// Moves lines from standard input into the journal.
struct Pipe {
    intake: Intake,
    splitter: Splitter,
    /// Approximate bytes of a batch.
    most: usize,
}

/// Whether more lines can come.
enum Input {
    Open,
    Ended,
    Failed(io::Error),
}

impl Pipe {
    fn take_all(&mut self, mut chunks: mpsc::Receiver<Chunk>) -> Result<(), String> {
        let stop = self.intake.stop().clone();
        loop {
            let mut batch = Batch::default();
            let mut input = match block_on(stop.run_until_cancelled(chunks.recv())) {
                Some(Some(chunk)) => self.take(chunk, &mut batch),
                Some(None) => Input::Failed(io::Error::other("the reader thread ended unexpectedly")),
                // Chunks read before the stop are still accepted.
                None => Input::Ended,
            };
            // Chunks that wait behind it are accepted with the same fsync.
            while batch.bytes() < self.most
                && let Ok(chunk) = chunks.try_recv()
            {
                match self.take(chunk, &mut batch) {
                    // More may come, but it is not accepted after a stop.
                    Input::Open => {}
                    end => input = end,
                }
            }
            self.intake.take_when_room(&batch)?;
            match input {
                Input::Open => {}
                Input::Ended => return Ok(()),
                Input::Failed(error) => return Err(format!("cannot read the input: {error}")),
            }
        }
    }

    fn take(&mut self, chunk: Chunk, batch: &mut Batch) -> Input {
        match chunk {
            Chunk::Bytes(bytes) => {
                self.splitter.push(bytes);
                while let Some(split) = self.splitter.next() {
                    push(split, batch);
                }
                Input::Open
            }
            Chunk::End => {
                self.splitter.finish().into_iter().for_each(|split| push(split, batch));
                Input::Ended
            }
            Chunk::Failed(error) => Input::Failed(error),
        }
    }
}

fn push(split: Split, batch: &mut Batch) {
    if let Split::Line(text) = split {
        batch.push(&text);
    }
}
