//! The jsonl sink's core on a real disk: read back, completed, rotated, compressed; on disks that are full or broken.
//!
//! No test here starts a process: between fork and exec it would have the locks of the others.

#![expect(clippy::unwrap_used, reason = "in tests a panic is how a failure is said")]

mod agreement;
mod faulty;
mod files;
mod full_disk;
mod interrupted;
mod pages;
mod recovery;
mod scenario;
mod taken_back;
#[path = "../common/tampered.rs"]
mod tampered;
