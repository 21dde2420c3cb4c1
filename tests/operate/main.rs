//! The API and `fetchd ctl`, on the real binary: what an operator, a scraper and an attacker would see.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod abuse;
mod answers;
mod asking;
mod blocked;
mod circuits;
mod ctl;
mod events;
mod listening;
mod metrics;
mod overrides;
mod place;
mod prometheus;
mod reload;
mod starting;
mod steering;
mod stuck;
mod tokens;
mod verbs;
mod window;
