//! Summarises repeated log lines, as a layer in front of the format layer. Log events with the field `event` may be
//! counted instead of written; those without it, like configuration errors, are always written.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::repeats::{Action, Occurrence, Repeats, Subject, Summary};

/// The field with the kind of a log event.
const KIND: &str = "event";

/// The field that only summaries have.
const MORE: &str = "more";

/// The fields for the subject of a log event, with their nouns.
const SUBJECTS: [(&str, &str); 4] = [("host", "host"), ("source", "source"), ("sink", "sink"), ("path", "path")];

/// The counted log lines; clones share them.
#[derive(Clone)]
pub(super) struct LogSummaries {
    repeats: Arc<Mutex<Repeats>>,
    clock: Clock,
}

/// A clock that returns the time since a fixed start.
type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

impl LogSummaries {
    /// Summaries with the clock of the process.
    pub fn new() -> Self {
        let start = Instant::now();
        Self::at(Arc::new(move || start.elapsed()))
    }

    fn at(clock: Clock) -> Self {
        Self { repeats: Arc::default(), clock }
    }

    /// The time until the next summary may be due.
    pub fn due_in(&self) -> Option<Duration> {
        let due = self.with(|repeats, _| repeats.next_due())?;
        Some(due.saturating_sub((self.clock)()))
    }

    /// Logs the summaries that are due.
    pub fn log_due(&self) {
        self.with(Repeats::take_due).iter().for_each(log);
    }

    /// Logs all summaries at the end of the log.
    pub fn log_all(&self) {
        self.with(Repeats::take_all).iter().for_each(log);
    }

    fn note(&self, event: &Event<'_>) -> Action {
        let fields = event.metadata().fields();
        if fields.field(KIND).is_none() || fields.field(MORE).is_some() {
            return Action::Write;
        }
        let mut facts = Facts::default();
        event.record(&mut facts);
        let line = Occurrence { event: &facts.event, level: *event.metadata().level(), subject: facts.subject };
        self.with(|repeats, now| repeats.note(line, now))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Repeats, Duration) -> T) -> T {
        let now = (self.clock)();
        act(&mut self.repeats.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

fn log(summary: &Summary) {
    let (event, more) = (summary.event.as_str(), summary.lines);
    match summary.level {
        Level::ERROR => tracing::error!(event, more, "{summary}"),
        Level::WARN => tracing::warn!(event, more, "{summary}"),
        _ => tracing::info!(event, more, "{summary}"),
    }
}

/// A layer that does not get counted events. There are no spans.
pub(super) struct Summarised<L> {
    pub layer: L,
    pub summaries: LogSummaries,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Summarised<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.summaries.note(event) == Action::Write {
            self.layer.on_event(event, context);
        }
    }
}

/// The kind and subject of a log event.
#[derive(Default)]
struct Facts {
    event: String,
    subject: Option<Subject>,
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == KIND {
            self.event = format!("{value:?}");
        } else if let Some((_, noun)) = SUBJECTS.iter().find(|(name, _)| *name == field.name()) {
            let mut hash = Hash::default();
            let _ = write!(hash, "{value:?}");
            self.subject = Some(Subject { noun, hash: hash.0.finish() });
        }
    }
}

/// Hashes formatted text without a buffer.
#[derive(Default)]
struct Hash(DefaultHasher);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The log lines of an action that controls a clock in seconds.
    fn logged(act: impl FnOnce(&AtomicU64, &LogSummaries)) -> Vec<String> {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        let summaries = LogSummaries::at(Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed))));
        let file = tempfile::NamedTempFile::new().unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_writer(Mutex::new(file.reopen().unwrap()));
        let subscriber = tracing_subscriber::registry().with(Summarised { layer, summaries: summaries.clone() });
        tracing::subscriber::with_default(subscriber, || act(&seconds, &summaries));
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn repeated_log_lines_are_summarised_by_kind_with_their_hosts() {
        let lines = logged(|seconds, summaries| {
            for n in 0..14 {
                let host = format!("h{}.test", n % 3);
                tracing::warn!(event = "token_wait", %host, "{host} refuses its token");
                tracing::info!(event = "batches_refused", "no room");
            }
            seconds.store(10, Ordering::Relaxed);
            summaries.log_due();
            tracing::info!(event = "batches_refused", "no room");
            summaries.log_all();
        });
        assert_eq!(lines.len(), 2 * 5 + 3, "{lines:#?}");
        assert!(lines[0].starts_with("WARN h0.test refuses its token"), "{lines:#?}");
        assert!(lines[10].starts_with("INFO 9 more like this in 10 s: batches_refused "), "{lines:#?}");
        assert!(lines[11].starts_with("WARN 9 more like this in 10 s: token_wait, 3 hosts "), "{lines:#?}");
        assert!(lines[12].starts_with("INFO 1 more like this in 1 s: batches_refused "), "{lines:#?}");
    }

    #[test]
    fn a_log_line_without_a_kind_is_written_each_time() {
        let lines = logged(|_, summaries| {
            (0..100).for_each(|n| tracing::error!("the configuration has error {n}"));
            summaries.log_all();
        });
        assert_eq!(lines.len(), 100);
    }
}
