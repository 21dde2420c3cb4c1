//! What a server does with one request of a script.

use std::time::Duration;

use fetchd::item::{Attempt, ErrorKind, Sent, TokenGeneration};

use crate::items::{answered, answered_later, failed, redirected, robots, url_of};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Status(u16),
    RetryAfter(u16, Duration),
    Redirect { status: u16, host: usize, path: u8 },
    Fails(ErrorKind, Sent),
    NoMemory,
    Canceled,
}

impl Reply {
    pub fn attempt(&self) -> Attempt {
        match self {
            Self::Status(status) => answered(*status),
            Self::RetryAfter(status, wait) => answered_later(*status, *wait),
            Self::Redirect { status, host, path } => redirected(*status, url_of(*host, *path).as_str()),
            Self::Fails(kind, sent) => failed(*kind, *sent),
            Self::NoMemory => Attempt::NoMemory { need: 1 << 20 },
            Self::Canceled => Attempt::Canceled,
        }
    }

    /// The same to a request that carried this token.
    pub fn attempt_with(&self, token: Option<TokenGeneration>) -> Attempt {
        match self.attempt() {
            Attempt::Response(mut response) => {
                response.head.token = token;
                Attempt::Response(response)
            }
            other => other,
        }
    }

    /// The same for a robots.txt: a file has rules.
    pub fn attempt_at_robots(&self) -> Attempt {
        match self {
            Self::Status(200) => robots("User-agent: fetchd\nDisallow: /1\nCrawl-delay: 0.05\n"),
            other => other.attempt(),
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) | Self::RetryAfter(status, _) | Self::Redirect { status, .. } => Some(*status),
            Self::Fails(..) | Self::NoMemory | Self::Canceled => None,
        }
    }
}
