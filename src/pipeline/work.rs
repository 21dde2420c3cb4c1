//! A worker: takes a job that may start now, makes one attempt, and reports the result. It decides nothing, and waits
//! only for the network.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Completion, Dispatch};
use crate::error::{BoxError, panic_message};
use crate::fetch::Fetch;
use crate::item::{Attempt, Call, ErrorKind, Failure, Purpose, Reservation, Sent};

pub(super) async fn work(
    ready: async_channel::Receiver<Dispatch>,
    completions: mpsc::Sender<Completion>,
    give_up: CancellationToken,
) -> Result<(), BoxError> {
    while let Ok(Dispatch { job, fetch, permit, reservation }) = ready.recv().await {
        let start = Instant::now();
        let attempt = give_up.run_until_cancelled(attempt(fetch.as_ref(), &job.call, reservation)).await;
        let (attempt, wire) = (attempt.unwrap_or(Attempt::Canceled), start.elapsed());
        tracing::debug!(
            seq = job.ticket.id.seq,
            host = job.call.request.url.host_str(),
            ?wire,
            "{}: {}",
            match job.call.purpose {
                Purpose::Line => "attempt",
                Purpose::RobotsTxt => "attempt for robots.txt",
            },
            attempt.name()
        );
        let completion = Completion { job, permit, attempt, wire };
        // There is room: each worker has at most one completion under way, and the scheduler leaves last.
        if completions.try_send(completion).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Makes one attempt; a panic in it is a failure of the attempt.
async fn attempt(fetch: &dyn Fetch, call: &Call, reservation: Reservation) -> Attempt {
    let attempt = AssertUnwindSafe(async { fetch.attempt(call, reservation).await }).catch_unwind();
    attempt.await.unwrap_or_else(|panic| {
        let message = format!("the attempt panicked: {}", panic_message(panic.as_ref()));
        Attempt::Failed(Failure::new(ErrorKind::Panic, message, Sent::Something))
    })
}
