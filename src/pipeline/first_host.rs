//! The host of the first line: credentials of `-H` are sent only with lines of this host. In: requests in the order in
//! which their lines are accepted. Next: `feed`, and `fetch::headers` by the call.

use crate::hosts::host_name;
use crate::item::{Identity, LineHost, Request};

/// The host of the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstHost {
    /// `-H` has no credentials.
    Unneeded,
    /// The host of the next line, if no earlier run had lines before it.
    Next,
    /// The host is known.
    Known {
        /// Its name; absent when an earlier run had the first line.
        name: Option<String>,
        /// Whether a line of another host came yet, and was warned of.
        others: Others,
    },
}

/// Whether a line of another host came yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// No line.
    None,
    /// A line whose host a warning named.
    Named,
}

impl FirstHost {
    /// A host that is known before the first line comes; `None` if no host gets the credentials.
    pub fn known(name: Option<String>) -> Self {
        Self::Known { name, others: Others::None }
    }

    /// Whether a line's host is this one. Warns of the first line of another host.
    pub(super) fn line_host(&mut self, id: &Identity, request: &Request) -> LineHost {
        if *self == Self::Unneeded {
            return LineHost::First;
        }
        let host = host_name(&request.url);
        if *self == Self::Next {
            // The first line of a round depends on which lines failed.
            let is_first = id.round == 0 && (id.state_id.is_none() || id.seq == 1);
            *self = Self::known(is_first.then(|| host.to_owned()));
        }
        let Self::Known { name, others } = self else { return LineHost::First };
        if name.as_deref() == Some(host) {
            return LineHost::First;
        }
        if *others == Others::None {
            *others = Others::Named;
            warn(name.as_deref(), host);
        }
        LineHost::Other
    }
}

fn warn(first: Option<&str>, host: &str) {
    match first {
        Some(first) => tracing::warn!(
            host,
            "the credentials of -H are sent only to {first}, the host of the first line, not to {host} or other hosts; write theirs under [hosts.\"{host}\"]"
        ),
        None => tracing::warn!(
            host,
            "the credentials of -H are sent only to the host of the first line, which an earlier run had, not to {host} or other hosts; write theirs under [hosts.\"{host}\"]"
        ),
    }
}
