//! The thread that reads all paths of a source: one after the other, or round robin if they are followed. Its lines
//! wait in a bounded channel for the stream of lines.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::generation_store::GenerationStore;
use super::tailer::{Step, Tailer};
use crate::error::{AtPath, BoxError};
use crate::item::Input;
use crate::source::SourceGauge;

/// How long the thread sleeps when there was nothing new.
const REST: Duration = Duration::from_millis(200);

/// The interval of looks at the paths. A file that comes and is rotated away in between is found only by its name.
const LOOK: Duration = Duration::from_millis(250);

/// The interval of searches for new files.
const SEARCH: Duration = Duration::from_secs(1);

/// A message of the thread. If the channel closes without `End`, the thread failed.
enum Message {
    Lines(Vec<Input>),
    End,
    Failed(BoxError),
}

/// Reads paths to their ends, one after the other.
pub(super) fn one_after_another(
    tailers: Vec<Tailer>,
    mut store: GenerationStore,
) -> BoxStream<'static, Result<Input, BoxError>> {
    read(Arc::default(), move |tell| {
        for mut tailer in tailers {
            while tell.step(std::slice::from_mut(&mut tailer), 0, &mut store)? != Step::End {}
        }
        Ok(())
    })
}

/// Follows paths, and those that `search` finds later.
pub(super) fn round_robin(
    mut tailers: Vec<Tailer>,
    mut store: GenerationStore,
    mut search: impl FnMut() -> Vec<Tailer> + Send + 'static,
    lag: Arc<FollowLag>,
) -> BoxStream<'static, Result<Input, BoxError>> {
    read(lag, move |tell| {
        let mut search_at = Instant::now() + SEARCH;
        loop {
            let mut is_idle = true;
            for number in 0..tailers.len() {
                is_idle &= tell.step(&mut tailers, number, &mut store)? != Step::Read;
            }
            if tell.lines.is_closed() {
                return Err(Gone);
            }
            if is_idle {
                thread::sleep(REST);
            }
            if Instant::now() >= search_at {
                tailers.extend(search());
                search_at = Instant::now() + SEARCH;
            }
        }
    })
}

/// Unread bytes of followed paths, as of the last look.
#[derive(Debug, Default)]
pub(super) struct FollowLag(AtomicU64);

impl FollowLag {
    /// Sums the unread bytes. A file whose length cannot be read counts as empty; reading it reports the error.
    fn measure(&self, tailers: &[Tailer]) {
        let bytes = tailers.iter().map(|tailer| tailer.bytes().unwrap_or(0)).sum();
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl SourceGauge for FollowLag {
    fn lag(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stops the thread: the stream of lines was dropped, or the error was sent.
struct Gone;

struct Tell {
    lines: mpsc::Sender<Message>,
    /// The time of the next look at the paths.
    look_at: Cell<Instant>,
    lag: Arc<FollowLag>,
}

impl Tell {
    /// Reads some lines of one path, and looks at all paths meanwhile.
    fn step(&self, tailers: &mut [Tailer], number: usize, store: &mut GenerationStore) -> Result<Step, Gone> {
        let mut lines = Vec::new();
        let Some(tailer) = tailers.get_mut(number) else { return Ok(Step::End) };
        let step = match tailer.step(Instant::now(), &mut lines) {
            Ok(step) => step,
            Err(error) => return self.fail(format!("cannot read {}", AtPath::new(tailer.path(), error)).into()),
        };
        self.save(store, [tailer])?;
        if !lines.is_empty() {
            self.send(Message::Lines(lines), || self.look(tailers, store))?;
        }
        self.look(tailers, store)?;
        Ok(step)
    }

    /// Registers new files at the paths, however long earlier lines wait in the channel.
    fn look(&self, tailers: &mut [Tailer], store: &mut GenerationStore) -> Result<(), Gone> {
        let now = Instant::now();
        if now < self.look_at.get() {
            return Ok(());
        }
        self.look_at.set(now + LOOK);
        tailers.iter_mut().for_each(|tailer| tailer.look(now));
        self.lag.measure(tailers);
        self.save(store, tailers)
    }

    fn save<'a>(
        &self,
        store: &mut GenerationStore,
        tailers: impl IntoIterator<Item = &'a mut Tailer>,
    ) -> Result<(), Gone> {
        store.update(tailers).or_else(|error| self.fail(error))
    }

    fn fail<T>(&self, error: BoxError) -> Result<T, Gone> {
        self.send(Message::Failed(error), || Ok(()))?;
        Err(Gone)
    }

    /// Sends a message; calls `meanwhile` periodically while the channel is full.
    fn send(&self, message: Message, mut meanwhile: impl FnMut() -> Result<(), Gone>) -> Result<(), Gone> {
        let mut room = pin!(self.lines.reserve());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match room.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(room) => return room.map(|room| room.send(message)).map_err(|_| Gone),
                Poll::Pending => thread::park_timeout(LOOK),
            }
            meanwhile()?;
        }
    }
}

/// Wakes the thread when the channel has room.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Starts the thread. It ends with `reading`, or soon after the stream is dropped.
fn read(
    lag: Arc<FollowLag>,
    reading: impl FnOnce(&Tell) -> Result<(), Gone> + Send + 'static,
) -> BoxStream<'static, Result<Input, BoxError>> {
    let (tx, rx) = mpsc::channel(1);
    thread::spawn(move || {
        let tell = Tell { lines: tx, look_at: Cell::new(Instant::now()), lag };
        // After an error there is nothing more to send.
        let _ = reading(&tell).and_then(|()| tell.send(Message::End, || Ok(())));
    });
    let batches = stream::try_unfold(rx, |mut rx| async move {
        match rx.recv().await {
            Some(Message::Lines(lines)) => Ok(Some((lines, rx))),
            Some(Message::End) => Ok(None),
            Some(Message::Failed(error)) => Err(error),
            None => Err("the reader thread of a file ended unexpectedly".into()),
        }
    });
    batches.map_ok(|lines| stream::iter(lines).map(Ok)).try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};

    use super::*;

    #[test]
    fn the_thread_ends_soon_after_the_stream_is_dropped_even_without_lines() {
        let (alive, ended) = sync_channel::<()>(1);
        let search = move || {
            let _ = &alive;
            Vec::new()
        };
        let lines = round_robin(Vec::new(), GenerationStore::default(), search, Arc::default());
        assert_eq!(ended.recv_timeout(REST * 2), Err(RecvTimeoutError::Timeout));
        drop(lines);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
    }
}
