//! The checkpointer: collects receipts, and writes the checkpoint at each commit, in a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::host_states::{LatestHostStates, keep_unknown};
use super::{Checkpoint, DataDir, HostStateRecorder, Settle};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::item::Trim;

/// A durable source as the checkpointer knows it.
pub struct DurableSource {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its part that keeps lines.
    pub trim: Option<Arc<dyn Trim>>,
}

/// See the module.
pub struct Checkpointer {
    checkpoint: Checkpoint,
    /// The names of durable sources, by their numbers.
    names: Vec<Option<String>>,
    latest_host_states: LatestHostStates,
    requests: SyncSender<WriteRequest>,
}

/// What the thread is to write down.
pub(super) enum WriteRequest {
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
struct CheckpointWriter {
    state: DataDir,
    /// Sources that keep lines, by name.
    trims: Vec<(String, Arc<dyn Trim>)>,
    /// What was written last.
    last: Checkpoint,
    latest_host_states: LatestHostStates,
}

impl Checkpointer {
    /// Starts the thread; it ends with the checkpointer. `sources` has an entry for each source of the run.
    pub fn start(state: DataDir, sources: Vec<Option<DurableSource>>) -> Self {
        // A commit, and a request of hosts.
        let (requests, rx) = sync_channel(2);
        let checkpoint = state.checkpoint.clone();
        let (names, trims): (Vec<_>, Vec<_>) = sources
            .into_iter()
            .map(|source| source.map_or((None, None), |DurableSource { name, trim }| (Some(name), trim)))
            .unzip();
        let trims = names.iter().cloned().zip(trims).filter_map(|(name, trim)| name.zip(trim)).collect();
        let latest_host_states = LatestHostStates::default();
        let writer =
            CheckpointWriter { state, trims, last: checkpoint.clone(), latest_host_states: latest_host_states.clone() };
        std::thread::spawn(move || writer.write_down(&rx));
        Self { checkpoint, names, latest_host_states, requests }
    }

    /// The part that remembers hosts.
    pub fn hosts(&self) -> HostStateRecorder {
        let before = self.checkpoint.hosts.clone();
        HostStateRecorder { before, newest: self.latest_host_states.clone(), requests: self.requests.clone() }
    }
}

impl Settle for Checkpointer {
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError> {
        for receipt in done {
            let name = self.names.get(receipt.source).and_then(Option::as_ref).ok_or("a source is not known")?;
            let source = self.checkpoint.sources.get_mut(name).ok_or("a source is not in the checkpoint")?;
            let file = receipt.id.file.as_deref().unwrap_or_default();
            let settled = match source.files.get_mut(file) {
                Some(settled) => settled,
                None => source.files.entry(file.to_owned()).or_default(),
            };
            settled.insert(receipt.id.seq, receipt.position.clone());
            if let Some(position) = &receipt.source_position {
                source.position = Some(position.clone());
            }
        }
        Ok(())
    }

    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            for mark in &marks {
                self.checkpoint.sinks.insert(mark.sink.to_string(), vec![mark.position.clone()]);
            }
            let (tell, told) = oneshot::channel();
            let request = WriteRequest::Commit(Commit { checkpoint: self.checkpoint.clone(), marks, tell });
            // There is room: commits come one at a time, and so do requests of hosts.
            let gone = "the thread that writes checkpoints is gone";
            self.requests.try_send(request).map_err(|_| gone)?;
            told.await.map_err(|_| gone)?
        }
        .boxed()
    }
}

impl CheckpointWriter {
    /// Ends with the requests, or with the first of them that could not be written down: nothing can be believed then.
    fn write_down(mut self, requests: &Receiver<WriteRequest>) {
        while let Ok(request) = requests.recv() {
            match request {
                WriteRequest::Commit(commit) => {
                    let written = self.commit(commit.checkpoint, &commit.marks);
                    let failed = written.is_err();
                    if commit.tell.send(written).is_err() || failed {
                        return;
                    }
                }
                WriteRequest::Hosts => {
                    if let Err(error) = self.hosts() {
                        return refuse(requests, error);
                    }
                }
            }
        }
    }

    fn commit(&mut self, mut checkpoint: Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        checkpoint.hosts = std::mem::take(&mut self.last.hosts);
        self.last = checkpoint;
        self.state.save(&self.last, marks)?;
        for (name, trim) in &self.trims {
            let files = self.last.sources.get(name).map(|source| &source.files);
            let through = files.and_then(|files| files.get("")).map(|settled| settled.through());
            if let Err(error) = trim.trim(through.unwrap_or(0)) {
                tracing::warn!(%error, source = name.as_str(), "lines that are done could not be deleted");
            }
        }
        Ok(())
    }

    /// Writes what was written last once more, with what is new about hosts: lines settled since then have no outputs to
    /// rely on yet.
    fn hosts(&mut self) -> Result<(), BoxError> {
        let Some(hosts) = self.latest_host_states.take() else { return Ok(()) };
        let before = std::mem::replace(&mut self.last.hosts, hosts);
        keep_unknown(&mut self.last.hosts, before);
        self.state.save(&self.last, &[])
    }
}

/// Lets the next commit fail with this error.
fn refuse(requests: &Receiver<WriteRequest>, error: BoxError) {
    while let Ok(request) = requests.recv() {
        if let WriteRequest::Commit(commit) = request {
            // Nobody listens only when the run is on its way down already.
            let _ = commit.tell.send(Err(error));
            return;
        }
    }
}
