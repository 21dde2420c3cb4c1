//! The progress line on a terminal: how much is done, how fast, and what holds it up.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{Stats, summary};
use crate::pipeline::Board;
use crate::units::grouped;

/// When there is a progress line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// On a terminal.
    #[default]
    Auto,
    /// Even when stderr is no terminal.
    Always,
    /// Never.
    Never,
}

impl ProgressMode {
    /// The line, if there is to be one.
    pub fn bar(self) -> Option<ProgressBar> {
        let wanted = match self {
            Self::Auto => io::stderr().is_terminal(),
            Self::Always => true,
            Self::Never => false,
        };
        let target = match self {
            Self::Always if !io::stderr().is_terminal() => ProgressDrawTarget::term_like(Box::new(PlainLines::default())),
            _ => ProgressDrawTarget::stderr_with_hz(10),
        };
        wanted.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::with_draw_target(None, target).with_style(style)
        })
    }
}

/// Keeps the line up to date from a thread of its own, until it is dropped.
pub struct Progress {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts. `total_bytes` is the size of the input, when it is known.
    pub fn start(bar: ProgressBar, board: Board, stats: Stats, total_bytes: Option<u64>) -> Self {
        const EVERY: Duration = Duration::from_millis(100);
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let mut rate = Rate::default();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                bar.set_message(line(&board, &stats, total_bytes, start.elapsed(), &mut rate));
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only draws: a panic there is no concern of the run.
            let _ = thread.join();
        }
    }
}

/// Records a second, smoothed over the last few seconds.
#[derive(Default)]
struct Rate {
    last: Option<(Duration, u64)>,
    smooth: f64,
}

impl Rate {
    fn update(&mut self, now: Duration, done: u64) -> f64 {
        let (then, before) = *self.last.get_or_insert((Duration::ZERO, 0));
        let time = (now - then).as_secs_f64();
        if time >= 0.5 {
            let current = (done - before) as f64 / time;
            let weight = if before == 0 { 1.0 } else { 0.3 };
            self.smooth += weight * (current - self.smooth);
            self.last = Some((now, done));
        }
        self.smooth
    }
}

fn line(board: &Board, stats: &Stats, total_bytes: Option<u64>, elapsed: Duration, rate: &mut Rate) -> String {
    let (tally, view) = (board.tally(), board.view().clone());
    let done = tally.recorded.get();
    let mut parts = vec![
        format!("{} done", grouped(done)),
        format!("{}/s", grouped(rate.update(elapsed, done) as u64)),
        format!("{} in flight", grouped(view.counts.in_flight as u64)),
        format!("{} waiting", grouped(view.counts.waiting as u64)),
        format!("{} failed", grouped(stats.not_ok())),
    ];
    if let Some(left) = total_bytes.and_then(|total| time_left(board, total, elapsed)) {
        parts.push(format!("{} left", summary::human(left)));
    }
    parts.extend(view.limit.as_ref().map(summary::limited_by));
    parts.join(" · ")
}

/// From the share of the input's bytes that is accepted, and the share of those lines that is recorded.
fn time_left(board: &Board, total_bytes: u64, elapsed: Duration) -> Option<Duration> {
    let tally = board.tally();
    let read = tally.accepted_bytes.get() as f64 / total_bytes.max(1) as f64;
    let recorded = tally.recorded.get() as f64 / tally.accepted.get().max(1) as f64;
    let share = (read * recorded).min(1.0);
    let known = share > 0.001 && elapsed > Duration::from_secs(1);
    known.then(|| elapsed.mul_f64((1.0 - share) / share))
}

/// `--progress always` without a terminal: a line a second at most, each on its own.
#[derive(Debug, Default)]
struct PlainLines {
    last: std::sync::Mutex<Option<Instant>>,
}

impl indicatif::TermLike for PlainLines {
    fn width(&self) -> u16 {
        200
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if due && !text.trim().is_empty() {
            *last = Some(Instant::now());
            eprintln_plain(text.trim_end())?;
        }
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn eprintln_plain(text: &str) -> io::Result<()> {
    use std::io::Write;
    writeln!(io::stderr(), "{text}")
}
