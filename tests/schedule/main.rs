//! The laws of the schedule, reservation on its pure core with made-up time.
//!
//! `script` makes up what happens from outside, `world` plays it against the core and writes a history, and every law
//! is a question to that history. `simulation` is a world of simulated hosts, for what takes shape over time. `oracle` says, from the documented rules alone, when a waiting line may start.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by a panic")]

mod items;
mod oracle;
mod reply;
mod script;
mod simulation;
mod verbs;
mod world;

mod accounts;
mod adaptive;
mod cause_ends;
mod circuit_changes;
mod crowd;
mod deadlines;
mod fairness;
mod health;
mod host_states;
mod long_pauses;
mod operators;
mod politeness;
mod ports;
mod questions;
mod quotas;
mod reached_limit;
mod redirects;
mod release;
mod restarts;
mod retries;
mod robots;
mod robots_fetch;
mod robots_rules;
mod robots_unavailable;
mod slow;
mod stop;
mod tokens;
mod views;
mod waited_for;
mod waits;
mod waking;
