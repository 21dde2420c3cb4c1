//! Which hosts have a token that may have to be replaced: by the rules of the patterns of `[hosts]`, and for one host.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::hosts::Patterns;

/// What one pattern of `[hosts]` says of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRule {
    /// `hosts.refresh_on`
    pub refresh_on: Option<Vec<u16>>,
    /// Its headers, each with the numbers of the files that its value has contents of: none, if it stays as it is.
    pub headers: Vec<(HeaderName, Vec<usize>)>,
}

/// `[hosts]` as far as it is about tokens.
#[derive(Clone, Debug, Default)]
pub struct TokenSettings {
    /// By pattern.
    pub rules: Patterns<TokenRule>,
    /// The files, by their numbers, as they are shown.
    pub files: Vec<String>,
}

impl TokenSettings {
    /// These files, as they are shown.
    pub(super) fn names(&self, files: &[usize]) -> String {
        files.iter().filter_map(|file| self.files.get(*file)).cloned().collect::<Vec<_>>().join(", ")
    }
}

/// What an answer says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    Accepted,
    Refused,
}

/// The token of one host: where it stands, and what says that it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenPolicy {
    refresh_on: Vec<u16>,
    /// The headers that it stands in.
    headers: Vec<HeaderName>,
    /// The numbers of its files.
    pub files: Vec<usize>,
    /// `retry.refresh_wait`
    pub refresh_wait: Duration,
}

impl TokenPolicy {
    /// The token by the rules of the patterns that match the host, the most specific first; `None` if it has none, or no status
    /// that says it must be another.
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

    /// Whether a request with these headers of its own carries it.
    pub fn goes_with(&self, own: Option<&HeaderMap>) -> bool {
        own.is_none_or(|own| self.headers.iter().any(|name| !own.contains_key(name)))
    }

    /// What a status says of the token.
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
