//! A thread that owns a value whose operations block on the disk.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::oneshot;

/// A task on the owned value, which sends its result to the caller.
type Task<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The handle of a disk thread.
#[derive(Debug)]
pub struct DiskThread<T> {
    tasks: SyncSender<Task<T>>,
}

impl<T: Send + 'static> DiskThread<T> {
    /// Starts the thread; it ends when the handle is dropped.
    pub fn start(mut owned: T) -> Self {
        let (tasks, rx) = sync_channel::<Task<T>>(1);
        std::thread::spawn(move || {
            while let Ok(task) = rx.recv() {
                task(&mut owned);
            }
        });
        Self { tasks }
    }

    /// Runs a task on the owned value in the thread. Callers send one task at a time.
    ///
    /// # Errors
    /// The error of the task, or that the thread has ended.
    pub async fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut T) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let gone = || io::Error::other("its thread is gone");
        let (answer, answered) = oneshot::channel();
        let task: Task<T> = Box::new(move |owned| drop(answer.send(task(owned))));
        // The channel has room because there is one task at a time.
        self.tasks.try_send(task).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
