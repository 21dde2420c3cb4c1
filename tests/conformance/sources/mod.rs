//! The suite of sources.
