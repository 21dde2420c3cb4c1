//! How long everybody waits for a question or a verb: the longest turn of the scheduler for each kind, with many hosts and with many
//! lines of one host.
//!
//! A turn is one call of the core, as `src/pipeline/questions.rs` makes it. Each round does the same in the same order, so a
//! turn counts with the shortest time that it had in any round: other work on the machine would have to meet it in all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fetchd::item::{Attempt, Body, Echo, Head, Identity, Line, Request, Response, RetryAfter, Text, Window};
use fetchd::schedule::{
    Change, Core, HostLimits, HostScan, HostStatus, HostsBy, HostsQuery, Job, LimitsOverride, LineKey, MOST_HOSTS,
    NameFilter, Overrides, Scanned, Scope, Settings,
};
use fetchd::units::Concurrency;
use futures::executor::block_on;
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::say;

/// Hosts, or lines of one host.
const MANY: u64 = 100_000;

/// How often everything is done.
const ROUNDS: usize = 5;

/// A turn may take so long (issue 17).
const MOST: Duration = Duration::from_millis(2);

/// The host that is asked about.
const HOST: &str = "h7.test";

/// What there is to ask about.
#[derive(Clone, Copy)]
enum Load {
    /// A line of each of many hosts.
    Hosts,
    /// Many lines of one host, which were not sent yet.
    Fresh,
    /// Many lines of one host that wait for another attempt.
    Again,
}

/// The turns of each kind of question, in their order.
#[derive(Default)]
struct Turns(BTreeMap<&'static str, Vec<Duration>>);

impl Turns {
    fn take<T>(&mut self, kind: &'static str, turn: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let answer = turn();
        self.0.entry(kind).or_default().push(start.elapsed());
        answer
    }

    /// Each turn with the shorter of its times.
    fn merge(&mut self, other: Self) {
        for (kind, turns) in other.0 {
            let known = self.0.entry(kind).or_insert_with(|| turns.clone());
            assert_eq!(known.len(), turns.len(), "{kind}: each round has the same turns");
            known.iter_mut().zip(turns).for_each(|(known, turn)| *known = turn.min(*known));
        }
    }
}

/// Prints the longest turn of each kind, and asserts that none is too long.
pub fn turns() {
    say("| turn of | with | turns | longest, µs |\n|---|---|---|---|");
    let mut longest = Duration::ZERO;
    for (load, name) in [
        (Load::Hosts, "a line of each of 100,000 hosts"),
        (Load::Fresh, "100,000 fresh lines of a host"),
        (Load::Again, "100,000 lines of a host that were sent before"),
    ] {
        let mut best = Turns::default();
        for _ in 0..ROUNDS {
            best.merge(round(load));
        }
        for (kind, turns) in best.0 {
            let most = turns.iter().max().copied().unwrap_or_default();
            longest = longest.max(most);
            say(&format!("| {kind} | {name} | {} | {} |", turns.len(), most.as_micros()));
        }
    }
    assert!(longest <= MOST, "a turn takes {longest:?}, and may take {MOST:?}");
}

fn round(load: Load) -> Turns {
    let (mut core, mut turns) = (loaded(load), Turns::default());
    questions(&core, &mut turns);
    verbs(&mut core, &mut turns);
    turns
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn loaded(load: Load) -> Core {
    let any_host = HostLimits { concurrency: Concurrency::Fixed(100_000), ..Settings::default().any_host };
    let mut core = Core::new(Settings { any_host, deadline: at(100_000), ..Settings::default() });
    for ordinal in 0..MANY {
        let host = match load {
            Load::Hosts => format!("h{ordinal}.test"),
            Load::Fresh | Load::Again => HOST.to_owned(),
        };
        core.push(job(ordinal, &format!("http://{host}/{ordinal}")), at(0));
    }
    if let Load::Again = load {
        let jobs: Vec<_> = std::iter::from_fn(|| core.take(at(1))).collect();
        for job in jobs {
            let retry_after = Some(RetryAfter(at(200)));
            let head = Head { retry_after, ..Head::new(StatusCode::SERVICE_UNAVAILABLE) };
            core.complete(job, Attempt::Response(Box::new(Response { head, body: Body::default() })), at(0), at(1));
        }
    }
    core
}

fn job(ordinal: u64, url: &str) -> Box<Job> {
    let id = Identity { state_id: None, source: None, file: None, seq: ordinal + 1, round: 0 };
    let line = Line { id, text: Text::Whole(Bytes::from_static(b"x")), position: None };
    let window = Window::new(1, 1);
    let ticket = block_on(async { window.ticket(window.room().await?, &line, ordinal, 0).await });
    let request = Request { method: Method::GET, url: url.parse().expect("a URL"), extra: None };
    Job::new(ticket.expect("the window stays open"), Echo::text(url), request, Duration::ZERO)
}

/// All that can be asked.
fn questions(core: &Core, turns: &mut Turns) {
    let now = at(2);
    let query = |sort| HostsQuery { sort, status: None, name: None, limit: 500 };
    turns.take("hosts by waiting lines", || core.hosts_at_once(&query(HostsBy::Waiting), now));
    scan(core, "hosts by errors", query(HostsBy::Errors), turns);
    scan(core, "hosts of a state", HostsQuery { status: Some(HostStatus::Ready), ..query(HostsBy::InFlight) }, turns);
    let suffix = NameFilter::Suffix(".test".into());
    scan(core, "hosts of a suffix", HostsQuery { name: Some(suffix), ..query(HostsBy::Waiting) }, turns);
    scan(core, "hosts by state", HostsQuery { limit: 0, ..query(HostsBy::Waiting) }, turns);
    turns.take("a host", || core.host_report(HOST, now));
    turns.take("why, of a host", || core.host_why(HOST, now));
    turns.take("the limits of a host", || core.limits_of(Some(HOST)));
    for seq in [1, MANY, MANY + 1] {
        let mut scan = core.look_for(LineKey::Identity { source: None, file: None, seq });
        while let Scanned::More(_) = turns.take("why, of a line", || core.scan_lines(&mut scan, now)) {}
    }
    for from in (0..core.line_places()).step_by(512) {
        turns.take("lines that a drain would cancel", || core.held_by_operator(from, 512));
    }
}

fn scan(core: &Core, kind: &'static str, query: HostsQuery, turns: &mut Turns) {
    let mut scan = HostScan::new(query);
    while let Scanned::More(_) = turns.take(kind, || core.scan_hosts(&mut scan, at(2))) {}
}

/// All that operators can do, with overrides of as many hosts as there may be.
fn verbs(core: &mut Core, turns: &mut Turns) {
    let host = || Scope::Host(HOST.into());
    let mut overrides = Overrides::default();
    for number in 1..MOST_HOSTS {
        let pause = Change::Pause(Scope::Host(format!("h{}.test", number + 100).into()), Some(at(1_000)));
        overrides = overrides.apply(pause, 64, at(2)).expect("it makes sense");
    }
    turns.take("set overrides of 999 hosts", || core.set_overrides(&overrides, at(3)));
    let limit = LimitsOverride { concurrency: Some(3), ..LimitsOverride::default() };
    let changes = [
        ("pause a host", Change::Pause(host(), None)),
        ("resume a host", Change::Resume(host())),
        ("limit a host", Change::Limit(host(), limit)),
        ("clear the limits of a host", Change::ClearLimits(host())),
        ("pause all", Change::Pause(Scope::All, None)),
        ("resume all", Change::Resume(Scope::All)),
        ("limit all", Change::Limit(Scope::All, limit)),
        ("clear the limits of all", Change::ClearLimits(Scope::All)),
    ];
    for (second, (kind, change)) in (4..).zip(changes) {
        overrides = overrides.apply(change, 64, at(second)).expect("it makes sense");
        turns.take(kind, || core.set_overrides(&overrides, at(second)));
        go_on(core, kind, at(second), turns);
    }
    turns.take("the status", || view(core, at(20)));
    turns.take("reload", || core.reconfigure(Settings { every: at(1), ..Settings::default() }, at(21)));
    go_on(core, "reload", at(21), turns);
    turns.take("skip a host", || core.skip(HOST, at(22)));
    go_on(core, "skip a host", at(22), turns);
    // What the lines leave behind is not of the verb.
    core.next_wakeup(at(500));
    turns.take("overrides of 999 hosts end", || core.next_wakeup(at(1_000)));
}

/// What takes more than one turn.
fn go_on(core: &mut Core, kind: &'static str, now: Duration, turns: &mut Turns) {
    while core.has_work() {
        turns.take(kind, || core.work(now));
    }
}

/// What each view of the schedule is made of.
fn view(core: &mut Core, now: Duration) {
    core.bottleneck(now);
    core.eta(now);
    core.oldest(now);
    core.paused_lines();
    core.totals(now);
    core.waiting_work(now);
}
