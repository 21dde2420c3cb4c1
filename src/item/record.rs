//! The record: what is known about a line when it is settled. Sinks turn it into text.

use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use super::{Echo, ErrorKind, Identity, Outcome, Received, Rejection, Ticket};

/// The one result of one line.
#[derive(Debug)]
pub struct Record {
    /// The line's identity.
    pub id: Identity,
    /// What is repeated of the line.
    pub echo: Echo,
    /// The URL that was requested first.
    pub url: Option<Url>,
    /// The URL after redirects.
    pub final_url: Option<Url>,
    /// The line's method.
    pub method: Method,
    /// How it ended.
    pub outcome: Outcome,
    /// What was received of the final response.
    pub received: Received,
    /// The status to show when nothing was received: that of the last hop.
    pub hop_status: Option<StatusCode>,
    /// Requests sent, redirects not counted.
    pub attempts: u32,
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// Its clock readings.
    pub times: Times,
    /// What went wrong.
    pub error: Option<(ErrorKind, String)>,
}

/// A redirect that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The URL that answered.
    pub url: Url,
    /// The method it was asked with.
    pub method: Method,
    /// Its status.
    pub status: StatusCode,
}

/// When things happened, as time since the start of the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When the first request started.
    pub started: Option<Duration>,
    /// From acceptance to settlement.
    pub elapsed: Duration,
    /// Of that, on the wire.
    pub wire: Duration,
}

impl Record {
    /// The record of a line that is not requested at all.
    pub fn rejected(id: Identity, echo: Echo, rejection: Rejection) -> Self {
        Self {
            id,
            echo,
            url: None,
            final_url: None,
            method: Method::GET,
            outcome: rejection.kind.outcome(0),
            received: Received::Nothing,
            hop_status: None,
            attempts: 0,
            hops: Vec::new(),
            times: Times::default(),
            error: Some((rejection.kind, rejection.message)),
        }
    }

    /// The error's kind, if it ended with one.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }
}

/// A record on its way out, with the place in the window that it frees.
#[derive(Debug)]
pub struct Done {
    /// The line's ticket.
    pub ticket: Ticket,
    /// Its record, in one place from here to the sinks.
    pub record: Box<Record>,
}
