//! The laws of the pipeline, on paused time and with scripted parts.
//!
//! A [`Scenario`](scenario::Scenario) says what the sources, the network, the sinks and the user do and when; playing it yields a
//! [`Report`](scenario::Report): how the run ended and everything that the parts saw, in order. A law is a statement about
//! the report of any scenario. A pipeline that never rests keeps paused time from moving: such a bug shows as a test that
//! hangs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic, and scripted parts panic on purpose"
)]

mod any;
mod log;
mod long_pauses;
mod parts;
mod scenario;
mod script;
mod verbs;

mod accounts;
mod answers;
mod batches;
mod bottleneck;
mod breakage;
mod eta;
mod freshness;
mod heartbeats;
mod host_states;
mod idle;
mod memory;
mod metrics;
mod operators;
mod release;
mod shipping;
mod shutdown;
mod simulated;
mod stall;
mod tokens;
mod window;
