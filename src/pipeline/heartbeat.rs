//! Heartbeats: whether every task of the run still turns. A task that waits turns as soon as it is woken; one that blocks its thread,
//! or never comes back from a turn, does not.
//!
//! In: every poll of a task ([`Beating`]). Out: the task that does not turn ([`HealthWatch::look`]). Whoever wants to know
//! wakes the tasks for it, so that no timer is needed; a run that nobody can look at counts no turns either.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;

/// The heartbeats of all tasks of a run that have not ended; clones share them. By default there are none, as nobody looks.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Option<Arc<Mutex<Vec<Weak<Heartbeat>>>>>);

/// What a task shows of itself.
#[derive(Debug)]
struct Heartbeat {
    task: &'static str,
    /// Begun and ended: odd while the task is in one.
    turns: AtomicU64,
    waker: AtomicWaker,
}

/// A task whose turns are counted, if anybody may look.
pub(super) struct Beating<F> {
    task: Pin<Box<F>>,
    heartbeat: Option<Arc<Heartbeat>>,
}

/// A task that does not turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// Its name.
    pub name: &'static str,
    /// For how long it has not turned, at least.
    pub at_least: Duration,
}

/// One who looks at the heartbeats.
#[derive(Debug)]
pub struct HealthWatch {
    heartbeats: Heartbeats,
    /// By the address of a heartbeat: its turns, and in how many looks there was none.
    seen: HashMap<usize, (u64, u32)>,
}

impl Heartbeats {
    /// Those of a run that somebody looks at.
    pub fn watched() -> Self {
        Self(Some(Arc::default()))
    }

    /// Counts the turns of a task of this name, if anybody may look.
    pub(super) fn watch<F: Future>(&self, name: &'static str, task: F) -> Beating<F> {
        let heartbeat = self.0.as_ref().map(|all| {
            let heartbeat = Arc::new(Heartbeat { task: name, turns: AtomicU64::new(0), waker: AtomicWaker::new() });
            all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&heartbeat));
            heartbeat
        });
        Beating { task: Box::pin(task), heartbeat }
    }

    /// Those of tasks that have not ended.
    fn of_tasks(&self) -> Vec<Arc<Heartbeat>> {
        let Some(all) = &self.0 else { return Vec::new() };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|heartbeat| heartbeat.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

impl<F: Future> Future for Beating<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { task, heartbeat } = &mut *self;
        let Some(heartbeat) = heartbeat else { return task.as_mut().poll(cx) };
        heartbeat.begin(cx);
        let turn = task.as_mut().poll(cx);
        heartbeat.end();
        turn
    }
}

impl Heartbeat {
    fn begin(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
        self.end();
    }

    fn end(&self) {
        // Only the task itself writes it.
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl HealthWatch {
    /// How often to look.
    pub const LOOK_EVERY: Duration = Duration::from_secs(5);

    /// A task counts as stuck that did not turn in so many looks: after 20 s.
    const PATIENCE: u32 = 4;

    /// Looks at these.
    pub fn new(heartbeats: Heartbeats) -> Self {
        Self { heartbeats, seen: HashMap::new() }
    }

    /// The task that is stuck, if one is: of several the one that is in a turn, for which the others of its thread wait. To be
    /// called every [`Self::LOOK_EVERY`]: looks are counted and not seconds, for a process that was stopped, and goes on, is
    /// not stuck.
    pub fn look(&mut self) -> Option<StuckTask> {
        let mut seen = HashMap::new();
        let mut stuck: Option<((bool, u32), &'static str)> = None;
        for heartbeat in self.heartbeats.of_tasks() {
            let (turns, address) = (heartbeat.turns.load(Ordering::Relaxed), Arc::as_ptr(&heartbeat) as usize);
            let looks = match self.seen.get(&address) {
                Some((before, looks)) if *before == turns => looks + 1,
                _ => 0,
            };
            seen.insert(address, (turns, looks));
            let rank = (turns % 2 == 1, looks);
            if looks >= Self::PATIENCE && stuck.is_none_or(|(most, _)| rank > most) {
                stuck = Some((rank, heartbeat.task));
            }
            heartbeat.waker.wake();
        }
        self.seen = seen;
        stuck.map(|((_, looks), name)| StuckTask { name, at_least: Self::LOOK_EVERY * looks })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn looks(watch: &mut HealthWatch, number: usize) -> Vec<Option<&'static str>> {
        (0..number).map(|_| watch.look().map(|stuck| stuck.name)).collect()
    }

    #[tokio::test]
    async fn a_task_that_waits_turns_when_it_is_looked_at() {
        let heartbeats = Heartbeats::watched();
        let mut waits = Box::pin(heartbeats.watch("waits", std::future::pending::<()>()));
        let mut watch = HealthWatch::new(heartbeats.clone());
        for _ in 0..20 {
            assert_eq!(futures::future::poll_immediate(&mut waits).await, None);
            assert_eq!(watch.look(), None);
        }
        drop(waits);
        assert!(heartbeats.of_tasks().is_empty(), "a task that has ended is not looked at");
    }

    #[test]
    fn a_look_wakes_a_task_and_one_that_blocks_its_thread_is_stuck_until_it_goes_on() {
        let heartbeats = Heartbeats::watched();
        let (entered, is_in) = mpsc::sync_channel(8);
        let (go_on, goes_on) = mpsc::sync_channel::<()>(1);
        let mut turn = 0;
        let blocks = heartbeats.watch(
            "blocks",
            std::future::poll_fn(move |_| {
                turn += 1;
                entered.send(turn).unwrap();
                if turn == 2 {
                    goes_on.recv().unwrap();
                }
                if turn == 3 { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        let thread = std::thread::spawn(move || futures::executor::block_on(blocks));
        let mut watch = HealthWatch::new(heartbeats);
        assert_eq!(is_in.recv(), Ok(1), "its first turn");
        watch.look();
        assert_eq!(is_in.recv(), Ok(2), "the look woke it");
        assert_eq!(looks(&mut watch, 6), [None, None, None, None, Some("blocks"), Some("blocks")]);
        go_on.send(()).unwrap();
        assert_eq!(is_in.recv(), Ok(3), "a look that it did not see wakes it once it goes on");
        thread.join().unwrap();
        assert_eq!(watch.look(), None);
    }
}
