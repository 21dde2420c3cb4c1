//! The laws of the pipeline, on paused time and with scripted parts.
//!
//! A [`Scene`](scene::Scene) says what the sources, the network, the sinks and the user do and when; playing it yields a
//! [`Story`](scene::Story): how the run ended and everything that the parts saw, in order. A law is a statement about
//! the story of any scene. A pipeline that never rests keeps paused time from moving: such a bug shows as a test that
//! hangs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic, and scripted parts panic on purpose"
)]

mod any;
mod log;
mod parts;
mod scene;
mod script;

mod accounts;
mod batches;
mod breakage;
mod idle;
mod memory;
mod stall;
mod troubles;
mod way_down;
mod window;
