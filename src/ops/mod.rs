//! The API for watching and controlling a run: HTTP on a Unix socket, and metrics on a loopback port.
//!
//! The API has a thread and a runtime of its own, which start before the run opens anything and end last, so that it
//! answers in every state of the run. It reads the status that the stages publish (`pipeline::Status`), and passes
//! verbs to an [`Operator`]. All resources that clients use are bounded: connections, times, bodies, responses,
//! requests a second, CPU time.

mod admission;
mod answer;
mod causes;
mod config;
mod connection;
mod ends;
mod events;
mod failures;
mod fields;
mod health;
mod history;
mod host_counts;
mod host_name;
mod hosts;
mod late_desk;
mod limits;
mod line_names;
mod listener;
mod live;
mod metrics;
mod moment;
mod operator;
mod overrides;
mod parts;
mod requests;
mod router;
mod server;
mod service_manager;
mod state;
mod status;
mod throttle;
mod verbs;
mod watch;
mod why;
mod write_timeout;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub use config::ApiConfig;
pub use late_desk::LateDesk;
pub use live::LiveRecords;
pub use operator::{Lasting, LimitsChange, Operator, Refusal, Reloading, Reply, Unfinished, Verb, Whom};
pub use parts::{ApiParts, ConfigInForce, LastReload, ReloadResult};
pub use requests::{ApiRequestCount, ApiRequests};
pub use service_manager::{ServiceManager, Watched};

use self::admission::Pace;
use self::config::SPARE_CONNECTIONS;
use self::connection::Door;
use self::events::Changes;
use self::history::Sample;
use self::state::ApiState;
use self::throttle::Throttled;
use crate::error::{BoxError, Error};
use crate::listener::{Bound, Listener};
use crate::pipeline::HealthWatch;

/// How long dropping the API waits for the last responses.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The API of a run; dropping it ends the API.
#[must_use]
pub struct Api {
    stop: CancellationToken,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

impl Api {
    /// Opens the listeners, and starts the thread that serves them.
    ///
    /// # Errors
    /// [`Error::Open`] if the socket, the port or the thread cannot be created.
    pub fn start(config: &ApiConfig, parts: ApiParts) -> Result<Self, Error> {
        let opened = |error: BoxError| Error::Open { what: "cannot open the API".to_owned(), source: error };
        let mut bound = Vec::new();
        if let Some(path) = &config.socket {
            bound.push(listener::socket(path, config.socket_group.as_deref()).map_err(opened)?);
        }
        if let Some(address) = config.metrics_address().map_err(|message| opened(message.into()))? {
            bound.push(listener::port(address).map_err(opened)?);
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| opened(error.into()))?;
        let stop = CancellationToken::new();
        let state = Arc::new(ApiState::new(parts, stop.clone()));
        let (ending, ended) = sync_channel(1);
        let run = move || serve(&runtime, bound, state, ending);
        std::thread::Builder::new().name("api".to_owned()).spawn(run).map_err(|error| opened(error.into()))?;
        Ok(Self { stop, ended })
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.cancel();
        // Bounded, because a client may not read its last response.
        let _ = self.ended.recv_timeout(LAST_ANSWERS);
    }
}

/// Runs the API's thread.
#[expect(clippy::needless_pass_by_value, reason = "it is dropped when the thread ends")]
fn serve(runtime: &Runtime, bound: Vec<Bound>, state: Arc<ApiState>, _ending: SyncSender<()>) {
    let served = runtime.block_on(async {
        let listeners = bound.into_iter().map(|bound| listen(bound, &state)).collect::<std::io::Result<Vec<_>>>()?;
        tokio::join!(join_all(listeners), look_on(&state));
        std::io::Result::Ok(())
    });
    if let Err(error) = served {
        tracing::error!(%error, "the API cannot be served; the run goes on without it");
    }
}

/// Serves one listener.
fn listen(bound: Bound, state: &Arc<ApiState>) -> std::io::Result<Throttled> {
    let (router, spare) = match &bound {
        Bound::Socket(..) => (router::all(Arc::clone(state)), SPARE_CONNECTIONS),
        Bound::Tcp(_) => (router::metrics_only(Arc::clone(state)), 0),
    };
    let door = Door { router, pace: Pace::new(), requests: state.parts.requests.clone() };
    Ok(Throttled::new(server::accept(Listener::new(bound)?, door, spare, state.stop.clone()).boxed()))
}

/// Runs [`look`], and starts it again after a panic, which is counted.
async fn look_on(state: &ApiState) {
    while AssertUnwindSafe(look(state)).catch_unwind().await.is_err() {
        state.parts.requests.count_panic();
        sleep(Duration::from_secs(1)).await;
    }
}

/// Takes samples, checks the heartbeats and adds events for changes, until the API ends.
async fn look(state: &ApiState) {
    const EVERY: Duration = Duration::from_secs(1);
    let (mut every, mut changes) = (interval(EVERY), Changes::default());
    let mut looked = Instant::now();
    let mut lifecycle = state.parts.status.lifecycle().subscribe();
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    state.health.look();
    loop {
        tokio::select! {
            () = state.stop.cancelled() => return,
            // Never closed: the status holds the sender.
            _ = lifecycle.changed() => {
                changes.look(state);
                continue;
            }
            _ = every.tick() => {}
        }
        let now = Instant::now();
        state.history().take(Sample::of(&state.parts.status), now);
        if now - looked >= HealthWatch::LOOK_EVERY {
            looked = now;
            state.health.look();
        }
        changes.look(state);
    }
}
