//! Which hosts have a token that may be replaced: the rules of `[hosts]` patterns, and the policy of one host.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::hosts::Patterns;

/// The token rule of one pattern of `[hosts]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRule {
    /// `hosts.refresh_on`
    pub refresh_on: Option<Vec<u16>>,
    /// Its headers, each with the numbers of the files in its value; none if the value is fixed.
    pub headers: Vec<(HeaderName, Vec<usize>)>,
}

/// The token settings of `[hosts]`.
#[derive(Clone, Debug, Default)]
pub struct TokenSettings {
    /// By pattern.
    pub rules: Patterns<TokenRule>,
    /// The display names of the files, by number.
    pub files: Vec<String>,
}

/// What a response says about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    Accepted,
    Refused,
}

/// The token policy of one host: its headers and files, and the statuses that refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenPolicy {
    refresh_on: Vec<u16>,
    /// The headers with the token.
    headers: Vec<HeaderName>,
    /// The numbers of its files.
    pub files: Vec<usize>,
    /// `retry.refresh_wait`
    pub refresh_wait: Duration,
}

impl TokenPolicy {
    /// The policy by the rules of the patterns that match the host, the most specific first; `None` if it has no token
    /// from a file, or no status refuses it.
    pub fn of<'a>(rules: impl Iterator<Item = &'a TokenRule>, refresh_wait: Duration) -> Option<Self> {
        let rules: Vec<_> = rules.collect();
        let refresh_on = rules.iter().find_map(|rule| rule.refresh_on.clone()).filter(|list| !list.is_empty())?;
        let mut headers: Vec<&(HeaderName, Vec<usize>)> = Vec::new();
        for header in rules.iter().flat_map(|rule| &rule.headers) {
            if headers.iter().all(|(name, _)| *name != header.0) {
                headers.push(header);
            }
        }
        headers.retain(|(_, files)| !files.is_empty());
        let files = headers.iter().flat_map(|(_, files)| files).copied().collect();
        let headers: Vec<_> = headers.into_iter().map(|(name, _)| name.clone()).collect();
        (!headers.is_empty()).then_some(Self { refresh_on, headers, files, refresh_wait })
    }

    /// Whether a request with these headers of its own carries the token.
    pub fn goes_with(&self, own: Option<&HeaderMap>) -> bool {
        own.is_none_or(|own| self.headers.iter().any(|name| !own.contains_key(name)))
    }

    /// What a status says about the token.
    pub fn said(&self, status: StatusCode) -> Said {
        match status {
            status if self.refresh_on.contains(&status.as_u16()) => Said::Refused,
            StatusCode::TOO_MANY_REQUESTS => Said::Nothing,
            status if status.is_server_error() => Said::Nothing,
            _ => Said::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_most_specific_pattern_count_header_by_header() {
        let rule = |refresh_on: Option<u16>, headers: &[(&'static str, &[usize])]| TokenRule {
            refresh_on: refresh_on.map(|status| vec![status]),
            headers: headers.iter().map(|(name, files)| (HeaderName::from_static(name), files.to_vec())).collect(),
        };
        let general = rule(Some(401), &[("authorization", &[0]), ("x-api-key", &[1, 2])]);
        let of = |rules: &[&TokenRule]| TokenPolicy::of(rules.iter().copied(), Duration::ZERO);
        let both = of(&[&rule(Some(403), &[("authorization", &[])]), &general]).unwrap();
        assert_eq!((both.refresh_on, both.files), (vec![403], vec![1, 2]));
        assert!(of(&[&rule(None, &[("authorization", &[0])])]).is_none(), "no status asks for another");
        assert!(of(&[&rule(Some(401), &[("authorization", &[])])]).is_none(), "nothing can change");
    }

    #[test]
    fn what_may_come_from_something_in_front_of_the_host_says_nothing() {
        let rule = TokenRule { refresh_on: Some(vec![401]), headers: vec![(http::header::AUTHORIZATION, vec![0])] };
        let policy = TokenPolicy::of([&rule].into_iter(), Duration::ZERO).unwrap();
        for (status, said) in [
            (401, Said::Refused),
            (200, Said::Accepted),
            (404, Said::Accepted),
            (429, Said::Nothing),
            (502, Said::Nothing),
        ] {
            assert_eq!(policy.said(StatusCode::from_u16(status).unwrap()), said, "{status}");
        }
    }
}
