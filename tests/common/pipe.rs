//! Pipes to a process, as its producer sees them.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes lines until the pipe has taken none for a second; how many bytes it took.
pub fn fill(pipe: &mut (impl Write + AsFd), line: &[u8], most: usize) -> usize {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut taken = 0;
    while taken < most {
        // A pipe that says it is writable takes at least a page without blocking, and a line is less.
        if poll(&mut [PollFd::new(pipe, PollFlags::OUT)], Some(&second)).unwrap() == 0 {
            break;
        }
        pipe.write_all(line).unwrap();
        taken += line.len();
    }
    taken
}
