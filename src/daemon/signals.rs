//! Signal handling: signals of users and service managers become [`Control`] messages, and those by which the system
//! enforces a limit become errors. A signal that was ignored when the process started stays ignored: `nohup`
//! ignores SIGHUP, and a shell without job control ignores SIGINT in background jobs.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{Stream, StreamExt, select_all};
use nix::sys::signal::{self, SigSet};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_stream::wrappers::SignalStream;

use super::end_signals::EndSignals;
use super::operator::Orders;
use crate::pipeline::Control;
use crate::resource_limits;

/// The signal handlers from the start of the process on.
pub(super) struct Signals {
    ignored: Ignored,
    rotations: Option<Signal>,
    /// SIGHUP, if it means a reload.
    reloads: Option<Signal>,
    /// The limit of CPU time in seconds.
    cpu_seconds: Option<u64>,
}

/// Whether the limit of CPU time stopped the run.
#[derive(Clone, Default)]
pub(super) struct CpuLimit(Arc<AtomicBool>);

/// The meaning of SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The terminal was closed: the run stops.
    Stop,
    /// The run reloads the configuration.
    Reload,
}

impl Hangup {
    /// A reload for a process with a configuration file and without a terminal, which is a service; otherwise a stop.
    pub fn of(config: Option<&Path>) -> Self {
        let has_terminal = fs::File::open("/dev/tty").is_ok();
        if config.is_some() && !has_terminal { Self::Reload } else { Self::Stop }
    }
}

/// The signals that the process ignored when it started, as a mask; signal 1 is bit 0.
struct Ignored(u64);

/// Unblocks the signals that the parent process has blocked, so that the service can be stopped. To be called before
/// there is another thread.
///
/// # Errors
/// The system call failed.
pub fn unblock() -> io::Result<()> {
    let own = [signal::SIGTERM, signal::SIGINT, signal::SIGHUP, signal::SIGUSR1, signal::SIGXFSZ, signal::SIGXCPU];
    Ok(own.into_iter().collect::<SigSet>().thread_unblock()?)
}

/// Makes a write beyond the file size limit fail with an error; without the handler SIGXFSZ would end the process
/// silently. The handler stays. To be called in a runtime.
///
/// # Errors
/// The handler could not be installed.
pub fn outlive_file_size_limit() -> io::Result<()> {
    signal(SignalKind::from_raw(signal::SIGXFSZ as i32)).map(drop)
}

impl Signals {
    /// Handles SIGUSR1 from now on, and SIGHUP if it means a reload; without a handler they would end the process.
    ///
    /// # Errors
    /// A handler could not be installed.
    pub fn listen(hangup: Hangup) -> io::Result<Self> {
        let ignored = Ignored::at_start();
        let rotations = ignored.listen_to(SignalKind::user_defined1())?;
        let reloads = match hangup {
            Hangup::Stop => None,
            Hangup::Reload => ignored.listen_to(SignalKind::hangup())?,
        };
        Ok(Self { ignored, rotations, reloads, cpu_seconds: resource_limits::cpu_seconds() })
    }

    /// The limit of CPU time, if there is one.
    pub fn cpu_seconds(&self) -> Option<u64> {
        self.cpu_seconds
    }

    /// Logs which signals do not stop the run because they were ignored at the start, and which one does.
    pub fn tell_ignored(&self) {
        let hangup = self.reloads.is_none().then_some(signal::SIGHUP);
        let stops = [signal::SIGTERM, signal::SIGINT].into_iter().chain(hangup);
        let (ignored, others): (Vec<_>, Vec<_>) = stops.partition(|signal| self.ignored.has(*signal as i32));
        if ignored.is_empty() {
            return;
        }
        let names = ignored.iter().map(|signal| signal.as_str()).collect::<Vec<_>>().join(" and ");
        let (are, them) = if ignored.len() == 1 { ("is", "it") } else { ("are", "them") };
        let way = way_to_stop(others.first().copied(), std::process::id());
        tracing::info!("{names} {are} ignored, because the process that started fetchd ignores {them}; {way}");
    }

    /// The control messages of signals: the first SIGTERM, SIGINT or SIGHUP stops the run (so that a closed terminal
    /// loses no lines), and the next one aborts it ([`EndSignals`]); SIGUSR1 rotates the outputs; SIGXCPU stops the run. Before this
    /// call, all but SIGUSR1 end the process. If SIGHUP means a reload, it is sent to `orders`.
    ///
    /// # Errors
    /// A handler could not be installed.
    pub fn controls(self, limit: CpuLimit, orders: Option<Orders>) -> io::Result<impl Stream<Item = Control>> {
        let mut ends = Vec::new();
        let hangup = self.reloads.is_none().then(SignalKind::hangup);
        for kind in [SignalKind::terminate(), SignalKind::interrupt()].into_iter().chain(hangup) {
            ends.extend(self.ignored.listen_to(kind)?.map(|signal| SignalStream::new(signal).map(move |()| kind)));
        }
        let mut signals = EndSignals::default();
        let ends = select_all(ends)
            .filter_map(move |kind| std::future::ready(signals.control(kind, tokio::time::Instant::now())));
        // The system sends it again every second.
        let cpu = self.ignored.listen_to(SignalKind::from_raw(signal::SIGXCPU as i32))?.map(SignalStream::new);
        let cpu = futures::stream::iter(cpu).flatten().take(1).map(move |()| {
            limit.0.store(true, Ordering::Relaxed);
            Control::Stop
        });
        let rotations = futures::stream::iter(self.rotations.map(SignalStream::new)).flatten();
        let rotations = rotations.map(|()| Control::Rotate);
        let reloads = futures::stream::iter(self.reloads.map(SignalStream::new)).flatten();
        let reloads = reloads.filter_map(move |()| {
            orders.iter().for_each(Orders::reload);
            std::future::ready(None)
        });
        let others = futures::stream::select(rotations, reloads);
        Ok(futures::stream::select(futures::stream::select(ends, cpu), others))
    }
}

/// The command that stops the run by this signal.
fn way_to_stop(signal: Option<signal::Signal>, pid: u32) -> String {
    match signal {
        Some(signal::SIGTERM) => format!("to stop the run, write: kill {pid}"),
        Some(other) => format!("to stop the run, write: kill -{} {pid}", other.as_str().trim_start_matches("SIG")),
        None => "only the end of the input stops the run".to_owned(),
    }
}

impl CpuLimit {
    /// Whether the limit stopped the run.
    pub fn is_reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Ignored {
    /// Reads the mask, before the first handler is installed; without `/proc`, no signal counts as ignored.
    fn at_start() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    fn listen_to(&self, kind: SignalKind) -> io::Result<Option<Signal>> {
        if self.has(kind.as_raw_value()) { Ok(None) } else { signal(kind).map(Some) }
    }

    /// Whether the signal of this number is ignored.
    fn has(&self, signal: i32) -> bool {
        let bit = u32::try_from(signal - 1).unwrap_or_default();
        self.0.checked_shr(bit).is_some_and(|mask| mask & 1 == 1)
    }
}
