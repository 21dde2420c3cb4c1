//! The limits of a response's time and length: as set in `[fetch]`, `[hosts]` and a line, and as effective for a call.

use std::time::Duration;

/// The effective limits of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseLimits {
    /// The time until the response head: DNS, connect, TLS, request.
    pub timeout: Duration,
    /// The time until the end of the response: the rest of the line's deadline.
    pub time_left: Duration,
    /// The least bytes per second of the body over `fetch.speed_time`; 0 for no limit.
    pub min_speed: u32,
    /// The longest decoded body.
    pub max_body: u64,
    /// Where each limit is set.
    pub set_by: SetBy,
}

impl ResponseLimits {
    /// These limits of `[fetch]`, overridden by `rules`, which combine those of the line and of its host.
    pub fn with(self, line: ResponseRules, rules: ResponseRules) -> Self {
        let timeout = rules.timeout.unwrap_or(self.timeout);
        let set_by = SetBy {
            timeout: if timeout > self.time_left { Level::Deadline } else { Level::of(line.timeout, rules.timeout) },
            min_speed: Level::of(line.min_speed, rules.min_speed),
            max_body: Level::of(line.max_body, rules.max_body),
        };
        Self {
            timeout: timeout.min(self.time_left),
            time_left: self.time_left,
            min_speed: rules.min_speed.unwrap_or(self.min_speed),
            max_body: rules.max_body.unwrap_or(self.max_body),
            set_by,
        }
    }
}

/// Where each limit is set, for messages that name the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetBy {
    /// See [`ResponseLimits::timeout`].
    pub timeout: Level,
    /// See [`ResponseLimits::min_speed`].
    pub min_speed: Level,
    /// See [`ResponseLimits::max_body`].
    pub max_body: Level,
}

/// Where a key is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// In `[fetch]`, or by default.
    #[default]
    Fetch,
    /// In a `[hosts]` table.
    Hosts,
    /// In the line.
    Line,
    /// By the rest of the line's deadline.
    Deadline,
}

impl Level {
    /// The level of a limit that the line may set, or line and host together.
    fn of<T>(line: Option<T>, line_or_host: Option<T>) -> Self {
        match (line, line_or_host) {
            (Some(_), _) => Self::Line,
            (None, Some(_)) => Self::Hosts,
            (None, None) => Self::Fetch,
        }
    }

    /// The key of this name for a message.
    pub fn key(self, name: &str) -> String {
        match self {
            Self::Fetch => format!("fetch.{name}"),
            Self::Hosts => format!("{name} of [hosts]"),
            Self::Line => format!("{name} of the line"),
            Self::Deadline => "fetch.deadline".to_owned(),
        }
    }
}

/// The limits that a `[hosts]` table or a line sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseRules {
    /// See [`ResponseLimits::timeout`].
    pub timeout: Option<Duration>,
    /// See [`ResponseLimits::min_speed`].
    pub min_speed: Option<u32>,
    /// See [`ResponseLimits::max_body`].
    pub max_body: Option<u64>,
}

impl ResponseRules {
    /// These rules; limits that they do not set are those of `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            timeout: self.timeout.or(other.timeout),
            min_speed: self.min_speed.or(other.min_speed),
            max_body: self.max_body.or(other.max_body),
        }
    }
}
