//! Simulated hosts that the core asks for as long as there are lines: each answers in its own way, on made-up time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use fetchd::item::{Attempt, Done, ErrorKind, Failure, Head, Outcome, Quota, Sent};
use fetchd::schedule::{Core, Job, Settings};

use url::Url;

use crate::items::{answered, failed, get, head, host_of, ms, url_of, whole};

/// The first port of the servers of a host that has several; its name is that of the first of them.
const FIRST_PORT: u16 = 8000;

/// How a host treats requests.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It serves so many at once, each in so long; others wait in line.
    Serves { at_once: usize, time: Duration },
    /// The same, but what would have to wait is refused with 503.
    Rejects { at_once: usize, time: Duration },
    /// 404 after so long, however many ask.
    Lacks(Duration),
    /// No connection, after so long.
    IsDead(Duration),
    /// Silence until the attempt's end.
    Hangs,
    /// 200 at once, and a body that is not whole at the attempt's end.
    Drips,
    /// 200 at once, and a connection that breaks within the body.
    Breaks,
    /// No HTTP.
    Garbles,
    /// 500 at once.
    Fails,
    /// 429 at once, without Retry-After.
    Refuses,
    /// So many requests per window, each in about so long; 429 for more. It says what is left, and in how many whole seconds,
    /// rounded this way, there are more.
    Limits { most: u64, window: Duration, time: Duration, rounding: fn(f64) -> f64 },
}

/// What was seen of one host.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub requests: usize,
    pub in_flight: usize,
    /// Requests at once, summed up over time in nanoseconds.
    area: f64,
    since: Duration,
    pub starts: Vec<Duration>,
    pub ok: usize,
    /// When its last line was settled.
    pub last: Duration,
    pub kinds: BTreeMap<&'static str, usize>,
}

pub struct Simulation {
    pub core: Core,
    pub now: Duration,
    manners: Vec<Manner>,
    pub seen: Vec<Seen>,
    /// When each place of a host is free, or the requests of its window arrived.
    places: Vec<Vec<Duration>>,
    wire: BinaryHeap<Reverse<(Duration, u64)>>,
    jobs: BTreeMap<u64, (Box<Job>, Attempt, Duration)>,
    permits: usize,
    turns: u64,
    chance: fastrand::Rng,
}

impl Simulation {
    pub fn new(settings: Settings, permits: usize, manners: Vec<Manner>) -> Self {
        Self {
            core: Core::new(settings),
            now: ms(1),
            seen: vec![Seen::default(); manners.len()],
            places: vec![Vec::new(); manners.len()],
            manners,
            wire: BinaryHeap::new(),
            jobs: BTreeMap::new(),
            permits,
            turns: 0,
            chance: fastrand::Rng::with_seed(3),
        }
    }

    /// From now on the host is like this.
    pub fn change(&mut self, host: usize, manner: Manner) {
        self.manners[host] = manner;
        self.places[host].clear();
    }

    /// A line for this host.
    pub fn push(&mut self, host: usize) {
        self.core.push(get(self.turns, url_of(host, 0).as_str()), self.now);
        self.turns += 1;
    }

    /// A line for a server at a port of the host that is called after another server.
    pub fn push_to(&mut self, host: usize, server: usize) {
        self.core.push(get(self.turns, &port_url(host, server)), self.now);
        self.turns += 1;
    }

    /// A line for a page of the host of this number, behind which there is another server.
    pub fn push_page(&mut self, host: usize, server: usize) {
        self.core.push(get(self.turns, &format!("http://h{host}.test/?{server}")), self.now);
        self.turns += 1;
    }

    /// Lets time pass until then, or until all is settled; what was seen of hosts before is forgotten.
    pub fn play_until(&mut self, until: Duration) {
        for seen in &mut self.seen {
            *seen = Seen { in_flight: seen.in_flight, since: self.now, ..Seen::default() };
        }
        while self.step(until) {}
        let now = self.now;
        self.seen.iter_mut().for_each(|seen| seen.sum_up(now));
    }

    /// All that can be done now, and the way to the next moment.
    fn step(&mut self, until: Duration) -> bool {
        self.settle();
        while self.jobs.len() < self.permits
            && let Some(job) = self.core.take(self.now)
        {
            self.start(job);
        }
        self.settle();
        let wakeup = self.core.next_wakeup(self.now);
        let end = self.wire.peek().map(|Reverse((end, _))| *end);
        let Some(next) = [wakeup, end].into_iter().flatten().min().filter(|at| *at <= until) else {
            if end.is_some() || wakeup.is_some() {
                self.now = until;
            }
            return false;
        };
        self.now = next;
        while let Some(Reverse((_, ordinal))) = self.wire.peek().copied().filter(|Reverse((end, _))| *end <= next) {
            self.wire.pop();
            self.end(ordinal);
        }
        true
    }

    fn start(&mut self, job: Box<Job>) {
        let host = server_of(&job.call.request.url);
        let seen = &mut self.seen[host];
        seen.sum_up(self.now);
        (seen.requests, seen.in_flight) = (seen.requests + 1, seen.in_flight + 1);
        seen.starts.push(self.now);
        let (attempt, wire) = self.attempt(host, job.call.limits.timeout);
        self.wire.push(Reverse((self.now + wire, job.ticket.ordinal)));
        self.jobs.insert(job.ticket.ordinal, (job, attempt, wire));
    }

    /// What the host makes of a request, and how long that takes.
    fn attempt(&mut self, host: usize, limit: Duration) -> (Attempt, Duration) {
        let in_time = |attempt, wire| match wire < limit {
            true => (attempt, wire),
            false => (failed(ErrorKind::Timeout, Sent::Something), limit),
        };
        match self.manners[host].clone() {
            Manner::Serves { at_once, time } => {
                let wire = self.serve(host, at_once, time);
                in_time(whole(Head { ttfb: wire, ..head(200) }), wire)
            }
            Manner::Rejects { at_once, .. } if self.seen[host].in_flight > at_once => (answered(503), ms(1)),
            Manner::Rejects { time, .. } => in_time(whole(Head { ttfb: time, ..head(200) }), time),
            Manner::Lacks(time) => in_time(whole(Head { ttfb: time, ..head(404) }), time),
            Manner::IsDead(after) => in_time(failed(ErrorKind::ConnectTimeout, Sent::Nothing), after),
            Manner::Hangs => in_time(answered(200), Duration::MAX),
            Manner::Drips => (failed_within_body(ErrorKind::Timeout), limit),
            Manner::Breaks => (failed_within_body(ErrorKind::BodyIncomplete), ms(1)),
            Manner::Garbles => (failed(ErrorKind::Protocol, Sent::Something), ms(1)),
            Manner::Fails => (answered(500), ms(1)),
            Manner::Refuses => (answered(429), ms(1)),
            Manner::Limits { most, window, time, rounding } => {
                let wire = time.mul_f64(0.1 + 1.8 * self.chance.f64());
                let number = self.now.as_nanos() / window.as_nanos();
                let begin = window * u32::try_from(number).expect("a short test");
                let arrived = &mut self.places[host];
                arrived.retain(|at| *at >= begin);
                arrived.push(self.now);
                let arrived = arrived.len() as u64;
                let reset = |left: Duration| Duration::from_secs_f64(rounding(left.as_secs_f64()));
                // A reset that has passed is none.
                let reset = (begin + window).checked_sub(self.now + wire).map(reset);
                let quota = reset.map(|reset| Quota { remaining: most.saturating_sub(arrived), reset });
                let status = if arrived > most { 429 } else { 200 };
                in_time(whole(Head { ttfb: wire, quota, ..head(status) }), wire)
            }
        }
    }

    /// How long the request waits for a place there, and is served; a tenth more or less each time.
    fn serve(&mut self, host: usize, at_once: usize, time: Duration) -> Duration {
        let time = time.mul_f64(0.9 + 0.2 * self.chance.f64());
        let places = &mut self.places[host];
        places.resize(at_once, Duration::ZERO);
        places.sort_unstable();
        places[0] = places[0].max(self.now) + time;
        places[0] - self.now
    }

    fn end(&mut self, ordinal: u64) {
        let (job, attempt, wire) = self.jobs.remove(&ordinal).expect("it is on the wire");
        let seen = &mut self.seen[server_of(&job.call.request.url)];
        seen.sum_up(self.now);
        seen.in_flight -= 1;
        self.core.complete(job, attempt, wire, self.now);
    }

    fn settle(&mut self) {
        while let Some(Done { ticket, record }) = self.core.take_settled() {
            let seen = &mut self.seen[server_of(record.url.as_ref().expect("a line of a host"))];
            seen.last = self.now;
            seen.ok += usize::from(record.outcome == Outcome::Ok);
            *seen.kinds.entry(record.kind().map_or("ok", ErrorKind::name)).or_default() += 1;
            ticket.done();
        }
    }
}

/// A URL of a server at a port of the host that is called after another server.
pub fn port_url(host: usize, server: usize) -> String {
    format!("http://h{host}.test:{}/", usize::from(FIRST_PORT) + server)
}

/// The server that answers for a URL: that of its query, of its port, or else of its name.
fn server_of(url: &Url) -> usize {
    let of_port = url.port().map(|port| usize::from(port - FIRST_PORT));
    let of_page = url.query().map(|server| server.parse().expect("a number"));
    of_page.or(of_port).unwrap_or_else(|| host_of(url))
}

/// What is left of an answer whose body did not come whole.
fn failed_within_body(kind: ErrorKind) -> Attempt {
    let failure = Failure::new(kind, "scripted", Sent::Something);
    Attempt::Failed(Failure { head: Some(Box::new(head(200))), ..failure })
}

impl Seen {
    fn sum_up(&mut self, now: Duration) {
        self.area += self.in_flight as f64 * (now.saturating_sub(self.since)).as_nanos() as f64;
        self.since = now;
    }

    /// Requests at once, on average over so long.
    pub fn at_once(&self, over: Duration) -> f64 {
        self.area / over.as_nanos() as f64
    }

    /// Lines that ended with this kind.
    pub fn of_kind(&self, kind: ErrorKind) -> usize {
        self.kinds.get(kind.name()).copied().unwrap_or(0)
    }
}
