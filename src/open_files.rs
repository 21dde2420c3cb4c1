//! Files that this process may have open at once, sockets included (RLIMIT_NOFILE): how many, and what to say where they
//! are too few. The hard limit is what counts: a run raises its soft limit to it.

use std::error::Error;
use std::io;

use rlimit::Resource;
use rustix::io::Errno;

use crate::units::counted;

/// Files that a run may have open besides its connections, sources and sinks: standard streams, those of the runtime, and
/// some to spare for connections that are about to close.
pub const BESIDES: u64 = 64;

/// What the runtime and a configuration need before a run can say what it needs itself.
const LEAST: u64 = 16;

/// Raises the soft limit as far as the runtime needs it.
///
/// # Errors
/// A sentence, when the hard limit is lower than that.
pub fn make_room_for_runtime() -> Result<(), String> {
    let (soft, hard) = Resource::NOFILE.get().unwrap_or((u64::MAX, u64::MAX));
    if soft >= LEAST || (hard >= LEAST && Resource::NOFILE.set(LEAST, hard).is_ok()) {
        return Ok(());
    }
    Err(format!("fetchd cannot start with fewer than {LEAST} open files; {}", advice()))
}

/// How many files this process may open.
pub fn most() -> u64 {
    // A system that cannot say so has no such limit.
    Resource::NOFILE.get_hard().unwrap_or(u64::MAX)
}

/// Raises the soft limit to the hard one. Programs that this one starts would inherit it, but it starts none.
///
/// # Errors
/// When the system refuses.
pub fn raise_limit() -> io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX).map(drop)
}

/// Whether the error, or one that it comes from, is that this process has as many files open as it may.
pub fn are_short(error: &(dyn Error + 'static)) -> bool {
    let here = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error) == Some(Errno::MFILE);
    here || error.source().is_some_and(are_short)
}

/// How many there can be for now, and how to have more.
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
    fn a_lack_of_files_is_seen_wherever_it_is_in_the_chain() {
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
