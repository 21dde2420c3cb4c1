//! The backlog of a sink that ships: finished segments that are not delivered yet. The sink adds to it and waits while
//! it is full, the shipper removes from it, and the status reads it.

use std::sync::Arc;

use tokio::sync::watch;

/// The undelivered finished segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Number of finished segments.
    pub segments: u64,
    /// Bytes of these segments.
    pub bytes: u64,
}

/// The shared handle of a backlog.
#[derive(Clone, Debug)]
pub struct Backlog {
    sink: Arc<str>,
    most: u64,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    lag: Lag,
    /// Records that the receiver has refused in this run.
    dead_letters: u64,
    limit: Limit,
    sink: SinkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Holds,
    /// The run is ending: records in flight are written regardless of the limit.
    Lifted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinkState {
    Writing,
    Gone,
}

/// The sink's handle of its backlog. After it is dropped, no more segments are added.
#[derive(Debug)]
pub struct Writing(Backlog);

impl Backlog {
    /// An empty backlog, which makes its sink wait from `most` bytes on.
    pub fn new(sink: Arc<str>, most: u64) -> Self {
        let state = State { lag: Lag::default(), dead_letters: 0, limit: Limit::Holds, sink: SinkState::Writing };
        Self { sink, most, state: Arc::new(watch::Sender::new(state)) }
    }

    /// The name of the sink.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// The number of bytes from which on the sink waits.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Makes the sink's handle. `found` is the backlog of earlier runs.
    pub fn begin(&self, found: Lag) -> Writing {
        self.state.send_modify(|state| state.lag = found);
        Writing(self.clone())
    }

    /// The undelivered segments.
    pub fn lag(&self) -> Lag {
        self.state.borrow().lag
    }

    /// Dead letters of this run.
    pub fn dead_letters(&self) -> u64 {
        self.state.borrow().dead_letters
    }

    /// Lifts the limit, so that a run that ends can write the records in flight.
    pub fn lift_limit(&self) {
        self.state.send_modify(|state| state.limit = Limit::Lifted);
    }

    /// Removes a delivered segment of this length.
    pub(super) fn remove(&self, bytes: u64) {
        self.state.send_modify(|State { lag, .. }| {
            lag.segments = lag.segments.saturating_sub(1);
            lag.bytes = lag.bytes.saturating_sub(bytes);
        });
    }

    /// Counts a dead letter.
    pub(super) fn count_dead_letter(&self) {
        self.state.send_modify(|state| state.dead_letters += 1);
    }

    /// Whether the sink can add segments.
    pub(super) fn may_grow(&self) -> bool {
        self.state.borrow().sink == SinkState::Writing
    }

    /// Subscribes to changes of the backlog.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.state.subscribe())
    }

    fn has_room(state: &State, most: u64) -> bool {
        state.limit == Limit::Lifted || state.lag.bytes < most
    }
}

/// The changes of a backlog.
pub(super) struct Changes(watch::Receiver<State>);

impl Changes {
    /// Waits for the next change since the last call.
    pub async fn next(&mut self) {
        // This cannot fail because the shipper holds the sender, too.
        let _ = self.0.changed().await;
    }
}

impl Writing {
    /// The backlog.
    pub fn backlog(&self) -> &Backlog {
        &self.0
    }

    /// Adds a finished segment of this length.
    pub fn add(&self, bytes: u64) {
        self.0.state.send_modify(|State { lag, .. }| {
            lag.segments += 1;
            lag.bytes += bytes;
        });
    }

    /// Whether the sink may wait, because the run is not ending.
    pub fn may_wait(&self) -> bool {
        self.0.state.borrow().limit == Limit::Holds
    }

    /// Whether the backlog is below its limit.
    pub fn has_room(&self) -> bool {
        Backlog::has_room(&self.0.state.borrow(), self.0.most)
    }

    /// Waits until the backlog is below its limit.
    pub async fn room(&self) {
        let mut state = self.0.state.subscribe();
        // This cannot fail because `self` holds the sender.
        let _ = state.wait_for(|state| Backlog::has_room(state, self.0.most)).await;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.sink = SinkState::Gone);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_sink_waits_while_too_much_is_finished_and_has_not_arrived() {
        let backlog = Backlog::new("hook".into(), 100);
        let writing = backlog.begin(Lag { segments: 1, bytes: 60 });
        assert!(writing.room().now_or_never().is_some());
        writing.add(40);
        assert!(writing.room().now_or_never().is_none() && !writing.has_room());
        backlog.remove(60);
        assert!(writing.room().now_or_never().is_some() && writing.has_room());
        assert_eq!(backlog.lag(), Lag { segments: 1, bytes: 40 });
        writing.add(100);
        backlog.lift_limit();
        assert!(writing.room().now_or_never().is_some(), "a run that ends writes what is on its way");
    }

    #[test]
    fn a_sink_that_is_dropped_adds_nothing_any_more() {
        let backlog = Backlog::new("hook".into(), 100);
        let writing = backlog.begin(Lag::default());
        assert!(backlog.may_grow());
        drop(writing);
        assert!(!backlog.may_grow());
    }
}
