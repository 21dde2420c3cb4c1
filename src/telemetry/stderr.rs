//! Messages to stderr: written by a thread of their own, in their order, and dropped rather than waited for when nobody
//! reads. Logs and the closing summary go through here.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use indicatif::ProgressBar;
use tracing_subscriber::fmt::MakeWriter;

use super::LAST_WORDS;
use super::log_summaries::LogSummaries;

/// Messages that wait to be written, at most.
const QUEUE: usize = 1024;

/// Messages that were dropped, for there was no room. There is one stderr in a process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many messages were dropped so far.
pub(super) fn dropped_messages() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The way to stderr.
#[derive(Clone, Debug)]
pub(super) struct Stderr(SyncSender<Message>);

enum Message {
    Text(Vec<u8>),
    /// Everything before this is written once the sender is dropped.
    Mark(#[expect(dead_code, reason = "it speaks by being dropped")] SyncSender<()>),
}

impl Stderr {
    /// Starts the thread, which also logs summaries when they are due. A progress line, if there is one, is out of the way
    /// while a message is written.
    pub(super) fn start(bar: Option<ProgressBar>, summaries: LogSummaries) -> Self {
        let (messages, rx) = sync_channel(QUEUE);
        std::thread::spawn(move || {
            while let Some(message) = next_message(&rx, &summaries) {
                write_message(bar.as_ref(), message);
            }
        });
        Self(messages)
    }

    /// Says something, if there is room for it.
    pub(super) fn say(&self, text: Vec<u8>) {
        if self.0.try_send(Message::Text(text)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was said is written; not for long, for stderr may be a pipe that nobody reads.
    pub(super) fn flush(&self) {
        let (mark, written) = sync_channel(1);
        if self.0.try_send(Message::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}

/// The next message. Summaries that are due come to the end of the queue.
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
    // A message that cannot be written cannot be reported either.
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

/// One log line while it is put together.
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
