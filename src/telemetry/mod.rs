//! What a run says of itself: logs, the progress line, the closing summary. All of it goes to stderr.

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

pub use log::{Format, Level, LogConfig, LogLevel, Logs, init};
pub use override_sentences::{limits_sentence, override_sentences, pause_sentence, sentences, skip_sentence};
pub use progress::{Progress, ProgressLine, ProgressMode, Rate};
pub use sentences::Sentences;
pub use stats::{Stats, Tally};
pub use summary::{Summary, human};

/// How long the end of a run waits for a stderr that nobody reads.
const LAST_WORDS: Duration = Duration::from_secs(1);
