//! The parts that follow a script: a source, a network, a sink.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetchd::disk::Mark;
use fetchd::error::BoxError;
use fetchd::fetch::{Fetch, RefreshTokens};
use fetchd::item::{
    AnswerDesk, AnswerReader, Attempt, Body, Call, CredentialScope, ErrorKind, Failure, Head, Identity, Input, Line,
    LinePosition, NoAnswer, RawJson, Receipt, Record, Refreshed, ReleaseReceipt, Reservation, Response, RetryAfter,
    Sent, Text, TokenGeneration,
};
use fetchd::schedule::HostState;
use fetchd::sink::{self, Sink};
use fetchd::source::{Durability, Release, Source};
use fetchd::state::{HostStateStore, Settle};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::log::{Event, Ledger, Log, Watched};
use crate::script::{
    Answers, Arrival, Exchange, Reply, Said, Settling, SinkBehaviour, SourceEnd, SourceScript, Step, ms,
};

/// What each line's requests will meet: the source writes it, the network reads it.
#[derive(Clone, Debug, Default)]
pub struct Exchanges(Arc<Mutex<HashMap<Identity, (Exchange, usize)>>>);

impl Exchanges {
    fn add(&self, id: Identity, exchange: Exchange) {
        self.0.lock().unwrap().insert(id, (exchange, 0));
    }

    /// What the line's next request meets, and how many requests it has sent with this one.
    fn send(&self, id: &Identity) -> (Step, usize) {
        let mut exchanges = self.0.lock().unwrap();
        let (exchange, sent) = exchanges.get_mut(id).unwrap();
        *sent += 1;
        (exchange.steps[(*sent).min(exchange.steps.len()) - 1], *sent)
    }

    /// The request starts over.
    fn take_back(&self, id: &Identity) {
        self.0.lock().unwrap().get_mut(id).unwrap().1 -= 1;
    }
}

/// The line that a URL belongs to: its path begins with the source and the number.
fn line_of(url: &Url) -> Identity {
    let mut path = url.path_segments().unwrap();
    let (source, seq) = (path.next().unwrap(), path.next().unwrap());
    Identity { state_id: None, source: Some(source.into()), file: None, seq: seq.parse().unwrap(), round: 0 }
}

pub fn source(name: &str, script: SourceScript, exchanges: &Exchanges, log: &Log) -> Source {
    let SourceScript { arrivals, ending, settling, answers } = script;
    let mut reader = Reader { name: name.into(), seq: 0, exchanges: exchanges.clone(), log: log.clone() };
    let arrivals = match ending {
        SourceEnd::Repeats => stream::iter(arrivals.into_iter().cycle()).boxed(),
        _ => stream::iter(arrivals).boxed(),
    };
    let lines = arrivals.then(move |arrival| reader.read(arrival)).map(Ok).chain(last_words(ending)).boxed();
    let (lines, desk) = match answers {
        Answers::Ignored => (lines, None),
        answers => {
            let (lines, desk) = one_by_one(lines, answers, log);
            (lines, Some(desk))
        }
    };
    let durability = if settling == Settling::Absent { Durability::Ephemeral } else { Durability::Resumable };
    let takes_back = durability == Durability::Resumable;
    let release = takes_back.then(|| Box::new(FakeRelease(log.clone())) as Box<dyn Release>);
    Source { release, answers: desk, ..Source::new(lines, durability) }
}

type Lines = BoxStream<'static, Result<Input, BoxError>>;

/// Yields a line once every sink has the record of the one before, whose answer is read by a task beside the stages.
#[expect(clippy::disallowed_methods, reason = "a source has a thread for this, which paused time would not wait for")]
fn one_by_one(lines: Lines, answers: Answers, log: &Log) -> (Lines, AnswerDesk) {
    let (desk, reader) = fetchd::item::answers();
    let first: JoinHandle<Result<AnswerReader, NoAnswer>> = tokio::spawn(async { Ok(reader) });
    let walk = stream::unfold((lines, first, log.clone()), move |(mut lines, before, log)| async move {
        let reader = before.await.unwrap().ok()?;
        let next = lines.next().await?;
        let is_line = matches!(next, Ok(Input::Line(_)));
        let reading = log.clone();
        let reading = async move { if is_line { read_answer(reader, answers, reading).await } else { Ok(reader) } };
        Some((next, (lines, tokio::spawn(reading), log)))
    });
    (walk.boxed(), desk)
}

async fn read_answer(mut reader: AnswerReader, answers: Answers, log: Log) -> Result<AnswerReader, NoAnswer> {
    let Answers::Read(busy) = answers else { return reader.read(|_| panic!("the reader is lost")).await };
    pause(busy).await;
    let id = reader.read(|record| {
        record.page = RawJson::of(&record.id.seq).ok();
        record.id.clone()
    });
    log.note(Event::AnswerRead(id.await?));
    reader.written().await?;
    Ok(reader)
}

/// Takes lines back.
struct FakeRelease(Log);

impl Release for FakeRelease {
    fn release(&mut self, lines: Vec<ReleaseReceipt>) -> Result<(), BoxError> {
        lines.into_iter().for_each(|receipt| self.0.note(Event::Released(receipt.id)));
        Ok(())
    }
}

fn last_words(ending: SourceEnd) -> BoxStream<'static, Result<Input, BoxError>> {
    match ending {
        SourceEnd::Ends | SourceEnd::Repeats => stream::empty().boxed(),
        SourceEnd::StaysOpen => stream::pending().boxed(),
        SourceEnd::Breaks => stream::once(ready(Err("the source broke".into()))).boxed(),
        SourceEnd::Panics => stream::once(async { panic!("the source panicked") }).boxed(),
    }
}

struct Reader {
    name: Arc<str>,
    seq: u64,
    exchanges: Exchanges,
    log: Log,
}

impl Reader {
    fn read(&mut self, Arrival { after, line }: Arrival) -> impl Future<Output = Input> + Send + use<> {
        let (input, seen) = self.say(line);
        let log = self.log.clone();
        async move {
            pause(after).await;
            seen.into_iter().for_each(|event| log.note(event));
            input
        }
    }

    fn say(&mut self, line: Said) -> (Input, Option<Event>) {
        if matches!(line, Said::Blank) {
            return (Input::Blank, None);
        }
        self.seq += 1;
        let id = Identity { state_id: None, source: Some(Arc::clone(&self.name)), file: None, seq: self.seq, round: 0 };
        let text = self.text(&id, line);
        let yielded = Event::Yielded(id.clone(), text.len());
        (Input::Line(Line { id, text, position: None }), Some(yielded))
    }

    fn text(&self, id: &Identity, line: Said) -> Text {
        let text = match line {
            Said::Get(exchange) => self.announce(id, exchange),
            Said::Post(exchange) => format!(r#"{{"url":"{}","method":"POST"}}"#, self.announce(id, exchange)),
            Said::TooLong => {
                return Text::too_long(Bytes::from_static(b"http://h0.test/xxx"), 2_000_000);
            }
            Said::NotAUrl | Said::Blank => "h0.test".to_owned(),
        };
        Text::Whole(text.into())
    }

    fn announce(&self, id: &Identity, exchange: Exchange) -> String {
        let url = format!("http://h{}.test/{}/{}", exchange.host, self.name, id.seq);
        self.exchanges.add(id.clone(), exchange);
        url
    }
}

/// Keeps an account of what is done, in its own way for each source.
pub struct FakeSettle {
    pub settlings: Vec<Settling>,
    pub log: Log,
}

impl Settle for FakeSettle {
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError> {
        for receipt in done {
            match self.settlings[receipt.source] {
                Settling::Absent => panic!("a line is settled that nobody asked for"),
                Settling::Fails => return Err("the source forgot".into()),
                Settling::Panics => panic!("the source lost its mind"),
                Settling::Records => {
                    self.log.note(Event::Settled(receipt.id.clone()));
                    let position = match &receipt.position {
                        Some(LinePosition::Page(page)) => Some(page.read().unwrap()),
                        _ => None,
                    };
                    self.log.note(Event::Position(receipt.id.clone(), position));
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self, _marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>> {
        self.log.note(Event::Committed);
        ready(Ok(())).boxed()
    }
}

/// Remembers hosts in trouble.
pub struct FakeHosts(pub Log);

impl HostStateStore for FakeHosts {
    fn load(&mut self) -> Vec<HostState> {
        Vec::new()
    }

    fn save(&mut self, host_states: &[HostState]) {
        self.0.note(Event::HostsInTrouble(host_states.len()));
    }
}

/// A file with a token, which is another at some times.
pub struct FakeTokens {
    start: Instant,
    renewals: Vec<Duration>,
    /// How often it had been renewed when it was last read: what requests carry.
    known: Mutex<usize>,
}

impl FakeTokens {
    pub fn new(renewals: Vec<Duration>) -> Self {
        Self { start: Instant::now(), renewals, known: Mutex::new(0) }
    }

    fn generation(number: usize) -> TokenGeneration {
        (0..number).fold(TokenGeneration::FIRST, |generation, _| generation.next())
    }
}

impl RefreshTokens for FakeTokens {
    fn refresh(&self, _file: usize) -> BoxFuture<'_, Refreshed> {
        let in_file = self.renewals.iter().filter(|at| **at <= self.start.elapsed()).count();
        let before = std::mem::replace(&mut *self.known.lock().unwrap(), in_file);
        let is_new = in_file > before;
        ready(if is_new { Refreshed::Renewed(Self::generation(in_file)) } else { Refreshed::Same }).boxed()
    }
}

pub struct Network {
    pub exchanges: Exchanges,
    pub tokens: Arc<FakeTokens>,
    pub memory: Ledger,
    pub log: Log,
}

impl Fetch for Network {
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt> {
        let id = line_of(&call.request.url);
        self.log.note(Event::Asked(id.clone()));
        self.log.note(Event::Reached(call.request.url.host_str().unwrap().to_owned()));
        let reservation = self.memory.watch(reservation);
        let (Step { after, reply }, sent) = self.exchanges.send(&id);
        let token = *self.tokens.known.lock().unwrap();
        let attempt = async move {
            pause(after).await;
            match reply {
                Reply::Token { good_from, body } => {
                    let head = judge_token(call, token, good_from);
                    self.receive(&id, reservation, body, head).await
                }
                Reply::Response { status, body } => self.receive(&id, reservation, body, head(status)).await,
                Reply::AskForRest(wait) => {
                    whole(Head { retry_after: Some(RetryAfter(wait)), ..head(429) }, Body::default())
                }
                Reply::RedirectTo(host) => {
                    // Each hop leads to a place of its own, so none leads back.
                    let source = id.source.as_deref().unwrap_or_default();
                    let to = format!("http://h{host}.test/{source}/{}/hop{sent}", id.seq);
                    whole(Head { location: Some(to.into()), ..head(307) }, Body::default())
                }
                Reply::Fail(kind, sent) => Attempt::Failed(Failure::new(kind, "scripted", sent)),
                Reply::Panic => panic!("the attempt panicked as told"),
                Reply::Hang => pending().await,
            }
        };
        let timed_out = |_| Attempt::Failed(Failure::new(ErrorKind::Timeout, "too slow", Sent::Something));
        timeout(call.limits.timeout, attempt).map(move |in_time| in_time.unwrap_or_else(timed_out)).boxed()
    }
}

impl Network {
    /// The body of a response, unless there is no memory for it: then the request starts over.
    async fn receive(&self, id: &Identity, reservation: Watched, bytes: u64, head: Head) -> Attempt {
        let attempt = receive(reservation, bytes, head).await;
        if matches!(attempt, Attempt::NoMemory { .. }) {
            self.exchanges.take_back(id);
        }
        attempt
    }
}

/// The head of a response to the token of this number, where only those from another number on are good.
fn judge_token(call: &Call, token: usize, good_from: usize) -> Head {
    let carries = call.credential_scope == CredentialScope::OwnHost;
    let is_good = good_from == 0 || carries && token >= good_from;
    let generation = carries.then(|| FakeTokens::generation(token));
    Head { token: generation, ..head(if is_good { 200 } else { 401 }) }
}

/// The body comes in pieces, so that bodies of several attempts grow side by side.
async fn receive(mut reservation: Watched, bytes: u64, head: Head) -> Attempt {
    const PIECE: u64 = 48 << 10;
    let mut received = 0;
    while received < bytes {
        received = bytes.min(received + PIECE);
        if !reservation.grow_to(received) {
            return Attempt::NoMemory { need: bytes };
        }
        pause(ms(1)).await;
    }
    let (body, reservation) = reservation.into_body(bytes);
    whole(Head { reservation: Some(reservation), ..head }, body)
}

fn head(status: u16) -> Head {
    Head::new(StatusCode::from_u16(status).unwrap())
}

fn whole(head: Head, body: Body) -> Attempt {
    Attempt::Response(Box::new(Response { head, body }))
}

pub struct FakeSink {
    pub number: usize,
    pub behaviour: SinkBehaviour,
    pub written: usize,
    pub log: Log,
}

impl Sink for FakeSink {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            self.take_time().await?;
            self.written += batch.len();
            batch.iter().for_each(|record| {
                self.log.note(Event::Written { sink: self.number, entry: record.as_ref().into() });
            });
            Ok(())
        }
        .boxed()
    }

    fn due(&mut self) -> BoxFuture<'_, ()> {
        match self.behaviour {
            SinkBehaviour::Switches { after } if self.written >= after => ready(()).boxed(),
            _ => pending().boxed(),
        }
    }

    fn request_rotation(&mut self) {
        self.log.note(Event::RotationRequested { sink: self.number });
    }

    fn end_file(&mut self, end: sink::EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        self.log.note(Event::Switched);
        if end == sink::EndReason::Rotation {
            self.behaviour = SinkBehaviour::Prompt;
        }
        ready(Ok(())).boxed()
    }
}

impl FakeSink {
    async fn take_time(&mut self) -> Result<(), BoxError> {
        match self.behaviour {
            SinkBehaviour::Slow(time) => pause(time).await,
            SinkBehaviour::Stalls { after, time } if self.written >= after => {
                self.behaviour = SinkBehaviour::Prompt;
                pause(time).await;
            }
            SinkBehaviour::Hangs { after } if self.written >= after => pending().await,
            SinkBehaviour::Fails { after } if self.written >= after => return Err("the sink is full".into()),
            SinkBehaviour::Panics { after } if self.written >= after => panic!("the sink fell down"),
            _ => {}
        }
        Ok(())
    }
}

/// A scripted delay; none at all is not even a turn of the scheduler.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
