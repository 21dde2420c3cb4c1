//! The table of error kinds, with the name, outcome and retry class of each.

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Final response 2xx, received whole.
    Ok,
    /// Final response with any other status, received whole.
    HttpError,
    /// No whole response, or a redirect hop was refused.
    Failed,
    /// No request was sent for this line.
    Rejected,
    /// Accepted, but not finished when the run was stopped.
    Canceled,
}

impl Outcome {
    /// Every outcome, in the order of the summary.
    pub const ALL: [Self; 5] = [Self::Ok, Self::HttpError, Self::Failed, Self::Rejected, Self::Canceled];

    /// Its name in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::HttpError => "http_error",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
        }
    }
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never.
    Terminal,
    /// Nothing was sent yet, so any method may be sent again.
    BeforeSend,
    /// Something was sent, so only an idempotent method may be sent again.
    Idempotent,
    /// Depends on the status (`retry.on_status`, Retry-After).
    ByStatus,
}

/// The kind of an error in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documentation; product terms are explained in docs/records.md")]
pub enum ErrorKind {
    HttpStatus,
    RetryAfterTooLong,
    DnsNotFound,
    DnsFailed,
    DnsTimeout,
    ConnectRefused,
    ConnectTimeout,
    ConnectFailed,
    TlsFailed,
    Reset,
    Timeout,
    Deadline,
    Protocol,
    BodyIncomplete,
    BodyTooLarge,
    Decode,
    RedirectLoop,
    TooManyRedirects,
    RedirectDowngrade,
    CircuitOpen,
    NoToken,
    PageUnreadable,
    PageLoop,
    PageLimit,
    PageOrigin,
    Panic,
    NotUtf8,
    InvalidChar,
    LineTooLong,
    InvalidJson,
    InvalidRequest,
    NotRepeatable,
    InvalidUrl,
    SchemeNotAllowed,
    CredentialsInUrl,
    ForbiddenAddress,
    RobotsDenied,
    RobotsUnavailable,
    JournalDamaged,
    Skipped,
    Canceled,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 41] = [
        Self::HttpStatus,
        Self::RetryAfterTooLong,
        Self::DnsNotFound,
        Self::DnsFailed,
        Self::DnsTimeout,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::TlsFailed,
        Self::Reset,
        Self::Timeout,
        Self::Deadline,
        Self::Protocol,
        Self::BodyIncomplete,
        Self::BodyTooLarge,
        Self::Decode,
        Self::RedirectLoop,
        Self::TooManyRedirects,
        Self::RedirectDowngrade,
        Self::CircuitOpen,
        Self::NoToken,
        Self::PageUnreadable,
        Self::PageLoop,
        Self::PageLimit,
        Self::PageOrigin,
        Self::Panic,
        Self::NotUtf8,
        Self::InvalidChar,
        Self::LineTooLong,
        Self::InvalidJson,
        Self::InvalidRequest,
        Self::NotRepeatable,
        Self::InvalidUrl,
        Self::SchemeNotAllowed,
        Self::CredentialsInUrl,
        Self::ForbiddenAddress,
        Self::RobotsDenied,
        Self::RobotsUnavailable,
        Self::JournalDamaged,
        Self::Skipped,
        Self::Canceled,
    ];

    /// The name, outcome and retry class.
    #[expect(clippy::too_many_lines, reason = "each kind has its row")]
    const fn row(self) -> (&'static str, Outcome, Retry) {
        use {Outcome as O, Retry as R};
        match self {
            Self::HttpStatus => ("http_status", O::HttpError, R::ByStatus),
            Self::RetryAfterTooLong => ("retry_after_too_long", O::HttpError, R::Terminal),
            Self::DnsNotFound => ("dns_not_found", O::Failed, R::Terminal),
            Self::DnsFailed => ("dns_failed", O::Failed, R::BeforeSend),
            Self::DnsTimeout => ("dns_timeout", O::Failed, R::BeforeSend),
            Self::ConnectRefused => ("connect_refused", O::Failed, R::BeforeSend),
            Self::ConnectTimeout => ("connect_timeout", O::Failed, R::BeforeSend),
            Self::ConnectFailed => ("connect_failed", O::Failed, R::BeforeSend),
            Self::TlsFailed => ("tls_failed", O::Failed, R::Terminal),
            Self::Reset => ("reset", O::Failed, R::Idempotent),
            Self::Timeout => ("timeout", O::Failed, R::Idempotent),
            Self::Deadline => ("deadline", O::Failed, R::Terminal),
            Self::Protocol => ("protocol", O::Failed, R::Terminal),
            Self::BodyIncomplete => ("body_incomplete", O::Failed, R::Idempotent),
            Self::BodyTooLarge => ("body_too_large", O::Failed, R::Terminal),
            Self::Decode => ("decode", O::Failed, R::Terminal),
            Self::RedirectLoop => ("redirect_loop", O::Failed, R::Terminal),
            Self::TooManyRedirects => ("too_many_redirects", O::Failed, R::Terminal),
            Self::RedirectDowngrade => ("redirect_downgrade", O::Failed, R::Terminal),
            Self::CircuitOpen => ("circuit_open", O::Failed, R::Terminal),
            Self::NoToken => ("no_token", O::Failed, R::Terminal),
            Self::PageUnreadable => ("page_unreadable", O::Failed, R::Terminal),
            Self::PageLoop => ("page_loop", O::Failed, R::Terminal),
            Self::PageLimit => ("page_limit", O::Failed, R::Terminal),
            Self::PageOrigin => ("page_origin", O::Failed, R::Terminal),
            Self::Panic => ("panic", O::Failed, R::Terminal),
            Self::NotUtf8 => ("not_utf8", O::Rejected, R::Terminal),
            Self::InvalidChar => ("invalid_char", O::Rejected, R::Terminal),
            Self::LineTooLong => ("line_too_long", O::Rejected, R::Terminal),
            Self::InvalidJson => ("invalid_json", O::Rejected, R::Terminal),
            Self::InvalidRequest => ("invalid_request", O::Rejected, R::Terminal),
            Self::NotRepeatable => ("not_repeatable", O::Rejected, R::Terminal),
            Self::InvalidUrl => ("invalid_url", O::Rejected, R::Terminal),
            Self::SchemeNotAllowed => ("scheme_not_allowed", O::Rejected, R::Terminal),
            Self::CredentialsInUrl => ("credentials_in_url", O::Rejected, R::Terminal),
            Self::ForbiddenAddress => ("forbidden_address", O::Rejected, R::Terminal),
            Self::RobotsDenied => ("robots_denied", O::Rejected, R::Terminal),
            Self::RobotsUnavailable => ("robots_unavailable", O::Rejected, R::Terminal),
            Self::JournalDamaged => ("journal_damaged", O::Rejected, R::Terminal),
            Self::Skipped => ("skipped", O::Failed, R::Terminal),
            Self::Canceled => ("canceled", O::Canceled, R::Terminal),
        }
    }

    /// Its name in a record.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether another attempt may help.
    pub fn retry(self) -> Retry {
        self.row().2
    }

    /// The outcome of a line that ends with this kind after so many requests: a line is `rejected` only while nothing
    /// was sent for it.
    pub fn outcome(self, attempts: u32) -> Outcome {
        match (self.row().1, attempts) {
            (Outcome::Rejected, 1..) => Outcome::Failed,
            (outcome, _) => outcome,
        }
    }
}

/// Why a line, or a redirect target, is not requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The error kind.
    pub kind: ErrorKind,
    /// The record's error message.
    pub message: String,
}

impl Rejection {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_total_and_its_names_are_unique() {
        let names: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ErrorKind::ALL.len());
        // `ALL` lists each variant once and in order, so its length is the number of variants.
        for (place, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
        assert_eq!(ErrorKind::Canceled as usize + 1, ErrorKind::ALL.len());
    }

    #[test]
    fn a_line_is_rejected_only_while_nothing_was_sent() {
        assert_eq!(ErrorKind::ForbiddenAddress.outcome(0), Outcome::Rejected);
        assert_eq!(ErrorKind::ForbiddenAddress.outcome(1), Outcome::Failed);
        assert_eq!(ErrorKind::Canceled.outcome(3), Outcome::Canceled);
    }
}
