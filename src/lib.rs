//! fetchd
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod fetch;
pub mod hosts;
pub mod in_order;
pub mod item;
pub mod pipeline;
pub mod schedule;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod units;
