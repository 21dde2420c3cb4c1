//! The progress line on a terminal: how much is done, how fast, and what holds it up.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{LAST_WORDS, Stats, summary};
use crate::pipeline::Status;
use crate::units::{counted, grouped};

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
    /// Starts. `total_bytes` is the size of the input, when it is known.
    pub fn start(to: ProgressLine, status: Status, stats: Stats, total_bytes: Option<u64>) -> Self {
        let (stop, stopped) = sync_channel(1);
        let (clearing, cleared) = sync_channel(1);
        std::thread::spawn(move || {
            let _clearing: SyncSender<()> = clearing;
            let start = Instant::now();
            let mut rate = Rate::default();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(to.every()) {
                to.show(line(&status, &stats, total_bytes, start.elapsed(), &mut rate));
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

fn line(status: &Status, stats: &Stats, total_bytes: Option<u64>, elapsed: Duration, rate: &mut Rate) -> String {
    let (counters, view) = (status.counters(), status.view().clone());
    let done = counters.recorded.get();
    let mut parts = vec![
        format!("{} done", grouped(done)),
        format!("{}/s", summary::per_second(rate.update(elapsed, done))),
        format!("{} on the wire", grouped(view.counts.in_flight as u64)),
        format!("{} waiting", grouped(view.counts.waiting as u64)),
        format!("{} not ok", grouped(stats.not_ok())),
    ];
    if let Some(left) = total_bytes.and_then(|total| time_left(status, total, elapsed)) {
        parts.push(format!("{} left", summary::human(left)));
    }
    parts.extend(match &view.tail {
        Some(tail) => Some(tail_of(tail.hosts, tail.lines, tail.at_most)),
        None => view.bottleneck.as_ref().map(summary::limited_by),
    });
    parts.join(" · ")
}

/// What is left, where it waits for hosts that cannot be reached.
fn tail_of(hosts: usize, lines: usize, at_most: Duration) -> String {
    let verb = if lines == 1 { "waits" } else { "wait" };
    let (hosts, lines) = (counted(hosts as u64, "host"), counted(lines as u64, "line"));
    format!("{hosts}, {lines} {verb} for health.give_up, at most {} s more", at_most.as_secs_f64().ceil())
}

/// From the share of the input's bytes that is accepted, and the share of those lines that is recorded.
fn time_left(status: &Status, total_bytes: u64, elapsed: Duration) -> Option<Duration> {
    let counters = status.counters();
    let read = status.metrics().accepted_bytes.get() as f64 / total_bytes.max(1) as f64;
    let recorded = counters.recorded.get() as f64 / counters.accepted.get().max(1) as f64;
    let share = (read * recorded).min(1.0);
    let known = share > 0.001 && elapsed > Duration::from_secs(1);
    known.then(|| elapsed.mul_f64((1.0 - share) / share))
}
