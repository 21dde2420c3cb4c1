//! The host state recorder: stores host states in the checkpoint, robots.txt files in the robots log, and the time of
//! the last request in the lock file.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use jiff::Timestamp;

use super::checkpoint_writer::{LatestHostStates, WriteRequest};
use super::host_states::{StoredHostState, from_stored, to_stored};
use super::robots_log::RobotsLog;
use super::run_marker::{RunEnd, RunMarker};
use super::{HostStateStore, LastRun};
use crate::schedule::{HostState, KnownRobots};

/// Stores the state of hosts in the data directory.
pub struct HostStateRecorder {
    pub(super) before: BTreeMap<String, StoredHostState>,
    pub(super) latest: LatestHostStates,
    pub(super) requests: SyncSender<WriteRequest>,
    pub(super) marker: RunMarker,
    /// The robots log, if robots.txt is obeyed and the log is writable.
    pub(super) robots: Option<RobotsLog>,
}

impl HostStateStore for HostStateRecorder {
    fn load(&mut self) -> Vec<HostState> {
        from_stored(&std::mem::take(&mut self.before), Timestamp::now())
    }

    fn save(&mut self, host_states: &[HostState]) {
        let unread = self.latest.put(to_stored(host_states, Timestamp::now()));
        if unread.is_none() {
            // The channel has room for one such request. If the thread has ended, the next commit returns the error.
            let _ = self.requests.try_send(WriteRequest::Hosts);
        }
    }

    fn load_last_run(&mut self) -> LastRun {
        let now = Timestamp::now();
        let end = self.marker.begin().unwrap_or_else(|error| {
            tracing::warn!(%error, "the lock file of the data directory cannot be used; every host counts as just asked");
            RunEnd::Killed
        });
        let robots = self.robots.as_ref().map(|log| log.load(now)).unwrap_or_default();
        LastRun { ended_ago: end.ago(now), robots }
    }

    fn save_robots(&mut self, known: &KnownRobots) {
        if let Some(Err(error)) = self.robots.as_mut().map(|log| log.append(known, Timestamp::now())) {
            tracing::warn!(%error, "robots.txt files cannot be saved; the next run will fetch them again");
            self.robots = None;
        }
    }

    fn end(&mut self) {
        if let Err(error) = self.marker.end(Timestamp::now()) {
            tracing::warn!(%error, "the end of the run cannot be marked; for the next run every host counts as just asked");
        }
    }
}
