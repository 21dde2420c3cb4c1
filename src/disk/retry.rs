//! Waits for what passes: a full disk, a directory that is gone. Each attempt is a second after the one before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What waits for room, by its path, with since when. A full disk is a fact of the whole process, and those who look at it
/// are far from those who wait.
static WAITING: Mutex<BTreeMap<PathBuf, SystemTime>> = Mutex::new(BTreeMap::new());

/// The paths that wait for room on their disk, with since when.
pub fn waiting_for_room() -> Vec<(PathBuf, SystemTime)> {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.iter().map(|(path, since)| (path.clone(), *since)).collect()
}

/// Notes that a path waits for room, or does so no more.
fn note_waiting(place: &Path, since: Option<SystemTime>) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    match since {
        Some(since) => drop(waiting.insert(place.to_owned(), since)),
        None => drop(waiting.remove(place)),
    }
}

/// Whether this error goes away when there is room again.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether this error says that nothing has the path, as a directory above it is gone, or is none any more.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Tries until there is room: a full disk heals, and until then everything that comes before it waits.
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

/// Tries until the directory of a file is there: somebody who removed or unmounted it can bring it back.
///
/// # Errors
/// Any other error, at once.
pub fn retry_while_absent<T>(place: &Path, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let path = &*place.to_string_lossy();
    retry_while(is_absent, attempt, |change| match change {
        Ok(()) => tracing::info!(event = "directory_back", path, "the directory of {path} is there again"),
        Err(error) => {
            tracing::warn!(event = "directory_gone", path, %error, "the directory of {path} is gone; waiting until it is there");
        }
    })
}

/// Tries until an attempt ends without such an error; says when the waiting begins, and when it is over.
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
