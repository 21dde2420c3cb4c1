//! The backlog of a sink that ships: what it has finished, and what has not arrived. Shared by the sink, which adds to it and
//! waits while it is too large, the shipper, which takes from it, and the status.

use std::sync::Arc;

use tokio::sync::watch;

/// What waits to be shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Finished segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Backlog {
    sink: Arc<str>,
    most: u64,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    lag: Lag,
    /// Records that the remote place has refused in this run.
    dead_letters: u64,
    limit: Limit,
    sink: SinkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Holds,
    /// The run is to end: what is on its way is written all the same.
    Lifted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinkState {
    Writing,
    Gone,
}

/// The sink's end of its backlog; dropped, no further segment comes.
#[derive(Debug)]
pub struct Writing(Backlog);

impl Backlog {
    /// The backlog of a sink with nothing in it, which makes its sink wait once it has so many bytes.
    pub fn new(sink: Arc<str>, most: u64) -> Self {
        let state = State { lag: Lag::default(), dead_letters: 0, limit: Limit::Holds, sink: SinkState::Writing };
        Self { sink, most, state: Arc::new(watch::Sender::new(state)) }
    }

    /// The sink's name.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// The bytes at which the sink has to wait.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// The sink's end. `found` is what earlier runs left.
    pub fn begin(&self, found: Lag) -> Writing {
        self.state.send_modify(|state| state.lag = found);
        Writing(self.clone())
    }

    /// What waits.
    pub fn lag(&self) -> Lag {
        self.state.borrow().lag
    }

    /// Records of this run that went to the dead letters.
    pub fn dead_letters(&self) -> u64 {
        self.state.borrow().dead_letters
    }

    /// Lets the sink write whatever waits: the run is to end, and must not lose what is on its way.
    pub fn lift_limit(&self) {
        self.state.send_modify(|state| state.limit = Limit::Lifted);
    }

    /// A segment of this length has arrived.
    pub(super) fn remove(&self, bytes: u64) {
        self.state.send_modify(|State { lag, .. }| {
            lag.segments = lag.segments.saturating_sub(1);
            lag.bytes = lag.bytes.saturating_sub(bytes);
        });
    }

    /// A record went to the dead letters.
    pub(super) fn count_dead_letter(&self) {
        self.state.send_modify(|state| state.dead_letters += 1);
    }

    /// Whether further segments may come.
    pub(super) fn may_grow(&self) -> bool {
        self.state.borrow().sink == SinkState::Writing
    }

    /// Resolves whenever the backlog has changed.
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
        // The shipper holds the sender, too.
        let _ = self.0.changed().await;
    }
}

impl Writing {
    /// The backlog.
    pub fn backlog(&self) -> &Backlog {
        &self.0
    }

    /// A segment of this length is finished.
    pub fn add(&self, bytes: u64) {
        self.0.state.send_modify(|State { lag, .. }| {
            lag.segments += 1;
            lag.bytes += bytes;
        });
    }

    /// Whether the run goes on, so that its sink may be made to wait.
    pub fn may_wait(&self) -> bool {
        self.0.state.borrow().limit == Limit::Holds
    }

    /// Whether there is room for more.
    pub fn has_room(&self) -> bool {
        Backlog::has_room(&self.0.state.borrow(), self.0.most)
    }

    /// Waits until there is.
    pub async fn room(&self) {
        let mut state = self.0.state.subscribe();
        // This end holds the sender.
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
