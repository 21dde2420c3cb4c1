//! The README and the pages of `docs/` are true: commands run as they are printed, records look like those that are shown,
//! configurations are valid, links lead somewhere, and one word is used for one thing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

mod commands;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;
mod configurations;
mod glossary;
mod internet;
mod links;
mod log_events;
mod page;
mod records;
mod sessions;
