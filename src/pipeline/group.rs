//! The task group of a run: no task is detached, and an error or a panic in one ends all of them, and names the task.

use std::collections::HashMap;
use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{Id, JoinError, JoinSet};

use super::heartbeat::Heartbeats;
use crate::error::{BoxError, Error, panic_message};

/// The named tasks of one run: stages, which end; shippers, which end after the stages; and services, which run as long
/// as other tasks run.
#[derive(Default)]
pub struct Group {
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, (&'static str, Role)>,
    heartbeats: Heartbeats,
    /// Running stages.
    stages: usize,
    shippers: usize,
}

/// How the end of a task counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Stage,
    Shipper,
    Service,
}

impl Group {
    /// An empty group that registers its tasks with these heartbeats.
    pub fn watched_by(heartbeats: Heartbeats) -> Self {
        Self { heartbeats, ..Self::default() }
    }

    /// Starts a stage under a name.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), BoxError>> + Send + 'static) {
        self.spawn_as(Role::Stage, name, task);
    }

    /// Starts a stage under a name on this runtime.
    pub fn spawn_on(
        &mut self,
        threads: &Handle,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let id = self.tasks.spawn_on(self.heartbeats.watch(name, task), threads).id();
        self.add(id, name, Role::Stage);
    }

    /// Starts a shipper under a name; [`Group::join_shippers`] waits for it.
    pub fn spawn_shipper(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        self.spawn_as(Role::Shipper, name, task);
    }

    /// Starts a service under a name; it is cancelled once all stages and shippers have ended.
    pub fn spawn_service(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        self.spawn_as(Role::Service, name, task);
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place where tasks are spawned")]
    fn spawn_as(
        &mut self,
        role: Role,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let id = self.tasks.spawn(self.heartbeats.watch(name, task)).id();
        self.add(id, name, role);
    }

    fn add(&mut self, id: Id, name: &'static str, role: Role) {
        self.names.insert(id, (name, role));
        match role {
            Role::Stage => self.stages += 1,
            Role::Shipper => self.shippers += 1,
            Role::Service => {}
        }
    }

    /// Waits until every stage has ended, or the first task has failed. Cancel safe.
    ///
    /// # Errors
    /// A task failed ([`Error::Stage`]) or panicked ([`Error::Panic`]).
    pub async fn join(&mut self) -> Result<(), Error> {
        while self.stages > 0 {
            self.join_next().await?;
        }
        Ok(())
    }

    /// Waits until every shipper has ended, or the first task has failed. Cancel safe.
    ///
    /// # Errors
    /// Like [`Group::join`].
    pub async fn join_shippers(&mut self) -> Result<(), Error> {
        while self.shippers > 0 {
            self.join_next().await?;
        }
        Ok(())
    }

    /// Waits for the end of a task.
    async fn join_next(&mut self) -> Result<(), Error> {
        let (id, result) = match self.tasks.join_next_with_id().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => return Err(self.broken(error)),
            None => return Ok(()),
        };
        result.map_err(|source| Error::Stage { name: self.name(id), source })?;
        match self.names.remove(&id) {
            Some((_, Role::Stage)) => self.stages -= 1,
            Some((_, Role::Shipper)) => self.shippers -= 1,
            Some((_, Role::Service)) | None => {}
        }
        Ok(())
    }

    /// Cancels every task, and waits until all have ended.
    pub async fn abort(&mut self) {
        self.tasks.shutdown().await;
        self.names.clear();
        (self.stages, self.shippers) = (0, 0);
    }

    fn broken(&self, error: JoinError) -> Error {
        let name = self.name(error.id());
        match error.try_into_panic() {
            Ok(panic) => Error::Panic { name, message: panic_message(panic.as_ref()) },
            Err(error) => Error::Stage { name, source: error.into() },
        }
    }

    fn name(&self, id: Id) -> String {
        self.names.get(&id).map_or("unnamed", |(name, _)| name).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

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

    #[tokio::test]
    async fn a_service_lasts_as_long_as_the_stages_and_its_end_is_not_theirs() {
        let (ended, dropped) = tokio::sync::oneshot::channel::<()>();
        let (go, gone) = tokio::sync::oneshot::channel();
        let mut group = Group::default();
        group.spawn_service("serves", async move {
            let _ended = ended;
            std::future::pending().await
        });
        group.spawn_service("done", async { Ok(()) });
        group.spawn("works", async move { Ok(gone.await?) });
        assert!(group.join().now_or_never().is_none(), "a stage is left");
        go.send(()).unwrap();
        group.join().await.unwrap();
        group.abort().await;
        assert!(dropped.await.is_err(), "the service was cancelled");
    }

    #[tokio::test]
    async fn a_service_that_fails_ends_the_group_with_its_name() {
        let mut group = Group::default();
        group.spawn("waits", std::future::pending());
        group.spawn_service("serves", async { Err("no port".into()) });
        assert_eq!(group.join().await.unwrap_err().to_string(), "the stage `serves` failed: no port");
    }
}
