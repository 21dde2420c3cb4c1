//! fetchd: a stream of URLs in, exactly one result per line out: live, polite, bounded, and nothing lost.
//!
//! [`pipeline`] has the picture of the stages; ARCHITECTURE.md follows one URL through them.
//!
//! The modules stand in the order of the data: the configuration, what travels, and the stages it passes. The library
//! is there for the binary, its tests and its measurements; it makes no promise of its own.

// The configuration and the command line.
pub mod cli;
pub mod config;
pub mod diagnostics;
pub mod registry;
pub mod units;

// What travels, and what stages have in common.
pub mod disk;
pub mod error;
pub mod hosts;
pub mod in_order;
pub mod item;
pub mod listener;
pub mod open_files;
pub mod resource_limits;

// From source to sink.
pub mod fetch;
pub mod journal;
pub mod output;
pub mod pipeline;
pub mod rounds;
pub mod schedule;
pub mod ship;
pub mod sink;
pub mod source;
pub mod state;

// Around it.
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod ops;
pub mod results;
pub mod telemetry;
