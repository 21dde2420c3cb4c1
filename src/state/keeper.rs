//! Keeps the checkpoint: notes receipts as they come, and writes them down in a thread of its own at each commit.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::{Checkpoint, Settle, State};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::source::Forget;

/// A durable source as the keeper knows it.
pub struct Remembered {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its part that keeps lines.
    pub forget: Option<Box<dyn Forget>>,
}

/// See the module.
pub struct Keeper {
    checkpoint: Checkpoint,
    /// The names of durable sources, by their numbers.
    names: Vec<Option<String>>,
    notes: SyncSender<Note>,
}

/// What the thread is to write down, and whom to tell when it has.
struct Note {
    checkpoint: Checkpoint,
    marks: Vec<Mark>,
    tell: oneshot::Sender<Result<(), BoxError>>,
}

impl Keeper {
    /// Starts the thread; it ends with the keeper. `sources` has an entry for each source of the run.
    pub fn start(state: State, sources: Vec<Option<Remembered>>) -> Self {
        let (notes, rx) = sync_channel(1);
        let checkpoint = state.checkpoint.clone();
        let (names, forgets): (Vec<_>, Vec<_>) = sources
            .into_iter()
            .map(|source| source.map_or((None, None), |Remembered { name, forget }| (Some(name), forget)))
            .unzip();
        let forgets = names.iter().cloned().zip(forgets).filter_map(|(name, forget)| name.zip(forget)).collect();
        std::thread::spawn(move || write_down(&state, forgets, &rx));
        Self { checkpoint, names, notes }
    }
}

impl Settle for Keeper {
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError> {
        for receipt in done {
            let name = self.names.get(receipt.source).and_then(Option::as_ref).ok_or("a source is not known")?;
            let source = self.checkpoint.sources.get_mut(name).ok_or("a source is not in the checkpoint")?;
            let file = receipt.id.file.as_deref().unwrap_or_default();
            let settled = match source.files.get_mut(file) {
                Some(settled) => settled,
                None => source.files.entry(file.to_owned()).or_default(),
            };
            settled.insert(receipt.id.seq, receipt.place.clone());
        }
        Ok(())
    }

    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            for mark in &marks {
                self.checkpoint.sinks.insert(mark.sink.to_string(), mark.position.clone());
            }
            let (tell, told) = oneshot::channel();
            let note = Note { checkpoint: self.checkpoint.clone(), marks, tell };
            // There is room: commits come one at a time.
            let gone = "the thread that writes checkpoints is gone";
            self.notes.try_send(note).map_err(|_| gone)?;
            told.await.map_err(|_| gone)?
        }
        .boxed()
    }
}

fn write_down(state: &State, mut forgets: Vec<(String, Box<dyn Forget>)>, notes: &Receiver<Note>) {
    while let Ok(Note { checkpoint, marks, tell }) = notes.recv() {
        let written = state.save(&checkpoint, &marks);
        if written.is_ok() {
            for (name, forget) in &mut forgets {
                let through = checkpoint.sources.get(name).and_then(|source| source.files.get("")).map(|s| s.through());
                if let Err(error) = forget.forget(through.unwrap_or(0)) {
                    tracing::warn!(%error, source = name.as_str(), "lines that are done could not be deleted");
                }
            }
        }
        if tell.send(written).is_err() {
            return;
        }
    }
}
