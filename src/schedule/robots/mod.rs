//! robots.txt (RFC 9309): the rules of each origin (`rules`), and the fetch of the file before an origin's first line (`gate`).

mod gate;
mod rules;

pub use rules::{RobotsConfig, RobotsPolicy};

pub(super) use gate::Denial;
pub(super) use rules::{RobotsFile, RobotsRules};
