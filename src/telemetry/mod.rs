//! Logs, the progress line, the closing summary, which all go to stderr, and metrics.

mod connections;
mod human;
mod limit_name;
mod log;
mod log_summaries;
pub mod metrics;
mod override_sentences;
mod progress;
mod progress_text;
mod repeats;
mod sentences;
mod stats;
mod stderr;
mod summary;
mod top_hosts;

use std::time::Duration;

pub use human::human;
pub use limit_name::LimitFlags;
pub use log::{Format, Level, LogConfig, LogLevel, Logs, init};
pub use override_sentences::{limits_sentence, override_sentences, pause_sentence, sentences, skip_sentence};
pub use progress::{Progress, ProgressLine, ProgressMode, Rate};
pub use sentences::Sentences;
pub use stats::{Stats, Tally};
pub use summary::Summary;

/// The longest wait for a blocked stderr at the end of a run.
const LAST_WORDS: Duration = Duration::from_secs(1);
