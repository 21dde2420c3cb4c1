//! The checkpointer: collects receipts, and sends the checkpoint to the `checkpoint_writer` at each commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::checkpoint_writer::{CheckpointWriter, Commit, LatestHostStates, OutputFileRecorder, WriteRequest};
use super::robots_log::RobotsLog;
use super::run_marker::RunMarker;
use super::{Checkpoint, CommitClock, DataDir, HostStateRecorder, PositionRecorder, Settle};
use crate::disk::{Disk, DiskFile, Mark, RegisterOutputFile};
use crate::error::BoxError;
use crate::item::{LinePosition, Receipt, Trim};

/// Collects the lines that are done, and commits them.
pub struct Checkpointer {
    checkpoint: Checkpoint,
    /// The names of durable sources by index.
    names: Vec<Option<String>>,
    /// The number of lines of the open round.
    lines_of_round: u64,
    latest_host_states: LatestHostStates,
    requests: SyncSender<WriteRequest>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lock: Arc<dyn DiskFile>,
    had_checkpoint: bool,
    commits: Arc<CommitClock>,
}

impl Checkpointer {
    /// Starts the writer thread; it ends with the checkpointer and its recorders. `names` has an entry for each source
    /// of the run: the name of a durable source (empty if it has none), otherwise `None`, also for the source of a
    /// round.
    pub fn start(state: DataDir, names: Vec<Option<String>>) -> Self {
        // Room for a commit, host states, a position and a trim of each source, and a file of each output.
        let (requests, rx) = sync_channel(2 + 2 * names.len() + state.checkpoint.sinks.len());
        let checkpoint = state.checkpoint.clone();
        let (disk, dir) = (Arc::clone(&state.disk), state.dir.clone());
        let lines_of_round = state.lines_of_round();
        let (lock, had_checkpoint) = (Arc::clone(&state.lock), state.had_checkpoint);
        let latest_host_states = LatestHostStates::default();
        let writer = CheckpointWriter::new(state, latest_host_states.clone());
        std::thread::spawn(move || writer.write_down(&rx));
        Self {
            checkpoint,
            names,
            lines_of_round,
            latest_host_states,
            requests,
            disk,
            dir,
            lock,
            had_checkpoint,
            commits: Arc::default(),
        }
    }

    /// A recorder for the position of a source.
    pub fn position(&self, source: &str) -> PositionRecorder {
        PositionRecorder { source: source.to_owned(), requests: self.requests.clone() }
    }

    /// A registry for output files.
    pub fn output_files(&self) -> Arc<dyn RegisterOutputFile> {
        Arc::new(OutputFileRecorder { requests: self.requests.clone() })
    }

    /// Registers a source whose done lines are deleted after each commit.
    pub fn add_trim(&self, source: String, trim: Arc<dyn Trim>) {
        // The channel has room. If the thread has ended, the next commit returns the error.
        let _ = self.requests.try_send(WriteRequest::Trim(source, trim));
    }

    /// A recorder of host states, with a robots log of this size if robots.txt is obeyed.
    pub fn hosts(&self, robots_log: Option<u64>) -> HostStateRecorder {
        HostStateRecorder {
            before: self.checkpoint.hosts.clone(),
            latest: self.latest_host_states.clone(),
            requests: self.requests.clone(),
            marker: RunMarker { lock: Arc::clone(&self.lock), had_checkpoint: self.had_checkpoint },
            robots: robots_log.map(|most| RobotsLog::new(Arc::clone(&self.disk), &self.dir, most)),
        }
    }
}

impl Settle for Checkpointer {
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError> {
        for receipt in done {
            if let Some(LinePosition::InList(ordinal)) = receipt.position {
                let round = self.checkpoint.round.as_mut().ok_or("no round is open")?;
                round.done.insert(ordinal, None);
                continue;
            }
            let name = self.names.get(receipt.source).and_then(Option::as_ref).ok_or("a source is unknown")?;
            let source = self.checkpoint.sources.get_mut(name).ok_or("a source is not in the checkpoint")?;
            let file = receipt.id.file.as_deref().unwrap_or_default();
            let settled = match source.files.get_mut(file) {
                Some(settled) => settled,
                None => source.files.entry(file.to_owned()).or_default(),
            };
            settled.insert(receipt.id.seq, receipt.position.clone().and_then(LinePosition::in_file));
            if let Some(LinePosition::Page(page)) = &receipt.position {
                source.position = Some(page.clone());
            }
        }
        Ok(())
    }

    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            self.checkpoint.end_finished_round(self.lines_of_round);
            for mark in &marks {
                self.checkpoint.sinks.insert(mark.sink.to_string(), vec![mark.position.clone()]);
            }
            let (tell, told) = oneshot::channel();
            let request = WriteRequest::Commit(Commit { checkpoint: self.checkpoint.clone(), marks, tell });
            // The channel has room because requests of each kind come one at a time.
            let gone = "the checkpoint writer has ended";
            self.requests.try_send(request).map_err(|_| gone)?;
            told.await.map_err(|_| gone)??;
            self.commits.note();
            Ok(())
        }
        .boxed()
    }

    fn commits(&self) -> Option<Arc<CommitClock>> {
        Some(Arc::clone(&self.commits))
    }
}
