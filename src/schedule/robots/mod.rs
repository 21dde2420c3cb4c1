//! robots.txt (RFC 9309): the parser (`parser`, `pattern`), the rules of each site (`rules`, `refusal`, `known`,
//! `changes`), and
//! the fetch of the file before a site's first line (`gate`).

mod changes;
mod config;
mod gate;
mod known;
mod parser;
mod pattern;
mod refusal;
mod rules;
mod waits;

pub use changes::{RobotsChange, RobotsSwitch};
pub use config::{RobotsConfig, RobotsPolicy};
pub use known::{KnownRobots, KnownRules};

pub(super) use gate::{Denial, is_unavailable};
pub(super) use rules::RobotsRules;
pub(super) use waits::{RobotsWait, RobotsWaits};
