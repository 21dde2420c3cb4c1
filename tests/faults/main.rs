//! What a hostile network, and hostile input, can do to the real binary: each row of faults provoked with real bytes.
//!
//! `provoke` in `scenario.rs` puts the faulty lines among healthy ones of another host; the tests then say what became of
//! them, and how many requests and connections the servers saw.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod scenario;
mod slow;
mod slow_bodies;

mod adaptive;
mod addresses;
mod body;
mod causes;
mod codings;
mod connect;
mod heads;
mod health;
mod http;
mod input;
mod methods;
mod name_servers;
mod networks;
mod odd_heads;
mod one_line;
mod retries;
mod robots;
mod robots_unavailable;
mod stale;
mod unread;
mod validators;
mod values;

mod conservation;
mod crowd;
mod cuts;
mod parses;
mod ports;
mod quotas;
mod rates;
mod waits;
