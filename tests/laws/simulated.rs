//! Whole runs against simulated hosts, each with a manner of its own, over a list that is sorted or shuffled.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetchd::error::BoxError;
use fetchd::fetch::Fetch;
use fetchd::hosts::HostPattern;
use fetchd::item::{
    Attempt, Body, Call, ErrorKind, Failure, Head, Identity, Input, Line, Quota, Record, Reservation, Response,
    RetryAfter, Sent, Text,
};
use fetchd::pipeline::{BottleneckTimes, Parts, Settings, Status, run};
use fetchd::schedule::{self, Eta, HostRule, RetryBudgetPolicy, RetryConfig, RetryPolicy, Tail};
use fetchd::sink::Sink;
use fetchd::source::{Durability, Extent, Source};
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use http::StatusCode;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use url::Url;

use crate::scenario::{on_paused_time, settings};

/// How a host treats requests.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Each takes so long, a tenth more or less.
    Serves(Duration),
    /// The same, but every so many-th is answered with 429 and a Retry-After of so long.
    Pauses { every: usize, rest: Duration, time: Duration },
    /// So many in each window, and each in so long; 429 for more.
    Limits { most: u64, window: Duration, time: Duration },
    /// No connection, after so long.
    IsDead(Duration),
    /// 503 in so long for the first request of each line.
    FailsOnce(Duration),
}

/// A host, and its limits in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub manner: Manner,
    pub lines: usize,
    pub rule: HostRule,
}

/// A host without limits of its own.
pub fn host(manner: Manner, lines: usize) -> Host {
    Host { manner, lines, rule: HostRule::default() }
}

impl Host {
    pub fn at_once(self, most: u32) -> Self {
        Self { rule: HostRule { concurrency: Some(fetchd::units::Concurrency::Fixed(most)), ..self.rule }, ..self }
    }

    pub fn every(self, interval: Duration) -> Self {
        Self { rule: HostRule { every: Some(interval), ..self.rule }, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    Sorted,
    Shuffled,
}

/// A run over a list of lines.
#[derive(Clone, Debug)]
pub struct Mix {
    pub hosts: Vec<Host>,
    pub order: ListOrder,
    pub seed: u64,
    pub settings: Settings,
}

/// What was seen of a run.
#[derive(Debug)]
pub struct Seen {
    pub took: Duration,
    /// What was said of its end, and when.
    pub etas: Vec<(Duration, Option<Eta>)>,
    /// What was said to be left when nothing but hosts that cannot be reached was waited for.
    pub tails: Vec<(Duration, Tail)>,
    pub bottlenecks: BottleneckTimes,
}

impl Mix {
    pub fn of(hosts: impl IntoIterator<Item = Host>, order: ListOrder) -> Self {
        let retry = RetryPolicy::from(&RetryConfig::default());
        let budget = RetryBudgetPolicy::new(None, Duration::ZERO);
        let schedule = schedule::Settings { retry, budget, host_budget: budget, ..schedule::Settings::default() };
        let settings = Settings { window: 1000, workers: 256, concurrency: 256, schedule, ..settings() };
        Self { hosts: hosts.into_iter().collect(), order, seed: 1, settings }
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The host of each line.
    fn list(&self) -> Vec<usize> {
        let of_host = |(number, host): (usize, &Host)| vec![number; host.lines];
        let mut list: Vec<usize> = self.hosts.iter().enumerate().flat_map(of_host).collect();
        if self.order == ListOrder::Shuffled {
            fastrand::Rng::with_seed(self.seed).shuffle(&mut list);
        }
        list
    }

    /// Runs it on paused time.
    pub fn run(&self) -> Seen {
        on_paused_time(self.watch())
    }

    /// The settings of a run whose last line is this.
    fn settings_of(&self, last: Option<&String>) -> Settings {
        let patterns = self.hosts.iter().enumerate().map(|(n, host)| (HostPattern::Name(name(n)), host.rule));
        let last_line = last.map(|text| text.parse().unwrap());
        let schedule = self.settings.schedule.clone();
        let schedule = schedule::Settings { hosts: patterns.collect(), last_line, ..schedule };
        Settings { schedule, ..self.settings.clone() }
    }

    async fn watch(&self) -> Seen {
        let texts: Vec<String> = self.list().iter().enumerate().map(|(n, host)| url_of(*host, n)).collect();
        let settings = self.settings_of(texts.last());
        let parts = Parts {
            sources: vec![source(texts)],
            fetch: Arc::new(Hosts::of(self)),
            sinks: vec![Box::new(Nowhere)],
            settle: None,
            tokens: None,
            hosts: None,
            threads: None,
            releases: None,
            questions: None,
            overrides: Default::default(),
            shippers: Vec::new(),
        };
        let (status, start) = (Status::default(), Instant::now());
        let mut ended = std::pin::pin!(run(parts, &settings, &status, stream::pending()));
        let mut tick = interval(Duration::from_millis(100));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut etas, mut tails) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                biased;
                end = &mut ended => {
                    end.unwrap();
                    break;
                }
                _ = tick.tick() => {
                    etas.push((start.elapsed(), status.view().eta()));
                    tails.extend(status.view().tail().map(|tail| (start.elapsed(), tail)));
                }
            }
        }
        let bottlenecks = status.view().bottleneck_times.clone();
        Seen { took: start.elapsed(), etas, tails, bottlenecks }
    }
}

pub fn name(host: usize) -> String {
    format!("h{host}.test")
}

fn url_of(host: usize, line: usize) -> String {
    format!("http://h{host}.test/{line:06}")
}

fn host_of(url: &Url) -> usize {
    url.host_str().and_then(|name| name.strip_prefix('h')?.strip_suffix(".test")?.parse().ok()).unwrap()
}

/// A list in a file.
fn source(texts: Vec<String>) -> Source {
    let bytes = texts.iter().map(|text| text.len() as u64 + 1).sum();
    let line = |(n, text): (usize, String)| {
        let id = Identity { state_id: None, source: None, file: None, seq: n as u64 + 1, round: 0 };
        Ok(Input::Line(Line { id, text: Text::Whole(text.into()), position: None }))
    };
    let lines = stream::iter(texts.into_iter().enumerate().map(line)).boxed();
    Source { extent: Some(Extent { bytes }), ..Source::new(lines, Durability::Ephemeral) }
}

/// The simulated hosts.
struct Hosts {
    manners: Vec<Manner>,
    state: Mutex<State>,
    start: Instant,
}

struct State {
    /// By host: requests so far, and those of the present window.
    requests: Vec<usize>,
    windows: Vec<(u128, u64)>,
    /// Paths that were asked for.
    lines: BTreeSet<String>,
    chance: fastrand::Rng,
}

impl Hosts {
    fn of(mix: &Mix) -> Self {
        let hosts = mix.hosts.len();
        let chance = fastrand::Rng::with_seed(mix.seed);
        let state = State { requests: vec![0; hosts], windows: vec![(0, 0); hosts], lines: BTreeSet::new(), chance };
        let manners = mix.hosts.iter().map(|host| host.manner).collect();
        Self { manners, state: Mutex::new(state), start: Instant::now() }
    }

    /// What a host answers now, and how long that takes.
    fn answer(&self, url: &Url) -> (Attempt, Duration) {
        let (host, line) = (host_of(url), url.path().to_owned());
        let mut state = self.state.lock().unwrap();
        state.requests[host] += 1;
        let vary = 0.9 + 0.2 * state.chance.f64();
        match self.manners[host] {
            Manner::Serves(time) => (whole(head(200)), time.mul_f64(vary)),
            Manner::Pauses { every, rest, .. } if state.requests[host].is_multiple_of(every) => {
                (whole(Head { retry_after: Some(RetryAfter(rest)), ..head(429) }), Duration::from_millis(1))
            }
            Manner::Pauses { time, .. } => (whole(head(200)), time.mul_f64(vary)),
            Manner::Limits { most, window, time } => {
                let now = self.start.elapsed();
                let number = now.as_nanos() / window.as_nanos();
                let (last, count) = &mut state.windows[host];
                if *last != number {
                    (*last, *count) = (number, 0);
                }
                *count += 1;
                let end = window * (u32::try_from(number).unwrap() + 1);
                let reset = Duration::from_secs_f64((end - now).as_secs_f64().ceil());
                let quota = Some(Quota { remaining: most.saturating_sub(*count), reset });
                let status = if *count > most { 429 } else { 200 };
                (whole(Head { quota, ..head(status) }), time.mul_f64(vary))
            }
            Manner::IsDead(after) => {
                (Attempt::Failed(Failure::new(ErrorKind::ConnectTimeout, "dead", Sent::Nothing)), after)
            }
            Manner::FailsOnce(time) => {
                let status = if state.lines.insert(line) { 503 } else { 200 };
                (whole(head(status)), time.mul_f64(vary))
            }
        }
    }
}

impl Fetch for Hosts {
    fn attempt<'a>(&'a self, call: &'a Call, _reservation: Reservation) -> BoxFuture<'a, Attempt> {
        let (attempt, time) = self.answer(&call.request.url);
        async move {
            sleep(time).await;
            attempt
        }
        .boxed()
    }
}

fn head(status: u16) -> Head {
    Head::new(StatusCode::from_u16(status).unwrap())
}

fn whole(head: Head) -> Attempt {
    Attempt::Response(Box::new(Response { head, body: Body::default() }))
}

struct Nowhere;

impl Sink for Nowhere {
    fn write<'a>(&'a mut self, _batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        ready(Ok(())).boxed()
    }
}
