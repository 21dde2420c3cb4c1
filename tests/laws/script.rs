//! What the parts are told to do.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};

/// A source: what it says, how it ends, and whether it wants to know what is done.
#[derive(Clone, Debug)]
pub struct SourceScript {
    pub arrivals: Vec<Arrival>,
    pub ending: SourceEnd,
    pub settling: Settling,
    pub answers: Answers,
}

/// What a source makes of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Nothing.
    Ignored,
    /// It reads each for so long, and yields the next line when every sink has the record.
    Read(Duration),
    /// It is gone with the record in its hands.
    Lost,
}

/// One input, so long after the one before it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub after: Duration,
    pub line: Said,
}

#[derive(Clone, Debug)]
pub enum Said {
    Blank,
    NotAUrl,
    TooLong,
    Get(Exchange),
    Post(Exchange),
}

/// What one line's requests meet, in their order; the last step is repeated.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub host: u8,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub after: Duration,
    pub reply: Reply,
}

#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Response {
        status: u16,
        body: u64,
    },
    /// 200 to the token of this number and to later ones, or to any request if that is 0; 401 to others.
    Token {
        good_from: usize,
        body: u64,
    },
    /// 429 with Retry-After.
    AskForRest(Duration),
    RedirectTo(u8),
    Fail(ErrorKind, Sent),
    Panic,
    Hang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    Ends,
    StaysOpen,
    /// The arrivals come again and again.
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
pub enum SinkBehaviour {
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

impl SourceScript {
    pub fn of(lines: impl IntoIterator<Item = Said>) -> Self {
        let arrivals = lines.into_iter().map(|line| Arrival { after: Duration::ZERO, line }).collect();
        Self { arrivals, ending: SourceEnd::Ends, settling: Settling::Absent, answers: Answers::Ignored }
    }

    pub fn ending(self, ending: SourceEnd) -> Self {
        Self { ending, ..self }
    }

    pub fn settling(self, settling: Settling) -> Self {
        Self { settling, ..self }
    }

    pub fn answers(self, answers: Answers) -> Self {
        Self { answers, ..self }
    }

    /// The same inputs, each so long after the one before it.
    pub fn every(mut self, pause: Duration) -> Self {
        for arrival in &mut self.arrivals {
            arrival.after = pause;
        }
        self
    }
}

impl Exchange {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { host: 0, steps: steps.into_iter().collect() }
    }

    pub fn at(self, host: u8) -> Self {
        Self { host, ..self }
    }

    pub fn get(self) -> Said {
        Said::Get(self)
    }

    pub fn post(self) -> Said {
        Said::Post(self)
    }
}

impl Reply {
    pub fn after(self, after: Duration) -> Step {
        Step { after, reply: self }
    }
}

/// A line that is answered 200 after this time.
pub fn ok(after: Duration) -> Exchange {
    with_body(after, 0)
}

/// A line that is answered 200 with so many bytes, the first of them after this time.
pub fn with_body(after: Duration, body: u64) -> Exchange {
    Exchange::new([Reply::Response { status: 200, body }.after(after)])
}

/// A line that is answered with this status at once.
pub fn status(status: u16) -> Exchange {
    Exchange::new([Reply::Response { status, body: 0 }.after(Duration::ZERO)])
}

/// A line that is never answered.
pub fn hang() -> Exchange {
    Exchange::new([Reply::Hang.after(Duration::ZERO)])
}
