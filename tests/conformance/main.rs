//! What every source and every sink must do, whatever its kind: one suite for each side, run on each kind through the real
//! binary.
//!
//! A kind has a row in `sinks/mod.rs` or `sources/mod.rs`: how it is configured, and how its consumer or its producer looks. A case
//! that makes no sense for a kind is excused in its row, with a reason that is checked. The deep tests of a kind are elsewhere
//! (`tests/crash`, `tests/kills`, `tests/outputs`, `tests/durable`, `tests/follow`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;
#[path = "../durable/small_disk.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod small_disk;

mod sinks;
mod site;
mod sources;
