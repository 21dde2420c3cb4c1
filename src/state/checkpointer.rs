//! The checkpointer: collects receipts, and has the checkpoint written at each commit. Next: `checkpoint_writer`.

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

/// See the module.
pub struct Checkpointer {
    checkpoint: Checkpoint,
    /// The names of durable sources, by their numbers.
    names: Vec<Option<String>>,
    /// How many lines the open round has.
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
    /// Starts the thread; it ends with the checkpointer and its recorders. `names` has an entry for each source of the run:
    /// its name where it is durable, empty when it has none. The source of an open round has none.
    pub fn start(state: DataDir, names: Vec<Option<String>>) -> Self {
        // A commit, a request of hosts, of each source a position and what deletes its lines, and of each output a file.
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

    /// The part that saves the position of a source.
    pub fn position(&self, source: &str) -> PositionRecorder {
        PositionRecorder { source: source.to_owned(), requests: self.requests.clone() }
    }

    /// The part that registers files of outputs.
    pub fn output_files(&self) -> Arc<dyn RegisterOutputFile> {
        Arc::new(OutputFileRecorder { requests: self.requests.clone() })
    }

    /// After each commit, deletes lines of this source that are done.
    pub fn add_trim(&self, source: String, trim: Arc<dyn Trim>) {
        // There is room. A thread that is gone has said why, or will at the next commit.
        let _ = self.requests.try_send(WriteRequest::Trim(source, trim));
    }

    /// The part that remembers hosts, and, if robots.txt is obeyed, with a robots log of so many bytes.
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
            let name = self.names.get(receipt.source).and_then(Option::as_ref).ok_or("a source is not known")?;
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
            // There is room: commits come one at a time, and so do requests of hosts, of each source and of each output.
            let gone = "the thread that writes checkpoints is gone";
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
