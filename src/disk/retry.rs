//! Retries operations every second while the disk is full or a directory is missing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The paths that wait for disk space, and since when. It is global because the status is far from the writers.
static WAITING: Mutex<BTreeMap<PathBuf, SystemTime>> = Mutex::new(BTreeMap::new());

/// The paths that wait for disk space, and since when.
pub fn waiting_for_room() -> Vec<(PathBuf, SystemTime)> {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.iter().map(|(path, since)| (path.clone(), *since)).collect()
}

/// Records that a path waits for disk space, or no longer does.
fn note_waiting(place: &Path, since: Option<SystemTime>) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    match since {
        Some(since) => drop(waiting.insert(place.to_owned(), since)),
        None => drop(waiting.remove(place)),
    }
}

/// Whether the disk or the quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the path or one of its parent directories is missing.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Retries while the disk is full, which blocks the pipeline.
///
/// # Errors
/// Any other error, at once.
pub fn retry_while_full<T>(place: &Path, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let path = &*place.to_string_lossy();
    retry_while(is_full, attempt, |change| match change {
        Ok(()) => {
            note_waiting(place, None);
            tracing::info!(event = "disk_has_room", path, "there is room for {path} again");
        }
        Err(error) => {
            note_waiting(place, Some(SystemTime::now()));
            tracing::warn!(event = "disk_full", path, %error, "no room for {path}; waiting until there is");
        }
    })
}

/// Retries while the directory of a file is missing: an operator who removed or unmounted it can restore it.
///
/// # Errors
/// Any other error, at once.
pub fn retry_while_absent<T>(place: &Path, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let path = &*place.to_string_lossy();
    retry_while(is_absent, attempt, |change| match change {
        Ok(()) => tracing::info!(event = "directory_back", path, "the directory of {path} is there again"),
        Err(error) => {
            tracing::warn!(event = "directory_gone", path, %error, "the directory of {path} is missing; waiting until it is there");
        }
    })
}

/// Retries while the error is transient; calls `say` when the waiting begins and ends.
fn retry_while<T>(
    is_passing: impl Fn(&io::Error) -> bool,
    mut attempt: impl FnMut() -> io::Result<T>,
    say: impl Fn(Result<(), &io::Error>),
) -> io::Result<T> {
    const EVERY: Duration = Duration::from_secs(1);
    let mut is_waiting = false;
    loop {
        match attempt() {
            Err(error) if is_passing(&error) => {
                if !std::mem::replace(&mut is_waiting, true) {
                    say(Err(&error));
                }
                std::thread::sleep(EVERY);
            }
            result => {
                if is_waiting {
                    say(Ok(()));
                }
                return result;
            }
        }
    }
}
