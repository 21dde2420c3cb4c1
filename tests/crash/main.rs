//! What a crash leaves, wherever it comes: nothing that was accepted is lost, and nothing is there twice.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod cut;
mod disk;
mod machine;
mod sites;

mod model;
