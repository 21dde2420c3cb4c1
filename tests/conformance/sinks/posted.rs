//! The consumer of webhooks.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::consumers::assert_reads;
use super::{Breakage, Consumer, Fault, Stalls};
use crate::common::receiver::{Receiver, Reply};

/// Receives what a sink `webhook` posts; each message is verified by the published library of Standard Webhooks.
pub struct Posted(Receiver);

impl Posted {
    pub fn start() -> Self {
        Self(Receiver::start(Reply::Status(204)))
    }
}

impl Consumer for Posted {
    fn table(&self, name: &str) -> String {
        self.0.sink(name, "timeout = '1s'\nstaging_max = '1MiB'")
    }

    /// The records of each message once, however often it came.
    fn received(&self) -> Vec<Value> {
        self.0.records()
    }

    fn stall(&self, stalls: Stalls) {
        self.0.turns(if stalls == Stalls::Yes { Reply::Hangs } else { Reply::Status(204) });
    }

    fn fail(&self, fault: Option<Fault>) {
        self.0.turns(match fault {
            None => Reply::Status(204),
            Some(Fault::Down) => Reply::Breaks,
            Some(Fault::Slow) => Reply::Late(Duration::from_millis(500), 204),
            Some(Fault::ServerError) => Reply::Status(503),
            Some(Fault::Unauthorized) => Reply::Status(401),
        });
    }

    fn breakage(&self) -> Breakage {
        Breakage::FileLimit
    }

    fn assert_readable_elsewhere(&self) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), self.0.taken().into_values().collect::<Vec<_>>().concat()).unwrap();
        assert_reads("jq", &["-e", "-n", "[inputs] | all(.outcome)"], file.path());
    }
}
