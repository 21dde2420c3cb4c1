//! Changes overrides: first on the disk, then in the schedule, then in the reply. If the schedule does not take a
//! change, the disk is reverted, so that a refused verb changes nothing, not even for the next start.

use std::error::Error;
use std::time::Duration;

use futures::executor::block_on;

use super::overrides_in_dir::OverridesDir;
use super::verb_replies::{no_answer, not_taken_back, nothing_to_undo};
use crate::disk::is_full;
use crate::error::BoxError;
use crate::ops::Refusal;
use crate::pipeline::{Desk, InForce};
use crate::schedule::{self, Change, Overrides};

/// The result of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// Whether the change outlasts the run.
    pub kept: Option<bool>,
    /// All overrides in force.
    pub overrides: Overrides,
    /// The present time, since the start of the run.
    pub now: Duration,
}

/// Changes overrides in the schedule and on the disk.
pub(super) struct OverrideChanges {
    /// The desk of the schedule.
    pub desk: Desk,
    /// The store of overrides, if the run has a data directory.
    pub kept: Option<OverridesDir>,
}

impl OverrideChanges {
    /// Makes a change; `change` gets the present time of the run.
    ///
    /// # Errors
    /// The reason why the change was not made.
    pub fn make(&self, change: impl FnOnce(Duration) -> Result<Change, Refusal>) -> Result<Changed, Refusal> {
        let InForce { overrides, now, workers, .. } = block_on(self.desk.overrides()).map_err(no_answer)?;
        let change = change(now)?;
        let new = overrides.apply(change.clone(), workers, now).map_err(|refusal| {
            let why = match refusal {
                schedule::Refusal::NothingToUndo => nothing_to_undo(&change, &overrides),
                refusal => refusal.to_string(),
            };
            Refusal::Refused(format!("Nothing has changed: {why}."))
        })?;
        self.keep(&new, now).map_err(|error| {
            let what = if is_for_want_of_room(error.as_ref()) { "make room there" } else { "fix that" };
            Refusal::Refused(format!("Nothing has changed, as it could not be saved: {error}; {what}, and try again."))
        })?;
        if let Err(why) = block_on(self.desk.set_overrides(new.clone())) {
            self.keep(&overrides, now).map_err(|error| not_taken_back(why, &error))?;
            return Err(no_answer(why));
        }
        Ok(Changed { kept: Some(self.kept.is_some()), overrides: new, now })
    }

    fn keep(&self, overrides: &Overrides, now: Duration) -> Result<(), BoxError> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.save(overrides, now))
    }
}

/// Whether this error, or one of its sources, is a full disk.
fn is_for_want_of_room(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(is_full) || error.source().is_some_and(is_for_want_of_room)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::error::AtPath;
    use crate::pipeline::Question;
    use crate::schedule::{PauseOverride, Scope};

    const NOW: Duration = Duration::from_secs(10);

    /// Overrides in a directory, of a run that answers so many questions and then ends.
    fn run_that_ends_after(questions: usize, dir: &tempfile::TempDir) -> OverrideChanges {
        let (desk, mut asked) = Desk::open();
        std::thread::spawn(move || {
            let mut overrides = Overrides::default();
            for _ in 0..questions {
                match asked.blocking_recv() {
                    Some(Question::Overrides(reply)) => {
                        let overrides = overrides.clone();
                        let _ = reply.send(InForce { overrides, now: NOW, workers: 8, would_cancel: 0 });
                    }
                    Some(Question::SetOverrides(new, reply)) => {
                        overrides = *new;
                        let _ = reply.send(());
                    }
                    other => panic!("nobody asks that: {other:?}"),
                }
            }
        });
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        OverrideChanges { desk, kept: Some(OverridesDir { disk, dir: dir.path().to_owned() }) }
    }

    fn pause(host: &str) -> impl FnOnce(Duration) -> Result<Change, Refusal> {
        let scope = Scope::Host(host.into());
        move |_| Ok(Change::Pause(scope, None))
    }

    #[test]
    fn room_is_asked_for_where_the_disk_is_full_alone() {
        let at = |kind: io::ErrorKind| AtPath::new("state".as_ref(), kind.into());
        assert!(is_for_want_of_room(&at(io::ErrorKind::StorageFull)));
        assert!(!is_for_want_of_room(&at(io::ErrorKind::IsADirectory)));
    }

    #[test]
    fn a_change_that_holds_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let changes = run_that_ends_after(2, &dir);
        assert_eq!(changes.make(pause("a.test")).map(|changed| changed.kept), Ok(Some(true)));
        let kept = changes.kept.unwrap().load().unwrap();
        assert_eq!(kept.hosts["a.test"].pause, Some(PauseOverride { until: None }));
    }

    #[test]
    fn a_change_that_meets_a_run_that_has_just_ended_is_refused_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let changes = run_that_ends_after(3, &dir);
        assert_eq!(changes.make(pause("a.test")).map(|changed| changed.kept), Ok(Some(true)));
        let ended = Refusal::Unavailable("The run has ended.".to_owned());
        // The run ends between the question for overrides and the change.
        assert_eq!(changes.make(pause("b.test")), Err(ended.clone()));
        assert_eq!(changes.make(pause("c.test")), Err(ended));
        let kept = changes.kept.unwrap().load().unwrap();
        assert_eq!(kept.hosts.keys().map(|name| &**name).collect::<Vec<_>>(), ["a.test"]);
    }
}
