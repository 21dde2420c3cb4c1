//! Tokens that expire, on a simulated host: which lines are sent when the host refuses its token, which answer becomes the
//! record, and what waits for a new token.

use std::collections::BTreeMap;
use std::time::Duration;

use fetchd::item::{Attempt, Body, ErrorKind, Extra, Head, Outcome, Response, Sent, TokenGeneration, WaitedFor};
use fetchd::schedule::{
    BottleneckKind, ClosedHost, Core, Counts, HeldLines, HostLimits, Job, LongPause, Opening, RetryPolicy, Settings,
    TokenRule, TokenSettings, WaitReason,
};
use http::{HeaderMap, Method};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::items::{failed, get, head, job, limits, ms, request};

const A: &str = "http://a.test/";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Hosts whose token stands in the first file, and is asked for by a 401.
fn settings(concurrency: u32) -> Settings {
    let rule = TokenRule {
        refresh_on: Some(vec![401]),
        headers: vec![(http::header::AUTHORIZATION, vec![0]), (http::header::ACCEPT, vec![])],
    };
    let rules = [("*".parse().expect("a pattern"), rule)].into_iter().collect();
    Settings {
        any_host: limits(concurrency, ms(0)),
        tokens: TokenSettings { rules, files: vec!["/run/token".to_owned()] },
        ..Settings::default()
    }
}

/// An answer to a request that carried the token of this generation.
fn answer(status: u16, generation: TokenGeneration) -> Attempt {
    let body = Body { data: format!("status {status}").into(), bytes: 10, ..Body::default() };
    Attempt::Response(Box::new(Response { head: Head { token: Some(generation), ..head(status) }, body }))
}

/// What the host does with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// It answers 200 to a good token.
    Good,
    /// It answers 401 to any.
    Forbidden,
    /// It fails with this status before it looks at the token, so often.
    Fails(u16, u32),
    /// It breaks the connection once.
    Breaks,
}

/// The host, the file and the line's way, on made-up time.
struct World {
    core: Core,
    now: Duration,
    /// From these times on, the file has the next generation.
    rotations: Vec<Duration>,
    /// When each generation expires.
    expiries: Vec<Duration>,
    wire: Duration,
    pages: BTreeMap<u64, Page>,
    on_wire: BTreeMap<(Duration, u64), (Box<Job>, Duration, TokenGeneration)>,
    /// What requests carry: the content that was read last.
    known: TokenGeneration,
    /// The next time that the file is read: once a second while it is wanted.
    read_at: Duration,
    reads: usize,
    /// Every request that was answered.
    answers: Vec<Answered>,
    /// Status, kind, attempts and body of each record.
    records: BTreeMap<u64, Ended>,
    tries: BTreeMap<u64, u32>,
}

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
struct Answered {
    ordinal: u64,
    sent: Duration,
    at: Duration,
    generation: TokenGeneration,
    /// 0 for none.
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    at: Duration,
    outcome: Outcome,
    status: Option<u16>,
    kind: Option<ErrorKind>,
    attempts: u32,
    body: Option<String>,
    waited_for: Option<WaitedFor>,
}

impl World {
    fn new(settings: Settings, pages: Vec<Page>) -> Self {
        let mut world = Self {
            core: Core::new(settings),
            now: ms(0),
            rotations: Vec::new(),
            expiries: vec![Duration::MAX; 9],
            wire: ms(10),
            pages: BTreeMap::new(),
            on_wire: BTreeMap::new(),
            known: TokenGeneration::FIRST,
            read_at: ms(0),
            reads: 0,
            answers: Vec::new(),
            records: BTreeMap::new(),
            tries: BTreeMap::new(),
        };
        for page in pages {
            world.push(page);
        }
        world
    }

    fn push(&mut self, page: Page) {
        let ordinal = self.pages.len() as u64;
        self.pages.insert(ordinal, page);
        self.core.push(get(ordinal, A), self.now);
    }

    /// The number of the generation in the file at this time, from 0 on.
    fn in_file(&self, at: Duration) -> usize {
        self.rotations.iter().filter(|rotation| **rotation <= at).count()
    }

    fn generation(number: usize) -> TokenGeneration {
        (0..number).fold(TokenGeneration::FIRST, |generation, _| generation.next())
    }

    fn answer_to(&mut self, ordinal: u64, carried: usize) -> Attempt {
        let generation = Self::generation(carried);
        let tries = self.tries.entry(ordinal).or_default();
        *tries += 1;
        match self.pages[&ordinal] {
            Page::Breaks if *tries == 1 => failed(ErrorKind::Reset, Sent::Something),
            Page::Fails(status, times) if *tries <= times => answer(status, generation),
            _ if self.expiries[carried] <= self.now => answer(401, generation),
            Page::Forbidden => answer(401, generation),
            _ => answer(200, generation),
        }
    }

    /// Lets time pass until nothing can happen any more, or until then.
    fn play_until(&mut self, until: Duration) {
        loop {
            self.turn();
            let wakeup = self.core.next_wakeup(self.now);
            let end = self.on_wire.first_key_value().map(|((at, _), _)| *at);
            let read = (!self.core.token_files_wanted().is_empty()).then_some(self.read_at.max(self.now));
            // A host without lines may be remembered for long, and its file be read as long: nothing comes of that here.
            let is_over = self.core.counts() == Counts::default();
            let next = [wakeup, end, read].into_iter().flatten().min().filter(|at| *at <= until && !is_over);
            let Some(next) = next else {
                self.now = if is_over { self.now } else { until };
                return;
            };
            self.now = self.now.max(next);
        }
    }

    /// All that can be done now.
    fn turn(&mut self) {
        while let Some(entry) = self.on_wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, ordinal), (job, sent, generation)) = entry.remove_entry();
            let carried = (0..).find(|number| Self::generation(*number) == generation).expect("one of them");
            let attempt = self.answer_to(ordinal, carried);
            let status = attempt.head().map_or(0, |head| head.status.as_u16());
            self.answers.push(Answered { ordinal, sent, at: self.now, generation, status });
            self.core.complete(job, attempt, self.now - sent, self.now);
            self.hand_out();
        }
        if !self.core.token_files_wanted().is_empty() && self.read_at <= self.now {
            self.read_at = self.now + secs(1);
            self.reads += 1;
            let known = Self::generation(self.in_file(self.now));
            self.core.renew_token(0, known, self.now);
            self.known = known;
        }
        while let Some(job) = self.core.take(self.now) {
            let ordinal = job.ticket.ordinal;
            self.on_wire.insert((self.now + self.wire, ordinal), (job, self.now, self.known));
        }
        self.hand_out();
    }

    fn hand_out(&mut self) {
        while let Some(done) = self.core.take_settled() {
            let record = &done.record;
            let body = record.received.body().map(|body| String::from_utf8_lossy(&body.data).into_owned());
            let ended = Ended {
                at: self.now,
                outcome: record.outcome,
                status: record.received.head().map(|head| head.status.as_u16()),
                kind: record.kind(),
                attempts: record.attempts,
                body,
                waited_for: record.times.waited_for,
            };
            assert!(self.records.insert(done.ticket.ordinal, ended).is_none(), "a second record");
            done.ticket.done();
        }
    }
}

impl World {
    /// Ends the play, and gives the records.
    fn play(mut self) -> Self {
        self.play_until(secs(1_000_000));
        assert_eq!(self.core.counts(), Counts::default(), "some lines have not ended");
        self
    }

    fn count(&self, kind: Option<ErrorKind>) -> usize {
        self.records.values().filter(|record| record.kind == kind).count()
    }

    /// When the last line ended.
    fn end(&self) -> Duration {
        self.records.values().map(|record| record.at).max().unwrap_or_default()
    }

    /// Whether this request was the last that is sent for its line, for the line was refused with this token, or with two others.
    fn is_last(&self, of: &Answered) -> bool {
        let earlier = self.answers.iter().filter(|one| one.ordinal == of.ordinal && one.at < of.at);
        let refused: Vec<_> = earlier.filter(|one| one.status == 401).map(|one| one.generation).collect();
        refused.len() >= 2 || refused.contains(&of.generation)
    }

    /// Refusals that may have been that of the token.
    fn refusals(&self) -> impl Iterator<Item = &Answered> {
        self.answers.iter().filter(|answer| answer.status == 401 && !self.is_last(answer))
    }

    /// When a refusal is no matter any more: a request that started after it was accepted, another token came, or the wait for one is over.
    fn settled_at(&self, refusal: &Answered) -> Duration {
        let accepted = |answer: &&Answered| {
            answer.sent >= refusal.at && answer.status == 200 && answer.generation == refusal.generation
        };
        let is_over = |answer: &&Answered| {
            let newer = answer.generation > refusal.generation;
            newer || answer.sent >= refusal.at && self.is_last(answer)
        };
        let accepted = self.answers.iter().filter(accepted).map(|answer| answer.at);
        accepted.chain(self.answers.iter().filter(is_over).map(|answer| answer.sent)).min().unwrap_or(Duration::MAX)
    }
}

fn pages() -> impl Strategy<Value = Vec<Page>> {
    let page = prop_oneof![
        12 => Just(Page::Good),
        1 => Just(Page::Forbidden),
        1 => (prop_oneof![Just(500), Just(503), Just(429)], 1u32..3).prop_map(|(status, times)| Page::Fails(status, times)),
        1 => Just(Page::Breaks),
    ];
    vec(page, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_expires_and_comes_every_line_ends_once_and_one_probe_is_out_at_a_time(
        pages in pages(), concurrency in 1u32..16, wire in 1u64..400, refresh_wait in 1u64..200,
        rotations in vec(0u64..200_000, 0..6), lives in vec(0u64..90_000, 6), arrivals in vec((0u64..100_000, 1usize..4), 0..6),
    ) {
        let mut settings = settings(concurrency);
        settings.retry.refresh_wait = secs(refresh_wait);
        let mut world = World::new(settings, pages);
        world.wire = ms(wire);
        world.rotations = rotations.into_iter().map(ms).collect();
        world.rotations.sort();
        for (number, life) in lives.into_iter().enumerate() {
            let begin = number.checked_sub(1).and_then(|before| world.rotations.get(before)).copied().unwrap_or_default();
            world.expiries[number] = begin + ms(life);
        }
        let mut arrivals = arrivals;
        arrivals.sort();
        for (at, lines) in arrivals {
            world.play_until(ms(at));
            (0..lines).for_each(|_| world.push(Page::Good));
        }
        let world = world.play();
        prop_assert_eq!(world.records.len(), world.pages.len());
        for refusal in world.refusals() {
            let settled = world.settled_at(refusal);
            let since = |answer: &&Answered| {
                answer.sent >= refusal.at && answer.sent < settled && answer.generation == refusal.generation
            };
            let probes: Vec<_> = world.answers.iter().filter(since).collect();
            for (number, probe) in probes.iter().enumerate() {
                let overlaps = |other: &&&Answered| other.sent < probe.at && probe.sent < other.at;
                let others = probes[number + 1..].iter().filter(overlaps).count();
                prop_assert_eq!(others, 0, "{:?} after {:?}", probes, refusal);
                prop_assert!(probe.ordinal != refusal.ordinal, "a line proves nothing for itself");
            }
        }
        for ordinal in world.pages.keys() {
            let refused = world.answers.iter().filter(|answer| answer.ordinal == *ordinal && answer.status == 401).count();
            prop_assert!(refused <= 4, "two new generations and the last time: {}", refused);
        }
        let over = world.records.values().filter(|record| record.kind == Some(ErrorKind::Deadline)).count();
        prop_assert_eq!(over, 0, "a wait for a token is no line's fault");
    }

    #[test]
    fn with_a_new_token_in_time_no_line_fails_for_the_old_one(
        lines in 1usize..200, concurrency in 1u32..70, wire in 1u64..400, expires in 0u64..3_000, comes in 0u64..100_000,
    ) {
        let mut settings = settings(concurrency);
        settings.deadline = secs(5);
        let mut world = World::new(settings, vec![Page::Good; lines]);
        world.wire = ms(wire);
        world.expiries[0] = ms(expires);
        world.rotations = vec![ms(comes)];
        let world = world.play();
        prop_assert_eq!(world.count(None), lines, "{:?}", world.records);
        let refused: Vec<_> = world.refusals().collect();
        // Those that were on the wire at once, and one probe.
        prop_assert!(refused.len() <= concurrency as usize + 1, "{:?}", refused);
        let last = refused.iter().map(|answer| answer.at).max();
        let slack = secs(2) + ms(wire) * (lines as u32 * 2).div_ceil(concurrency) + ms(2 * wire);
        prop_assert!(last.is_none_or(|last| world.end() <= last.max(ms(comes)) + slack), "{:?} at {:?}", last, world.end());
        prop_assert!(world.reads <= world.end().as_secs() as usize + 2);
    }
}

#[test]
fn one_line_that_is_always_refused_ends_with_its_answer_and_costs_no_wait() {
    let time = |pages: Vec<Page>| World::new(settings(8), pages).play();
    let (all_good, mut pages) = (time(vec![Page::Good; 5_000]), vec![Page::Good; 5_000]);
    pages[2_500] = Page::Forbidden;
    let world = time(pages);
    assert_eq!((world.count(None), world.count(Some(ErrorKind::HttpStatus))), (4_999, 1));
    let record = &world.records[&2_500];
    assert_eq!((record.status, record.outcome, record.attempts), (Some(401), Outcome::HttpError, 1));
    assert_eq!(record.body.as_deref(), Some("status 401"), "the first answer is its record");
    assert!(world.end() <= all_good.end() + ms(30), "{:?} instead of {:?}", world.end(), all_good.end());
}

#[test]
fn a_long_answer_is_not_kept_and_its_line_is_sent_once_more_for_its_record() {
    let mut core = Core::new(settings(1));
    core.push(get(0, A), ms(0));
    core.push(get(1, A), ms(0));
    let long = |status: u16| {
        let body = Body { data: vec![b'x'; 5_000].into(), bytes: 5_000, ..Body::default() };
        let head = Head { token: Some(TokenGeneration::FIRST), ..head(status) };
        Attempt::Response(Box::new(Response { head, body }))
    };
    let forbidden = core.take(ms(0)).expect("it starts");
    core.complete(forbidden, long(401), ms(5), ms(5));
    let probe = core.take(ms(5)).expect("the probe starts");
    assert!(probe.ticket.ordinal == 1 && core.take(ms(5)).is_none());
    core.complete(probe, long(200), ms(5), ms(10));
    core.take_settled().expect("the probe's own record").ticket.done();
    let again = core.take(ms(10)).expect("it is sent a last time");
    core.complete(again, long(401), ms(5), ms(15));
    let done = core.take_settled().expect("a record");
    assert_eq!(done.record.received.body().map(|body| body.data.len()), Some(5_000));
    assert_eq!(done.record.attempts, 2);
}

#[test]
fn a_token_that_never_changes_ends_after_the_wait_with_the_answers_that_came() {
    for durable in [false, true] {
        let mut world = World::new(Settings { durable: vec![durable; 2], ..settings(4) }, vec![Page::Good; 20]);
        world.expiries[0] = ms(15);
        world.play_until(secs(300));
        assert_eq!(world.core.why("a.test", secs(300)), Some(WaitReason::Token { until: Some(secs(600) + ms(30)) }));
        let bottleneck = world.core.bottleneck(secs(300));
        assert_eq!(
            (bottleneck.kind, bottleneck.files.as_deref()),
            (BottleneckKind::Token, Some("the file `/run/token`"))
        );
        world.play_until(secs(700));
        assert_eq!(world.end(), secs(600) + ms(50), "held for ten minutes, then sent a last time");
        assert!(world.reads >= 600 && world.reads <= 705, "{}", world.reads);
        // Four were ok, four on the wire and one a probe.
        assert_eq!((world.count(None), world.count(Some(ErrorKind::HttpStatus))), (4, 5));
        for record in world.records.values().filter(|record| record.kind == Some(ErrorKind::HttpStatus)) {
            assert_eq!((record.status, record.attempts, record.waited_for), (Some(401), 2, Some(WaitedFor::Token)));
        }
        let unsent = if durable { (0, 11) } else { (11, 0) };
        assert_eq!((world.count(Some(ErrorKind::NoToken)), world.core.counts().waiting), unsent);
        if !durable {
            let record = world.records.values().find(|record| record.kind == Some(ErrorKind::NoToken));
            assert_eq!(record.map(|record| (record.outcome, record.attempts)), Some((Outcome::Failed, 0)));
        }
    }
}

#[test]
fn without_a_token_lines_that_come_later_end_at_once_until_the_content_changes() {
    let mut world = World::new(settings(4), vec![Page::Good; 20]);
    world.expiries[0] = ms(15);
    world.rotations = vec![secs(900)];
    world.play_until(secs(700));
    world.push(Page::Good);
    world.turn();
    assert_eq!(world.records[&20].kind, Some(ErrorKind::NoToken));
    world.core.renew_token(0, World::generation(1), secs(900));
    (world.now, world.known) = (secs(900), World::generation(1));
    world.push(Page::Good);
    let world = world.play();
    assert_eq!(world.records[&21].kind, None);
}

#[test]
fn lines_of_a_durable_source_keep_their_places_until_there_is_a_token_and_a_run_may_end_for_them() {
    for (in_order, long_pause) in [(false, LongPause::End), (true, LongPause::End), (false, LongPause::Wait)] {
        let any_host = HostLimits { long_pause, ..limits(4, ms(0)) };
        let settings = Settings { durable: vec![true; 2], in_order, any_host, deadline: secs(60), ..settings(4) };
        let mut world = World::new(settings, vec![Page::Good; 20]);
        world.expiries[0] = ms(15);
        world.rotations = vec![secs(9_000)];
        world.play_until(secs(800));
        world.push(Page::Good);
        world.play_until(secs(8_000));
        let opens = Opening::WithToken("the file `/run/token`".to_owned());
        let left = vec![ClosedHost { name: "a.test".into(), lines: 12, opens }];
        let may_end = long_pause == LongPause::End;
        assert_eq!(world.core.only_closed_hosts(secs(8_000)), may_end.then_some(left));
        assert_eq!(world.core.why("a.test", secs(8_000)), Some(WaitReason::NoToken));
        let without = HeldLines { host: "a.test".into(), lines: 12, hosts: 1, all: 12 };
        assert_eq!(world.core.lines_without_token(), Some(without));
        let world = world.play();
        assert_eq!((world.count(None), world.count(Some(ErrorKind::HttpStatus))), (16, 5), "with the new token");
        let renewed = world.records.values().filter(|record| record.at > secs(9_000));
        assert!(renewed.clone().count() == 12 && renewed.clone().all(|record| record.attempts == 1));
    }
}

#[test]
fn a_line_alone_waits_for_another_and_then_for_a_token() {
    // Another comes: it is the probe.
    let mut world = World::new(settings(4), vec![Page::Forbidden]);
    world.play_until(secs(60));
    assert_eq!(world.core.why("a.test", secs(60)), Some(WaitReason::Token { until: Some(secs(600) + ms(10)) }));
    assert_eq!(world.core.lines_without_token().map(|held| held.all), Some(1));
    let files = |core: &Core| core.token_waits().into_iter().map(|wait| wait.files).collect::<Vec<_>>();
    world.core.note_token_file(0, Some("which is empty".to_owned()));
    assert_eq!(files(&world.core), ["the file `/run/token`, which is empty"]);
    world.core.note_token_file(0, None);
    assert_eq!(files(&world.core), ["the file `/run/token`"]);
    // The token may come at any time, so its wait is not part of the estimate.
    assert!(world.core.eta(secs(60)).is_none_or(|eta| eta.left() < secs(60)), "{:?}", world.core.eta(secs(60)));
    world.push(Page::Good);
    let world = world.play();
    assert_eq!(world.core.lines_without_token(), None);
    assert_eq!((world.records[&0].status, world.records[&1].kind), (Some(401), None));
    assert_eq!(world.records[&0].at, secs(60) + ms(10));
    // None comes: it is sent a last time, and nothing is known of the token for those that come later.
    let mut world = World::new(settings(4), vec![Page::Forbidden]);
    world.play_until(secs(700));
    assert_eq!((world.records[&0].status, world.records[&0].attempts), (Some(401), 2));
    world.push(Page::Good);
    let world = world.play();
    assert_eq!(world.records[&1].kind, None);
    // Of those, the first that is refused has its answer, and the next none.
    let mut world = World::new(settings(1), vec![Page::Forbidden]);
    world.play_until(secs(700));
    world.push(Page::Forbidden);
    world.push(Page::Good);
    let world = world.play();
    assert_eq!((world.records[&1].status, world.records[&1].attempts), (Some(401), 1));
    assert_eq!(world.records[&2].kind, Some(ErrorKind::NoToken));
}

#[test]
fn sixty_four_requests_with_an_old_token_are_all_sent_again_at_once() {
    let mut core = Core::new(settings(64));
    for ordinal in 0..64 {
        core.push(get(ordinal, A), ms(0));
    }
    let old: Vec<_> = std::iter::from_fn(|| core.take(ms(0))).collect();
    assert_eq!(old.len(), 64);
    // The file changed while they were on the wire, and one that started later has what it holds.
    core.renew_token(0, World::generation(1), ms(5));
    for job in old {
        core.complete(job, answer(401, TokenGeneration::FIRST), ms(10), ms(10));
    }
    assert!(core.token_files_wanted().is_empty() && core.token_waits().is_empty(), "nothing is wrong with the new one");
    let again: Vec<_> = std::iter::from_fn(|| core.take(ms(10))).collect();
    assert_eq!(again.len(), 64, "at once, and without a wait");
    for job in again {
        core.complete(job, answer(200, World::generation(1)), ms(10), ms(20));
    }
    let attempts: Vec<_> = std::iter::from_fn(|| core.take_settled())
        .map(|done| {
            let attempts = done.record.attempts;
            done.ticket.done();
            attempts
        })
        .collect();
    assert_eq!(attempts, [2; 64]);
}

#[test]
fn a_post_is_sent_again_with_no_retries_and_never_more_than_twice() {
    let mut settings = settings(1);
    settings.retry = RetryPolicy { retries: 0, ..settings.retry };
    let mut core = Core::new(settings);
    core.push(job(0, request(Method::POST, A)), ms(0));
    for number in 0..3 {
        let sent = core.take(ms(number)).expect("it is sent again");
        core.renew_token(0, World::generation(number as usize + 1), ms(number));
        core.complete(sent, answer(401, World::generation(number as usize)), ms(0), ms(number));
    }
    let done = core.take_settled().expect("its third answer is its record");
    assert_eq!((done.record.attempts, done.record.kind()), (3, Some(ErrorKind::HttpStatus)));
}

#[test]
fn the_clock_of_lines_stands_still_while_a_token_is_waited_for() {
    let mut core = Core::new(Settings { deadline: secs(5), ..settings(3) });
    for ordinal in 0..3 {
        core.push(get(ordinal, A), ms(0));
    }
    let [broken, first, second] = [0; 3].map(|_| core.take(ms(0)).expect("it starts"));
    core.complete(broken, failed(ErrorKind::Reset, Sent::Something), ms(1_000), ms(1_000));
    core.complete(first, answer(401, TokenGeneration::FIRST), ms(1_000), ms(1_000));
    assert!(core.next_wakeup(ms(1_000)).is_some_and(|at| at < ms(2_000)), "the retry is the probe");
    core.complete(second, answer(401, TokenGeneration::FIRST), ms(1_000), ms(1_000));
    let probe = core.take(ms(2_000)).expect("the retry is due");
    core.complete(probe, answer(401, TokenGeneration::FIRST), ms(1_000), ms(2_000));
    assert_eq!(core.next_wakeup(ms(2_000)), Some(secs(602)), "no deadline before the end of the wait");
    core.renew_token(0, World::generation(1), secs(500));
    let again = core.take(secs(500)).expect("it is sent again");
    assert_eq!(again.call.limits.time_left, ms(3_000));
}

#[test]
fn what_carries_no_token_says_nothing_of_it_and_is_no_probe() {
    let mut core = Core::new(settings(4));
    let mut own = request(Method::GET, A);
    let headers: HeaderMap = [(http::header::AUTHORIZATION, "mine".parse().expect("a value"))].into_iter().collect();
    own.extra = Some(Box::new(Extra { headers, ..Extra::default() }));
    core.push(job(0, own.clone()), ms(0));
    let sent = core.take(ms(0)).expect("it starts");
    core.complete(sent, crate::items::answered(401), ms(1), ms(1));
    let done = core.take_settled().expect("its own header was refused");
    assert_eq!(done.record.kind(), Some(ErrorKind::HttpStatus));
    // A line that is refused is not held to be wrong because one with another header is served.
    core.push(get(1, A), ms(2));
    let refused = core.take(ms(2)).expect("it starts");
    core.complete(refused, answer(401, TokenGeneration::FIRST), ms(1), ms(3));
    core.push(job(2, own), ms(3));
    let other = core.take(ms(3)).expect("it starts, for it may say more");
    core.complete(other, crate::items::answered(200), ms(1), ms(4));
    assert_eq!(core.take_settled().map(|done| done.ticket.ordinal), Some(2));
    assert!(matches!(core.why("a.test", ms(4)), Some(WaitReason::Token { until: Some(_) })));
}
