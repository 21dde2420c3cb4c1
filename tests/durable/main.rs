//! Outputs of the real binary: rotated, compressed, opened anew, shared, on full and broken disks, and after kill -9.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod broken;
mod damaged;
mod deleted;
mod full;
mod full_changed;
mod no_file;
mod place;
mod process;
mod pushed;
mod refused;
mod renamed;
#[path = "../outputs/scenario.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod scenario;
mod small_disk;
