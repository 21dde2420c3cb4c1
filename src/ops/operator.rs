//! What an operator can change while a run goes on, and who carries it out: the API knows only this trait.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::units::{Concurrency, Rate};

/// Whom a verb is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The whole run.
    All,
    /// The host of this name, in lower case, with a port where the configuration gives that limits of its own.
    Host(String),
}

/// How long a change holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Until it is taken back.
    UntilCleared,
    /// For so long.
    For(Duration),
}

/// A verb, as `POST /v1/...` and `fetchd ctl` name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Nothing new starts.
    Pause(Whom, Lasting),
    /// What was paused goes on.
    Resume(Whom),
    /// The waiting lines of a host end unsent as `skipped`; with a time, those that come in it, too.
    Skip {
        /// The host's name.
        host: String,
        /// For how long lines that come are skipped, too; `None` only those that wait.
        lasting: Option<Duration>,
    },
    /// Lines of this host that come are fetched again.
    EndSkip(String),
    /// Limits that beat those of the configuration.
    Limits(Whom, LimitsChange),
    /// The run stops in good order.
    Drain(Unfinished),
    /// The outputs go on in new files.
    Rotate,
    /// The configuration is loaded anew.
    Reload(Reloading),
}

/// How limits change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsChange {
    /// These hold instead of those of the configuration.
    Set {
        /// Requests started per period.
        rate: Option<Rate>,
        /// Requests on the wire at once.
        concurrency: Option<Concurrency>,
        /// For how long.
        lasting: Lasting,
    },
    /// Those of the configuration hold again.
    Clear,
}

/// What a drain may do to lines that could be lost by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It is refused if lines would be canceled.
    Keep,
    /// They are canceled.
    Cancel,
}

/// Whether a reload is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloading {
    /// It is.
    Apply,
    /// It is checked, and its reply says what would change.
    DryRun,
}

impl Verb {
    /// Its name in paths and events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause(..) => "pause",
            Self::Resume(_) => "resume",
            Self::Skip { .. } | Self::EndSkip(_) => "skip",
            Self::Limits(..) => "limits",
            Self::Drain(_) => "drain",
            Self::Rotate => "rotate",
            Self::Reload(_) => "reload",
        }
    }
}

/// What came of a verb.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// A whole sentence: what holds now.
    pub message: String,
    /// Whole sentences: what the operator may not have meant, such as a paused host whose lines fill the window.
    pub warnings: Vec<String>,
    /// Whether it holds after a restart, too; `None` where that means nothing.
    pub kept: Option<bool>,
    /// More facts, by their keys in the answer.
    pub facts: Map<String, Value>,
}

/// Why a verb was not carried out: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be meant so: a host or a value that cannot be. A whole sentence, which names the field.
    Invalid(String),
    /// The state of the run does not allow it. A whole sentence with what to do.
    Refused(String),
    /// There is no run: it has not begun, or has ended.
    Unavailable(String),
    /// It cannot be done now, and may be in a moment: the scheduler is busy, another reload goes on.
    TryAgain(String),
}

impl Refusal {
    /// The sentence.
    pub fn message(&self) -> &str {
        let (Self::Invalid(message) | Self::Refused(message) | Self::Unavailable(message) | Self::TryAgain(message)) =
            self;
        message
    }
}

/// Carries out verbs. It may take its time: a request ends after 10 s, and what it has begun goes on.
pub trait Operator: Send + Sync {
    /// Carries out a verb; the answer comes once it holds, and is kept on the disk where there is a data directory.
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>>;
}
