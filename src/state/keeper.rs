//! Keeps the checkpoint: notes receipts as they come, and writes them down in a thread of its own at each commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::hosts::Newest;
use super::{Checkpoint, HostKeeper, Settle, State};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::source::Forget;

/// A durable source as the keeper knows it.
pub struct Remembered {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its part that keeps lines.
    pub forget: Option<Arc<dyn Forget>>,
}

/// See the module.
pub struct Keeper {
    checkpoint: Checkpoint,
    /// The names of durable sources, by their numbers.
    names: Vec<Option<String>>,
    newest_hosts: Newest,
    notes: SyncSender<Note>,
}

/// What the thread is to write down.
pub(super) enum Note {
    Commit(Commit),
    /// There is something new about hosts, which are no part of a commit: a host may ask for rest, and its line wait for
    /// long until it has a record.
    Hosts,
}

/// A checkpoint, what it relies on, and whom to tell when it is written.
pub(super) struct Commit {
    checkpoint: Checkpoint,
    marks: Vec<Mark>,
    tell: oneshot::Sender<Result<(), BoxError>>,
}

/// The thread's own.
struct Scribe {
    state: State,
    /// Sources that keep lines, by name.
    forgets: Vec<(String, Arc<dyn Forget>)>,
    /// What was written last.
    last: Checkpoint,
    newest_hosts: Newest,
}

impl Keeper {
    /// Starts the thread; it ends with the keeper. `sources` has an entry for each source of the run.
    pub fn start(state: State, sources: Vec<Option<Remembered>>) -> Self {
        // A commit, and a note of hosts.
        let (notes, rx) = sync_channel(2);
        let checkpoint = state.checkpoint.clone();
        let (names, forgets): (Vec<_>, Vec<_>) = sources
            .into_iter()
            .map(|source| source.map_or((None, None), |Remembered { name, forget }| (Some(name), forget)))
            .unzip();
        let forgets = names.iter().cloned().zip(forgets).filter_map(|(name, forget)| name.zip(forget)).collect();
        let newest_hosts = Newest::default();
        let scribe = Scribe { state, forgets, last: checkpoint.clone(), newest_hosts: newest_hosts.clone() };
        std::thread::spawn(move || scribe.write_down(&rx));
        Self { checkpoint, names, newest_hosts, notes }
    }

    /// The part that remembers hosts.
    pub fn hosts(&self) -> HostKeeper {
        let before = self.checkpoint.hosts.clone();
        HostKeeper { before, newest: self.newest_hosts.clone(), notes: self.notes.clone() }
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
                self.checkpoint.sinks.insert(mark.sink.to_string(), vec![mark.position.clone()]);
            }
            let (tell, told) = oneshot::channel();
            let note = Note::Commit(Commit { checkpoint: self.checkpoint.clone(), marks, tell });
            // There is room: commits come one at a time, and so do notes of hosts.
            let gone = "the thread that writes checkpoints is gone";
            self.notes.try_send(note).map_err(|_| gone)?;
            told.await.map_err(|_| gone)?
        }
        .boxed()
    }
}

impl Scribe {
    /// Ends with the notes, or with the first of them that could not be written down: nothing can be believed then.
    fn write_down(mut self, notes: &Receiver<Note>) {
        while let Ok(note) = notes.recv() {
            match note {
                Note::Commit(commit) => {
                    let written = self.commit(commit.checkpoint, &commit.marks);
                    let failed = written.is_err();
                    if commit.tell.send(written).is_err() || failed {
                        return;
                    }
                }
                Note::Hosts => {
                    if let Err(error) = self.hosts() {
                        return refuse(notes, error);
                    }
                }
            }
        }
    }

    fn commit(&mut self, mut checkpoint: Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        checkpoint.hosts = std::mem::take(&mut self.last.hosts);
        self.last = checkpoint;
        self.state.save(&self.last, marks)?;
        for (name, forget) in &self.forgets {
            let files = self.last.sources.get(name).map(|source| &source.files);
            let through = files.and_then(|files| files.get("")).map(|settled| settled.through());
            if let Err(error) = forget.forget(through.unwrap_or(0)) {
                tracing::warn!(%error, source = name.as_str(), "lines that are done could not be deleted");
            }
        }
        Ok(())
    }

    /// Writes what was written last once more, with what is new about hosts: lines settled since then have no outputs to
    /// rely on yet.
    fn hosts(&mut self) -> Result<(), BoxError> {
        let Some(hosts) = self.newest_hosts.take() else { return Ok(()) };
        self.last.hosts = hosts;
        self.state.save(&self.last, &[])
    }
}

/// Lets the next commit fail with this error.
fn refuse(notes: &Receiver<Note>, error: BoxError) {
    while let Ok(note) = notes.recv() {
        if let Note::Commit(commit) = note {
            // Nobody listens only when the run is on its way down already.
            let _ = commit.tell.send(Err(error));
            return;
        }
    }
}
