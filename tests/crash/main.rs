//! What a crash leaves, wherever it comes: nothing that was accepted is lost, and nothing is there twice.
//!
//! A [`Machine`](machine::Machine) is a file system in memory that knows what a power cut may take away ([`cut`]).
//! A [`Process`](world::Process) is a run of the program's synchronous cores on it, a [`Ledger`](ledger::Ledger) what the
//! outside knows meanwhile. [`explore`] ends runs at each operation, in each way, and again in the recovery.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod cut;
mod disk;
mod explore;
mod keys;
mod ledger;
mod lines;
mod machine;
mod outputs;
mod sync_points;
mod workload;
mod world;

mod counted;
mod dead_letters;
mod ends;
mod model;
mod overrides;
mod rounds;
