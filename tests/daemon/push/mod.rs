//! The source `http` with curl as the producer: what is accepted, what is refused and how that is said, and that a request that
//! is sent again adds nothing.

mod accepted;
mod ends;
mod hostile;
mod keys;
mod place;
mod refused;
