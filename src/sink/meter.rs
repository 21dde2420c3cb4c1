//! The meter of a sink: records and bytes written, and the time that the run waited for the sink. [`metered`] adds one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{EndReason, Sink};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Record;

/// Records and bytes that a sink has written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records.
    pub records: u64,
    /// Bytes of their text.
    pub bytes: u64,
}

/// A snapshot of a sink's meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkView {
    /// The name of the sink, or its kind if it has no name.
    pub name: Arc<str>,
    /// Records and bytes written so far.
    pub written: Written,
    /// The total time that the run has waited for the sink, including the current wait.
    pub blocked: Duration,
    /// The duration of the current wait, if there is one.
    pub blocked_for: Option<Duration>,
}

/// The meter of a sink, shared with other threads.
#[derive(Debug)]
pub struct SinkMeter {
    name: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    written: Written,
    /// The sum of all finished waits.
    blocked: Duration,
    since: Option<Instant>,
}

impl SinkMeter {
    /// A snapshot of the meter.
    pub fn view(&self) -> SinkView {
        let State { written, blocked, since } = *self.state();
        let blocked_for = since.map(|since| since.elapsed());
        let blocked = blocked + blocked_for.unwrap_or_default();
        SinkView { name: Arc::clone(&self.name), written, blocked, blocked_for }
    }

    /// Starts a wait, which ends when the guard is dropped.
    fn wait(&self) -> Waiting<'_> {
        self.state().since = Some(Instant::now());
        Waiting(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of a wait for a sink.
struct Waiting<'a>(&'a SinkMeter);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(since) = state.since.take() {
            state.blocked += since.elapsed();
        }
    }
}

/// Wraps a sink in a meter of this name.
pub fn metered(name: Arc<str>, sink: Box<dyn Sink>) -> Box<dyn Sink> {
    Box::new(Metered { meter: Arc::new(SinkMeter { name, state: Mutex::default() }), sink })
}

struct Metered {
    meter: Arc<SinkMeter>,
    sink: Box<dyn Sink>,
}

impl Sink for Metered {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            let waiting = self.meter.wait();
            let taken = self.sink.write(batch).await;
            drop(waiting);
            self.meter.state().written = self.sink.written();
            taken
        }
        .boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        async move {
            let _waiting = self.meter.wait();
            self.sink.flush().await
        }
        .boxed()
    }

    fn due(&mut self) -> BoxFuture<'_, ()> {
        self.sink.due()
    }

    fn request_rotation(&mut self) {
        self.sink.request_rotation();
    }

    fn end_file(&mut self, end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            let _waiting = self.meter.wait();
            self.sink.end_file(end).await
        }
        .boxed()
    }

    fn written(&self) -> Written {
        self.sink.written()
    }

    fn meter(&self) -> Option<Arc<SinkMeter>> {
        Some(Arc::clone(&self.meter))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    /// A sink whose calls take this long.
    struct Slow(Duration, Written);

    impl Sink for Slow {
        fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
            async move {
                sleep(self.0).await;
                self.1.records += batch.len() as u64;
                self.1.bytes += 10 * batch.len() as u64;
                Ok(())
            }
            .boxed()
        }

        fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
            sleep(self.0).map(|()| Ok(None)).boxed()
        }

        fn end_file(&mut self, _end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
            sleep(self.0).map(Ok).boxed()
        }

        fn written(&self) -> Written {
            self.1
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn slow() -> (Box<dyn Sink>, Arc<SinkMeter>) {
        let sink = metered("s".into(), Box::new(Slow(SECOND, Written::default())));
        let meter = sink.meter().expect("it has one");
        (sink, meter)
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_the_run_waits_for_a_sink_is_counted_once() {
        let (mut sink, meter) = slow();
        let rejection = crate::item::Rejection { kind: crate::item::ErrorKind::InvalidUrl, message: String::new() };
        let id = crate::item::Identity { state_id: None, source: None, file: None, seq: 1, round: 0 };
        let record = Box::new(Record::rejected(id, crate::item::Echo::text(""), rejection));
        sink.write(&[record]).await.unwrap();
        advance(10 * SECOND).await;
        sink.flush().await.unwrap();
        sink.end_file(EndReason::Rotation).await.unwrap();
        let view = meter.view();
        assert_eq!((view.blocked, view.blocked_for), (3 * SECOND, None));
        assert_eq!(view.written, Written { records: 1, bytes: 10 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_shows_while_it_lasts_and_ends_when_it_is_given_up() {
        let (mut sink, meter) = slow();
        let mut write = sink.write(&[]);
        assert!((&mut write).now_or_never().is_none());
        advance(SECOND / 2).await;
        let view = meter.view();
        assert_eq!((view.blocked, view.blocked_for), (SECOND / 2, Some(SECOND / 2)));
        drop(write);
        advance(SECOND).await;
        let view = meter.view();
        assert_eq!((view.blocked, view.blocked_for), (SECOND / 2, None));
    }
}
