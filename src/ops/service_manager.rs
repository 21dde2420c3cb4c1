//! Notifications to the service manager: systemd, or another one that listens at `NOTIFY_SOCKET` (sd_notify(3)). A
//! thread of its own reports when the run takes lines and when it stops, its status text, and watchdog pings while the
//! tasks of the run turn.
//!
//! fetchd starts no other process, so no child inherits `NOTIFY_SOCKET`. Without it the thread is not started.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::pipeline::{HealthWatch, RunState, StuckTask};

/// The environment variable with the socket of the service manager.
const SOCKET: &str = "NOTIFY_SOCKET";

/// By how much a message extends the service manager's timeout for start and stop: longer than the detection of a stuck
/// task takes, so that a run whose tasks turn never times out.
const EXTENSION: Duration = Duration::from_secs(30);

/// How long dropping [`ServiceManager`] waits for the last message.
const LAST_MESSAGE: Duration = Duration::from_secs(1);

/// The sources of the messages.
pub struct Watched {
    /// From `Lifecycle::subscribe`.
    pub state: watch::Receiver<(RunState, Instant)>,
    /// Looks for a stuck task, as `HealthWatch::look` does; called every `HealthWatch::LOOK_EVERY`.
    pub look: Box<dyn FnMut() -> Option<StuckTask> + Send>,
    /// The status of the run, in one line.
    pub text: Box<dyn FnMut() -> String + Send>,
}

/// The thread that notifies the service manager; dropping it reports that the run stops, and ends the thread.
#[must_use]
pub struct ServiceManager {
    /// Dropped to end the thread.
    goes_on: Option<oneshot::Sender<()>>,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

impl ServiceManager {
    /// Whether `NOTIFY_SOCKET` is set.
    pub fn is_there() -> bool {
        std::env::var_os(SOCKET).is_some_and(|socket| !socket.is_empty())
    }

    /// Starts the thread, if `NOTIFY_SOCKET` is set.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(watched: Watched) -> io::Result<Option<Self>> {
        if !Self::is_there() {
            return Ok(None);
        }
        // Without I/O and signals, the runtime opens no file; only sending a message does, for a moment.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (goes_on, end) = oneshot::channel();
        let (ending, ended) = sync_channel(1);
        let speak = move || {
            let _ending: SyncSender<()> = ending;
            runtime.block_on(Speaker::new(watched, send).speak(sd_notify::watchdog_enabled(), end));
        };
        std::thread::Builder::new().name("service-manager".to_owned()).spawn(speak)?;
        Ok(Some(Self { goes_on: Some(goes_on), ended }))
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        self.goes_on = None;
        let _ = self.ended.recv_timeout(LAST_MESSAGE);
    }
}

fn send(messages: &[NotifyState<'_>]) {
    let sent = match std::env::var_os(SOCKET).as_ref().and_then(|socket| socket.as_bytes().strip_prefix(b"@")) {
        Some(name) => send_to_abstract(name, messages),
        None => sd_notify::notify(messages),
    };
    if let Err(error) = sent {
        tracing::warn!(event = "service_manager_lost", %error, "the service manager at NOTIFY_SOCKET cannot be reached");
    }
}

/// Sends to an abstract socket (sd_notify(3)), which the crate `sd_notify` does not support.
fn send_to_abstract(name: &[u8], messages: &[NotifyState<'_>]) -> io::Result<()> {
    let text: String = messages.iter().map(|message| format!("{message}\n")).collect();
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// Decides which messages are sent, and when.
struct Speaker<S> {
    watched: Watched,
    send: S,
    state: RunState,
    is_ready: bool,
    /// The task that was stuck at the last look.
    stuck: Option<StuckTask>,
    /// The status text that was last sent.
    text: String,
}

impl<S: FnMut(&[NotifyState<'_>])> Speaker<S> {
    fn new(watched: Watched, send: S) -> Self {
        Self { watched, send, state: RunState::Starting, is_ready: false, stuck: None, text: String::new() }
    }

    /// Sends messages until the run has ended. Pings are half of the watchdog's time apart.
    async fn speak(mut self, watchdog: Option<Duration>, mut end: oneshot::Receiver<()>) {
        let (mut looks, mut pings) = (every(HealthWatch::LOOK_EVERY), watchdog.map(|time| every(time / 2)));
        self.enter();
        loop {
            tokio::select! {
                biased;
                _ = &mut end => break,
                Ok(()) = self.watched.state.changed() => self.enter(),
                _ = looks.tick() => self.look(),
                () = tick(&mut pings) => self.ping(),
            }
        }
        self.enter();
        if !is_stopping(self.state) {
            (self.send)(&[NotifyState::Stopping]);
        }
    }

    /// Reports the new state of the run.
    fn enter(&mut self) {
        let was = std::mem::replace(&mut self.state, self.watched.state.borrow_and_update().0);
        let mut messages = Vec::new();
        if self.state == RunState::Running && !std::mem::replace(&mut self.is_ready, true) {
            messages.push(NotifyState::Ready);
        }
        if is_stopping(self.state) && !is_stopping(was) {
            messages.push(NotifyState::Stopping);
        }
        self.say(messages);
    }

    fn look(&mut self) {
        let stuck = (self.watched.look)();
        match (self.stuck, stuck) {
            (None, Some(StuckTask { name, at_least })) => tracing::error!(
                stage = name,
                seconds = at_least.as_secs(),
                "the stage `{name}` is stuck; the service manager's watchdog is not pinged until it goes on"
            ),
            (Some(StuckTask { name, .. }), None) => tracing::info!(stage = name, "the stage `{name}` goes on"),
            _ => {}
        }
        self.stuck = stuck;
        self.say(Vec::new());
    }

    /// Sends these messages, the status text if it has changed, and an extension of the timeout during start and stop.
    fn say<'a>(&'a mut self, mut messages: Vec<NotifyState<'a>>) {
        if self.stuck.is_none() && matches!(self.state, RunState::Starting | RunState::Draining { .. }) {
            let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
            messages.push(NotifyState::ExtendTimeoutUsec(micros));
        }
        let text = (self.watched.text)();
        if self.text != text {
            self.text = text;
            messages.push(NotifyState::Status(&self.text));
        }
        if !messages.is_empty() {
            (self.send)(&messages);
        }
    }

    fn ping(&mut self) {
        if self.stuck.is_none() {
            (self.send)(&[NotifyState::Watchdog]);
        }
    }
}

fn is_stopping(state: RunState) -> bool {
    matches!(state, RunState::Draining { .. } | RunState::Ended)
}

fn every(time: Duration) -> Interval {
    let time = time.max(Duration::from_millis(1));
    let mut every = interval_at(Instant::now() + time, time);
    // After the process was suspended, ticks keep their distance.
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A simulated run, and the messages that the service manager receives, each with its second.
    struct Played {
        state: watch::Sender<(RunState, Instant)>,
        stuck: Arc<Mutex<Option<StuckTask>>>,
        text: Arc<Mutex<String>>,
        heard: Arc<Mutex<Vec<(u64, String)>>>,
        _goes_on: oneshot::Sender<()>,
    }

    const WATCHDOG: Duration = Duration::from_secs(60);

    impl Played {
        /// Starts a run, whose messages the future sends.
        fn start() -> (Self, impl Future<Output = ()>) {
            let start = Instant::now();
            let (state, seen) = watch::channel((RunState::Starting, start));
            let (goes_on, end) = oneshot::channel();
            let played = Self {
                state,
                stuck: Arc::default(),
                text: Arc::new(Mutex::new("Starting.".to_owned())),
                heard: Arc::default(),
                _goes_on: goes_on,
            };
            let (stuck, text, heard) = (played.stuck.clone(), played.text.clone(), played.heard.clone());
            let watched = Watched {
                state: seen,
                look: Box::new(move || *stuck.lock().unwrap()),
                text: Box::new(move || text.lock().unwrap().clone()),
            };
            let send = move |messages: &[NotifyState<'_>]| {
                let text = messages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                heard.lock().unwrap().push((start.elapsed().as_secs(), text));
            };
            (played, Speaker::new(watched, send).speak(Some(WATCHDOG), end))
        }

        fn enter(&self, state: RunState) {
            self.state.send_replace((state, Instant::now()));
        }

        fn is_stuck(&self, name: Option<&'static str>) {
            *self.stuck.lock().unwrap() = name.map(|name| StuckTask { name, at_least: Duration::from_secs(20) });
        }

        /// Lets this many seconds pass; returns the messages of that time.
        async fn pass(&self, seconds: u64) -> Vec<(u64, String)> {
            tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(1)).await;
            std::mem::take(&mut *self.heard.lock().unwrap())
        }
    }

    /// Plays a run to its end; returns the last messages.
    async fn play<F: Future<Output = ()>>(script: impl FnOnce(Played) -> F) -> Vec<(u64, String)> {
        let (played, speaks) = Played::start();
        let heard = Arc::clone(&played.heard);
        tokio::join!(speaks, script(played));
        std::mem::take(&mut *heard.lock().unwrap())
    }

    fn texts(heard: &[(u64, String)]) -> Vec<(u64, &str)> {
        heard.iter().map(|(second, text)| (*second, text.as_str())).collect()
    }

    const EXTEND: &str = "EXTEND_TIMEOUT_USEC=30000000";

    #[tokio::test(start_paused = true)]
    async fn a_service_manager_is_told_of_state_changes_at_once_and_of_the_status_text_when_it_changes() {
        let last = play(async |played: Played| {
            let starting = format!("{EXTEND} STATUS=Starting.");
            assert_eq!(texts(&played.pass(11).await), [(0, &*starting), (5, EXTEND), (10, EXTEND)]);
            *played.text.lock().unwrap() = "Running.".to_owned();
            played.enter(RunState::Running);
            assert_eq!(texts(&played.pass(3).await), [(11, "READY=1 STATUS=Running.")]);
            *played.text.lock().unwrap() = "Running: 7 done.".to_owned();
            assert_eq!(texts(&played.pass(14).await), [(15, "STATUS=Running: 7 done.")]);
            assert_eq!(texts(&played.pass(3).await), [(30, "WATCHDOG=1")]);
            played.enter(RunState::Draining { until: None });
            let stopping = format!("STOPPING=1 {EXTEND}");
            assert_eq!(texts(&played.pass(1).await), [(31, &*stopping)]);
            played.enter(RunState::Ended);
        })
        .await;
        assert_eq!(texts(&last), [], "all has been said");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_task_stops_pings_and_extensions_until_it_goes_on() {
        for name in ["feed", "schedule", "work", "drain", "settle"] {
            play(async |played: Played| {
                for state in [RunState::Running, RunState::Draining { until: None }] {
                    played.enter(state);
                    assert_eq!(pings(&played.pass(300).await), 10);
                    played.is_stuck(Some(name));
                    played.pass(5).await;
                    assert_eq!(texts(&played.pass(300).await), [], "{name}");
                    played.is_stuck(None);
                    assert!(pings(&played.pass(60).await) > 0, "{name}");
                }
            })
            .await;
        }
    }

    fn pings(heard: &[(u64, String)]) -> usize {
        heard.iter().filter(|(_, text)| text == "WATCHDOG=1").count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_waits_for_a_full_disk_has_pings_and_extensions_for_as_long_as_its_tasks_turn() {
        play(async |played: Played| {
            played.enter(RunState::Running);
            played.pass(1).await;
            played.enter(RunState::Draining { until: None });
            let heard = played.pass(90).await;
            assert_eq!(pings(&heard), 3, "{heard:#?}");
            let extended: Vec<u64> =
                heard.iter().filter(|(_, text)| text.contains(EXTEND)).map(|(second, _)| *second).collect();
            assert!(extended.windows(2).all(|two| two[1] - two[0] < EXTENSION.as_secs()), "{extended:?}");
            assert!(extended.len() >= 18);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_never_took_lines_is_never_ready_and_stops() {
        let last = play(async |played: Played| {
            played.pass(1).await;
        })
        .await;
        assert_eq!(texts(&last), [(1, EXTEND), (1, "STOPPING=1")]);
    }
}
