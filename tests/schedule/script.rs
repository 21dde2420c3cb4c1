//! What happens from outside, made up: limits, lines and when they come, and what servers do with each request.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::schedule::{
    HealthPolicy, HostLimits, LongPause, QuotaPolicy, ReleaseScope, RetryBudgetPolicy, RetryPolicy, RobotsPolicy,
    Settings, TokenRule, TokenSettings,
};
use fetchd::units::Concurrency;
use http::Method;
use http::header::AUTHORIZATION;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::items::{at_once, ms, no_circuits};
pub use crate::reply::Reply;
use crate::verbs::Verb;

/// Hosts that a script speaks of.
pub const HOSTS: usize = 4;

/// What the scripts set as `retry.max_retry_after`.
pub const MAX_RETRY_AFTER: Duration = ms(500);

#[derive(Clone, Debug)]
pub struct Script {
    pub settings: Settings,
    pub limits: [HostLimits; HOSTS],
    pub permits: usize,
    pub picks: Picks,
    pub lines: Vec<Line>,
    /// When requests of durable sources end.
    pub stop: Option<Duration>,
    pub give_up: Option<Duration>,
    /// When lines are released, and which.
    pub releases: Vec<(Duration, ReleaseScope)>,
    /// When the token of all hosts is renewed, if they have one.
    pub renewals: Option<Vec<Duration>>,
    /// What an operator does, and when.
    pub verbs: Vec<(Duration, Verb)>,
}

/// How the driver takes lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picks {
    InTurn,
    /// As when body memory is short: the oldest line if it may start, else the one whose turn it is.
    OldestFirst,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub ordinal: u64,
    pub at: Duration,
    pub host: usize,
    pub path: u8,
    pub method: Method,
    /// What its requests meet, one after the other; 200 after the last.
    pub exchanges: Vec<Exchange>,
}

#[derive(Clone, Debug)]
pub struct Exchange {
    pub reply: Reply,
    pub wire: Duration,
}

impl Script {
    /// So many permits that none is ever waited for.
    pub fn with_permits_to_spare(mut self) -> Self {
        self.permits = self.lines.len();
        self
    }

    /// Lines of hosts that cannot be reached make all their attempts.
    pub fn without_circuits(mut self) -> Self {
        self.settings.health = no_circuits();
        self
    }

    /// So many requests at once as there are permits, found out by nobody.
    pub fn without_adaptive_limits(mut self) -> Self {
        self.settings.adaptive = None;
        for limits in &mut self.limits {
            limits.concurrency = Concurrency::Fixed(at_once(limits));
        }
        self
    }

    /// Retries are due at once or when Retry-After says: no time is left to chance, or to what others met.
    pub fn without_backoff(mut self) -> Self {
        self.settings.retry.backoff = Duration::ZERO;
        self.settings.health = no_circuits();
        self.without_adaptive_limits()
    }

    pub fn without_global_rate(mut self) -> Self {
        self.settings.every = Duration::ZERO;
        self
    }

    pub fn without_redirects(self) -> Self {
        self.with_replies(|reply| match reply {
            Reply::Redirect { .. } => Reply::Status(200),
            other => other,
        })
    }

    pub fn taken_in_turn(mut self) -> Self {
        self.picks = Picks::InTurn;
        self
    }

    pub fn with_max_hosts(mut self, max_hosts: usize) -> Self {
        self.settings.max_hosts = max_hosts;
        self
    }

    pub fn obeying_robots(mut self, robots: Option<RobotsPolicy>) -> Self {
        self.settings.robots = robots;
        self
    }

    /// Requests carry a token that is renewed at these times, and what was to be 404 refuses it.
    pub fn with_tokens(mut self, renewals: Option<Vec<Duration>>) -> Self {
        self.renewals = renewals;
        let Some(renewals) = &self.renewals else { return self };
        self.settings.in_order = renewals.len() % 2 == 1;
        let rule = TokenRule { refresh_on: Some(vec![401]), headers: vec![(AUTHORIZATION, vec![0])] };
        let rules = [("*".parse().expect("a pattern"), rule)].into_iter().collect();
        self.settings.tokens = TokenSettings { rules, files: vec!["token".to_owned()] };
        self.with_replies(|reply| match reply {
            Reply::Status(404) => Reply::Status(401),
            other => other,
        })
    }

    pub fn with_verbs(mut self, verbs: Vec<(Duration, Verb)>) -> Self {
        self.verbs = verbs;
        self
    }

    pub fn given_up_at(mut self, at: Option<Duration>) -> Self {
        self.give_up = at;
        self
    }

    /// With the first of two sources durable, or both.
    pub fn stopped_at(mut self, at: Option<Duration>, durable: Vec<bool>) -> Self {
        (self.stop, self.settings.durable) = (at, durable);
        self
    }

    /// The same without the lines of one host; those that stay keep their turns.
    pub fn without_host(mut self, host: usize) -> Self {
        self.lines.retain(|line| line.host != host);
        self
    }

    fn into_a_trickle(mut self, every: Duration, gaps: &[Duration]) -> Self {
        self.limits[0].every = every;
        let mut at = Duration::ZERO;
        for (line, gap) in self.lines.iter_mut().zip(gaps) {
            at += *gap;
            *line = Line { at, host: 0, exchanges: vec![], ..line.clone() };
        }
        self
    }

    pub fn with_replies(mut self, change: impl Fn(Reply) -> Reply) -> Self {
        for exchange in self.lines.iter_mut().flat_map(|line| &mut line.exchanges) {
            exchange.reply = change(exchange.reply.clone());
        }
        self
    }
}

/// Anything may happen.
pub fn scripts() -> impl Strategy<Value = Script> {
    let limits = [host_limits(), host_limits(), host_limits(), host_limits()];
    let picks = prop_oneof![4 => Just(Picks::InTurn), 1 => Just(Picks::OldestFirst)];
    (settings(), limits, 1usize..7, picks, all_lines()).prop_map(|(settings, limits, permits, picks, lines)| Script {
        settings,
        limits,
        permits,
        picks,
        lines,
        stop: None,
        give_up: None,
        releases: vec![],
        renewals: None,
        verbs: vec![],
    })
}

/// Anything may happen, and now and then lines are released.
pub fn scripts_with_releases() -> impl Strategy<Value = Script> {
    let scope = (0usize..2, prop_oneof![Just(None), (0usize..6).prop_map(Some)]);
    let scope = scope.prop_map(|(source, lines)| match lines {
        None => ReleaseScope::All { source },
        Some(lines) => ReleaseScope::Newest { source, lines },
    });
    (scripts(), vec((some_ms(0..700), scope), 0..4)).prop_map(|(script, mut releases)| {
        releases.sort_by_key(|(at, _)| *at);
        Script { releases, ..script }
    })
}

/// When a token is renewed, or that there is none.
pub fn renewals() -> impl Strategy<Value = Option<Vec<Duration>>> {
    let times = vec(some_ms(0..2_500), 0..4).prop_map(|mut times| {
        times.sort();
        Some(times)
    });
    prop_oneof![1 => Just(None), 3 => times]
}

/// Lines of one host that come about as fast as its rate allows, so that it has none in between.
pub fn trickles() -> impl Strategy<Value = Script> {
    (scripts(), 2u64..9).prop_flat_map(|(script, every)| {
        vec(some_ms(0..every + 2), script.lines.len())
            .prop_map(move |gaps| script.clone().into_a_trickle(ms(every), &gaps))
    })
}

pub fn some_ms(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(ms)
}

fn settings() -> impl Strategy<Value = Settings> {
    let every = prop_oneof![3 => Just(Duration::ZERO), 1 => some_ms(1..40)];
    let times = (every, some_ms(50..1000), some_ms(100..3000));
    let adaptive = prop_oneof![3 => Just(None), 1 => (1u32..5).prop_map(Some)];
    (times, adaptive, retry_policy(), budget(), health(), 0u32..4, any::<u64>()).prop_map(
        |((every, timeout, deadline), adaptive, retry, host_budget, health, max_redirects, seed)| Settings {
            every,
            timeout,
            deadline,
            adaptive,
            retry,
            host_budget,
            health,
            max_redirects,
            seed,
            ..Settings::default()
        },
    )
}

fn retry_policy() -> impl Strategy<Value = RetryPolicy> {
    (0u32..4, 0u32..4, some_ms(0..300)).prop_map(|(retries, max_waits, backoff)| RetryPolicy {
        retries,
        max_waits,
        backoff,
        max_backoff: ms(600),
        max_retry_after: MAX_RETRY_AFTER,
        refresh_wait: ms(1000),
        on_status: vec![429, 500, 503],
        methods: Settings::default().retry.methods,
    })
}

/// Whether robots.txt is obeyed; with a cache that holds one site, or all.
pub fn obedience() -> impl Strategy<Value = Option<RobotsPolicy>> {
    let policy = |cache| Some(RobotsPolicy { agent: "fetchd".to_owned(), max_crawl_delay: ms(100), cache });
    prop_oneof![Just(None), Just(policy(1)), Just(policy(1 << 20))]
}

fn budget() -> impl Strategy<Value = RetryBudgetPolicy> {
    prop_oneof![
        Just(RetryBudgetPolicy { percent: None, floor: 0 }),
        (0u32..100, 0u64..4).prop_map(|(percent, floor)| RetryBudgetPolicy { percent: Some(percent), floor })
    ]
}

pub fn health() -> impl Strategy<Value = HealthPolicy> {
    let policy = |(failures, cool_down, give_up)| HealthPolicy { failures, cool_down, give_up };
    prop_oneof![Just(no_circuits()), (1u32..4, some_ms(1..300), some_ms(0..1500)).prop_map(policy)]
}

pub fn host_limits() -> impl Strategy<Value = HostLimits> {
    let every = prop_oneof![2 => Just(Duration::ZERO), 1 => some_ms(1..5), 2 => some_ms(20..200)];
    let concurrency = prop_oneof![3 => (1u32..4).prop_map(Concurrency::Fixed), 1 => Just(Concurrency::Adaptive)];
    (concurrency, 1u32..4, every).prop_map(|(concurrency, max_concurrency, every)| HostLimits {
        concurrency,
        max_concurrency,
        every,
        quota: QuotaPolicy::Obey,
        long_pause: LongPause::Wait,
    })
}

/// Some scripts come as a burst, others as a trickle.
fn all_lines() -> impl Strategy<Value = Vec<Line>> {
    prop_oneof![vec(line(20), 1..24), vec(line(600), 1..24)].prop_map(|mut lines| {
        lines.sort_by_key(|line| line.at);
        for (ordinal, line) in (0..).zip(&mut lines) {
            line.ordinal = ordinal;
        }
        lines
    })
}

fn line(span: u64) -> impl Strategy<Value = Line> {
    let method = prop_oneof![3 => Just(Method::GET), 1 => Just(Method::POST)];
    (some_ms(0..span), 0..HOSTS, 0u8..3, method, vec(exchange(), 0..5))
        .prop_map(|(at, host, path, method, exchanges)| Line { ordinal: 0, at, host, path, method, exchanges })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let wire = prop_oneof![3 => some_ms(0..30), 1 => some_ms(0..600)];
    (reply(), wire).prop_map(|(reply, wire)| Exchange { reply, wire })
}

fn reply() -> impl Strategy<Value = Reply> {
    let too_long = MAX_RETRY_AFTER.as_millis() as u64 + 1;
    prop_oneof![
        6 => select(vec![200, 404, 404, 429, 500, 500, 503]).prop_map(Reply::Status),
        3 => (select(vec![429, 503]), some_ms(0..too_long)).prop_map(|(status, wait)| Reply::RetryAfter(status, wait)),
        1 => (select(vec![429, 503]), some_ms(too_long..2000)).prop_map(|(status, wait)| Reply::RetryAfter(status, wait)),
        3 => (select(vec![301, 302, 303, 307, 308]), 0..HOSTS, 0u8..3)
            .prop_map(|(status, host, path)| Reply::Redirect { status, host, path }),
        3 => failure().prop_map(|(kind, sent)| Reply::Fails(kind, sent)),
        1 => Just(Reply::NoMemory),
    ]
}

fn failure() -> impl Strategy<Value = (ErrorKind, Sent)> {
    select(vec![
        (ErrorKind::ConnectRefused, Sent::Nothing),
        (ErrorKind::DnsFailed, Sent::Nothing),
        (ErrorKind::DnsNotFound, Sent::Nothing),
        (ErrorKind::Reset, Sent::Nothing),
        (ErrorKind::Reset, Sent::Something),
        (ErrorKind::Reset, Sent::Stale),
        (ErrorKind::BodyIncomplete, Sent::Something),
        (ErrorKind::Protocol, Sent::Something),
        (ErrorKind::ForbiddenAddress, Sent::Refused),
    ])
}
