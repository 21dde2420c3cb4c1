//! The robots.txt rules of sites that one run saves for the next.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parser::Group;
use super::pattern::{Access, Pattern};

/// The most bytes of rules that are saved for a site; longer ones are fetched again.
const MOST_RULES: usize = 64 << 10;

/// The saved robots.txt of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRobots {
    /// Scheme, host and port.
    pub site: Arc<str>,
    /// The product token that the rules are for.
    pub agent: String,
    /// How long ago the file was fetched.
    pub age: Duration,
    /// Its Crawl-delay, however long.
    pub crawl_delay: Duration,
    /// Its rules, unless they are too long to be saved.
    pub rules: Option<KnownRules>,
}

/// The path patterns of a robots.txt, escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRules {
    /// Paths that may be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Paths that may not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disallow: Vec<String>,
}

impl KnownRules {
    /// The rules of a group, unless they are too long.
    pub(super) fn of(group: &Group) -> Option<Self> {
        let bytes: usize = group.rules().iter().map(|rule| rule.text().len()).sum();
        let patterns = |access| {
            let rules = group.rules().iter().filter(move |rule| rule.access() == access);
            rules.map(|rule| rule.text().to_owned()).collect()
        };
        (bytes <= MOST_RULES).then(|| Self { allow: patterns(Access::Allow), disallow: patterns(Access::Disallow) })
    }

    /// The group with these rules.
    pub(super) fn into_group(self, crawl_delay: Duration) -> Group {
        let allow = self.allow.into_iter().map(|text| Pattern::new(Access::Allow, text));
        let disallow = self.disallow.into_iter().map(|text| Pattern::new(Access::Disallow, text));
        Group::new(allow.chain(disallow).collect(), crawl_delay)
    }
}
