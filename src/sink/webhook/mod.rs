//! The sink `webhook`: posts records to an HTTP endpoint in signed requests (Standard Webhooks), at least once each.
//!
//! Records are staged in the data directory (`sink::staging`), and `crate::ship` delivers them. This module contains
//! one delivery (`delivery`), its signature (`signature`), and the interpretation of the response (`answer`).

mod answer;
mod delivery;
mod signature;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use serde::{Deserialize, Serialize};
use url::Url;

use self::delivery::Receiver;
use self::signature::SigningKeys;
use super::{BodyFormat, Content, Encoder, OpenedSink, Opening, SinkConfig, Target, Wanted, staging};
use crate::diagnostics::Section;
use crate::error::BoxError;
use crate::item::{Needs, parse_header};
use crate::units::{Secret, Size, Span};

/// `[sink.NAME.webhook]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The URL that records are posted to. Its path may be a secret, so only the host is shown.
    pub url: Secret<String>,
    /// The signing secret: `whsec_` and base64. With several, separated by spaces, each message has a signature for
    /// each.
    pub secret: Secret<String>,
    /// Further headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret<String>>,
    /// The records to post.
    #[serde(default)]
    pub records: Wanted,
    /// The format of bodies; `output.body` by default.
    pub body: Option<BodyFormat>,
    /// The undelivered bytes in the data directory from which on the run waits.
    #[serde(default = "staging_max")]
    pub staging_max: Size,
    /// The timeout of one delivery.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// The proxy of the deliveries; the proxy of `[fetch]` does not apply.
    pub proxy: Option<Secret<String>>,
}

fn staging_max() -> Size {
    Size(10 << 30)
}

fn timeout() -> Span {
    Span::secs(30)
}

impl Webhook {
    /// The parsed URL, if it is an HTTP URL without credentials.
    fn receiver(&self) -> Result<Url, &'static str> {
        let example = "is no URL of a receiver; write for example \"https://hooks.example.com/records\"";
        let url = Url::parse(self.url.expose()).map_err(|_| example)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(example);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has credentials in it; write headers = { authorization = \"Basic ...\" } instead");
        }
        Ok(url)
    }

    /// The headers of each request.
    fn header_map(&self) -> Result<HeaderMap, String> {
        let agent = concat!("fetchd/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
        for (name, value) in &self.headers {
            let (name, mut value) = parse_header(name, value.expose())?;
            if is_own(&name) {
                return Err(format!("the header `{name}` is set by fetchd and cannot be given"));
            }
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// Whether fetchd sets this header for each message.
fn is_own(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || name.as_str().starts_with("webhook-")
}

impl SinkConfig for Webhook {
    fn check(&self, section: &mut Section<'_>) {
        if let Err(why) = self.receiver() {
            section.add("url", format!("`url` {why}"));
        }
        if let Err(why) = SigningKeys::read(&self.secret) {
            section.add("secret", format!("`secret` {why}"));
        }
        if let Err(why) = self.header_map() {
            section.add("headers", format!("`headers`: {why}"));
        }
        if self.staging_max < Size::mib(1) {
            section.add("staging_max", "`staging_max` is less than one segment (1 MiB); write for example \"10GiB\"");
        }
        if !(Span::secs(1)..=Span::secs(600)).contains(&self.timeout) {
            section.add("timeout", format!("`timeout` is {}; it can be from 1s to 10m", self.timeout));
        }
        let is_proxy = |text: &str| {
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "socks5" | "socks5h") && url.has_host())
        };
        if self.proxy.as_ref().is_some_and(|proxy| !is_proxy(proxy.expose())) {
            section.add("proxy", "`proxy` is not a proxy; write for example \"http://proxy.example:3128\"");
        }
    }

    fn target(&self) -> Target<'_> {
        Target::Elsewhere
    }

    fn ships(&self) -> bool {
        true
    }

    /// Two segments during a rotation, the segment being read, the dead letters, the socket of a DNS lookup or a
    /// delivery, and an idle connection.
    fn open_files(&self) -> u64 {
        6
    }

    fn needs(&self, output: &Content) -> Needs {
        output.needs(self.body)
    }

    fn open(&self, opening: Opening) -> Result<OpenedSink, BoxError> {
        let encoder = Encoder::new(opening.style, self.records, self.body);
        let shipping = opening.shipping.as_ref().ok_or("it needs a data directory; add state.data_dir")?;
        let url = self.receiver()?;
        let client = shipping.clients.client(&url, self.proxy.as_ref())?;
        let (keys, headers) = (SigningKeys::read(&self.secret)?, self.header_map()?);
        let timeout: Duration = self.timeout.0;
        let receiver = Receiver { client, url, keys, headers, timeout };
        staging::open(opening, encoder, self.staging_max, Box::new(receiver))
    }
}
