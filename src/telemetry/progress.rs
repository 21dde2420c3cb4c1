//! The progress line on stderr: progress, speed and bottleneck.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::progress_text::Figures;
use super::{LAST_WORDS, Stats};
use crate::pipeline::Status;

/// The width of a terminal that does not report it.
const USUAL_COLUMNS: usize = 80;

/// Columns of the spinner.
const SPINNER: usize = 2;

/// When the progress line is shown.
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
    /// The progress line, if it is shown.
    pub fn line(self) -> Option<ProgressLine> {
        let terminal = io::stderr().is_terminal();
        match self {
            Self::Never => None,
            Self::Auto | Self::Always if terminal => {
                let style = ProgressStyle::with_template("{spinner} {wide_msg}");
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
                Some(ProgressLine::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))))
            }
            Self::Auto => None,
            Self::Always => Some(ProgressLine::Plain),
        }
    }
}

/// The destination of the progress line.
#[derive(Clone, Debug)]
pub enum ProgressLine {
    /// A terminal, on which the line is redrawn.
    Bar(ProgressBar),
    /// Anything else, to which a new line is written every second.
    Plain,
}

impl ProgressLine {
    /// The bar, which has to be suspended while log lines are written.
    pub fn bar(&self) -> Option<ProgressBar> {
        match self {
            Self::Bar(bar) => Some(bar.clone()),
            Self::Plain => None,
        }
    }

    fn every(&self) -> Duration {
        match self {
            Self::Bar(_) => Duration::from_millis(100),
            Self::Plain => Duration::from_secs(1),
        }
    }

    /// The current number of columns.
    fn columns(&self) -> usize {
        match self {
            Self::Bar(_) => {
                let size = rustix::termios::tcgetwinsize(io::stderr()).map(|size| usize::from(size.ws_col));
                size.ok().filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS).saturating_sub(SPINNER)
            }
            Self::Plain => usize::MAX,
        }
    }

    fn show(&self, text: String) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            // A write error must not stop the run.
            Self::Plain => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

/// Updates the progress line in a dedicated thread until dropped.
pub struct Progress {
    stop: Option<SyncSender<()>>,
    /// Disconnects once the thread has cleared the line.
    cleared: Receiver<()>,
}

impl Progress {
    /// Starts the thread.
    pub fn start(to: ProgressLine, status: Status, stats: Stats) -> Self {
        let (stop, stopped) = sync_channel(1);
        let (clearing, cleared) = sync_channel(1);
        std::thread::spawn(move || {
            let _clearing: SyncSender<()> = clearing;
            let start = Instant::now();
            let mut rate = Rate::default();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(to.every()) {
                let rate = rate.update(start.elapsed(), status.counters().recorded.get());
                to.show(Figures::of(&status, &stats, rate).text(to.columns()));
            }
            if let ProgressLine::Bar(bar) = to {
                bar.finish_and_clear();
            }
        });
        Self { stop: Some(stop), cleared }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        // If stderr is blocked, the thread cannot clear the line, and the run ends without it.
        let _ = self.cleared.recv_timeout(LAST_WORDS);
    }
}

/// Records a second, smoothed over the last few seconds.
#[derive(Default)]
pub struct Rate {
    last: Option<(Duration, u64)>,
    smooth: f64,
}

impl Rate {
    /// Updates the rate with the number of records done. Times are relative to a fixed start.
    pub fn update(&mut self, now: Duration, done: u64) -> f64 {
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
