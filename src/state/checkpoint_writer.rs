//! The checkpoint writer: the thread that writes the checkpoint of a run, by `DataDir::save`, which syncs the outputs first,
//! and `Checkpoint::save`, which replaces the file.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::host_states::{StoredHostState, keep_unknown};
use super::{Checkpoint, DataDir};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Trim;

/// What the thread is to write.
pub(super) enum WriteRequest {
    Commit(Commit),
    /// The states of hosts changed. They are saved apart from commits: a host can be paused long before its line has a
    /// record.
    Hosts,
}

/// A checkpoint, the outputs that it relies on, and where the result goes.
pub(super) struct Commit {
    pub checkpoint: Checkpoint,
    pub marks: Vec<Mark>,
    pub tell: oneshot::Sender<Result<(), BoxError>>,
}

/// The thread that writes the checkpoint, and nothing else does while the run lasts.
pub(super) struct CheckpointWriter {
    pub state: DataDir,
    /// Sources that keep lines, by name.
    pub trims: Vec<(String, Arc<dyn Trim>)>,
    /// What was written last.
    pub last: Checkpoint,
    pub latest_host_states: LatestHostStates,
}

impl CheckpointWriter {
    /// Ends with the requests, or with the first of them that could not be written down: nothing can be relied on then.
    pub fn write_down(mut self, requests: &Receiver<WriteRequest>) {
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
            // Only a run that is shutting down has dropped the receiver.
            let _ = commit.tell.send(Err(error));
            return;
        }
    }
}

/// What is to be written down next of hosts. Whoever puts something where nothing was sends a request.
#[derive(Clone, Default)]
pub(super) struct LatestHostStates(Arc<Mutex<Option<BTreeMap<String, StoredHostState>>>>);

impl LatestHostStates {
    pub fn take(&self) -> Option<BTreeMap<String, StoredHostState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn put(&self, hosts: BTreeMap<String, StoredHostState>) -> Option<BTreeMap<String, StoredHostState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(hosts)
    }
}
