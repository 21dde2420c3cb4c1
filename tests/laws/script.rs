//! What the parts are told to do.

use std::time::Duration;

use fetchd::item::{Kind, Sent};

/// A source: what it says, how it ends, and whether it wants to know what is done.
#[derive(Clone, Debug)]
pub struct Script {
    pub cues: Vec<Cue>,
    pub ending: Ending,
    pub settling: Settling,
}

/// One input, so long after the one before it.
#[derive(Clone, Debug)]
pub struct Cue {
    pub after: Duration,
    pub word: Word,
}

#[derive(Clone, Debug)]
pub enum Word {
    Blank,
    NotAUrl,
    TooLong,
    Get(Play),
    Post(Play),
}

/// What one line's requests meet, in their order; the last step is repeated.
#[derive(Clone, Debug)]
pub struct Play {
    pub host: u8,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub after: Duration,
    pub act: Act,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    Answer {
        status: u16,
        body: u64,
    },
    /// 429 with Retry-After.
    AskForRest(Duration),
    RedirectTo(u8),
    Fail(Kind, Sent),
    Panic,
    Hang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Ends,
    StaysOpen,
    /// The cues come again and again.
    Repeats,
    Breaks,
    Panics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// The source keeps nothing.
    Absent,
    Records,
    Fails,
    Panics,
}

/// How a sink takes its batches.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    Prompt,
    Slow(Duration),
    /// Stands still once, before its first batch after so many records.
    Stalls {
        after: usize,
        time: Duration,
    },
    /// Goes on in another file once so much is written.
    Switches {
        after: usize,
    },
    Hangs {
        after: usize,
    },
    Fails {
        after: usize,
    },
    Panics {
        after: usize,
    },
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Script {
    pub fn of(words: impl IntoIterator<Item = Word>) -> Self {
        let cues = words.into_iter().map(|word| Cue { after: Duration::ZERO, word }).collect();
        Self { cues, ending: Ending::Ends, settling: Settling::Absent }
    }

    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    pub fn settling(self, settling: Settling) -> Self {
        Self { settling, ..self }
    }

    /// The same inputs, each so long after the one before it.
    pub fn every(mut self, pause: Duration) -> Self {
        for cue in &mut self.cues {
            cue.after = pause;
        }
        self
    }
}

impl Play {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { host: 0, steps: steps.into_iter().collect() }
    }

    pub fn at(self, host: u8) -> Self {
        Self { host, ..self }
    }

    pub fn get(self) -> Word {
        Word::Get(self)
    }

    pub fn post(self) -> Word {
        Word::Post(self)
    }
}

impl Act {
    pub fn after(self, after: Duration) -> Step {
        Step { after, act: self }
    }
}

/// A line that is answered 200 after this time.
pub fn ok(after: Duration) -> Play {
    with_body(after, 0)
}

/// A line that is answered 200 with so many bytes, the first of them after this time.
pub fn with_body(after: Duration, body: u64) -> Play {
    Play::new([Act::Answer { status: 200, body }.after(after)])
}

/// A line that is answered with this status at once.
pub fn status(status: u16) -> Play {
    Play::new([Act::Answer { status, body: 0 }.after(Duration::ZERO)])
}

/// A line that is never answered.
pub fn hang() -> Play {
    Play::new([Act::Hang.after(Duration::ZERO)])
}
