//! What a run says of itself: logs, the progress line, the closing summary. All of it goes to stderr.

mod log;
mod progress;
mod stats;
mod summary;

pub use log::{Format, Level, LogConfig, Logs, init};
pub use progress::{Line, Progress, ProgressMode};
pub use stats::Stats;
pub use summary::Summary;
