//! Resource limits of this process (setrlimit(2)) other than open files: each becomes an error that names the limit,
//! and the keys of shell and systemd that raise it. Otherwise most of them end the process by a signal.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

use rlimit::Resource;

/// The most seconds of CPU time that are reserved for a graceful shutdown.
const TO_STOP: u64 = 5;

/// Explains the error of a write beyond the limit of file sizes (EFBIG, if SIGXFSZ has a handler); returns other errors
/// unchanged.
pub fn explain(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::FileTooLarge {
        return error;
    }
    let limit = Resource::FSIZE.get_soft().unwrap_or(u64::MAX);
    let limit = if limit == u64::MAX { "what the file system allows".to_owned() } else { format!("{limit} bytes") };
    let message = format!("no file can be larger than {limit} (`ulimit -f`, or LimitFSIZE= in systemd): {error}");
    io::Error::new(error.kind(), message)
}

/// The soft limit of CPU time in seconds, which sends SIGXCPU. It is lowered if it is too close to the hard limit, at
/// which the system kills the process.
pub fn cpu_seconds() -> Option<u64> {
    let (soft, hard) = Resource::CPU.get().ok()?;
    if soft == u64::MAX {
        return None;
    }
    let lower = hard.saturating_sub((hard / 10).clamp(1, TO_STOP)).max(1);
    if soft <= lower || Resource::CPU.set(lower, hard).is_err() { Some(soft) } else { Some(lower) }
}

/// Tests whether `number` threads can be started, because a thread that cannot be started later would end the run.
///
/// # Errors
/// The system's error, with the limits that may be the cause.
pub fn try_threads(number: usize) -> io::Result<()> {
    let mut threads = Vec::with_capacity(number);
    for n in 0..number {
        // Each thread lives until all are started.
        let (end, ended) = sync_channel::<()>(0);
        let thread = thread::Builder::new().spawn(move || ended.recv());
        let explained = |error: io::Error| {
            let message = format!(
                "only {n} of {number} threads can be started ({error}); raise the limit of processes (`ulimit -u`, or TasksMax= in systemd) or of memory (`ulimit -v`)"
            );
            io::Error::new(error.kind(), message)
        };
        threads.push((end, thread.map_err(explained)?));
    }
    for (end, thread) in threads {
        drop(end);
        // The thread cannot panic.
        let _ = thread.join();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_names_the_limit_and_other_errors_are_left_alone() {
        let said = explain(io::ErrorKind::FileTooLarge.into()).to_string();
        assert!(said.contains("ulimit -f") && said.contains("LimitFSIZE"), "{said}");
        assert_eq!(explain(io::ErrorKind::StorageFull.into()).to_string(), io::ErrorKind::StorageFull.to_string());
    }

    #[test]
    fn threads_that_can_be_started_are_no_error() {
        try_threads(5).unwrap();
    }
}
