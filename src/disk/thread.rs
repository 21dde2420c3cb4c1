//! A thread that owns something which blocks on the disk, so that nothing else waits for that.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::oneshot;

/// The thread's next work on what it owns; it answers the requester.
type Task<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The end of such a thread that asks it.
#[derive(Debug)]
pub struct DiskThread<T> {
    tasks: SyncSender<Task<T>>,
}

impl<T: Send + 'static> DiskThread<T> {
    /// Starts the thread; it ends with this.
    pub fn start(mut owned: T) -> Self {
        let (tasks, rx) = sync_channel::<Task<T>>(1);
        std::thread::spawn(move || {
            while let Ok(task) = rx.recv() {
                task(&mut owned);
            }
        });
        Self { tasks }
    }

    /// Lets the thread do something with what it owns. Tasks come one at a time.
    ///
    /// # Errors
    /// The task's own, or that the thread is gone.
    pub async fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut T) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let gone = || io::Error::other("its thread is gone");
        let (answer, answered) = oneshot::channel();
        let task: Task<T> = Box::new(move |owned| drop(answer.send(task(owned))));
        // There is room: tasks come one at a time.
        self.tasks.try_send(task).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
