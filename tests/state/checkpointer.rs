//! What is remembered of hosts between two commits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fetchd::disk::{Disk, RealDisk};
use fetchd::schedule::HostState;
use fetchd::state::{Checkpoint, Checkpointer, DataDir, HostStateStore, Settle};
use futures::executor::block_on;

use crate::tampered::{Tamper, Tampered};

/// Breaks at the next sync of a file, once.
#[derive(Debug, Default)]
struct BreaksOnce(AtomicBool);

impl Tamper for BreaksOnce {
    fn sync(&self) -> io::Result<()> {
        if self.0.swap(false, Ordering::Relaxed) { Err(io::Error::other("the disk broke")) } else { Ok(()) }
    }
}

fn paused(host: &str) -> HostState {
    HostState { host: host.into(), paused: Duration::from_secs(100), closed: Duration::ZERO, unreachable: None }
}

#[test]
fn hosts_that_could_not_be_written_down_end_the_run_at_the_next_commit() {
    for is_broken in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let breaks = Arc::<BreaksOnce>::default();
        let disk: Arc<dyn Disk> = Arc::new(Tampered(Arc::clone(&breaks)));
        let mut checkpointer = Checkpointer::start(DataDir::open(disk, dir.path()).unwrap(), Vec::new());
        let mut hosts = checkpointer.hosts();
        breaks.0.store(is_broken, Ordering::Relaxed);
        hosts.remember(&[paused("a.test")]);
        let committed = block_on(checkpointer.commit(Vec::new())).map_err(|error| error.to_string());
        assert!(!breaks.0.load(Ordering::Relaxed), "hosts wait for no commit");
        if is_broken {
            assert!(committed.unwrap_err().contains("the disk broke"));
            assert!(block_on(checkpointer.commit(Vec::new())).is_err(), "nothing can be believed any more");
        } else {
            committed.unwrap();
            let left = Checkpoint::load(&RealDisk, dir.path()).unwrap().unwrap();
            assert_eq!(left.hosts.keys().collect::<Vec<_>>(), ["a.test"]);
        }
    }
}
