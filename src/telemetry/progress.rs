//! The progress line on a terminal: how much is done, how fast, and what holds it up.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::progress_text::Figures;
use super::{LAST_WORDS, Stats};
use crate::pipeline::Status;

/// Columns of a terminal that does not say how many it has.
const USUAL_COLUMNS: usize = 80;

/// Columns of the spinner.
const SPINNER: usize = 2;

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

/// Where the progress line goes.
#[derive(Clone, Debug)]
pub enum ProgressLine {
    /// A terminal, where it is drawn over itself.
    Bar(ProgressBar),
    /// Anything else, where it is written anew every second.
    Plain,
}

impl ProgressLine {
    /// The bar that log lines must not be drawn over by.
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

    /// How many columns there are now.
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
            // A progress line that cannot be written is no reason to stop fetching.
            Self::Plain => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

/// Keeps the line up to date from a thread of its own, until it is dropped.
pub struct Progress {
    stop: Option<SyncSender<()>>,
    /// Says by its end that the thread has cleared the line.
    cleared: Receiver<()>,
}

impl Progress {
    /// Starts.
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
        // Where nobody reads stderr, the thread may be stuck in it: the run ends without the line being cleared.
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
    /// The rate as of now, when so many records are made. Times are since some start.
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
