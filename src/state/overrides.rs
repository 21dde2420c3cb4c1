//! Operators' overrides in `overrides.json`. They contain wall-clock times because no other clock outlasts a run.
//!
//! An unreadable file is a startup error, because hosts that an operator has paused must stay paused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::checkpoint::read;
use crate::disk::{Disk, Mode, SyncPoint, append_all};
use crate::error::{AtPath, BoxError};
use crate::schedule::{HostOverrides, LimitsOverride, Overrides, PauseOverride, SkipOverride};
use crate::units::Rate;

/// The file, and its replacement while it is written.
pub(super) const NAMES: [&str; 2] = ["overrides.json", "overrides.new"];

/// The end of an override, if it has one.
type End = Option<Timestamp>;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(skip_serializing_if = "StoredHost::is_empty")]
    all: StoredHost,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hosts: BTreeMap<Arc<str>, StoredHost>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoredHost {
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<StoredPause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip: Option<StoredSkip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<StoredLimits>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPause {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: End,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSkip {
    until: Timestamp,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: End,
}

impl StoredHost {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The readings of both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The clock of the run, which overrides use.
    pub run: Duration,
    /// The wall clock.
    pub wall: Timestamp,
}

impl ClockReading {
    /// Reads the wall clock at time `run` of the run.
    pub fn now(run: Duration) -> Self {
        Self { run, wall: Timestamp::now() }
    }

    /// Converts a time of the run to wall-clock time.
    fn to_wall(self, at: Duration) -> Timestamp {
        let left = SignedDuration::try_from(at.saturating_sub(self.run)).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(left).unwrap_or(Timestamp::MAX)
    }

    /// Converts a wall-clock time to a time of the run.
    fn to_run(self, at: Timestamp) -> Duration {
        self.run.saturating_add(Duration::try_from(at.duration_since(self.wall)).unwrap_or_default())
    }
}

/// Loads the overrides of a data directory; none if there is no file.
///
/// # Errors
/// When the file cannot be read or parsed.
pub fn load_overrides(disk: &dyn Disk, dir: &Path, clock: ClockReading) -> Result<Overrides, BoxError> {
    let path = path(dir);
    let text = match read(disk, &path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Overrides::default()),
        Err(error) => return Err(AtPath::new(&path, error).into()),
    };
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| {
        let path = path.display();
        format!("the overrides of operators cannot be read from {path} ({error}); repair the file, or remove it to start without overrides")
    })?;
    let hosts = stored.hosts.into_iter().map(|(name, host)| (name, from_stored(host, clock)));
    let overrides = Overrides { all: from_stored(stored.all, clock), hosts: hosts.collect() };
    Ok(overrides.at(clock.run))
}

/// Replaces the saved overrides. They are durable when this returns.
///
/// # Errors
/// When the file cannot be written; the old one is kept.
pub fn save_overrides(disk: &dyn Disk, dir: &Path, overrides: &Overrides, clock: ClockReading) -> Result<(), BoxError> {
    let hosts = overrides.hosts.iter().map(|(name, host)| (Arc::clone(name), to_stored(host, clock)));
    let stored = Stored { all: to_stored(&overrides.all, clock), hosts: hosts.collect() };
    let text = serde_json::to_vec_pretty(&stored)?;
    let (path, new) = (path(dir), dir.join(NAMES[1]));
    let replace = || {
        let file = disk.open(&new, Mode::Append)?;
        file.set_len(0)?;
        append_all(file.as_ref(), &text, 0)?;
        file.sync(SyncPoint::OverridesFile)?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir, SyncPoint::OverridesName)
    };
    replace().map_err(|error| AtPath::new(&path, error).into())
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAMES[0])
}

fn to_stored(host: &HostOverrides, clock: ClockReading) -> StoredHost {
    let end = |until: Option<Duration>| until.map(|until| clock.to_wall(until));
    StoredHost {
        pause: host.pause.map(|pause| StoredPause { until: end(pause.until) }),
        skip: host.skip.map(|skip| StoredSkip { until: clock.to_wall(skip.until) }),
        limits: host.limits.map(|LimitsOverride { rate, concurrency, until }| StoredLimits {
            rate,
            concurrency,
            until: end(until),
        }),
    }
}

fn from_stored(host: StoredHost, clock: ClockReading) -> HostOverrides {
    let end = |until: End| until.map(|until| clock.to_run(until));
    HostOverrides {
        pause: host.pause.map(|pause| PauseOverride { until: end(pause.until) }),
        skip: host.skip.map(|skip| SkipOverride { until: clock.to_run(skip.until) }),
        limits: host.limits.map(|StoredLimits { rate, concurrency, until }| LimitsOverride {
            rate,
            concurrency,
            until: end(until),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::RealDisk;

    const WHOLE: u64 = 1_000_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn any_host() -> impl Strategy<Value = HostOverrides> {
        let until = || prop::option::of((1..WHOLE).prop_map(at));
        let pause = prop::option::of(until().prop_map(|until| PauseOverride { until }));
        let skip = prop::option::of((1..WHOLE).prop_map(|until| SkipOverride { until: at(until) }));
        let limits =
            prop::option::of((prop::option::of(1u32..100), until()).prop_map(|(concurrency, until)| LimitsOverride {
                rate: "3/10s".parse().ok(),
                concurrency,
                until,
            }));
        (pause, skip, limits).prop_map(|(pause, skip, limits)| HostOverrides { pause, skip, limits })
    }

    proptest! {
        #[test]
        fn what_is_kept_holds_as_long_as_it_was_to_hold_by_the_wall_clock(
            all in any_host(), hosts in prop::collection::btree_map("[a-z]{1,4}\\.test", any_host(), 0..4),
            ran in 0..WHOLE, down in 0..WHOLE,
        ) {
            let hosts = hosts.into_iter().map(|(name, host)| (name.as_str().into(), host)).collect();
            let overrides = Overrides { all: HostOverrides { skip: None, ..all }, hosts };
            let dir = tempfile::tempdir().unwrap();
            let saved = ClockReading::now(at(ran));
            save_overrides(&RealDisk, dir.path(), &overrides.at(at(ran)), saved).unwrap();
            let wall = saved.wall.checked_add(SignedDuration::from_secs(down as i64)).unwrap();
            // Same as if the run had never stopped.
            let loaded = load_overrides(&RealDisk, dir.path(), ClockReading { run: at(ran + down), wall }).unwrap();
            prop_assert_eq!(loaded, overrides.at(at(ran + down)));
        }
    }

    #[test]
    fn a_damaged_file_is_no_file_without_overrides() {
        let dir = tempfile::tempdir().unwrap();
        let load = || load_overrides(&RealDisk, dir.path(), ClockReading::now(Duration::ZERO));
        assert!(load().unwrap().is_empty());
        for text in ["", "{", r#"{"al":{}}"#, r#"{"all":{"pause":{"until":"soon"}}}"#] {
            std::fs::write(dir.path().join("overrides.json"), text).unwrap();
            let error = load().unwrap_err().to_string();
            assert!(error.contains("overrides.json") && error.contains("remove it"), "{error}");
        }
    }
}
