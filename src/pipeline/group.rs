//! The one task group: no task is detached, and an error or a panic in one ends them all, with its name.

use std::collections::HashMap;
use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{Id, JoinError, JoinSet};

use crate::error::{BoxError, Error, panic_message};

/// The named tasks of one run.
#[derive(Default)]
pub struct Group {
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
}

impl Group {
    /// Starts a task under a name.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where tasks are spawned")]
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), BoxError>> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Starts a task under a name, in these threads.
    pub fn spawn_on(
        &mut self,
        threads: &Handle,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let id = self.tasks.spawn_on(task, threads).id();
        self.names.insert(id, name);
    }

    /// Waits until every task has ended well, or for the first that has not. May be dropped and called again.
    ///
    /// # Errors
    /// The first error or panic, with the name of its task.
    pub async fn join(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            match ended {
                Ok((id, Ok(()))) => drop(self.names.remove(&id)),
                Ok((id, Err(source))) => return Err(Error::Stage { name: self.name(id), source }),
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// Cancels every task and waits until they are gone.
    pub async fn abort(&mut self) {
        self.tasks.shutdown().await;
        self.names.clear();
    }

    fn broken(&self, error: JoinError) -> Error {
        let name = self.name(error.id());
        match error.try_into_panic() {
            Ok(panic) => Error::Panic { name, message: panic_message(panic.as_ref()) },
            Err(error) => Error::Stage { name, source: error.into() },
        }
    }

    fn name(&self, id: Id) -> String {
        self.names.get(&id).copied().unwrap_or("unnamed").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_task_ends_the_group_with_its_name() {
        let mut group = Group::default();
        group.spawn("waits", std::future::pending());
        group.spawn("breaks", async { panic!("on purpose") });
        let error = group.join().await.unwrap_err();
        assert_eq!(error.to_string(), "the stage `breaks` panicked: on purpose");
        group.abort().await;
        assert!(group.join().await.is_ok());
    }

    #[tokio::test]
    async fn an_error_in_a_task_ends_the_group_with_its_name() {
        let mut group = Group::default();
        group.spawn("waits", std::future::pending());
        group.spawn("fails", async { Err("no more".into()) });
        assert_eq!(group.join().await.unwrap_err().to_string(), "the stage `fails` failed: no more");
    }
}
