//! The real binary against real bytes on loopback: what a person at a shell, or a service manager, would see.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;

mod again;
mod answers;
mod bodies;
mod bottleneck;
mod check;
mod client_certs;
mod connections;
mod credentials;
mod demo;
mod durable_stdin;
mod ends;
mod eta;
mod files;
mod files_open;
mod freshness;
mod headers;
mod host_states;
mod http2;
mod left_records;
mod limits;
mod lines;
mod logs;
mod long_pauses;
mod look_ups;
mod names;
mod pages;
mod process;
mod proxy;
mod push;
mod restarts;
mod results;
mod rewritten;
mod service_manager;
mod set;
mod signals;
mod tls;
mod tokens;
mod webhook;
