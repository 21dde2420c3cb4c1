//! Plays a script against the core, as the pipeline's task does, and writes down what can be seen from outside.
//!
//! Time moves only to the next scripted event or to the wake-up that the core asked for, whichever comes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fetchd::hosts::HostPattern;
use fetchd::item::{
    Connection, CredentialScope, Done, Echo, ErrorKind, Outcome, Purpose, Request, Sent, TokenGeneration, Window,
};
use fetchd::schedule::{
    Cause, CircuitChange, Core, Counts, HostLimits, HostRule, HostView, Job, LineAnswer, LineKey, Overrides,
    ReleaseScope, RobotsPolicy, Scanned, Settings, WaitReason,
};
use http::Method;

use crate::items::{host_of, ms, ticket, url_of};
use crate::script::{Exchange, HOSTS, Line, Picks, Reply, Script};
use crate::verbs::{Reload, Verb};

/// More than any script needs: a core that gets here asks to be woken for nothing, for ever.
const MOST_EVENTS: usize = 50_000;

#[derive(Clone, Debug)]
pub struct Event {
    pub at: Duration,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Pushed {
        ordinal: u64,
        host: usize,
    },
    Started {
        ordinal: u64,
        host: usize,
        method: Method,
        path: String,
    },
    Answered {
        ordinal: u64,
        host: usize,
        reply: Reply,
    },
    Settled(Settled),
    /// These lines are to be released.
    Releases(ReleaseScope),
    Released(u64),
    /// From now on these are all overrides.
    Overridden(Box<Overrides>),
    /// So many lines of a host that wait are skipped.
    Skips(usize),
    /// From now on these limits hold, for hosts and from one start of the run to the next.
    Reconfigured(Box<Reload>),
    /// A circuit opened or closed.
    Switched(CircuitChange),
    /// Durable sources get no more requests.
    Stopped,
    GaveUp,
    /// Nothing more can be done now.
    Rests(Rest),
}

#[derive(Clone, Debug)]
pub struct Settled {
    pub ordinal: u64,
    pub outcome: Outcome,
    pub kind: Option<ErrorKind>,
    pub status: Option<u16>,
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Rest {
    pub counts: Counts,
    pub hosts: usize,
    /// Window permits in use.
    pub in_window: usize,
    pub until: Until,
    /// Lines left for the next start so far.
    pub left: u64,
    /// Why the next line of each host waits.
    pub whys: [Option<WaitReason>; HOSTS],
    /// When it starts, if all that holds it ends by itself.
    pub starts: [Option<Duration>; HOSTS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The core's wake-up comes before anything scripted.
    Wakeup(Duration),
    Script(Duration),
    /// Nothing will ever happen again.
    End,
}

/// Plays the script to its end.
pub fn play(script: &Script) -> Vec<Event> {
    World::new(script).play()
}

struct World<'a> {
    script: &'a Script,
    core: Core,
    window: Window,
    now: Duration,
    arrivals: &'a [Line],
    stop: Option<Duration>,
    give_up: Option<Duration>,
    releases: &'a [(Duration, ReleaseScope)],
    renewals: &'a [Duration],
    verbs: &'a [(Duration, Verb)],
    /// What requests carry, if they carry any.
    token: TokenGeneration,
    /// Requests on the wire, by the end of their exchange.
    wire: BTreeMap<(Duration, u64), (Box<Job>, Exchange, TokenGeneration)>,
    /// How many exchanges each line has had.
    had: BTreeMap<u64, usize>,
    history: Vec<Event>,
}

impl<'a> World<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            core: Core::new(settings_of(script)),
            window: Window::new(script.lines.len(), script.lines.len()),
            now: Duration::ZERO,
            arrivals: &script.lines,
            stop: script.stop,
            give_up: script.give_up,
            releases: &script.releases,
            renewals: script.renewals.as_deref().unwrap_or_default(),
            verbs: &script.verbs,
            token: TokenGeneration::FIRST,
            wire: BTreeMap::new(),
            had: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    fn play(mut self) -> Vec<Event> {
        loop {
            self.end_exchanges();
            self.renew_tokens();
            self.obey();
            self.core.work(self.now);
            self.hand_out();
            self.push_lines();
            self.release_lines();
            self.stop_if_it_is_time();
            self.give_up_if_it_is_time();
            self.start_lines();
            match self.rest() {
                Until::Wakeup(at) | Until::Script(at) => self.now = at,
                Until::End => return self.history,
            }
        }
    }

    fn end_exchanges(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, ordinal), (job, exchange, token)) = entry.remove_entry();
            let host = host_of(&job.call.request.url);
            self.note(What::Answered { ordinal, host, reply: exchange.reply.clone() });
            let carries = self.script.renewals.is_some() && job.call.credential_scope == CredentialScope::OwnHost;
            let attempt = match job.call.purpose {
                Purpose::Line => exchange.reply.attempt_with(carries.then_some(token)),
                Purpose::RobotsTxt => exchange.reply.attempt_at_robots(),
            };
            self.core.complete(job, attempt, exchange.wire, self.now);
            self.hand_out();
        }
    }

    fn push_lines(&mut self) {
        while let Some((line, later)) = self.arrivals.split_first().filter(|(line, _)| line.at <= self.now) {
            self.arrivals = later;
            self.note(What::Pushed { ordinal: line.ordinal, host: line.host });
            self.core.push(job_of(line, &self.window), self.now);
            self.hand_out();
        }
    }

    fn renew_tokens(&mut self) {
        while let Some((_, later)) = self.renewals.split_first().filter(|(at, _)| **at <= self.now) {
            self.renewals = later;
            self.token = self.token.next();
            self.core.renew_token(0, self.token, self.now);
            self.hand_out();
        }
    }

    fn obey(&mut self) {
        while let Some(((_, verb), later)) = self.verbs.split_first().filter(|((at, _), _)| *at <= self.now) {
            self.verbs = later;
            match verb {
                Verb::Change(change) => {
                    let Ok(new) = self.core.overrides().apply(change.clone(), MOST_AT_ONCE, self.now) else { continue };
                    self.core.set_overrides(&new, self.now);
                    self.note(What::Overridden(Box::new(new)));
                }
                Verb::Skip(host) => {
                    let lines = self.core.skip(&name_of(*host), self.now);
                    self.note(What::Skips(lines));
                }
                Verb::Reload(reload) => {
                    self.core.reconfigure(settings_with(self.script, reload), self.now);
                    self.note(What::Reconfigured(Box::new(reload.clone())));
                }
            }
            self.hand_out();
        }
    }

    fn release_lines(&mut self) {
        while let Some(((_, scope), later)) = self.releases.split_first().filter(|((at, _), _)| *at <= self.now) {
            self.releases = later;
            self.note(What::Releases(*scope));
            self.core.release(*scope, self.now);
            while let Some(ticket) = self.core.take_released() {
                self.note(What::Released(ticket.release().id.seq - 1));
            }
            self.hand_out();
        }
    }

    fn stop_if_it_is_time(&mut self) {
        if self.stop.take_if(|at| *at <= self.now).is_some() {
            self.core.stop(self.now);
            self.note(What::Stopped);
            self.hand_out();
        }
    }

    /// Some workers hear of it while their response is on its way already.
    fn give_up_if_it_is_time(&mut self) {
        if self.give_up.take_if(|at| *at <= self.now).is_none() {
            return;
        }
        self.core.give_up(self.now);
        self.note(What::GaveUp);
        self.hand_out();
        for ((_, ordinal), (job, mut exchange, token)) in std::mem::take(&mut self.wire) {
            if ordinal % 2 == 0 {
                exchange.reply = Reply::Canceled;
            }
            self.wire.insert((self.now, ordinal), (job, exchange, token));
        }
        self.end_exchanges();
    }

    fn start_lines(&mut self) {
        while self.wire.len() < self.script.permits {
            let taken = match self.script.picks {
                Picks::InTurn => self.core.take(self.now),
                Picks::OldestFirst => self.core.take_oldest(self.now).or_else(|| self.core.take(self.now)),
            };
            self.hand_out();
            let Some(job) = taken else { return };
            let (ordinal, host) = (job.ticket.ordinal, host_of(&job.call.request.url));
            let path = job.call.request.url.path().to_owned();
            self.note(What::Started { ordinal, host, method: job.call.request.method.clone(), path });
            let exchange = self.exchange(&job);
            self.wire.insert((self.now + exchange.wire, ordinal), (job, exchange, self.token));
        }
    }

    /// What the script has for this request, within the time limit that every worker keeps.
    fn exchange(&mut self, job: &Job) -> Exchange {
        let ordinal = job.ticket.ordinal;
        let line = self.script.lines.iter().find(|line| line.ordinal == ordinal).expect("a line of the script");
        let had = self.had.entry(ordinal).or_default();
        let mut exchange =
            line.exchanges.get(*had).cloned().unwrap_or(Exchange { reply: Reply::Status(200), wire: ms(1) });
        *had += 1;
        // Memory for a POST is reserved in full before it starts.
        if exchange.reply == Reply::NoMemory && job.call.request.method == Method::POST {
            exchange.reply = Reply::Status(200);
        }
        // A new connection is not stale.
        if matches!(exchange.reply, Reply::Fails(_, Sent::Stale)) && job.call.connection == Connection::New {
            exchange.reply = Reply::Status(200);
        }
        if exchange.wire >= job.call.limits.timeout {
            exchange =
                Exchange { reply: Reply::Fails(ErrorKind::Timeout, Sent::Something), wire: job.call.limits.timeout };
        }
        exchange
    }

    fn rest(&mut self) -> Until {
        let until = self.next();
        if self.core.has_settled() {
            // Deadlines that pass while no permit is free show only now; and others may have waited for those lines.
            self.hand_out();
            return Until::Script(self.now);
        }
        if self.core.has_work() {
            return Until::Script(self.now);
        }
        self.check_views();
        self.check_causes();
        let rest = Rest {
            counts: self.core.counts(),
            hosts: self.core.hosts(),
            in_window: self.window.in_use(),
            until,
            left: self.core.left(),
            whys: std::array::from_fn(|host| self.core.why(&name_of(host), self.now)),
            starts: std::array::from_fn(|host| self.start_of(host)),
        };
        self.note(What::Rests(rest));
        until
    }

    /// What is shown of hosts and lines agrees with a scan of them.
    fn check_views(&self) {
        let listed: Vec<HostView> = self.core.hosts_by_waiting(self.now).collect();
        let scanned = (0..HOSTS).filter_map(|host| self.core.host(&format!("h{host}.test"), self.now));
        let awaits_operator = |host: &HostView| {
            let why = self.core.host_why(&host.name, self.now);
            let of_operator =
                |cause: &Cause| matches!(cause.reason, WaitReason::Paused { until: None } | WaitReason::Skipped);
            host.waiting > 0 && why.is_some_and(|why| why.causes.iter().any(of_operator))
        };
        let has_lines = |host: &HostView| host.waiting > 0 || host.in_flight > 0;
        let at_work = scanned.clone().filter(|host| has_lines(host) && !awaits_operator(host));
        let last = at_work.max_by_key(|host| host.backlog);
        let listed_last = self.core.last_host(self.now).map(|host| host.backlog);
        assert_eq!(last.is_some(), listed_last.is_some());
        // While the run is paused, the time that an open circuit leaves its lines stands still, and that of a Retry-After does not:
        // which of such hosts is done last is known once each has been indexed again.
        let has_no_verbs = self.script.verbs.is_empty();
        if let Some((last, listed)) = last.map(|host| host.backlog).zip(listed_last).filter(|_| has_no_verbs) {
            // An index has the sixteenths of a power of two, and what is below a millisecond is nothing.
            assert!(
                listed.mul_f64(1.07) + Duration::from_millis(1) >= last,
                "{listed:?} is said to be longer than {last:?}"
            );
        }
        let mut scanned: Vec<HostView> = scanned.filter(|host| host.waiting > 0).collect();
        scanned.sort_by_key(|host| Reverse((host.waiting, listed.iter().position(|other| other == host).map(Reverse))));
        assert_eq!(listed, scanned, "the index equals a scan");
        if let Some(host) = self.core.bottleneck(self.now).host {
            assert!(listed.iter().any(|listed| listed.name == host), "it has lines that wait");
        }
        let whys = self.script.lines.iter().map(|line| (line.ordinal, self.core.why_line(line.ordinal, self.now)));
        let whys: BTreeMap<u64, WaitReason> = whys.filter_map(|(ordinal, why)| Some((ordinal, why?))).collect();
        let is_on_wire = |why: &WaitReason| matches!(why, WaitReason::OnWire { .. });
        let on_wire: BTreeSet<u64> =
            whys.iter().filter(|(_, why)| is_on_wire(why)).map(|(ordinal, _)| *ordinal).collect();
        assert_eq!(on_wire, self.wire.keys().map(|(_, ordinal)| *ordinal).collect());
        let untracked = whys.values().filter(|why| **why == WaitReason::HostTable).count();
        let waiting: usize = listed.iter().map(|host| host.waiting).sum();
        assert_eq!(waiting, whys.len() - on_wire.len() - untracked);
        assert_eq!(self.core.oldest(self.now).map(|oldest| oldest.ordinal), whys.keys().next().copied());
    }

    /// When the next line of a host starts, if all that holds it ends by itself.
    fn start_of(&self, host: usize) -> Option<Duration> {
        let why = self.core.host_why(&name_of(host), self.now).filter(|why| why.waiting > 0)?;
        let left = why.causes.iter().map(|cause| cause.left).collect::<Option<Vec<_>>>()?;
        Some(self.now + left.into_iter().max().unwrap_or_default())
    }

    /// All causes of a line together say what the one does by which it starts.
    fn check_causes(&self) {
        for host in 0..HOSTS {
            let (why, all) = (self.core.why(&name_of(host), self.now), self.core.host_why(&name_of(host), self.now));
            if let Some((why, all)) = why.zip(all) {
                self.assert_agree(why, &all.causes);
            }
        }
        for line in &self.script.lines {
            let mut scan = self.core.look_for(LineKey::Ordinal(line.ordinal));
            let answer = loop {
                match self.core.scan_lines(&mut scan, self.now) {
                    Scanned::More(touched) => assert!(touched <= 512),
                    Scanned::Done(answer) => break answer,
                }
            };
            match (self.core.why_line(line.ordinal, self.now), answer) {
                (Some(WaitReason::OnWire { .. }), Some(LineAnswer::OnTheWire { .. })) | (None, None) => {}
                (Some(why), Some(LineAnswer::Waiting { causes, .. })) => self.assert_agree(why, &causes),
                (why, answer) => assert_eq!(format!("{why:?}"), format!("{answer:?}"), "they differ"),
            }
        }
    }

    fn assert_agree(&self, why: WaitReason, causes: &[Cause]) {
        assert_eq!(why == WaitReason::Ready, causes.is_empty(), "{why:?} is not {causes:?}");
        let overrides = self.core.overrides();
        let mut limits = overrides.hosts.values().chain([&overrides.all]).flat_map(|host| host.limits());
        // Causes end with an operator's limit, and a single reason does not know of that.
        if limits.all(|limits| limits.until.is_none()) {
            assert_same_end(why, causes, self.now);
        }
    }

    fn next(&mut self) -> Until {
        let wakeup = self.core.next_wakeup(self.now);
        assert!(wakeup.is_none_or(|at| at > self.now), "at {:?} the core asks to be woken at {wakeup:?}", self.now);
        let exchange = self.wire.first_key_value().map(|((at, _), _)| *at);
        let arrival = self.arrivals.first().map(|line| line.at);
        let release = self.releases.first().map(|(at, _)| *at);
        let renewal = self.renewals.first().copied();
        let verb = self.verbs.first().map(|(at, _)| *at);
        match ([exchange, arrival, release, renewal, verb, self.stop, self.give_up].into_iter().flatten().min(), wakeup)
        {
            (Some(scripted), Some(wakeup)) if wakeup < scripted => Until::Wakeup(wakeup),
            (Some(scripted), _) => Until::Script(scripted),
            (None, Some(wakeup)) => Until::Wakeup(wakeup),
            (None, None) => Until::End,
        }
    }

    fn hand_out(&mut self) {
        while let Some(change) = self.core.take_circuit_change() {
            self.note(What::Switched(change));
        }
        while let Some(Done { ticket, record }) = self.core.take_settled() {
            self.note(What::Settled(Settled {
                ordinal: ticket.ordinal,
                outcome: record.outcome,
                kind: record.kind(),
                status: record.received.head().map(|head| head.status.as_u16()),
                attempts: record.attempts,
            }));
            ticket.done();
        }
    }

    fn note(&mut self, what: What) {
        assert!(self.history.len() < MOST_EVENTS, "the schedule does not come to rest");
        self.history.push(Event { at: self.now, what });
    }
}

/// The workers of a world.
pub const MOST_AT_ONCE: u32 = 8;

fn assert_same_end(why: WaitReason, causes: &[Cause], now: Duration) {
    let ends: Option<Vec<Duration>> = causes.iter().map(|cause| cause.left).collect();
    if let Some(last) = ends.and_then(|ends| ends.into_iter().max()) {
        // Some come before all others, whatever ends last.
        let is_first = |cause: &Cause| {
            matches!(
                cause.reason,
                WaitReason::RunPaused { .. }
                    | WaitReason::Paused { .. }
                    | WaitReason::Token { .. }
                    | WaitReason::Quota { .. }
            )
        };
        let goes_first = causes.iter().any(is_first);
        let agrees = why.until() == Some(now + last) || (goes_first && why.until() <= Some(now + last));
        assert!(agrees, "{why:?} is not {causes:?}");
    }
}

pub fn name_of(host: usize) -> String {
    format!("h{host}.test")
}

fn settings_of(script: &Script) -> Settings {
    let present = Reload {
        limits: script.limits,
        every: script.settings.every,
        health: script.settings.health,
        crawl_delay: ms(100),
    };
    Settings { robots: script.settings.robots.clone(), ..settings_with(script, &present) }
}

fn settings_with(script: &Script, reload: &Reload) -> Settings {
    let hosts = reload.limits.iter().enumerate();
    let rule = |limits: &HostLimits| HostRule {
        concurrency: Some(limits.concurrency),
        max_concurrency: Some(limits.max_concurrency),
        every: Some(limits.every),
        quota: None,
    };
    let hosts = hosts.map(|(host, limits)| (HostPattern::Name(format!("h{host}.test")), rule(limits))).collect();
    let robots = script.settings.robots.clone();
    Settings {
        hosts,
        every: reload.every,
        health: reload.health,
        robots: robots.map(|policy| RobotsPolicy { max_crawl_delay: reload.crawl_delay, ..policy }),
        workers: script.settings.permits,
        ..script.settings.clone()
    }
}

fn job_of(line: &Line, window: &Window) -> Box<Job> {
    let url = url_of(line.host, line.path);
    let echo = Echo::text(url.as_str());
    let request = Request { method: line.method.clone(), url, extra: None };
    Job::new(ticket(window, line.ordinal), echo, request, line.at)
}
