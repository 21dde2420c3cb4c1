//! No packet to a forbidden address: every special range against a second opinion, every spelling of an address, and the
//! real binary in a network of its own, where someone listens at forbidden addresses and must not be called.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[expect(dead_code, reason = "these tests need a part of it")]
#[path = "../common/mod.rs"]
mod common;

mod calls;
mod canary;
mod names;
mod network;
mod opinion;
mod ranges;
mod spellings;
