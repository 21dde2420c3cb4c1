//! The checkpoint writer: the thread that writes the checkpoint of a run. `DataDir::save` fsyncs the outputs first, and
//! `Checkpoint::save` replaces the file.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::host_states::{StoredHostState, keep_unknown};
use super::{Checkpoint, DataDir};
use crate::disk::{Mark, OutputPosition, RegisterOutputFile};
use crate::error::BoxError;
use crate::item::{RawJson, SavePosition, Trim};

/// A request to the checkpoint writer.
pub(super) enum WriteRequest {
    Commit(Commit),
    /// The host states changed. They are saved apart from commits because a host can be paused long before its line has
    /// a record.
    Hosts,
    /// The position of a source changed. It is saved before the lines that depend on it have records.
    Position(SourcePosition),
    /// An output continues in a file that is not in the last commit.
    OutputFile(OutputFile),
    /// Registers a source that deletes lines once they are done.
    Trim(String, Arc<dyn Trim>),
}

/// The position of a source, and the channel for the result.
pub(super) struct SourcePosition {
    source: String,
    position: RawJson,
    tell: SyncSender<Result<(), BoxError>>,
}

/// A file of a sink, and the channel for the result.
pub(super) struct OutputFile {
    sink: String,
    position: OutputPosition,
    tell: SyncSender<Result<(), BoxError>>,
}

/// A checkpoint, the outputs that it relies on, and the channel for the result.
pub(super) struct Commit {
    pub checkpoint: Checkpoint,
    pub marks: Vec<Mark>,
    pub tell: oneshot::Sender<Result<(), BoxError>>,
}

/// The only writer of the checkpoint during a run.
pub(super) struct CheckpointWriter {
    state: DataDir,
    /// Sources that delete lines once they are done, by name.
    trims: Vec<(String, Arc<dyn Trim>)>,
    /// The checkpoint written last.
    last: Checkpoint,
    latest_host_states: LatestHostStates,
    /// The positions that were saved apart from commits, by source. Commits do not contain them.
    positions: BTreeMap<String, RawJson>,
}

impl CheckpointWriter {
    pub fn new(state: DataDir, latest_host_states: LatestHostStates) -> Self {
        let last = state.checkpoint.clone();
        Self { state, trims: Vec::new(), last, latest_host_states, positions: BTreeMap::new() }
    }

    /// Handles requests until the channel closes or a write fails.
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
                WriteRequest::Position(SourcePosition { source, position, tell }) => {
                    if !answer(&tell, self.position(source, position)) {
                        return;
                    }
                }
                WriteRequest::OutputFile(OutputFile { sink, position, tell }) => {
                    if !answer(&tell, self.output_file(sink, position)) {
                        return;
                    }
                }
                WriteRequest::Trim(source, trim) => self.trims.push((source, trim)),
            }
        }
    }

    fn commit(&mut self, mut checkpoint: Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        checkpoint.hosts = std::mem::take(&mut self.last.hosts);
        self.last = checkpoint;
        for (source, position) in &self.positions {
            put_position(&mut self.last, source, position);
        }
        self.state.commit(&self.last, marks)?;
        for (name, trim) in &self.trims {
            let files = self.last.sources.get(name).map(|source| &source.files);
            let Some(done) = files.and_then(|files| files.get("")) else { continue };
            if let Err(error) = trim.trim(done) {
                tracing::warn!(event = "lines_not_deleted", %error, source = name.as_str(), "done lines of `{name}` could not be deleted");
            }
        }
        Ok(())
    }

    /// Writes the last checkpoint again with new host states. It leaves out lines settled since, because their outputs
    /// are not synced yet.
    fn hosts(&mut self) -> Result<(), BoxError> {
        let Some(hosts) = self.latest_host_states.take() else { return Ok(()) };
        let before = std::mem::replace(&mut self.last.hosts, hosts);
        keep_unknown(&mut self.last.hosts, before);
        self.state.save(&self.last, &[])
    }

    /// Writes the last checkpoint again with a new position of a source.
    fn position(&mut self, source: String, position: RawJson) -> Result<(), BoxError> {
        put_position(&mut self.last, &source, &position);
        self.positions.insert(source, position);
        self.state.save(&self.last, &[])
    }

    /// Writes the last checkpoint again with one more file of an output. The next commit contains only that file.
    fn output_file(&mut self, sink: String, position: OutputPosition) -> Result<(), BoxError> {
        let positions = self.last.sinks.entry(sink).or_default();
        // The inode may be that of a deleted file.
        positions.retain(|other| other.file != position.file);
        positions.push(position);
        self.state.save(&self.last, &[])
    }
}

/// Sends the result if the requester still exists. Returns whether the write succeeded.
fn answer(tell: &SyncSender<Result<(), BoxError>>, written: Result<(), BoxError>) -> bool {
    let is_written = written.is_ok();
    let _ = tell.send(written);
    is_written
}

fn put_position(checkpoint: &mut Checkpoint, source: &str, position: &RawJson) {
    if let Some(source) = checkpoint.sources.get_mut(source) {
        source.position = Some(position.clone());
    }
}

/// Fails the next commit with this error.
fn refuse(requests: &Receiver<WriteRequest>, error: BoxError) {
    while let Ok(request) = requests.recv() {
        if let WriteRequest::Commit(commit) = request {
            // Only a run that is shutting down has dropped the receiver.
            let _ = commit.tell.send(Err(error));
            return;
        }
    }
}

/// Saves the position of a source through the checkpoint writer, and waits for the result.
#[derive(Debug)]
pub struct PositionRecorder {
    pub(super) source: String,
    pub(super) requests: SyncSender<WriteRequest>,
}

impl SavePosition for PositionRecorder {
    fn save(&mut self, position: RawJson) -> Result<(), BoxError> {
        let source = self.source.clone();
        let request = |tell| WriteRequest::Position(SourcePosition { source, position, tell });
        send(&self.requests, request)
    }
}

/// Registers output files through the checkpoint writer, and waits for the result.
#[derive(Debug)]
pub(super) struct OutputFileRecorder {
    pub requests: SyncSender<WriteRequest>,
}

impl RegisterOutputFile for OutputFileRecorder {
    fn register(&self, sink: &str, position: OutputPosition) -> Result<(), BoxError> {
        let sink = sink.to_owned();
        send(&self.requests, |tell| WriteRequest::OutputFile(OutputFile { sink, position, tell }))
    }
}

/// Sends a request, and waits for the result.
fn send(
    requests: &SyncSender<WriteRequest>,
    request: impl FnOnce(SyncSender<Result<(), BoxError>>) -> WriteRequest,
) -> Result<(), BoxError> {
    let (tell, told) = sync_channel(1);
    let gone = "the checkpoint writer has ended";
    requests.send(request(tell)).map_err(|_| gone)?;
    told.recv().map_err(|_| gone)?
}

/// The host states to write next. A caller whose `put` returns `None` sends a request.
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
