//! Writes messages to stderr in a dedicated thread, in order. When stderr is blocked, messages are dropped. Logs and
//! the closing summary use it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use indicatif::ProgressBar;
use tracing_subscriber::fmt::MakeWriter;

use super::LAST_WORDS;
use super::log_summaries::LogSummaries;

/// The most messages in the queue.
const QUEUE: usize = 1024;

/// Messages dropped because the queue was full. It is global because a process has one stderr.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The number of messages dropped so far.
pub(super) fn dropped_messages() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The handle of the stderr thread.
#[derive(Clone, Debug)]
pub(super) struct Stderr(SyncSender<Message>);

enum Message {
    Text(Vec<u8>),
    /// A mark, dropped after all earlier messages are written.
    Mark(#[expect(dead_code, reason = "it speaks by being dropped")] SyncSender<()>),
}

impl Stderr {
    /// Starts the thread, which also logs summaries when they are due. The progress bar is suspended while a message is
    /// written.
    pub(super) fn start(bar: Option<ProgressBar>, summaries: LogSummaries) -> Self {
        let (messages, rx) = sync_channel(QUEUE);
        std::thread::spawn(move || {
            while let Some(message) = next_message(&rx, &summaries) {
                write_message(bar.as_ref(), message);
            }
        });
        Self(messages)
    }

    /// Queues a message, or drops it if the queue is full.
    pub(super) fn say(&self, text: Vec<u8>) {
        if self.0.try_send(Message::Text(text)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all messages are written, but not for long because stderr may be blocked.
    pub(super) fn flush(&self) {
        let (mark, written) = sync_channel(1);
        if self.0.try_send(Message::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}

/// The next message. Due summaries are logged to the end of the queue.
fn next_message(messages: &Receiver<Message>, summaries: &LogSummaries) -> Option<Message> {
    loop {
        summaries.log_due();
        let Some(wait) = summaries.due_in() else { return messages.recv().ok() };
        match messages.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            message => return message.ok(),
        }
    }
}

fn write_message(bar: Option<&ProgressBar>, message: Message) {
    let Message::Text(text) = message else { return };
    // There is nowhere to report a write error.
    let _ = match bar {
        Some(bar) => bar.suspend(|| io::stderr().write_all(&text)),
        None => io::stderr().write_all(&text),
    };
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine { to: self, text: Vec::new() }
    }
}

/// A log line that is being formatted.
pub(super) struct LogLine<'a> {
    to: &'a Stderr,
    text: Vec<u8>,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        self.to.say(std::mem::take(&mut self.text));
    }
}
