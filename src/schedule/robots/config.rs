//! `[robots]`, and the policy made of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parser::product_token;
use crate::units::{Size, Span};

/// `[robots]`: whether robots.txt is obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RobotsConfig {
    /// Whether each site's robots.txt is fetched first, and obeyed.
    pub enabled: bool,
    /// The longest Crawl-delay that is honoured; a longer one counts as this.
    pub max_crawl_delay: Span,
    /// Memory for the rules of sites.
    pub cache: Size,
}

impl Default for RobotsConfig {
    fn default() -> Self {
        Self { enabled: false, max_crawl_delay: Span::secs(60), cache: Size::mib(32) }
    }
}

/// How robots.txt is obeyed.
#[derive(Clone, Debug)]
pub struct RobotsPolicy {
    /// The name of this crawler in robots.txt: the user agent's product token.
    pub agent: String,
    /// The longest Crawl-delay that is honoured.
    pub max_crawl_delay: Duration,
    /// Bytes of rules in the cache.
    pub cache: u64,
}

impl RobotsConfig {
    /// The policy for a crawler with this user agent; `None` if robots.txt is not obeyed.
    pub fn policy(&self, user_agent: &str) -> Option<RobotsPolicy> {
        self.enabled.then(|| RobotsPolicy {
            agent: product_token(user_agent).to_owned(),
            max_crawl_delay: self.max_crawl_delay.0,
            cache: self.cache.0,
        })
    }
}
