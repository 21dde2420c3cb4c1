//! Heartbeats: detect a task of the run that is no longer polled, or whose poll does not return. A waiting task is
//! polled as soon as it is woken; a task whose thread is blocked is not.
//!
//! In: every poll of a task ([`Beating`]). Out: a stuck task ([`HealthWatch::look`]). The health watch wakes the tasks
//! itself, so no timer is needed. Polls are counted only in a watched run.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;

/// The heartbeats of all running tasks of a run; clones share them. The default counts nothing.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Option<Arc<Mutex<Vec<Weak<Heartbeat>>>>>);

/// The poll counter and the waker of a task.
#[derive(Debug)]
struct Heartbeat {
    task: &'static str,
    /// Begins plus ends of polls: odd during a poll.
    turns: AtomicU64,
    waker: AtomicWaker,
}

/// A task whose polls are counted in a watched run.
pub(super) struct Beating<F> {
    task: Pin<Box<F>>,
    heartbeat: Option<Arc<Heartbeat>>,
}

/// A task that makes no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// Its name.
    pub name: &'static str,
    /// For how long it has made no progress, at least.
    pub at_least: Duration,
}

/// Checks the heartbeats for stuck tasks.
#[derive(Debug)]
pub struct HealthWatch {
    heartbeats: Heartbeats,
    /// By the address of a heartbeat: its count, and the number of checks without a change.
    seen: HashMap<usize, (u64, u32)>,
}

impl Heartbeats {
    /// The heartbeats of a watched run.
    pub fn watched() -> Self {
        Self(Some(Arc::default()))
    }

    /// Counts the polls of a task of this name in a watched run.
    pub(super) fn watch<F: Future>(&self, name: &'static str, task: F) -> Beating<F> {
        let heartbeat = self.0.as_ref().map(|all| {
            let heartbeat = Arc::new(Heartbeat { task: name, turns: AtomicU64::new(0), waker: AtomicWaker::new() });
            all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&heartbeat));
            heartbeat
        });
        Beating { task: Box::pin(task), heartbeat }
    }

    /// The heartbeats of tasks that have not ended.
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
        // Only the task itself writes the counter.
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl HealthWatch {
    /// The interval between two checks.
    pub const LOOK_EVERY: Duration = Duration::from_secs(5);

    /// The number of checks without a poll after which a task counts as stuck: 20 s.
    const PATIENCE: u32 = 4;

    /// A watch of these heartbeats.
    pub fn new(heartbeats: Heartbeats) -> Self {
        Self { heartbeats, seen: HashMap::new() }
    }

    /// The stuck task, if there is one; of several the one that is in a poll, because it blocks the others of its
    /// thread. To be called every [`Self::LOOK_EVERY`]: checks are counted, not seconds, so that a process that was
    /// stopped and continued does not count as stuck.
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
