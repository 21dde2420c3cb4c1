//! The changes that an operator can make to a run, and the trait that carries them out.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::units::{Concurrency, Rate};

/// The target of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The whole run.
    All,
    /// A host by its name in lower case, with a port where the configuration limits that port separately.
    Host(String),
}

/// How long a change holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Until it is cleared.
    UntilCleared,
    /// For this time.
    For(Duration),
}

/// A verb: a change by `POST /v1/...` or `fetchd ctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Starts no new requests.
    Pause(Whom, Lasting),
    /// Ends a pause.
    Resume(Whom),
    /// Ends the waiting lines of a host as `skipped`, without sending them.
    Skip {
        /// The host's name.
        host: String,
        /// For how long new lines of the host are skipped, too; `None`: only those that wait.
        lasting: Option<Duration>,
    },
    /// Fetches new lines of a skipped host again.
    EndSkip(String),
    /// Overrides limits, or clears the overrides.
    Limits(Whom, LimitsChange),
    /// Stops the run in good order.
    Drain(Unfinished),
    /// Starts new output files.
    Rotate,
    /// Loads the configuration again.
    Reload(Reloading),
}

/// A change of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsChange {
    /// Overrides the limits of the configuration.
    Set {
        /// Requests started per period.
        rate: Option<Rate>,
        /// Requests on the wire at once.
        concurrency: Option<Concurrency>,
        /// How long the override holds.
        lasting: Lasting,
    },
    /// Restores the limits of the configuration.
    Clear,
}

/// Whether a drain may cancel lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The drain is refused if it would cancel lines.
    Keep,
    /// The drain may cancel lines.
    Cancel,
}

/// Whether a reload is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloading {
    /// The new configuration takes effect.
    Apply,
    /// The new configuration is only checked; the reply lists what would change.
    DryRun,
}

impl Verb {
    /// The name of the verb in paths and events.
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

/// The reply to a verb.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// A sentence with the state that now holds.
    pub message: String,
    /// Sentences about unexpected effects, such as a paused host whose lines fill the window.
    pub warnings: Vec<String>,
    /// Whether the change survives a restart; `None` where that does not apply.
    pub kept: Option<bool>,
    /// More facts, by their keys in the response.
    pub facts: Map<String, Value>,
}

/// Why a verb was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A host or a value is invalid. A sentence that names the field.
    Invalid(String),
    /// The state of the run does not allow it. A sentence that names the remedy.
    Refused(String),
    /// There is no run: it has not begun, or has ended.
    Unavailable(String),
    /// A retry may succeed: the schedule is busy, or another reload is under way.
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

/// Carries out verbs. This may take long: the API's request times out after 10 s, but the change goes on.
pub trait Operator: Send + Sync {
    /// Carries out a verb; replies once the change holds and, with a data directory, is on disk.
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>>;
}
