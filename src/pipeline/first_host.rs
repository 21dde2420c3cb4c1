//! The host of the first line: credentials of `-H` are for its lines alone. In: requests in the order in which their lines
//! are accepted. Next: `feed`, and `fetch::headers` by the call.

use crate::hosts::host_name;
use crate::item::{Identity, LineHost, Request};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstHost {
    /// There are no such credentials.
    Unneeded,
    /// That of the next line, if no earlier run had lines before it.
    Next,
    /// This one.
    Known {
        /// Its name; absent when earlier runs had the first line.
        name: Option<String>,
        /// Whether a line of another host came yet, and a warning with it.
        others: Others,
    },
}

/// Whether a line of another host came yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// None.
    None,
    /// One that a warning named.
    Named,
}

impl FirstHost {
    /// A host that is known before the first line comes; `None` for none.
    pub fn known(name: Option<String>) -> Self {
        Self::Known { name, others: Others::None }
    }

    /// Whether a line's host is this one. The first line of another host is named in a warning.
    pub(super) fn line_host(&mut self, id: &Identity, request: &Request) -> LineHost {
        if *self == Self::Unneeded {
            return LineHost::First;
        }
        let host = host_name(&request.url);
        if *self == Self::Next {
            // Which line of a round comes first depends on what failed.
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
            "the credentials of -H are for {first}, the host of the first line; lines of {host}, and of other hosts, go without: write theirs under [hosts.\"{host}\"]"
        ),
        None => tracing::warn!(
            host,
            "the credentials of -H are for the host of the first line, which an earlier run had; lines of {host}, and of other hosts, go without: write theirs under [hosts.\"{host}\"]"
        ),
    }
}
