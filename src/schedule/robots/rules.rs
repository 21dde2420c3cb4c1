//! The robots.txt rules of sites (RFC 9309), cached for 24 hours.
//!
//! In: a site's robots.txt, its absence, or a failure to fetch it. Out: whether a URL may be fetched, and the site's
//! Crawl-delay. The `gate` fetches the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use url::{Position, Url};

use super::changes::{RobotsChange, RobotsSwitch};
use super::config::RobotsPolicy;
use super::known::{KnownRobots, KnownRules};
use super::parser::Group;
use super::pattern::Pattern;
use super::refusal::{Refusal, Stage, Unavailable};
use crate::hosts::origin_of;
use crate::item::ErrorKind;
use crate::schedule::HealthPolicy;
use crate::schedule::changes::Changes;

/// How long a file is cached (RFC 9309, section 2.4).
const FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// The most wildcards in all rules of a file. To compare a URL with one costs up to its whole length, and blocks the
/// scheduler; no legitimate site needs as many.
const MOST_WILDCARDS: usize = 2000;

/// The rules of sites.
#[derive(Debug)]
pub(in crate::schedule) struct RobotsRules {
    policy: RobotsPolicy,
    sites: HashMap<Arc<str>, Site>,
    /// By the number under which they were stored: the first one is evicted first.
    order: BTreeMap<u64, Arc<str>>,
    /// Files stored so far.
    count: u64,
    bytes: u64,
    /// Rules that are not handed out yet for the next run.
    learnt: Vec<KnownRobots>,
    pub(super) changes: Changes<RobotsChange>,
}

#[derive(Debug)]
struct Site {
    known: Known,
    /// Until when it is valid.
    until: Duration,
    /// Valid for longer: it also applies to the next fetch of the file.
    crawl_delay: Duration,
    number: u64,
    bytes: u64,
}

/// The robots.txt of a site.
#[derive(Debug)]
enum Known {
    Rules(Group),
    /// It has too many wildcards to match.
    TooManyWildcards,
    Unavailable(Unavailable),
}

impl RobotsRules {
    pub fn new(policy: RobotsPolicy) -> Self {
        let (sites, order) = (HashMap::new(), BTreeMap::new());
        Self { policy, sites, order, count: 0, bytes: 0, learnt: Vec::new(), changes: Changes::default() }
    }

    /// Sets the longest Crawl-delay that is honoured.
    pub fn set_max_crawl_delay(&mut self, most: Duration) {
        self.policy.max_crawl_delay = most;
    }

    /// Whether the URL's robots.txt was fetched, or must not be fetched again yet.
    pub fn knows(&self, url: &Url, now: Duration) -> bool {
        self.known(url, now).is_some_and(|known| match known {
            Known::Rules(_) | Known::TooManyWildcards => true,
            Known::Unavailable(unavailable) => unavailable.retry_at > now,
        })
    }

    /// Why the URL cannot be fetched now; `None` if no known rule prevents it.
    pub fn refusal(&self, url: &Url, now: Duration) -> Option<Refusal> {
        let denied =
            |why| Some(Refusal::Settle(ErrorKind::RobotsDenied, format!("{}/robots.txt {why}", origin_of(url))));
        match self.known(url, now)? {
            Known::Rules(group) if group.allows(&url[Position::BeforePath..Position::AfterQuery]) => None,
            Known::Rules(_) => denied(format!("does not let `{}` fetch it (robots.enabled)", self.policy.agent)),
            Known::TooManyWildcards => {
                denied(format!("has more than {MOST_WILDCARDS} wildcards, so the site counts as disallowed"))
            }
            Known::Unavailable(unavailable) => unavailable.refusal(origin_of(url), now),
        }
    }

    /// Whether the URL's robots.txt could not be fetched recently.
    pub fn is_unavailable(&self, url: &Url, now: Duration) -> bool {
        matches!(self.known(url, now), Some(Known::Unavailable(_)))
    }

    /// How long to wait between two requests to the URL's site.
    pub fn crawl_delay(&self, url: &Url) -> Duration {
        let site = self.sites.get(origin_of(url));
        site.map_or(Duration::ZERO, |site| site.crawl_delay.min(self.policy.max_crawl_delay))
    }

    fn known(&self, url: &Url, now: Duration) -> Option<&Known> {
        self.sites.get(origin_of(url)).filter(|site| now < site.until).map(|site| &site.known)
    }

    /// Stores the robots.txt of the URL's site. A missing file counts as an empty one.
    pub fn store(&mut self, url: &Url, file: &[u8], now: Duration) {
        let group = Group::parse(file, &self.policy.agent);
        let site: Arc<str> = origin_of(url).into();
        if let Some(Known::Unavailable(before)) = self.known(url, now) {
            let switch = RobotsSwitch::Fetched(now.saturating_sub(before.since));
            self.changes.note(RobotsChange { site: Arc::clone(&site), switch });
        }
        self.learnt.push(KnownRobots {
            site: Arc::clone(&site),
            agent: self.policy.agent.clone(),
            age: Duration::ZERO,
            crawl_delay: group.crawl_delay,
            rules: KnownRules::of(&group),
        });
        self.insert(site, group.crawl_delay, known_of(group), now + FRESH_FOR);
    }

    /// Notes why the robots.txt of the URL's site could not be fetched; the cool-down starts at `from`.
    pub fn store_failure(&mut self, url: &Url, why: String, policy: &HealthPolicy, now: Duration, from: Duration) {
        let site: Arc<str> = origin_of(url).into();
        let before = match self.known(url, now) {
            Some(Known::Unavailable(before)) => Some((before.since, before.stage)),
            _ => None,
        };
        if before.is_none() {
            let switch = RobotsSwitch::Unavailable(why.clone());
            self.changes.note(RobotsChange { site: Arc::clone(&site), switch });
        }
        let (since, stage) = before.unwrap_or((now, Stage::Waiting));
        let mut unavailable = Unavailable::new(since, why, policy, from);
        unavailable.stage = stage;
        let until = unavailable.kept_until(policy);
        self.insert(site, self.crawl_delay(url), Known::Unavailable(unavailable), until);
    }

    /// Notes that a line of the URL's site failed because its robots.txt was unavailable for too long.
    pub fn note_gave_up(&mut self, url: &Url) {
        let Some(name) = self.sites.get_key_value(origin_of(url)).map(|(name, _)| Arc::clone(name)) else { return };
        if let Some(Site { known: Known::Unavailable(unavailable), .. }) = self.sites.get_mut(&name)
            && std::mem::replace(&mut unavailable.stage, Stage::GaveUp) == Stage::Waiting
        {
            self.changes.note(RobotsChange { site: name, switch: RobotsSwitch::GaveUp });
        }
    }

    /// Restores the rules of a site from the previous run.
    pub fn restore(&mut self, known: KnownRobots, now: Duration) {
        let KnownRobots { site, agent, age, crawl_delay, rules } = known;
        if agent != self.policy.agent {
            return;
        }
        // Without its rules the file has to be fetched again, after its Crawl-delay.
        let fresh_for = if rules.is_some() { FRESH_FOR.saturating_sub(age) } else { Duration::ZERO };
        self.insert(site, crawl_delay, known_of(rules.unwrap_or_default().into_group(crawl_delay)), now + fresh_for);
    }

    /// The next rules that were fetched, to be saved for the next run.
    pub fn take_learnt(&mut self) -> Option<KnownRobots> {
        self.learnt.pop()
    }

    fn insert(&mut self, name: Arc<str>, crawl_delay: Duration, known: Known, until: Duration) {
        let bytes = weight(&name, &known);
        self.bytes += bytes;
        self.count += 1;
        let site = Site { known, until, crawl_delay, number: self.count, bytes };
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

fn known_of(group: Group) -> Known {
    let wildcards: usize = group.rules().iter().map(Pattern::wildcards).sum();
    if wildcards > MOST_WILDCARDS { Known::TooManyWildcards } else { Known::Rules(group) }
}

/// The approximate bytes of a site.
fn weight(name: &str, known: &Known) -> u64 {
    const PER_SITE: usize = 256;
    const PER_RULE: usize = 40;
    let more = match known {
        Known::Rules(group) => group.rules().iter().map(|rule| rule.text().len() + PER_RULE).sum(),
        Known::TooManyWildcards => 0,
        Known::Unavailable(unavailable) => unavailable.why.len(),
    };
    (2 * name.len() + PER_SITE + more) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{HealthConfig, RobotsConfig};

    fn store(robots: &mut RobotsRules, site: &str, now: u64) {
        let url = Url::parse(&format!("http://{site}/")).unwrap();
        let policy = HealthPolicy::from(&HealthConfig::default());
        robots.store_failure(&url, "500".to_owned(), &policy, Duration::from_secs(now), Duration::from_secs(now));
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
