//! Files that are followed, and files that are gone on with after a restart: the real binary against real files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod followed;
mod resumed;
mod rotated;
mod scenario;
mod stopped;
