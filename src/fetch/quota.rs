//! Reads the client's quota from a response head: `RateLimit` (draft-ietf-httpapi-ratelimit-headers), the
//! `RateLimit-Remaining` and `-Reset` of its earlier versions, and the `X-` names before them. A `RateLimit` without a
//! reset is reset within the window in `RateLimit-Policy`.
//!
//! Servers use many names for a reset and give one name several meanings, so a reset is read by its value: small
//! numbers are seconds from now, large ones a time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

use crate::item::Quota;

/// The longest window of a quota; a longer reset is ignored.
pub(super) const LONGEST: Duration = Duration::from_secs(32 * 24 * 3600);

/// The quota in a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub quota: Quota,
    pub scope: Scope,
}

/// The requests that a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All requests of the client, as far as the head shows.
    Client,
    /// Those for one resource or bucket, or of the client for which a cache was filled; others are not limited.
    Part,
}

/// One header about quotas.
struct Field {
    /// The rest of the name, without `remaining` and `reset`: `requests`, `minute`, mostly nothing.
    of: String,
    what: What,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Remaining,
    Reset,
    /// `RateLimit` itself.
    Both,
    /// `RateLimit-Policy`
    Policy,
    /// The name of a resource or bucket.
    Name,
}

impl Reading {
    /// Reads a head; `None` if it has no usable quota.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let fields: Vec<_> =
            headers.iter().filter_map(|(name, value)| field(name.as_str(), value.to_str().ok()?)).collect();
        if fields.is_empty() {
            return None;
        }
        let now = date_of(headers).unwrap_or_else(SystemTime::now);
        let pairs: Vec<_> = fields.iter().flat_map(|field| pairs(field, &fields, now)).collect();
        // The first used-up quota counts, or else the one with the least remaining.
        let quota = pairs.into_iter().min_by_key(|quota| quota.remaining)?;
        let is_part = headers.contains_key(header::AGE) || fields.iter().any(|field| field.what == What::Name);
        Some(Self { quota, scope: if is_part { Scope::Part } else { Scope::Client } })
    }

    /// The delay of a rejected request, if the quota was the reason.
    pub fn retry_after(self, status: StatusCode) -> Option<Duration> {
        let is_refused = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN);
        (is_refused && self.quota.remaining == 0).then(|| self.quota.reset + Quota::MARGIN)
    }
}

/// The time of the response by the server's clock.
pub(super) fn date_of(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()
}

fn field(name: &str, value: &str) -> Option<Field> {
    // Most heads have no such header, so one search suffices for most names.
    if !name.contains("limit") {
        return None;
    }
    let (_, rest) = name.split_once("ratelimit").or_else(|| name.split_once("rate-limit"))?;
    let (mut what, mut of) = (None, Vec::new());
    for word in rest.split('-').filter(|word| !word.is_empty()) {
        match word {
            "remaining" => what = Some(What::Remaining),
            "reset" => what = Some(What::Reset),
            "policy" => what = Some(What::Policy),
            "after" if what == Some(What::Reset) => {}
            "resource" | "bucket" => what = Some(What::Name),
            other => of.push(other),
        }
    }
    let what = if rest.is_empty() { What::Both } else { what? };
    let is_date = httpdate::parse_http_date(value).is_ok();
    let parts = value.split(|c| c == ',' && !is_date);
    let values = parts.map(|value| value.trim().to_owned()).collect();
    Some(Field { of: of.join("-"), what, values })
}

/// The quotas of a field with a remaining count, each with its reset.
fn pairs(field: &Field, all: &[Field], now: SystemTime) -> Vec<Quota> {
    match field.what {
        What::Both => structured(&field.values, all, now),
        What::Remaining => {
            let reset = all.iter().find(|other| other.what == What::Reset && other.of == field.of);
            let resets = reset.map_or(&[][..], |reset| &reset.values);
            let both = field.values.iter().zip(resets);
            both.filter_map(|(remaining, reset)| quota(remaining, reset, now)).collect()
        }
        What::Reset | What::Policy | What::Name => Vec::new(),
    }
}

/// The quotas of a `RateLimit`: `"default";r=50;t=30` for each, or `limit=100, remaining=50, reset=30` for one.
fn structured(values: &[String], all: &[Field], now: SystemTime) -> Vec<Quota> {
    let of = |text: &str| {
        let reset = parameter(text, &["t", "reset"]).or_else(|| window(name(text), all))?;
        quota(&parameter(text, &["r", "remaining"])?, &reset, now)
    };
    let each: Vec<_> = values.iter().filter_map(|value| of(value)).collect();
    if each.is_empty() { of(&values.join(";")).into_iter().collect() } else { each }
}

/// The window of the policy with this name.
fn window(policy: &str, all: &[Field]) -> Option<String> {
    let policies = all.iter().filter(|field| field.what == What::Policy).flat_map(|field| &field.values);
    policies.filter(|value| name(value) == policy).find_map(|value| parameter(value, &["w"]))
}

/// The name of an item: the part before its parameters.
fn name(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

fn parameter(item: &str, names: &[&str]) -> Option<String> {
    item.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| value.trim().to_owned())
    })
}

fn quota(remaining: &str, reset: &str, now: SystemTime) -> Option<Quota> {
    let remaining: f64 = remaining.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    // A reset in the past is ignored.
    let reset = Duration::try_from(until(reset, now)?).ok().filter(|reset| *reset <= LONGEST)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded down, and saturates")]
    Some(Quota { remaining: remaining as u64, reset })
}

/// The duration until a time given in seconds from now, in seconds or milliseconds since 1970, as a duration or as a
/// date; negative if it has passed.
pub(super) fn until(value: &str, now: SystemTime) -> Option<SignedDuration> {
    const SECONDS: f64 = 1e8;
    const MILLISECONDS: f64 = 1e11;
    const NEVER: f64 = 1e15;
    let from_epoch = |seconds| UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?);
    let at = if let Ok(number) = value.parse::<f64>() {
        match number {
            n if n < 0.0 => return None,
            n if n < SECONDS => return SignedDuration::try_from_secs_f64(n).ok(),
            n if n < MILLISECONDS => from_epoch(n)?,
            n if n < NEVER => from_epoch(n / 1000.0)?,
            n => return (!n.is_nan()).then_some(SignedDuration::MAX),
        }
    } else if let Ok(duration) = value.parse::<SignedDuration>() {
        return Some(duration);
    } else {
        value.parse::<Timestamp>().map(SystemTime::from).or_else(|_| httpdate::parse_http_date(value)).ok()?
    };
    SignedDuration::system_until(now, at).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// Sunday, 6 September 2026, 12:00:00 UTC, by the server's clock, which may differ from ours.
    const DATE: (&str, &str) = ("date", "Sun, 06 Sep 2026 12:00:00 GMT");
    const EPOCH: u64 = 1_788_696_000;

    fn reading(headers: &[(&str, &str)]) -> Option<Reading> {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        Reading::of(&headers.iter().chain([&DATE]).map(pair).collect())
    }

    fn said(headers: &[(&str, &str)]) -> Option<(u64, u64, Scope)> {
        reading(headers).map(|reading| (reading.quota.remaining, reading.quota.reset.as_secs(), reading.scope))
    }

    /// Headers from the documentation of public APIs.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of headers")]
    fn headers_of_public_apis_are_read() {
        let at = |seconds: u64| (EPOCH + seconds).to_string();
        let (soon, hour) = (at(30), at(3600));
        let whole = |remaining, reset| Some((remaining, reset, Scope::Client));
        let part = |remaining, reset| Some((remaining, reset, Scope::Part));
        for (name, headers, expected) in [
            (
                "RateLimit, draft 8",
                vec![("ratelimit", "\"default\";r=50;t=30"), ("ratelimit-policy", "\"default\";q=100;w=60")],
                whole(50, 30),
            ),
            (
                "RateLimit without a reset",
                vec![
                    ("ratelimit", "\"burst\";r=9, \"day\";r=0"),
                    ("ratelimit-policy", "\"burst\";q=10;w=60, \"day\";q=1000;w=86400"),
                ],
                whole(0, 86_400),
            ),
            ("RateLimit, two quotas", vec![("ratelimit", "\"permin\";r=9;t=30, \"perhr\";r=0;t=2500")], whole(0, 2500)),
            ("RateLimit, draft 7", vec![("ratelimit", "limit=100, remaining=50, reset=30")], whole(50, 30)),
            (
                "RateLimit, draft 3",
                vec![("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "50"), ("ratelimit-reset", "30")],
                whole(50, 30),
            ),
            (
                "GitHub",
                vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &hour), ("x-ratelimit-resource", "core")],
                part(0, 3600),
            ),
            (
                "GitLab",
                vec![
                    ("ratelimit-remaining", "1"),
                    ("ratelimit-reset", &soon),
                    ("ratelimit-name", "throttle_authenticated_web"),
                ],
                whole(1, 30),
            ),
            ("Twitter", vec![("x-rate-limit-remaining", "899"), ("x-rate-limit-reset", &hour)], whole(899, 3600)),
            (
                "Discord",
                vec![
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1788696001.5"),
                    ("x-ratelimit-reset-after", "1.5"),
                    ("x-ratelimit-bucket", "abcd1234"),
                ],
                part(0, 1),
            ),
            (
                "Reddit",
                vec![("x-ratelimit-remaining", "599.0"), ("x-ratelimit-used", "1"), ("x-ratelimit-reset", "417")],
                whole(599, 417),
            ),
            (
                "OpenAI",
                vec![
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ],
                whole(0, 360),
            ),
            (
                "Anthropic",
                vec![
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-09-06T12:00:30Z"),
                ],
                whole(0, 30),
            ),
            ("Brave", vec![("x-ratelimit-remaining", "0, 14523"), ("x-ratelimit-reset", "1, 1419704")], whole(0, 1)),
            ("Okta", vec![("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", &soon)], whole(0, 30)),
            (
                "milliseconds",
                vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1788696030000")],
                whole(0, 30),
            ),
            (
                "an HTTP date",
                vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "Sun, 06 Sep 2026 12:00:30 GMT")],
                whole(0, 30),
            ),
            (
                "a cached answer",
                vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "30"), ("age", "10")],
                part(0, 30),
            ),
            ("this second", vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "0")], whole(0, 0)),
        ] {
            assert_eq!(said(&headers), expected, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_quota_is_none() {
        let past = (EPOCH - 1).to_string();
        for (name, headers) in [
            ("no reset", vec![("x-ratelimit-remaining", "0")]),
            ("no reset and no policy", vec![("ratelimit", "\"a\";r=0"), ("ratelimit-policy", "\"b\";q=10;w=60")]),
            ("a policy alone", vec![("ratelimit-policy", "\"b\";q=10;w=60")]),
            ("no remaining", vec![("ratelimit-limit", "100"), ("ratelimit-reset", "30")]),
            ("the reset of another quota", vec![("x-ratelimit-remaining-minute", "0"), ("ratelimit-reset", "30")]),
            ("it has passed", vec![("ratelimit-remaining", "0"), ("ratelimit-reset", &past)]),
            ("months", vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "2764801")]),
            ("no number", vec![("ratelimit-remaining", "none"), ("ratelimit-reset", "30")]),
            ("no time", vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "soon")]),
            ("unlimited", vec![("ratelimit-remaining", "-1"), ("ratelimit-reset", "30")]),
            ("infinite", vec![("ratelimit-remaining", "inf"), ("ratelimit-reset", "30")]),
            ("not a number", vec![("ratelimit-remaining", "nan"), ("ratelimit-reset", "nan")]),
            ("negative", vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "-30")]),
            ("calls of a leaky bucket", vec![("x-shopify-shop-api-call-limit", "32/40")]),
            ("another header", vec![("x-ratelimited", "0"), ("x-separate", "0")]),
        ] {
            assert_eq!(said(&headers), None, "{name}");
        }
    }

    #[test]
    fn a_refused_request_waits_for_the_reset_and_a_second_more() {
        let none_left = reading(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")]).unwrap();
        let some_left = reading(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "30")]).unwrap();
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::FORBIDDEN] {
            assert_eq!(none_left.retry_after(status), Some(Duration::from_secs(31)));
            assert_eq!(some_left.retry_after(status), None, "something else was the reason");
        }
        assert_eq!(none_left.retry_after(StatusCode::OK), None);
    }
}
