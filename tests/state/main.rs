//! The data directory: its checkpoint as text, looked at beside a run, and on a disk that breaks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by a panic")]

mod checkpoint;
mod checkpointer;
mod host_states;
mod inspect;
mod rounds;
#[path = "../common/tampered.rs"]
mod tampered;
