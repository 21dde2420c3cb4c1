//! A stage that blocks its thread is found, and named, by whoever looks at the heartbeats; one that waits is not.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use fetchd::error::BoxError;
use fetchd::fetch::{Fetch, RefreshTokens};
use fetchd::item::{Attempt, Call, Receipt, Record, Refreshed, Reservation};
use fetchd::pipeline::{HealthWatch, Parts, RunState, Status, run};
use fetchd::schedule::HostState;
use fetchd::ship::{Backlog, Deliver, Delivery, Message, Settled, Shipper, Staged};
use fetchd::sink::Sink;
use fetchd::state::{HostStateStore, Settle};
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};

use crate::log::{Ledger, Log};
use crate::scenario::Scenario;
use crate::script::{Exchange, Reply, Said, Settling, SourceScript, ms, ok};

/// What a part blocks at, once: it says that it does, and goes on when it is told to.
#[derive(Clone)]
struct Gate(Arc<Mutex<Option<Lock>>>);

struct Lock {
    says: SyncSender<()>,
    goes_on: Receiver<()>,
}

/// The other side.
struct Keeper {
    blocked: Receiver<()>,
    go_on: SyncSender<()>,
}

fn gate() -> (Gate, Keeper) {
    let ((says, blocked), (go_on, goes_on)) = (sync_channel(1), sync_channel(1));
    (Gate(Arc::new(Mutex::new(Some(Lock { says, goes_on })))), Keeper { blocked, go_on })
}

impl Gate {
    fn pass(&self) {
        let once = self.0.lock().unwrap().take();
        if let Some(Lock { says, goes_on }) = once {
            says.send(()).unwrap();
            goes_on.recv().unwrap();
        }
    }
}

impl Sink for Gate {
    fn write<'a>(&'a mut self, _: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        self.pass();
        ready(Ok(())).boxed()
    }
}

impl Settle for Gate {
    fn settle(&mut self, _: &[Receipt]) -> Result<(), BoxError> {
        self.pass();
        Ok(())
    }

    fn commit(&mut self, _: Vec<fetchd::disk::Mark>) -> BoxFuture<'_, Result<(), BoxError>> {
        ready(Ok(())).boxed()
    }
}

impl HostStateStore for Gate {
    fn load(&mut self) -> Vec<HostState> {
        self.pass();
        Vec::new()
    }

    fn save(&mut self, _: &[HostState]) {}
}

impl RefreshTokens for Gate {
    fn refresh(&self, _: usize) -> BoxFuture<'_, Refreshed> {
        self.pass();
        ready(Refreshed::Same).boxed()
    }
}

impl Deliver for Gate {
    fn deliver<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Delivery> {
        self.pass();
        ready(Delivery::Arrived).boxed()
    }
}

/// One message, which is never settled.
struct OneMessage;

impl Staged for OneMessage {
    fn first(&mut self) -> BoxFuture<'_, io::Result<Option<Message>>> {
        ready(Ok(Some(Message { id: "1".to_owned(), records: 1, text: "{}\n".into() }))).boxed()
    }

    fn settle(&mut self, _: Settled) -> BoxFuture<'_, io::Result<Option<u64>>> {
        std::future::pending().boxed()
    }
}

struct BlockingFetch(Gate, Arc<dyn Fetch>);

impl Fetch for BlockingFetch {
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt> {
        self.0.pass();
        self.1.attempt(call, reservation)
    }
}

/// The part of each stage that is to block.
fn with_gate(stage: &str, gate: Gate, parts: Parts) -> Parts {
    let mut parts = parts;
    match stage {
        "feed" => {
            let lines = std::mem::replace(&mut parts.sources[0].lines, stream::pending().boxed());
            parts.sources[0].lines = lines.inspect(move |_| gate.pass()).boxed();
        }
        "source" => {
            let service = async move {
                gate.pass();
                std::future::pending().await
            };
            parts.sources[0].service = Some(service.boxed());
        }
        "schedule" => parts.hosts = Some(Box::new(gate)),
        "work" => parts.fetch = Arc::new(BlockingFetch(gate, Arc::clone(&parts.fetch))),
        "drain" => parts.sinks = vec![Box::new(gate)],
        "settle" => parts.settle = Some(Box::new(gate)),
        "tokens" => parts.tokens = Some(Arc::new(gate)),
        "ship" => {
            let backlog = Backlog::new("hook".into(), 1000);
            parts.shippers = vec![Shipper::new(backlog, Box::new(OneMessage), Box::new(gate))];
        }
        _ => unreachable!("{stage}"),
    }
    parts
}

/// A run that goes on until its end is no more waited for.
fn scenario() -> Scenario {
    let refused = Exchange::new([Reply::Token { good_from: 9, body: 1 }.after(ms(0))]).at(1).get();
    let lines: Vec<Said> = (0..3).map(|_| ok(ms(0)).get()).chain([refused]).collect();
    Scenario::of([SourceScript::of(lines).settling(Settling::Records)]).tokens([])
}

#[test]
fn each_stage_that_blocks_is_found_and_named_until_it_goes_on() {
    for stage in ["feed", "source", "schedule", "work", "drain", "settle", "tokens", "ship"] {
        let (gate, keeper) = gate();
        let (status, scenario) = (Status::watched(), scenario());
        let (seen, (end, ended)) = (status.clone(), tokio::sync::oneshot::channel::<()>());
        let thread = thread::spawn(move || {
            let parts = with_gate(stage, gate, scenario.parts(&Log::start(), &Ledger::default()));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let run = run(parts, &scenario.settings, &status, stream::pending());
                futures::future::select(Box::pin(run), ended).await;
            });
        });
        keeper.blocked.recv().unwrap();
        let mut watch = HealthWatch::new(seen.heartbeats().clone());
        let looks: Vec<_> = (0..6).map(|_| watch.look().map(|stuck| stuck.name)).collect();
        assert_eq!(looks, [None, None, None, None, Some(stage), Some(stage)]);
        assert_eq!(seen.lifecycle().state(), RunState::Running, "{stage}");
        keeper.go_on.send(()).unwrap();
        // It turns again, however long that takes.
        while watch.look().is_some() {
            thread::yield_now();
        }
        end.send(()).unwrap();
        thread.join().unwrap();
    }
}
