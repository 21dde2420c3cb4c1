//! The robots.txt rules of origins (RFC 9309), cached for 24 hours.
//!
//! In: an origin's robots.txt, or that there is none. Out: whether a URL may be fetched, and its Crawl-delay. The `gate`
//! fetches the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use robotxt::{AccessResult, Agent};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::hosts::origin_of;
use crate::units::{Size, Span};

/// How long a file is cached (RFC 9309, section 2.4).
const FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// Wildcards that a file may have in all its rules. To compare a URL with one costs up to its whole length, and is done
/// while everybody waits; no site that means well needs as many.
const MOST_WILDCARDS: usize = 2000;

/// How long a server error counts as a ban before the file is asked for again.
const BANNED_FOR: Duration = Duration::from_secs(60);

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
    /// The name by which files speak of this crawler: the user agent's product token.
    pub agent: String,
    /// The longest Crawl-delay that is honoured.
    pub max_crawl_delay: Duration,
    /// Bytes of rules in the cache.
    pub cache: u64,
}

impl RobotsConfig {
    /// The policy for a crawler that calls itself `user_agent`; `None` when robots.txt is not obeyed.
    pub fn policy(&self, user_agent: &str) -> Option<RobotsPolicy> {
        let token = user_agent.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).next();
        self.enabled.then(|| RobotsPolicy {
            agent: token.unwrap_or_default().to_owned(),
            max_crawl_delay: self.max_crawl_delay.0,
            cache: self.cache.0,
        })
    }
}

/// What came of fetching a robots.txt.
#[derive(Debug)]
pub(in crate::schedule) enum RobotsFile<'a> {
    /// The file.
    Body(&'a [u8]),
    /// There is none, or it is not to be had: everything may be fetched.
    Missing,
    /// The server failed, in these words: nothing may be fetched (section 2.3.1.4).
    Unavailable(String),
}

/// The rules of sites.
#[derive(Debug)]
pub(in crate::schedule) struct RobotsRules {
    policy: RobotsPolicy,
    sites: HashMap<Arc<str>, SyncPoint>,
    /// By the number under which they were stored: the first one makes room for others.
    order: BTreeMap<u64, Arc<str>>,
    /// Files stored so far.
    count: u64,
    bytes: u64,
}

#[derive(Debug)]
struct SyncPoint {
    rules: robotxt::Robots,
    ban: Option<Ban>,
    stored: Duration,
    number: u64,
    bytes: u64,
}

/// Why nothing of a site may be fetched, besides its own rules.
#[derive(Debug)]
enum Ban {
    /// The server failed, in these words.
    Failure(String),
    /// The rules are too many to be obeyed.
    Wildcards,
}

impl RobotsRules {
    pub fn new(policy: RobotsPolicy) -> Self {
        Self { policy, sites: HashMap::new(), order: BTreeMap::new(), count: 0, bytes: 0 }
    }

    /// Whether the rules of the URL's site are known; otherwise its robots.txt is to be fetched first.
    pub fn knows(&self, url: &Url, now: Duration) -> bool {
        self.site(url, now).is_some()
    }

    /// Why the URL may not be fetched, a sentence; `None` when it may, as far as that is known.
    pub fn denial(&self, url: &Url, now: Duration) -> Option<String> {
        let site = self.site(url, now).filter(|site| !site.rules.is_url_allowed(url))?;
        let site_name = origin_of(url);
        Some(match &site.ban {
            None => format!("{site_name}/robots.txt does not let `{}` fetch it (robots.enabled)", self.policy.agent),
            Some(Ban::Failure(why)) => {
                format!("{site_name}/robots.txt could not be fetched, which counts as a ban: {why}")
            }
            Some(Ban::Wildcards) => {
                format!("{site_name}/robots.txt has more than {MOST_WILDCARDS} wildcards, which counts as a ban")
            }
        })
    }

    /// How long to wait between two requests to the URL's site.
    pub fn crawl_delay(&self, url: &Url, now: Duration) -> Duration {
        let delay = self.site(url, now).and_then(|site| site.rules.crawl_delay()).unwrap_or_default();
        delay.min(self.policy.max_crawl_delay)
    }

    fn site(&self, url: &Url, now: Duration) -> Option<&SyncPoint> {
        self.sites.get(origin_of(url)).filter(|site| {
            let fresh_for = if matches!(site.ban, Some(Ban::Failure(_))) { BANNED_FOR } else { FRESH_FOR };
            now < site.stored + fresh_for
        })
    }

    /// Learns what came of fetching the robots.txt of the URL's site.
    pub fn store(&mut self, url: &Url, found: RobotsFile<'_>, now: Duration) {
        let (access, ban) = match found {
            RobotsFile::Body(text) => (AccessResult::Successful(text), None),
            RobotsFile::Missing => (AccessResult::Unavailable, None),
            RobotsFile::Unavailable(why) => (AccessResult::Unreachable, Some(Ban::Failure(why))),
        };
        let rules = robotxt::Robots::from_access(access, Agent::Exact(&self.policy.agent));
        let (rules, ban) = match wildcards(&rules) > MOST_WILDCARDS {
            true => (robotxt::Robots::disallow_all(), Some(Ban::Wildcards)),
            false => (rules, ban),
        };
        let name: Arc<str> = origin_of(url).into();
        let bytes = weight(&name, &rules);
        self.bytes += bytes;
        self.count += 1;
        let site = SyncPoint { rules, ban, stored: now, number: self.count, bytes };
        if let Some(old) = self.sites.insert(Arc::clone(&name), site) {
            self.bytes -= old.bytes;
            self.order.remove(&old.number);
        }
        self.order.insert(self.count, name);
        while self.bytes > self.policy.cache && self.sites.len() > 1 {
            self.evict_first();
        }
    }

    fn evict_first(&mut self) {
        if let Some((_, name)) = self.order.pop_first()
            && let Some(site) = self.sites.remove(&name)
        {
            self.bytes -= site.bytes;
        }
    }
}

fn wildcards(rules: &robotxt::Robots) -> usize {
    rules.rules().iter().map(|rule| memchr::memchr_iter(b'*', rule.pattern().as_bytes()).count()).sum()
}

/// What the rules weigh, roughly.
fn weight(name: &str, rules: &robotxt::Robots) -> u64 {
    const PER_SITE: usize = 256;
    const PER_RULE: usize = 40;
    let patterns: usize = rules.rules().iter().map(|rule| rule.pattern().len() + PER_RULE).sum();
    let sitemaps: usize = rules.sitemaps().iter().map(|url| url.as_str().len() + PER_SITE).sum();
    (2 * name.len() + PER_SITE + patterns + sitemaps) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(robots: &mut RobotsRules, site: &str, now: u64) {
        let url = Url::parse(&format!("http://{site}/")).unwrap();
        robots.store(&url, RobotsFile::Unavailable("500".to_owned()), Duration::from_secs(now));
    }

    #[test]
    fn an_origin_that_is_stored_again_and_again_costs_no_more_memory() {
        let mut robots =
            RobotsRules::new(RobotsConfig { enabled: true, ..RobotsConfig::default() }.policy("a").unwrap());
        (0..1000).for_each(|now| store(&mut robots, "a.test", now));
        assert_eq!((robots.sites.len(), robots.order.len()), (1, 1));
        store(&mut robots, "b.test", 1000);
        store(&mut robots, "a.test", 1000);
        robots.evict_first();
        assert!(robots.sites.contains_key("http://a.test"), "the one that was stored last");
    }
}
