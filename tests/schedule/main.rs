//! The laws of the schedule, held on its pure core with made-up time.
//!
//! `script` makes up what happens from outside, `world` plays it against the core and writes a history, and every law
//! is a question to that history. `town` is a world of simulated hosts, for what takes shape over time. `mirror` says, from the documented rules alone, when a waiting line may start.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by a panic")]

mod items;
mod mirror;
mod reply;
mod script;
mod town;
mod world;

mod accounts;
mod adaptive;
mod crowd;
mod deadlines;
mod errands;
mod health;
mod politeness;
mod redirects;
mod retries;
mod robots;
mod robots_rules;
mod troubles;
mod turns;
mod waking;
