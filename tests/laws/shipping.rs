//! Sinks that ship: what becomes of records while their remote place is down, slow or healed, and how runs with them end.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetchd::error::{BoxError, Error};
use fetchd::item::Record;
use fetchd::pipeline::{Control, End, FailFast, Parts, Settings, Status, run};
use fetchd::ship::{Backlog, Deliver, Delivery, Lag, Message, Settled, Shipper, Staged, Writing};
use fetchd::sink::Sink;
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use proptest::prelude::*;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::any;
use crate::log::{Ledger, Log};
use crate::scenario::{Scenario, on_paused_time};
use crate::script::{SourceEnd, SourceScript, ms, ok, secs, status};

/// Bytes that each segment counts.
const SEGMENT: u64 = 100;

/// How the remote place takes messages.
#[derive(Clone, Copy, Debug)]
enum Remote {
    /// Each at once, from this time on; before that it fails.
    UpFrom(Duration),
    /// Each after so long.
    Slow(Duration),
    /// It answers nothing.
    Hangs,
    Panics,
}

/// A run with a sink that ships: each batch is a segment.
#[derive(Clone, Debug)]
struct Shipping {
    scenario: Scenario,
    remote: Remote,
    /// Segments that may wait.
    room: u64,
}

/// What was seen of it.
#[derive(Debug)]
struct Seen {
    end: Result<End, Error>,
    took: Duration,
    status: Status,
    /// Messages in the order in which they arrived, and those that were written.
    arrived: Vec<String>,
    written: Vec<String>,
    left: Lag,
}

impl Shipping {
    fn to(remote: Remote, source: SourceScript) -> Self {
        Self { scenario: Scenario::of([source]), remote, room: 1000 }
    }

    fn interrupts(mut self, at: impl IntoIterator<Item = Duration>) -> Self {
        self.scenario = self.scenario.interrupts(at);
        self
    }

    fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.scenario = self.scenario.settings(change);
        self
    }

    fn run(&self) -> Seen {
        on_paused_time(self.watch())
    }

    async fn watch(&self) -> Seen {
        let (start, status) = (Instant::now(), Status::default());
        let backlog = Backlog::new("hook".into(), self.room * SEGMENT);
        let store = Arc::new(Store::default());
        let parts = self.parts(&backlog, &store, start);
        let interrupts = self.scenario.interrupts.clone();
        let controls = stream::iter(interrupts).enumerate().then(move |(n, at)| async move {
            sleep_until(start + at).await;
            if n == 0 { Control::Stop } else { Control::Abort }
        });
        let controls = controls.chain(stream::pending());
        let run = run(parts, &self.scenario.settings, &status, controls);
        let end = timeout(secs(7 * 24 * 3600), run).await.expect("the run is stuck");
        let (arrived, written) = (store.arrived.lock().unwrap().clone(), store.written.lock().unwrap().clone());
        Seen { end, took: start.elapsed(), status, arrived, written, left: backlog.lag() }
    }

    fn parts(&self, backlog: &Backlog, store: &Arc<Store>, start: Instant) -> Parts {
        let sink = Staging { store: Arc::clone(store), writing: backlog.begin(Lag::default()) };
        let deliver = Door { remote: self.remote, store: Arc::clone(store), start };
        let shipper = Shipper::new(backlog.clone(), Box::new(Waiting(Arc::clone(store))), Box::new(deliver));
        let parts = self.scenario.parts(&Log::start(), &Ledger::default());
        Parts { sinks: vec![Box::new(sink)], shippers: vec![shipper], ..parts }
    }
}

#[derive(Default)]
struct Store {
    waiting: Mutex<VecDeque<Message>>,
    written: Mutex<Vec<String>>,
    arrived: Mutex<Vec<String>>,
}

struct Staging {
    store: Arc<Store>,
    writing: Writing,
}

impl Sink for Staging {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            self.writing.room().await;
            let id = format!("{:?}", batch.iter().map(|record| &record.id).collect::<Vec<_>>());
            let message = Message { id: id.clone(), records: batch.len() as u64, text: id.clone().into() };
            self.store.waiting.lock().unwrap().push_back(message);
            self.store.written.lock().unwrap().push(id);
            self.writing.add(SEGMENT);
            Ok(())
        }
        .boxed()
    }
}

struct Waiting(Arc<Store>);

impl Staged for Waiting {
    fn first(&mut self) -> BoxFuture<'_, io::Result<Option<Message>>> {
        ready(Ok(self.0.waiting.lock().unwrap().front().cloned())).boxed()
    }

    fn settle(&mut self, settled: Settled) -> BoxFuture<'_, io::Result<Option<u64>>> {
        assert_eq!(settled, Settled::Arrived);
        self.0.waiting.lock().unwrap().pop_front();
        ready(Ok(Some(SEGMENT))).boxed()
    }
}

struct Door {
    remote: Remote,
    store: Arc<Store>,
    start: Instant,
}

impl Deliver for Door {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery> {
        async move {
            match self.remote {
                Remote::UpFrom(at) if self.start.elapsed() < at => {
                    return Delivery::Failed { reason: "down".to_owned(), retry_after: None };
                }
                Remote::UpFrom(_) => {}
                Remote::Slow(time) => sleep(time).await,
                Remote::Hangs => std::future::pending().await,
                Remote::Panics => panic!("on purpose"),
            }
            self.store.arrived.lock().unwrap().push(message.id.clone());
            Delivery::Arrived
        }
        .boxed()
    }
}

fn lines(count: usize) -> SourceScript {
    SourceScript::of((0..count).map(|_| ok(ms(10)).get()))
}

/// Lines that come without end, one each 100 ms.
fn endless() -> SourceScript {
    lines(1).every(ms(100)).ending(SourceEnd::Repeats)
}

#[test]
fn after_the_end_of_the_input_what_is_left_is_shipped_for_as_long_as_it_takes() {
    let seen = Shipping::to(Remote::UpFrom(secs(3600)), lines(20)).run();
    assert_eq!((seen.end.ok(), seen.left), (Some(End::Finished), Lag::default()));
    assert_eq!(seen.arrived, seen.written);
    assert!(seen.took >= secs(3600) && seen.took < secs(3600 + 61), "it took {:?}", seen.took);
}

#[test]
fn a_remote_place_that_is_down_costs_no_fetching_time() {
    let seen = Shipping::to(Remote::Hangs, endless()).interrupts([secs(10)]).run();
    let recorded = seen.status.counters().recorded.get();
    assert!(recorded >= 95, "{recorded} records in 10 s");
}

#[test]
fn after_a_signal_shippers_have_what_is_left_of_the_grace_period() {
    for remote in [Remote::Hangs, Remote::UpFrom(secs(1000))] {
        let seen = Shipping::to(remote, endless()).interrupts([secs(1)]).run();
        assert_eq!((seen.end.ok(), seen.took), (Some(End::Unshipped), secs(31)), "{remote:?}");
        assert_eq!(seen.left.segments, seen.written.len() as u64);
    }
    let seen = Shipping::to(Remote::UpFrom(secs(5)), endless()).interrupts([secs(1)]).run();
    assert_eq!((seen.end.ok(), seen.left), (Some(End::Finished), Lag::default()));
    assert_eq!(seen.arrived, seen.written);
}

#[test]
fn a_signal_that_finds_all_lines_recorded_begins_the_grace_period_of_the_shippers() {
    let seen = Shipping::to(Remote::Hangs, lines(5)).interrupts([secs(100)]).run();
    assert_eq!((seen.end.ok(), seen.took), (Some(End::Unshipped), secs(130)));
}

#[test]
fn the_second_signal_ends_a_run_that_ships() {
    for source in [lines(5), endless()] {
        let seen = Shipping::to(Remote::Hangs, source).interrupts([secs(100), secs(101)]).run();
        assert!(matches!(seen.end, Err(Error::Interrupted { unfinished: 0 })), "{:?}", seen.end);
        assert_eq!(seen.took, secs(101));
    }
}

#[test]
fn a_backlog_that_is_full_makes_the_run_wait_and_fails_no_line() {
    let shipping = Shipping { room: 3, ..Shipping::to(Remote::UpFrom(secs(2000)), lines(500)) };
    let seen = shipping.clone().settings(|settings| settings.window = 16).run();
    assert_eq!((seen.end.ok(), seen.status.counters().recorded.get()), (Some(End::Finished), 500));
    assert_eq!((seen.status.metrics().not_ok.get(), seen.arrived), (0, seen.written));
    let held = shipping.interrupts([secs(1000)]).settings(|settings| settings.window = 16).run();
    assert!(held.status.counters().accepted.get() < 100, "the producer waits");
}

#[test]
fn a_full_backlog_does_not_keep_a_run_that_stops_from_writing_its_records() {
    let shipping = Shipping { room: 1, ..Shipping::to(Remote::Hangs, endless()) };
    let seen = shipping.interrupts([secs(10)]).run();
    assert_eq!((seen.end.ok(), seen.status.counters().unfinished()), (Some(End::Unshipped), 0));
    assert_eq!(seen.took, secs(40));
}

#[test]
fn with_fail_fast_shippers_have_the_second_of_the_last_records() {
    let source = SourceScript::of([ok(ms(10)).get(), status(404).get()]).ending(SourceEnd::StaysOpen);
    let seen = Shipping::to(Remote::Hangs, source).settings(|settings| settings.fail_fast = FailFast::Yes).run();
    assert_eq!(seen.end.ok(), Some(End::FailedFast));
    assert!(seen.took <= ms(1020), "it took {:?}", seen.took);
}

#[test]
fn a_run_that_is_given_up_ships_no_longer_than_its_last_records_take() {
    let source = SourceScript::of([ok(ms(10)).get(), ok(secs(1000)).get()]);
    let shipping = Shipping::to(Remote::Hangs, source).interrupts([secs(1)]);
    let seen = shipping.settings(|settings| settings.schedule.timeout = secs(3600)).run();
    assert_eq!((seen.end.ok(), seen.took), (Some(End::GaveUp), secs(32)));
}

#[test]
fn a_shipper_that_panics_ends_the_run_with_its_name() {
    for source in [lines(1), endless()] {
        let seen = Shipping::to(Remote::Panics, source).run();
        assert_eq!(seen.end.unwrap_err().to_string(), "the stage `ship` panicked: on purpose");
    }
}

fn any_remote() -> impl Strategy<Value = Remote> {
    prop_oneof![
        any::up_to(secs(120)).prop_map(Remote::UpFrom),
        any::up_to(secs(3)).prop_map(Remote::Slow),
        Just(Remote::Hangs)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_was_written_arrives_in_its_order_or_is_left(
        scenario in any::scenario(), remote in any_remote(), room in 1..20_u64, at in any::up_to(secs(20))
    ) {
        let grace = scenario.settings.grace;
        let seen = Shipping { scenario: scenario.interrupts([at]), remote, room }.run();
        prop_assert!(seen.written.starts_with(&seen.arrived));
        if seen.end.is_ok() {
            prop_assert_eq!(seen.left.segments as usize, seen.written.len() - seen.arrived.len());
        }
        prop_assert!(seen.end.is_err() || seen.took <= at + grace + secs(1) + ms(1), "it took {:?}", seen.took);
        if seen.end.as_ref().is_ok_and(|end| *end == End::Finished) {
            prop_assert_eq!(seen.left, Lag::default());
        }
    }
}
