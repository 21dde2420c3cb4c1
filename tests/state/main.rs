//! The data directory on a real disk: looked at live a run, and on a disk that breaks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by a panic")]

mod checkpointer;
mod inspect;
#[path = "../common/tampered.rs"]
mod tampered;
