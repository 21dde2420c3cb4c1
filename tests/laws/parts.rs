//! The parts that play a script: a source, a network, a sink.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetchd::disk::Mark;
use fetchd::error::BoxError;
use fetchd::fetch::Fetch;
use fetchd::item::{
    Answer, Attempt, Body, Failure, Held, Identity, Input, Job, Line, Next, Receipt, Record, RetryAfter, Text,
};
use fetchd::schedule::Trouble;
use fetchd::sink::{self, Sink};
use fetchd::source::{Keeps, Source};
use fetchd::state::{Hosts, Settle};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use http::{StatusCode, Version};

use crate::log::{Event, Ledger, Log, Watched};
use crate::script::{Act, Cue, Ending, Manner, Play, Script, Settling, Step, Word, ms};

/// What each line's requests will meet: the source writes it, the network reads it.
#[derive(Clone, Debug, Default)]
pub struct Plays(Arc<Mutex<HashMap<Identity, Play>>>);

impl Plays {
    fn add(&self, id: Identity, play: Play) {
        self.0.lock().unwrap().insert(id, play);
    }

    fn step(&self, job: &Job) -> Step {
        let plays = self.0.lock().unwrap();
        let steps = &plays[&job.ticket.id].steps;
        steps[requests_before(job).min(steps.len() - 1)]
    }
}

/// Requests sent for the line so far, redirected ones too.
fn requests_before(job: &Job) -> usize {
    let redirected = job.hops.len() - usize::from(job.next == Next::Hop);
    job.attempts as usize + redirected
}

pub fn source(name: &str, script: Script, plays: &Plays, log: &Log) -> Source {
    let Script { cues, ending, settling } = script;
    let mut reader = Reader { name: name.into(), seq: 0, plays: plays.clone(), log: log.clone() };
    let cues = match ending {
        Ending::Repeats => stream::iter(cues.into_iter().cycle()).boxed(),
        _ => stream::iter(cues).boxed(),
    };
    let lines = cues.then(move |cue| reader.read(cue)).map(Ok).chain(last_words(ending)).boxed();
    let keeps = if settling == Settling::Absent { Keeps::Nothing } else { Keeps::Place };
    Source::new(lines, keeps)
}

fn last_words(ending: Ending) -> BoxStream<'static, Result<Input, BoxError>> {
    match ending {
        Ending::Ends | Ending::Repeats => stream::empty().boxed(),
        Ending::StaysOpen => stream::pending().boxed(),
        Ending::Breaks => stream::once(ready(Err("the source broke".into()))).boxed(),
        Ending::Panics => stream::once(async { panic!("the source panicked") }).boxed(),
    }
}

struct Reader {
    name: Arc<str>,
    seq: u64,
    plays: Plays,
    log: Log,
}

impl Reader {
    fn read(&mut self, Cue { after, word }: Cue) -> impl Future<Output = Input> + Send + use<> {
        let (input, seen) = self.say(word);
        let log = self.log.clone();
        async move {
            pause(after).await;
            seen.into_iter().for_each(|event| log.note(event));
            input
        }
    }

    fn say(&mut self, word: Word) -> (Input, Option<Event>) {
        if matches!(word, Word::Blank) {
            return (Input::Blank, None);
        }
        self.seq += 1;
        let id = Identity { journal: None, source: Some(Arc::clone(&self.name)), file: None, seq: self.seq };
        let text = self.text(&id, word);
        let yielded = Event::Yielded(id.clone(), text.len());
        (Input::Line(Line { id, text, place: None }), Some(yielded))
    }

    fn text(&self, id: &Identity, word: Word) -> Text {
        let text = match word {
            Word::Get(play) => self.announce(id, play),
            Word::Post(play) => format!(r#"{{"url":"{}","method":"POST"}}"#, self.announce(id, play)),
            Word::TooLong => {
                return Text::TooLong { head: Bytes::from_static(b"http://h0.test/xxx"), bytes: 2_000_000 };
            }
            Word::NotAUrl | Word::Blank => "h0.test".to_owned(),
        };
        Text::Whole(text.into())
    }

    fn announce(&self, id: &Identity, play: Play) -> String {
        let url = format!("http://h{}.test/{}/{}", play.host, self.name, id.seq);
        self.plays.add(id.clone(), play);
        url
    }
}

/// Keeps an account of what is done, in its own manner for each source.
pub struct Notary {
    pub settlings: Vec<Settling>,
    pub log: Log,
}

impl Settle for Notary {
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError> {
        for receipt in done {
            match self.settlings[receipt.source] {
                Settling::Absent => panic!("a line is settled that nobody asked for"),
                Settling::Fails => return Err("the source forgot".into()),
                Settling::Panics => panic!("the source lost its mind"),
                Settling::Records => self.log.note(Event::Settled(receipt.id.clone())),
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
pub struct Register(pub Log);

impl Hosts for Register {
    fn recall(&mut self) -> Vec<Trouble> {
        Vec::new()
    }

    fn remember(&mut self, troubles: &[Trouble]) {
        self.0.note(Event::HostsInTrouble(troubles.len()));
    }
}

pub struct Network {
    pub plays: Plays,
    pub memory: Ledger,
    pub log: Log,
}

impl Fetch for Network {
    fn attempt<'a>(&'a self, job: &'a Job, held: Held) -> BoxFuture<'a, Attempt> {
        self.log.note(Event::Asked(job.ticket.id.clone()));
        let held = self.memory.watch(held);
        let Step { after, act } = self.plays.step(job);
        async move {
            pause(after).await;
            match act {
                Act::Answer { status, body } => receive(held, body, answer(status)).await,
                Act::AskForRest(wait) => {
                    Attempt::Answer(Box::new(Answer { retry_after: Some(RetryAfter(wait)), ..answer(429) }))
                }
                Act::RedirectTo(host) => {
                    // Each hop leads to a place of its own, so none leads back.
                    let to = format!("http://h{host}.test/{}/hop{}", job.ticket.id.seq, job.hops.len());
                    Attempt::Answer(Box::new(Answer { location: Some(to.into()), ..answer(307) }))
                }
                Act::Fail(kind, sent) => Attempt::Failed(Failure { kind, message: "scripted".to_owned(), sent }),
                Act::Panic => panic!("the attempt panicked as told"),
                Act::Hang => pending().await,
            }
        }
        .boxed()
    }
}

/// The body comes in pieces, so that bodies of several attempts grow side by side.
async fn receive(mut held: Watched, bytes: u64, answer: Answer) -> Attempt {
    const PIECE: u64 = 48 << 10;
    let mut received = 0;
    while received < bytes {
        received = bytes.min(received + PIECE);
        if !held.grow_to(received) {
            return Attempt::NoMemory { need: bytes };
        }
        pause(ms(1)).await;
    }
    Attempt::Answer(Box::new(Answer { body: held.into_body(bytes), ..answer }))
}

fn answer(status: u16) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::HTTP_11,
        ip: None,
        content_type: None,
        content_length: None,
        location: None,
        retry_after: None,
        headers: None,
        body: Body::default(),
        ttfb: Duration::ZERO,
    }
}

pub struct Shelf {
    pub number: usize,
    pub manner: Manner,
    pub written: usize,
    pub log: Log,
}

impl Sink for Shelf {
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
        match self.manner {
            Manner::Switches { after } if self.written >= after => ready(()).boxed(),
            _ => pending().boxed(),
        }
    }

    fn switch(&mut self, next: sink::Next) -> BoxFuture<'_, Result<(), BoxError>> {
        self.log.note(Event::Switched);
        if next == sink::Next::File {
            self.manner = Manner::Prompt;
        }
        ready(Ok(())).boxed()
    }
}

impl Shelf {
    async fn take_time(&mut self) -> Result<(), BoxError> {
        match self.manner {
            Manner::Slow(time) => pause(time).await,
            Manner::Stalls { after, time } if self.written >= after => {
                self.manner = Manner::Prompt;
                pause(time).await;
            }
            Manner::Hangs { after } if self.written >= after => pending().await,
            Manner::Fails { after } if self.written >= after => return Err("the sink is full".into()),
            Manner::Panics { after } if self.written >= after => panic!("the sink fell down"),
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
