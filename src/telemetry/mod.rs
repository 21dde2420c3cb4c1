//! What a run says of itself: logs, the progress line, the closing summary. All of it goes to stderr.

mod log;
mod progress;
mod stats;
mod summary;

use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

pub use log::{Format, Level, LogConfig, Logs, init};
pub use progress::{Line, Progress, ProgressMode};
pub use stats::Stats;
pub use summary::Summary;

/// How long the end of a run waits for a stderr that nobody reads.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Writes a closing text to stderr, or gives up where nobody reads it.
pub fn say(text: String) {
    let (said, heard) = sync_channel::<()>(1);
    std::thread::spawn(move || {
        // It is said or it is not: the records are what counts.
        let _ = io::stderr().write_all(text.as_bytes());
        drop(said);
    });
    let _ = heard.recv_timeout(LAST_WORDS);
}
