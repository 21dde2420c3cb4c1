//! Maps a receiver's response to the result of a delivery.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::ship::Delivery;

/// The head of a response, and the beginning of its body as printable text.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub text: String,
}

impl Answer {
    /// The result of the delivery.
    pub fn delivery(self) -> Delivery {
        let reason = self.reason();
        match self.status.as_u16() {
            200..=299 => Delivery::Arrived,
            408 | 425 | 429 | 500.. => Delivery::Failed { reason, retry_after: self.retry_after },
            400 | 413 | 422 => Delivery::Refused { reason },
            // Redirects are not followed because the configuration names the receiver. Operators have to fix everything
            // else.
            _ => Delivery::Blocked { reason },
        }
    }

    fn reason(&self) -> String {
        let hint = match self.status.as_u16() {
            300..=399 => "; redirects are not followed, so give `url` the address that it leads to",
            401 | 403 => "; check `secret` and `headers`",
            404 | 405 | 410 => "; check `url`",
            _ => "",
        };
        let text = if self.text.is_empty() { String::new() } else { format!(" ({})", self.text) };
        format!("the receiver answers {}{text}{hint}", self.status.as_u16())
    }
}

/// Parses a Retry-After: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // A date in the past is no wait.
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

/// The beginning of a body as one line for logs, without control sequences.
pub(super) fn shown(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(body);
    let is_visible = |c: &char| !c.is_control() && (c.is_ascii() || c.escape_debug().count() == 1);
    let words = text.split_whitespace().map(|word| word.chars().filter(is_visible).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after: Some(Duration::from_secs(7)), text: "no".to_owned() }
    }

    #[test]
    fn every_status_has_one_meaning() {
        for status in 200..=599 {
            let meaning = match answer(status).delivery() {
                Delivery::Arrived => "arrived",
                Delivery::Failed { retry_after, .. } => {
                    assert_eq!(retry_after, Some(Duration::from_secs(7)));
                    "again"
                }
                Delivery::Refused { .. } => "refused",
                Delivery::Blocked { .. } => "blocked",
            };
            let want = match status {
                ..300 => "arrived",
                408 | 425 | 429 | 500.. => "again",
                400 | 413 | 422 => "refused",
                _ => "blocked",
            };
            assert_eq!(meaning, want, "{status}");
        }
    }

    #[test]
    fn a_reason_has_the_status_what_was_said_and_what_to_check() {
        let Delivery::Blocked { reason } = answer(401).delivery() else { panic!("not blocked") };
        assert_eq!(reason, "the receiver answers 401 (no); check `secret` and `headers`");
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let date = |later: i64| {
            let seconds = u64::try_from(1_800_000_000 + later).unwrap();
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        };
        for (value, seconds) in
            [("120".to_owned(), Some(120)), (date(30), Some(30)), (date(-30), Some(0)), ("soon".to_owned(), None)]
        {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn what_a_receiver_says_is_shown_in_one_short_line() {
        assert_eq!(shown("<h1>\n no\x1b[31m\t\u{202e} \"way\"</h1> ".as_bytes()), "<h1> no[31m \"way\"</h1>");
        assert_eq!(shown(&[b'x'; 1000]).len(), 200);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }
}
