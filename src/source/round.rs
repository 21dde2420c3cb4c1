//! The source of a round (`--again`): the lines of its list that are not done. It is not configured; it exists while a
//! round is open, and the checkpoint has the ordinals of its lines that are done.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::sync::mpsc;

use super::{Durability, Extent, Source};
use crate::error::BoxError;
use crate::item::{DoneRanges, Identity, Input, Line, LinePosition, Text};
use crate::rounds::{ListEntry, ListReader, RoundList};

/// The most lines in a batch.
const BATCH: usize = 256;

/// Opens the source of a round. `state_id_of` returns the `state_id` of a source's lines.
///
/// # Errors
/// When the list cannot be read.
pub fn of_round(
    list: &RoundList,
    number: u32,
    done: DoneRanges,
    state_id_of: impl Fn(&str) -> Arc<str> + Send + 'static,
) -> io::Result<Source> {
    let lines = list.read_from(done.through() + 1)?;
    let extent = Extent::new(lines.left());
    let (tx, batches) = mpsc::channel(1);
    let names = Names { state_id_of, last: None };
    let reader = Reader { lines, number, done, names };
    std::thread::spawn(move || reader.send(&tx));
    let lines = stream::unfold(batches, |mut batches| async move { Some((batches.recv().await?, batches)) });
    let lines = lines.flat_map(|batch: Batch| match batch {
        Ok(lines) => stream::iter(lines).map(Ok).left_stream(),
        Err(error) => stream::once(async { Err(error) }).right_stream(),
    });
    Ok(Source { extent: Some(extent), ..Source::new(lines.boxed(), Durability::Resumable) })
}

type Batch = Result<Vec<Input>, BoxError>;

/// The thread that reads the list.
struct Reader<F> {
    lines: ListReader,
    number: u32,
    done: DoneRanges,
    names: Names<F>,
}

/// The source, `state_id` and file of the last line, which the next line usually shares.
struct Names<F> {
    state_id_of: F,
    last: Option<(Arc<str>, Arc<str>, Arc<str>)>,
}

impl<F: Fn(&str) -> Arc<str>> Reader<F> {
    /// Sends the lines until the list ends or the receiver is dropped.
    fn send(mut self, batches: &mpsc::Sender<Batch>) {
        loop {
            let batch =
                self.batch().map_err(|error| format!("cannot read the list of round {}: {error}", self.number).into());
            let is_last = batch.as_ref().map_or(true, Vec::is_empty);
            let is_end = matches!(&batch, Ok(lines) if lines.is_empty());
            if is_end || batches.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    }

    /// The next lines; none at the end.
    fn batch(&mut self) -> io::Result<Vec<Input>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(text) = self.lines.read()?
        {
            let entry = ListEntry::of(&text)?;
            if !self.done.contains(entry.ordinal) {
                let (ordinal, id) = (entry.ordinal, self.names.identity(&entry, self.number));
                let text = Text::Whole(Bytes::from(text));
                batch.push(Input::Line(Line { id, text, position: Some(LinePosition::InList(ordinal)) }));
            }
        }
        Ok(batch)
    }
}

impl<F: Fn(&str) -> Arc<str>> Names<F> {
    fn identity(&mut self, entry: &ListEntry<'_>, round: u32) -> Identity {
        let is_same =
            |(source, _, file): &(Arc<str>, Arc<str>, Arc<str>)| **source == *entry.source && **file == *entry.file;
        let (source, state_id, file) = match self.last.take().filter(is_same) {
            Some(names) => names,
            None => ((*entry.source).into(), (self.state_id_of)(&entry.source), (*entry.file).into()),
        };
        self.last = Some((Arc::clone(&source), Arc::clone(&state_id), Arc::clone(&file)));
        let named = |name: Arc<str>| Some(name).filter(|name| !name.is_empty());
        Identity { state_id: Some(state_id), source: named(source), file: named(file), seq: entry.seq, round }
    }
}
