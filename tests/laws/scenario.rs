//! A scenario is played, and becomes a report.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fetchd::error::Error;
use fetchd::item::{ErrorKind, Identity, Outcome, Revalidation};
use fetchd::pipeline::{Control, Desk, End, FailFast, FirstHost, Order, Parts, Settings, Status, run};
use fetchd::schedule::{self, Overrides, ReleaseScope, TokenRule, TokenSettings};
use fetchd::sink::Sink;
use futures::stream::{self, Stream, StreamExt};
use http::header::AUTHORIZATION;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::log::{Entry, Event, Ledger, Log};
use crate::parts::{Exchanges, FakeHosts, FakeSettle, FakeSink, FakeTokens, Network, source};
use crate::script::{Settling, SinkBehaviour, SourceScript, secs};
use crate::verbs::{Verb, operate};

/// Longer than anything a scenario may take: a run that is not over by then is stuck.
const STUCK: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Debug)]
pub struct Scenario {
    pub sources: Vec<SourceScript>,
    pub sinks: Vec<SinkBehaviour>,
    /// When signals come.
    pub interrupts: Vec<Duration>,
    /// When all outputs are to rotate.
    pub rotations: Vec<Duration>,
    /// When lines are released, and which: sources that keep something take them back.
    pub releases: Vec<(Duration, ReleaseScope)>,
    /// When the file of the token has another content.
    pub renewals: Vec<Duration>,
    /// What an operator does, and when.
    pub verbs: Vec<(Duration, Verb)>,
    /// What operators had changed before.
    pub overrides: Overrides,
    pub settings: Settings,
}

/// How a run ended, and what the parts saw of it.
#[derive(Debug)]
pub struct Report {
    pub end: Result<End, Error>,
    pub took: Duration,
    pub status: Status,
    pub events: Vec<(Duration, Event)>,
    pub most_memory: u64,
    pub memory_left: u64,
    durable: BTreeSet<String>,
}

/// Settings with room for everything and short limits.
pub fn settings() -> Settings {
    Settings {
        queue: 8,
        window: 64,
        window_bytes: 1 << 20,
        workers: 8,
        concurrency: 8,
        body_memory: 64 << 20,
        largest_body: 1 << 20,
        revalidation: Revalidation::Off,
        first_host: FirstHost::Unneeded,
        order: Order::Completion,
        fail_fast: FailFast::No,
        grace: secs(30),
        schedule: schedule::Settings {
            timeout: secs(5),
            deadline: secs(600),
            largest_body: 1 << 20,
            ..schedule::Settings::default()
        },
    }
}

impl Scenario {
    pub fn of(sources: impl IntoIterator<Item = SourceScript>) -> Self {
        Self {
            sources: sources.into_iter().collect(),
            sinks: vec![SinkBehaviour::Prompt],
            interrupts: Vec::new(),
            rotations: Vec::new(),
            releases: Vec::new(),
            renewals: Vec::new(),
            verbs: Vec::new(),
            overrides: Overrides::default(),
            settings: settings(),
        }
    }

    pub fn sinks(self, sinks: impl IntoIterator<Item = SinkBehaviour>) -> Self {
        Self { sinks: sinks.into_iter().collect(), ..self }
    }

    pub fn interrupts(self, at: impl IntoIterator<Item = Duration>) -> Self {
        Self { interrupts: at.into_iter().collect(), ..self }
    }

    pub fn releases(self, releases: impl IntoIterator<Item = (Duration, ReleaseScope)>) -> Self {
        Self { releases: releases.into_iter().collect(), ..self }
    }

    /// Requests carry a token, of which there is another at each of these times; a 401 asks for it.
    pub fn tokens(mut self, renewals: impl IntoIterator<Item = Duration>) -> Self {
        self.renewals = renewals.into_iter().collect();
        let rule = TokenRule { refresh_on: Some(vec![401]), headers: vec![(AUTHORIZATION, vec![0])] };
        let rules = [("*".parse().unwrap(), rule)].into_iter().collect();
        self.settings(|settings| settings.schedule.tokens = TokenSettings { rules, files: vec!["token".to_owned()] })
    }

    pub fn verbs(self, verbs: impl IntoIterator<Item = (Duration, Verb)>) -> Self {
        Self { verbs: verbs.into_iter().collect(), ..self }
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub async fn execute(&self) -> Report {
        self.run_for(STUCK).await.expect("the run is stuck")
    }

    /// Runs the scenario and stops watching after `time`; `Err` is what was seen until then.
    pub async fn run_for(&self, time: Duration) -> Result<Report, Log> {
        let (log, memory, status) = (Log::start(), Ledger::default(), Status::default());
        let interrupts = self.signals(&log, &status);
        let start = Instant::now();
        let (requests, releases) = mpsc::channel(1);
        let (desk, questions) = Desk::open();
        let parts = Parts { releases: Some(releases), questions: Some(questions), ..self.parts(&log, &memory) };
        let fetch = Arc::clone(&parts.fetch);
        let run = run(parts, &self.settings, &status, interrupts);
        let run = async {
            tokio::select! {
                biased;
                end = run => end,
                never = self.request_releases(requests) => match never {},
                never = operate(&self.verbs, desk, fetch, &log) => match never {},
            }
        };
        let Ok(end) = timeout(time, run).await else { return Err(log) };
        Ok(Report {
            end,
            took: start.elapsed(),
            status,
            events: log.events(),
            most_memory: memory.most(),
            memory_left: memory.now(),
            durable: self.durable(),
        })
    }

    pub fn parts(&self, log: &Log, memory: &Ledger) -> Parts {
        let exchanges = Exchanges::default();
        let tokens = Arc::new(FakeTokens::new(self.renewals.clone()));
        let sources = self.sources.iter().enumerate();
        let sink = |(number, behaviour): (usize, &SinkBehaviour)| {
            Box::new(FakeSink { number, behaviour: *behaviour, written: 0, log: log.clone() }) as Box<dyn Sink>
        };
        Parts {
            threads: None,
            releases: None,
            questions: None,
            overrides: self.overrides.clone(),
            shippers: Vec::new(),
            sources: sources.map(|(n, script)| source(&name(n), script.clone(), &exchanges, log)).collect(),
            sinks: self.sinks.iter().enumerate().map(sink).collect(),
            fetch: Arc::new(Network {
                exchanges,
                tokens: Arc::clone(&tokens),
                memory: memory.clone(),
                log: log.clone(),
            }),
            settle: Some(Box::new(FakeSettle {
                settlings: self.sources.iter().map(|script| script.settling).collect(),
                log: log.clone(),
            })),
            tokens: Some(tokens),
            hosts: Some(Box::new(FakeHosts(log.clone()))),
        }
    }

    async fn request_releases(&self, requests: mpsc::Sender<ReleaseScope>) -> Infallible {
        let start = Instant::now();
        for (at, scope) in &self.releases {
            sleep_until(start + *at).await;
            if requests.send(*scope).await.is_err() {
                break;
            }
        }
        drop(requests);
        pending().await
    }

    fn signals(&self, log: &Log, status: &Status) -> impl Stream<Item = Control> + use<> {
        let (start, log, status) = (Instant::now(), log.clone(), status.clone());
        let rotations = stream::iter(self.rotations.clone()).then(move |at| async move {
            sleep_until(start + at).await;
            Control::Rotate
        });
        let signals = stream::iter(self.interrupts.clone()).enumerate().then(move |(n, at)| {
            let (log, status) = (log.clone(), status.clone());
            async move {
                sleep_until(start + at).await;
                log.note(Event::Interrupted { accepted: status.counters().accepted.get() });
                if n == 0 { Control::Stop } else { Control::Abort }
            }
        });
        stream::select(rotations, signals)
    }

    fn durable(&self) -> BTreeSet<String> {
        let sources = self.sources.iter().enumerate();
        sources.filter(|(_, script)| script.settling != Settling::Absent).map(|(n, _)| name(n)).collect()
    }
}

fn name(number: usize) -> String {
    format!("s{number}")
}

impl Report {
    /// Every line that a source handed out, in that order.
    pub fn yielded(&self) -> Vec<Identity> {
        self.select(|event| match event {
            Event::Yielded(id, _) => Some(id.clone()),
            _ => None,
        })
    }

    /// The lines that were accepted, in that order: the feed takes them as they are yielded, until it stops.
    pub fn accepted(&self) -> Vec<Identity> {
        let mut lines = self.yielded();
        lines.truncate(self.accepted_count());
        lines
    }

    /// What one sink took, in that order.
    pub fn written_to(&self, number: usize) -> Vec<Entry> {
        self.select(|event| match event {
            Event::Written { sink, entry } if *sink == number => Some(entry.clone()),
            _ => None,
        })
    }

    /// What the first sink took.
    pub fn records(&self) -> Vec<Entry> {
        self.written_to(0)
    }

    /// The record of the only line.
    #[track_caller]
    pub fn only_record(&self) -> Entry {
        let records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].clone()
    }

    pub fn outcomes(&self) -> BTreeMap<Identity, (Outcome, Option<ErrorKind>, u32)> {
        let records = self.records().into_iter();
        records.map(|entry| (entry.id, (entry.outcome, entry.kind, entry.attempts))).collect()
    }

    pub fn settled(&self) -> Vec<Identity> {
        self.select(|event| match event {
            Event::Settled(id) => Some(id.clone()),
            _ => None,
        })
    }

    /// The lines that sources took back.
    pub fn released(&self) -> Vec<Identity> {
        self.select(|event| match event {
            Event::Released(id) => Some(id.clone()),
            _ => None,
        })
    }

    /// How many attempts began for a line, those included that did not get their memory.
    pub fn times_asked(&self, line: &Identity) -> usize {
        let asked = |event: &Event| matches!(event, Event::Asked(id) if id == line);
        self.events.iter().filter(|(_, event)| asked(event)).count()
    }

    /// Whether a signal came.
    pub fn was_interrupted(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Interrupted { .. }))
    }

    /// Whether the line's source wants to know what is done.
    pub fn is_durable(&self, id: &Identity) -> bool {
        id.source.as_deref().is_some_and(|source| self.durable.contains(source))
    }

    pub fn accepted_count(&self) -> usize {
        usize::try_from(self.status.counters().accepted.get()).unwrap()
    }

    fn select<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.events.iter().filter_map(|(_, event)| pick(event)).collect()
    }
}

/// Runs on a runtime of its own whose clock moves only while everybody waits.
pub fn on_paused_time<T>(exchange: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(exchange)
}
