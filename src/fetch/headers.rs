//! The headers of a request. For each name the first source wins: the line, `-H`, `[hosts]` (most specific pattern
//! first), `fetch.headers`. The first three are sent only to the host of the line's URL, and credentials of `-H` only
//! to that of the first line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

use super::FetchConfig;
use super::decode::ACCEPT_ENCODING;
use super::tokens::{TokenHeaders, Tokens};
use crate::hosts::{HostPattern, Patterns, host_name};
use crate::item::{Call, Connection, CredentialScope, LineHost, Purpose, TokenGeneration, is_credential, parse_header};
use crate::units::{Secret, Template};

/// The configured headers.
#[derive(Clone, Debug, Default)]
pub struct HeaderTable {
    /// `fetch.headers` and fetchd's own.
    everywhere: HeaderMap,
    /// `[hosts]`
    hosts: Patterns<HostHeaders>,
    /// The headers of `[hosts]` that contain tokens from files.
    tokens: Arc<Tokens>,
    /// `-H`
    command_line: HeaderMap,
    /// `-H` without credentials.
    command_line_elsewhere: HeaderMap,
}

/// The headers of one pattern of `[hosts]`.
#[derive(Clone, Debug)]
struct HostHeaders {
    /// Headers without token files.
    fixed: HeaderMap,
    /// The index of the pattern among those with token files.
    tokens: Option<usize>,
}

/// The configured headers of one `[hosts]` pattern.
#[derive(Clone, Debug)]
pub struct ConfiguredHeaders {
    /// The hosts that get the headers.
    pub pattern: HostPattern,
    /// Their values at the start.
    pub values: BTreeMap<String, Secret<String>>,
    /// Templates of the values that contain files.
    pub templates: BTreeMap<String, Template>,
}

impl HeaderTable {
    /// A table of `fetch.headers`, `[hosts]` with these token files, and `-H`.
    ///
    /// # Errors
    /// The first invalid header; a checked configuration has none.
    pub fn new(
        fetch: &FetchConfig,
        hosts: Vec<ConfiguredHeaders>,
        token_files: Vec<PathBuf>,
        command_line: &BTreeMap<String, Secret<String>>,
    ) -> Result<Self, String> {
        let mut everywhere = HeaderMap::new();
        let user_agent = fetch.user_agent.replace("{version}", env!("CARGO_PKG_VERSION"));
        everywhere.extend([parse_header("user-agent", &user_agent)?]);
        overlay(&mut everywhere, &read(&fetch.headers)?);
        let (mut patterns, mut templates) = (Vec::new(), Vec::new());
        for host in hosts.into_iter().filter(|host| !host.values.is_empty()) {
            let fixed = host.values.into_iter().filter(|(name, _)| !host.templates.contains_key(name)).collect();
            let tokens = (!host.templates.is_empty()).then_some(templates.len());
            templates.extend(tokens.map(|_| host.templates));
            patterns.push((host.pattern, HostHeaders { fixed: read(&fixed)?, tokens }));
        }
        let command_line = read(command_line)?;
        let harmless = command_line.iter().filter(|(name, _)| !is_credential(name.as_str()));
        let command_line_elsewhere = harmless.map(|(name, value)| (name.clone(), value.clone())).collect();
        let tokens = Arc::new(Tokens::new(token_files, templates)?);
        Ok(Self { everywhere, hosts: patterns.into_iter().collect(), tokens, command_line, command_line_elsewhere })
    }

    /// Takes over the token generations of the table before a reload.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn follow(&self, before: &Self) -> Result<(), String> {
        self.tokens.follow(&before.tokens)
    }

    /// The headers that contain tokens from files.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// The headers of this call's request, and the generation of its token: none if another header won, or if the
    /// response is not for the line.
    pub fn of(&self, call: &Call) -> (HeaderMap, Option<TokenGeneration>) {
        let mut headers = self.everywhere.clone();
        let mut carried = Carried::default();
        if call.credential_scope == CredentialScope::OwnHost {
            let own_host = host_name(&call.request.url);
            let matching: Vec<_> = self.hosts.matching(own_host, call.own_port).collect();
            for of_pattern in matching.into_iter().rev() {
                overlay(&mut headers, &of_pattern.fixed);
                carried.lose(&of_pattern.fixed);
                if let Some(tokens) = of_pattern.tokens.and_then(|pattern| self.tokens.headers_of(pattern)) {
                    overlay(&mut headers, &tokens.headers);
                    carried.add(&tokens);
                }
            }
            let command_line = match call.line_host {
                LineHost::First => &self.command_line,
                LineHost::Other => &self.command_line_elsewhere,
            };
            overlay(&mut headers, command_line);
            carried.lose(command_line);
        }
        if let Some(extra) = &call.request.extra {
            overlay(&mut headers, &extra.headers);
            carried.lose(&extra.headers);
        }
        if let Some(stored) = call.request.condition() {
            stored.put_validators(&mut headers);
        }
        // A range of an encoded body could not be decoded.
        let codings = if headers.contains_key(header::RANGE) { "identity" } else { ACCEPT_ENCODING };
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static(codings));
        if !matches!(call.connection, Connection::Keep(_)) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (headers, carried.generation().filter(|_| call.purpose == Purpose::Line))
    }
}

/// The token headers that no other header has replaced so far, and the newest token generation of the host.
#[derive(Default)]
struct Carried {
    names: BTreeSet<String>,
    newest: Option<TokenGeneration>,
}

impl Carried {
    fn add(&mut self, tokens: &TokenHeaders) {
        self.names.extend(tokens.headers.keys().map(|name| name.as_str().to_owned()));
        self.newest = self.newest.max(Some(tokens.generation));
    }

    /// Removes the headers that these replace.
    fn lose(&mut self, others: &HeaderMap) {
        if !self.names.is_empty() {
            self.names.retain(|name| !others.contains_key(name.as_str()));
        }
    }

    fn generation(self) -> Option<TokenGeneration> {
        self.newest.filter(|_| !self.names.is_empty())
    }
}

fn read(headers: &BTreeMap<String, Secret<String>>) -> Result<HeaderMap, String> {
    headers.iter().map(|(name, value)| parse_header(name, value.expose())).collect()
}

fn overlay(headers: &mut HeaderMap, over: &HeaderMap) {
    for (name, value) in over {
        headers.insert(name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Extra, Request};
    use http::Method;

    fn template(file: &str) -> Template {
        let mut template = Template::default();
        template.push_text("Bearer ");
        template.push_file(file.into(), "t0ken".to_owned());
        template
    }

    /// `*.test` has a token from a file, and `fixed.test` a fixed one.
    fn table(command_line: &[(&str, &str)]) -> HeaderTable {
        let secret = |text: &str| Secret::new(text.to_owned());
        let of = |pattern: &str, value: &str, template: Option<Template>| ConfiguredHeaders {
            pattern: pattern.parse().unwrap(),
            values: BTreeMap::from([("Authorization".to_owned(), secret(value))]),
            templates: template.map(|template| ("Authorization".to_owned(), template)).into_iter().collect(),
        };
        let hosts = vec![of("*.test", "Bearer t0ken", Some(template("token"))), of("fixed.test", "mine", None)];
        let command_line = command_line.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect();
        HeaderTable::new(&FetchConfig::default(), hosts, vec!["token".into()], &command_line).unwrap()
    }

    fn call(url: &str, own: Option<(&'static str, &'static str)>) -> Call {
        let extra = own.map(|(name, value)| {
            let headers = [(name.parse().unwrap(), HeaderValue::from_static(value))].into_iter().collect();
            Box::new(Extra { headers, ..Extra::default() })
        });
        Call::new(Request { method: Method::GET, url: url.parse().unwrap(), extra })
    }

    /// The header as sent, and whether it has a token from a file.
    fn sent(table: &HeaderTable, call: &Call) -> (Option<String>, bool) {
        let (headers, token) = table.of(call);
        let value = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        (value, token.is_some())
    }

    #[test]
    fn an_attempt_carries_a_token_only_where_no_other_header_won() {
        let (plain, with_flag) = (table(&[]), table(&[("authorization", "flag")]));
        let (url, other) = ("http://a.test/", ("accept", "text/csv"));
        let bearer = || Some("Bearer t0ken".to_owned());
        assert_eq!(sent(&plain, &call(url, None)), (bearer(), true));
        assert_eq!(sent(&plain, &call(url, Some(other))), (bearer(), true));
        assert_eq!(sent(&plain, &call(url, Some(("authorization", "own")))), (Some("own".to_owned()), false));
        assert_eq!(sent(&plain, &call("http://fixed.test/", None)), (Some("mine".to_owned()), false));
        assert_eq!(sent(&plain, &call("http://elsewhere.example/", None)), (None, false));
        assert_eq!(sent(&with_flag, &call(url, None)), (Some("flag".to_owned()), false));
        let elsewhere = Call { line_host: LineHost::Other, ..call(url, None) };
        assert_eq!(sent(&with_flag, &elsewhere), (bearer(), true), "credentials of -H are for another host");
    }

    #[test]
    fn a_redirect_elsewhere_and_a_robots_txt_carry_none() {
        let hop = Call { credential_scope: CredentialScope::OtherHost, ..call("http://a.test/", None) };
        assert_eq!(sent(&table(&[]), &hop), (None, false));
        let robots = Call { purpose: Purpose::RobotsTxt, ..call("http://a.test/robots.txt", None) };
        assert!(!sent(&table(&[]), &robots).1);
    }
}
