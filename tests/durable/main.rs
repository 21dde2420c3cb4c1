//! What outputs are worth after a crash: read back, completed, rotated, compressed, on disks that are full or broken.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod faulty;
mod files;
mod full;
mod process;
mod recovery;
mod scene;
