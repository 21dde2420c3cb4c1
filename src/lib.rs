//! fetchd reads a stream of URLs and writes exactly one record per line: live, polite, bounded, and nothing lost.
//!
//! [`pipeline`] has the diagram of the stages; ARCHITECTURE.md follows one URL through them.
//!
//! The modules are in the order of the data: the configuration, the items, and the stages. The library serves the
//! binary, its tests and its benchmarks; its API is not stable.

// The configuration and the command line.
pub mod cli;
pub mod config;
pub mod diagnostics;
pub mod registry;
pub mod units;

// Items, and what stages have in common.
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

// Around the pipeline.
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod ops;
pub mod results;
pub mod telemetry;
