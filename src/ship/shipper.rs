//! The service that ships the records of one sink: it delivers messages one by one, and backs off after failures. It
//! ends when the sink has ended and everything is delivered; at the end of a run it may be dropped earlier.

use std::time::Duration;

use tokio::time::sleep;

use super::backlog::Changes;
use super::said::Said;
use super::{Backlog, Deliver, Delivery, Message, Settled, Staged, backoff};
use crate::error::BoxError;
use crate::units::{counted, in_bytes};

/// The most undelivered segments of a receiver that keeps up. A run makes about one a second.
const KEEPS_UP: u64 = 10;

/// The shipping service of one sink.
pub struct Shipper {
    backlog: Backlog,
    staged: Box<dyn Staged>,
    deliver: Box<dyn Deliver>,
    /// When failures, refused records and a growing backlog were last logged.
    said: Messages,
}

#[derive(Default)]
struct Messages {
    failing: Said,
    refused: Said,
    behind: Said,
}

impl Shipper {
    /// A shipper of the staged messages.
    pub fn new(backlog: Backlog, staged: Box<dyn Staged>, deliver: Box<dyn Deliver>) -> Self {
        Self { backlog, staged, deliver, said: Messages::default() }
    }

    /// The backlog of the sink.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Ships until the sink has ended and everything is delivered.
    ///
    /// # Errors
    /// When a segment cannot be read or deleted, or a dead letter cannot be written.
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut changes = self.backlog.changes();
        while let Some(message) = self.next(&mut changes).await? {
            let settled = self.deliver(&message).await;
            if let Settled::Buried(reason) = &settled {
                self.say_refused(&message, reason);
            }
            if let Some(length) = self.staged.settle(settled).await? {
                self.backlog.remove(length);
                self.say_behind();
            }
        }
        Ok(())
    }

    /// Waits for the next message; `None` once no more can come.
    async fn next(&mut self, changes: &mut Changes) -> Result<Option<Message>, BoxError> {
        loop {
            // Checked first, so that `first` sees segments added before the sink ended.
            let may_grow = self.backlog.may_grow();
            let message = self.staged.first().await?;
            if message.is_some() || !may_grow {
                return Ok(message);
            }
            changes.next().await;
        }
    }

    /// Delivers a message, with unlimited retries.
    async fn deliver(&mut self, message: &Message) -> Settled {
        let mut failures = 0;
        loop {
            let (reason, retry_after, is_blocked) = match self.deliver.deliver(message).await {
                Delivery::Arrived => {
                    self.say_recovered();
                    return Settled::Arrived;
                }
                Delivery::Refused { .. } if message.records > 1 => return Settled::Split,
                Delivery::Refused { reason } => return Settled::Buried(reason),
                Delivery::Failed { reason, retry_after } => (reason, retry_after, false),
                Delivery::Blocked { reason } => (reason, None, true),
            };
            failures += 1;
            let wait = backoff(failures, retry_after, fastrand::f64());
            // A single failure is not logged: an idle connection may just have been closed.
            if is_blocked || retry_after.is_some() || failures > 1 {
                self.say_failing(&reason, wait);
            }
            sleep(wait).await;
        }
    }

    fn say_failing(&mut self, reason: &str, wait: Duration) {
        if self.said.failing.is_due() {
            let (sink, seconds) = (self.backlog.sink(), wait.as_secs_f64());
            tracing::warn!(
                event = "delivery_failed",
                sink,
                "`{sink}` cannot deliver: {reason}; trying again in {seconds:.1} s ({})",
                self.waits()
            );
        }
    }

    fn say_recovered(&mut self) {
        if self.said.failing.take() {
            let sink = self.backlog.sink();
            tracing::info!(event = "delivery_resumed", sink, "`{sink}` delivers again ({})", self.waits());
        }
    }

    fn say_refused(&mut self, message: &Message, reason: &str) {
        self.backlog.count_dead_letter();
        if self.said.refused.is_due() {
            let (sink, id) = (self.backlog.sink(), message.id.as_str());
            let refused = counted(self.backlog.dead_letters(), "record");
            tracing::warn!(
                event = "record_refused",
                sink,
                id,
                "the receiver of `{sink}` refuses a record: {reason}; such records ({refused} so far) are kept in dead/{sink}.dead.jsonl of the data directory"
            );
        }
    }

    fn say_behind(&mut self) {
        if self.backlog.lag().segments > KEEPS_UP && self.said.behind.is_due() {
            let sink = self.backlog.sink();
            tracing::info!(event = "sink_behind", sink, "`{sink}` is slower than the run ({})", self.waits());
        }
    }

    fn waits(&self) -> String {
        let lag = self.backlog.lag();
        format!("{} of {} to be shipped", counted(lag.segments, "segment"), in_bytes(lag.bytes))
    }
}
