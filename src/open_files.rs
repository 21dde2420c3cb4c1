//! The limit of open files, sockets included (RLIMIT_NOFILE), and the advice when it is too low. A run raises its soft
//! limit to the hard limit.

use std::error::Error;
use std::io;

use rlimit::Resource;
use rustix::io::Errno;

use crate::units::counted;

/// Files that a run may have open besides its connections, sources and sinks: standard streams, files of the runtime,
/// and spare ones for connections that are closing.
pub const BESIDES: u64 = 64;

/// Files that the runtime and the configuration need before a run computes its own need.
const LEAST: u64 = 16;

/// Raises the soft limit to the need of the runtime.
///
/// # Errors
/// A sentence, when the hard limit is too low.
pub fn make_room_for_runtime() -> Result<(), String> {
    let (soft, hard) = Resource::NOFILE.get().unwrap_or((u64::MAX, u64::MAX));
    if soft >= LEAST || (hard >= LEAST && Resource::NOFILE.set(LEAST, hard).is_ok()) {
        return Ok(());
    }
    Err(format!("fetchd cannot start with fewer than {LEAST} open files; {}", advice()))
}

/// How many files this process may open.
pub fn most() -> u64 {
    // An error means that the system has no such limit.
    Resource::NOFILE.get_hard().unwrap_or(u64::MAX)
}

/// Raises the soft limit to the hard limit. Child processes would inherit it, but fetchd starts none.
///
/// # Errors
/// When setrlimit(2) fails.
pub fn raise_limit() -> io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX).map(drop)
}

/// Whether the error or one of its sources is EMFILE: this process has too many open files.
pub fn are_short(error: &(dyn Error + 'static)) -> bool {
    let here = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error) == Some(Errno::MFILE);
    here || error.source().is_some_and(are_short)
}

/// A clause with the current limit and how to raise it.
pub fn advice() -> String {
    let now = Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let now = counted(now, "file");
    format!("at most {now} can be open at once; raise the hard limit (`ulimit -Hn`, or LimitNOFILE= in systemd)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::AtPath;

    #[test]
    fn emfile_is_found_anywhere_in_the_chain() {
        let lack = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(are_short(&lack()));
        assert!(are_short(&AtPath::new("a".as_ref(), lack())));
        assert!(!are_short(&AtPath::new("a".as_ref(), io::ErrorKind::NotFound.into())));
    }

    #[test]
    fn the_advice_names_the_limit_and_where_it_is_raised() {
        let (advice, limit) = (advice(), Resource::NOFILE.get_soft().unwrap());
        assert!(advice.contains(&counted(limit, "file")) && advice.contains("ulimit -Hn"), "{advice}");
    }
}
