//! A run whose network answers at once: everything that a line costs besides the client.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fetchd::error::BoxError;
use fetchd::fetch::Fetch;
use fetchd::item::{
    Attempt, Body, Call, Head, Identity, Input, Line, Record, Reservation, Response, Revalidation, Text,
};
use fetchd::pipeline::{End, FailFast, FirstHost, Order, Parts, Settings, Status, run as pipeline};
use fetchd::schedule::{self, HostLimits};
use fetchd::sink::{self, Encoder, Sink, Style, Wanted};
use fetchd::source::{Durability, Source};
use fetchd::units::Concurrency;
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use http::StatusCode;

/// The default of `queue.window`.
pub const WINDOW: usize = 10_000;

/// Requests at once.
const CONCURRENCY: usize = 64;

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Lines, each with a URL of its own.
    pub lines: u64,
    /// Hosts, which take turns.
    pub hosts: u64,
    /// Lines that are accepted and not done, at most.
    pub window: usize,
}

/// Does it, in one thread.
pub fn run(load: Load) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let status = Status::default();
    let end = runtime.block_on(pipeline(parts(load), &settings(load), &status, stream::pending()));
    assert_eq!(end.expect("a run"), End::Finished);
    assert_eq!(status.counters().recorded.get(), load.lines);
}

fn parts(Load { lines, hosts, .. }: Load) -> Parts {
    let line = move |n| {
        let id = Identity { state_id: None, source: None, file: None, seq: n + 1, round: 0 };
        let text = Text::Whole(format!("http://h{}.test/item/{n}", n % hosts).into());
        Ok(Input::Line(Line { id, text, position: None }))
    };
    let style = Style {
        content: sink::Content { body: sink::BodyFormat::Auto, ..sink::Content::default() },
        epoch: jiff::Timestamp::UNIX_EPOCH,
    };
    let sink = Encoded { encoder: Encoder::new(style, Wanted::All, None), text: Vec::new() };
    Parts {
        sources: vec![Source::new(stream::iter((0..lines).map(line)).boxed(), Durability::Ephemeral)],
        fetch: Arc::new(Prompt(Bytes::from_static(b"{\"id\":1,\"name\":\"one\"}"))),
        sinks: vec![Box::new(sink)],
        settle: None,
        tokens: None,
        hosts: None,
        threads: None,
        releases: None,
        questions: None,
        overrides: Default::default(),
        shippers: Vec::new(),
    }
}

fn settings(load: Load) -> Settings {
    Settings {
        queue: 1024,
        window: load.window,
        window_bytes: 256 << 20,
        workers: CONCURRENCY,
        concurrency: CONCURRENCY,
        body_memory: 256 << 20,
        largest_body: 1 << 20,
        revalidation: Revalidation::Off,
        first_host: FirstHost::Unneeded,
        order: Order::Completion,
        fail_fast: FailFast::No,
        grace: Duration::from_secs(30),
        schedule: schedule::Settings {
            any_host: HostLimits { concurrency: Concurrency::Fixed(64), ..schedule::Settings::default().any_host },
            ..schedule::Settings::default()
        },
    }
}

/// A network in which every request is answered at once.
struct Prompt(Bytes);

impl Fetch for Prompt {
    fn attempt<'a>(&'a self, _call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt> {
        let body = Body { data: self.0.clone(), bytes: self.0.len() as u64, ..Body::default() };
        let head = Head {
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            content_type: Some("application/json".into()),
            content_length: Some(self.0.len() as u64),
            ttfb: Duration::from_micros(100),
            reservation: Some(reservation),
            ..Head::new(StatusCode::OK)
        };
        ready(Attempt::Response(Box::new(Response { head, body }))).boxed()
    }
}

/// A sink that makes text of records and keeps none of it.
struct Encoded {
    encoder: Encoder,
    text: Vec<u8>,
}

impl Sink for Encoded {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        self.text.clear();
        let encoded = batch.iter().try_for_each(|record| self.encoder.encode(record, &mut self.text));
        ready(encoded.map_err(Into::into)).boxed()
    }
}
