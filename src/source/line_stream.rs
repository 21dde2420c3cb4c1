//! A stream of the lines of one or more open files, each read in a thread of its own.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;

use super::chunk_reader::{Chunk, read};
use super::splitter::{Split, Splitter};
use crate::error::BoxError;
use crate::item::{Identity, Input, Line};

/// A file, with the path for its records if they carry one.
pub(super) type Labelled = (Option<Arc<str>>, File);

/// The lines of the files, one file after the other.
///
/// # Errors
/// When `max_line` does not fit into the address space.
pub(super) fn of(
    files: Vec<Labelled>,
    source: Option<Arc<str>>,
    max_line: u64,
) -> Result<BoxStream<'static, Result<Input, BoxError>>, BoxError> {
    let max_line = usize::try_from(max_line)?;
    let state = State { source, max_line, files: files.into(), current: None };
    Ok(stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|input| (input, state))) })
        .boxed())
}

/// Standard input as a file, which is read without a lock and a second buffer.
pub(super) fn standard_input() -> io::Result<File> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

struct State {
    source: Option<Arc<str>>,
    max_line: usize,
    files: VecDeque<Labelled>,
    current: Option<Current>,
}

/// The file being read.
struct Current {
    label: Option<Arc<str>>,
    chunks: mpsc::Receiver<Chunk>,
    splitter: Splitter,
    seq: u64,
}

impl State {
    async fn next(&mut self) -> Result<Option<Input>, BoxError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some((label, file)) = self.files.pop_front() else { return Ok(None) };
                let (chunks, splitter) = (read(file), Splitter::new(self.max_line));
                self.current = Some(Current { label, chunks, splitter, seq: 0 });
                continue;
            };
            if let Some(split) = current.splitter.next() {
                return Ok(Some(current.input(split, &self.source)));
            }
            match current.chunks.recv().await {
                Some(Chunk::Bytes(bytes)) => current.splitter.push(bytes),
                Some(Chunk::Failed(error)) => return Err(current.broken(&error.to_string())),
                None => return Err(current.broken("the reader thread ended unexpectedly")),
                Some(Chunk::End) => {
                    let last = current.splitter.finish().map(|split| current.input(split, &self.source));
                    self.current = None;
                    if last.is_some() {
                        return Ok(last);
                    }
                }
            }
        }
    }
}

impl Current {
    fn input(&mut self, split: Split, source: &Option<Arc<str>>) -> Input {
        let Split::Line(text) = split else { return Input::Blank };
        self.seq += 1;
        Input::Line(Line {
            id: Identity { state_id: None, source: source.clone(), file: self.label.clone(), seq: self.seq, round: 0 },
            text,
            position: None,
        })
    }

    fn broken(&self, why: &str) -> BoxError {
        format!("cannot read {}: {why}", self.label.as_deref().unwrap_or("the input")).into()
    }
}
