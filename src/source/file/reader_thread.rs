//! The thread that reads all paths of a source: one after the other, or round robin where they are followed. What it read
//! waits in a bounded channel until the stream of lines takes it.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::tailer::{Step, Tailer};
use crate::error::{AtPath, BoxError};
use crate::item::Input;

/// How long nothing is looked at when there was nothing new.
const REST: Duration = Duration::from_millis(200);

/// How often new files are searched for.
const SEARCH: Duration = Duration::from_secs(1);

/// What the thread says. That it falls silent without `End` is an error.
enum Message {
    Lines(Vec<Input>),
    End,
    Failed(BoxError),
}

/// The lines of these paths, read to their ends one after the other.
pub(super) fn one_after_another(tailers: Vec<Tailer>) -> BoxStream<'static, Result<Input, BoxError>> {
    read(move |tell| {
        for mut tailer in tailers {
            while tell.step(&mut tailer)? != Step::End {}
        }
        Ok(())
    })
}

/// The lines of these paths, as they come, and of those that `search` finds later.
pub(super) fn round_robin(
    mut tailers: Vec<Tailer>,
    mut search: impl FnMut() -> Vec<Tailer> + Send + 'static,
) -> BoxStream<'static, Result<Input, BoxError>> {
    read(move |tell| {
        let mut search_at = Instant::now() + SEARCH;
        loop {
            let mut is_idle = true;
            for tailer in &mut tailers {
                is_idle &= tell.step(tailer)? != Step::Read;
            }
            if tell.0.is_closed() {
                return Err(Gone);
            }
            if is_idle {
                std::thread::sleep(REST);
            }
            if Instant::now() >= search_at {
                tailers.extend(search());
                search_at = Instant::now() + SEARCH;
            }
        }
    })
}

/// The stream of lines was dropped, or the error was sent.
struct Gone;

struct Tell(mpsc::Sender<Message>);

impl Tell {
    fn step(&self, tailer: &mut Tailer) -> Result<Step, Gone> {
        let mut lines = Vec::new();
        match tailer.step(Instant::now(), &mut lines) {
            Ok(step) => {
                if !lines.is_empty() {
                    self.say(Message::Lines(lines))?;
                }
                Ok(step)
            }
            Err(error) => {
                self.say(Message::Failed(format!("cannot read {}", AtPath::new(tailer.path(), error)).into()))?;
                Err(Gone)
            }
        }
    }

    fn say(&self, said: Message) -> Result<(), Gone> {
        self.0.blocking_send(said).map_err(|_| Gone)
    }
}

/// Starts the thread. It ends with the reading, or soon after the stream is dropped.
fn read(
    reading: impl FnOnce(&Tell) -> Result<(), Gone> + Send + 'static,
) -> BoxStream<'static, Result<Input, BoxError>> {
    let (tx, rx) = mpsc::channel(1);
    std::thread::spawn(move || {
        let tell = Tell(tx);
        // Where nobody listens there is nothing to say.
        let _ = reading(&tell).and_then(|()| tell.say(Message::End));
    });
    let batches = stream::try_unfold(rx, |mut rx| async move {
        match rx.recv().await {
            Some(Message::Lines(lines)) => Ok(Some((lines, rx))),
            Some(Message::End) => Ok(None),
            Some(Message::Failed(error)) => Err(error),
            None => Err("the reader of a file ended without saying why".into()),
        }
    });
    batches.map_ok(|lines| stream::iter(lines).map(Ok)).try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};

    use super::*;

    #[test]
    fn the_thread_ends_soon_after_nobody_listens_though_nothing_comes() {
        let (alive, ended) = sync_channel::<()>(1);
        let search = move || {
            let _ = &alive;
            Vec::new()
        };
        let lines = round_robin(Vec::new(), search);
        assert_eq!(ended.recv_timeout(REST * 2), Err(RecvTimeoutError::Timeout));
        drop(lines);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
    }
}
