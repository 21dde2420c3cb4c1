//! Overrides: what operators have changed while the run goes on. A pure value; the core is given a complete new set each time
//! (`Core::set_overrides`), also at the start, so that a restart does the same as the verb did.
//!
//! All times are since the start of the run. A host is an exact name, as the host table has it; a name without a port is also
//! that of its ports that patterns make hosts of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::units::Rate;

/// The hosts that overrides may be about, at most.
pub const MOST_HOSTS: usize = 1000;

/// Requests at once that a host may be allowed, at most.
const MOST_AT_ONCE: u32 = 65_535;

/// Everything that operators have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Of the whole run.
    pub all: HostOverrides,
    /// Of single hosts; none of them is empty.
    pub hosts: BTreeMap<Arc<str>, HostOverrides>,
}

/// What operators have changed of one host, or of the run, which cannot be skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOverrides {
    /// Nothing new starts.
    pub pause: Option<PauseOverride>,
    /// Its lines are settled unsent as they come.
    pub skip: Option<SkipOverride>,
    /// These limits hold in place of those of the configuration.
    pub limits: Option<LimitsOverride>,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseOverride {
    /// Its end; `None` until it is resumed.
    pub until: Option<Duration>,
}

/// A time in which all lines of a host are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipOverride {
    /// Its end.
    pub until: Duration,
}

/// Limits in place of those of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsOverride {
    /// Starts of requests; `None` for what the configuration says.
    pub rate: Option<Rate>,
    /// Requests on the wire at once; `None` for what the configuration says.
    pub concurrency: Option<u32>,
    /// Their end; `None` until they are cleared.
    pub until: Option<Duration>,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole run.
    All,
    /// The host of this name, as the host table has it.
    Host(Arc<str>),
}

/// One change of the overrides. The same change once more is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing new starts until then, or until it is resumed.
    Pause(Scope, Option<Duration>),
    /// It goes on. That of the run leaves the pauses of hosts.
    Resume(Scope),
    /// These limits hold; what is `None` stays as it is.
    Limit(Scope, LimitsOverride),
    /// The limits of the configuration hold again.
    ClearLimits(Scope),
    /// The lines of a host that wait, and those that come until then, are settled unsent.
    Skip(Arc<str>, Duration),
    /// Lines that come are fetched again.
    EndSkip(Arc<str>),
}

/// Why a change is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are overrides of [`MOST_HOSTS`] hosts.
    TooManyHosts,
    /// It would end before it began.
    Over,
    /// The limits say nothing.
    NoLimit,
    /// There can be no fewer requests at once than one, and no more than this.
    Concurrency {
        /// The workers that the run began with, for the run.
        most: u32,
    },
    /// There is nothing to undo.
    NothingToUndo,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooManyHosts => write!(f, "there are overrides of {MOST_HOSTS} hosts; undo one of them first"),
            Self::Over => f.write_str("it would end before it begins"),
            Self::NoLimit => f.write_str("say a rate or a concurrency"),
            Self::Concurrency { most } => write!(f, "concurrency must be between 1 and {most}"),
            Self::NothingToUndo => f.write_str("there is no such override"),
        }
    }
}

impl Overrides {
    /// What holds for a host of the table: its own overrides and, where it is a port, those of its name besides.
    pub fn holding_for(&self, host: &str) -> HostOverrides {
        let port = |port: &str| port.parse::<u16>().is_ok();
        let of_name = host.rsplit_once(':').filter(|(_, text)| port(text)).and_then(|(name, _)| self.hosts.get(name));
        let [own, of_name] = [self.hosts.get(host), of_name].map(|host| host.cloned().unwrap_or_default());
        HostOverrides {
            pause: own.pause.or(of_name.pause),
            skip: own.skip.or(of_name.skip),
            limits: own.limits.or(of_name.limits),
        }
    }

    /// The set with one more change, as of `now`; `workers` is how many the run began with.
    ///
    /// # Errors
    /// A change that makes no sense.
    pub fn apply(&self, change: Change, workers: u32, now: Duration) -> Result<Self, Refusal> {
        let mut new = self.at(now);
        match change {
            Change::Pause(scope, until) => {
                new.of(&scope).pause = Some(PauseOverride { until: in_future(until, now)? });
            }
            Change::Resume(scope) => undo(new.of(&scope).pause.take())?,
            Change::Limit(scope, limits) => {
                let most = if scope == Scope::All { workers } else { MOST_AT_ONCE };
                let old = new.of(&scope).limits.unwrap_or_default();
                new.of(&scope).limits = Some(old.with(limits, most, now)?);
            }
            Change::ClearLimits(scope) => undo(new.of(&scope).limits.take())?,
            Change::Skip(host, until) => {
                in_future(Some(until), now)?;
                new.of(&Scope::Host(host)).skip = Some(SkipOverride { until });
            }
            Change::EndSkip(host) => undo(new.of(&Scope::Host(host)).skip.take())?,
        }
        new.hosts.retain(|_, host| !host.is_empty());
        if new.hosts.len() > MOST_HOSTS { Err(Refusal::TooManyHosts) } else { Ok(new) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.hosts.is_empty()
    }

    /// What holds of them then.
    #[must_use]
    pub fn at(&self, now: Duration) -> Self {
        let hosts = self.hosts.iter().map(|(name, host)| (Arc::clone(name), host.at(now)));
        Self { all: self.all.at(now), hosts: hosts.filter(|(_, host)| !host.is_empty()).collect() }
    }

    /// When the first of them ends by itself.
    pub fn next_end(&self) -> Option<Duration> {
        std::iter::once(&self.all).chain(self.hosts.values()).filter_map(HostOverrides::next_end).min()
    }

    fn of(&mut self, scope: &Scope) -> &mut HostOverrides {
        match scope {
            Scope::All => &mut self.all,
            Scope::Host(name) => self.hosts.entry(Arc::clone(name)).or_default(),
        }
    }
}

impl HostOverrides {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn at(&self, now: Duration) -> Self {
        let holds = |until: Option<Duration>| until.is_none_or(|until| until > now);
        Self {
            pause: self.pause.filter(|pause| holds(pause.until)),
            skip: self.skip.filter(|skip| skip.until > now),
            limits: self.limits.filter(|limits| holds(limits.until)),
        }
    }

    fn next_end(&self) -> Option<Duration> {
        let pause = self.pause.and_then(|pause| pause.until);
        let limits = self.limits.and_then(|limits| limits.until);
        [pause, self.skip.map(|skip| skip.until), limits].into_iter().flatten().min()
    }
}

impl LimitsOverride {
    fn with(self, new: Self, most: u32, now: Duration) -> Result<Self, Refusal> {
        if new.rate.is_none() && new.concurrency.is_none() {
            return Err(Refusal::NoLimit);
        }
        if new.concurrency.is_some_and(|n| !(1..=most).contains(&n)) {
            return Err(Refusal::Concurrency { most });
        }
        Ok(Self {
            rate: new.rate.or(self.rate),
            concurrency: new.concurrency.or(self.concurrency),
            until: in_future(new.until, now)?,
        })
    }
}

fn in_future(until: Option<Duration>, now: Duration) -> Result<Option<Duration>, Refusal> {
    if until.is_some_and(|until| until <= now) { Err(Refusal::Over) } else { Ok(until) }
}

fn undo<T>(was: Option<T>) -> Result<(), Refusal> {
    was.map(drop).ok_or(Refusal::NothingToUndo)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn host(name: &str) -> Scope {
        Scope::Host(name.into())
    }

    fn apply(old: &Overrides, change: Change) -> Result<Overrides, Refusal> {
        old.apply(change, 8, NOW)
    }

    #[test]
    fn a_change_and_its_undoing_leave_nothing() {
        let limits = LimitsOverride { concurrency: Some(2), ..LimitsOverride::default() };
        for (change, undo) in [
            (Change::Pause(Scope::All, None), Change::Resume(Scope::All)),
            (Change::Pause(host("a"), Some(at(20))), Change::Resume(host("a"))),
            (Change::Limit(Scope::All, limits), Change::ClearLimits(Scope::All)),
            (Change::Limit(host("a"), limits), Change::ClearLimits(host("a"))),
            (Change::Skip("a".into(), at(20)), Change::EndSkip("a".into())),
        ] {
            assert_eq!(apply(&Overrides::default(), undo.clone()), Err(Refusal::NothingToUndo));
            let new = apply(&Overrides::default(), change.clone()).unwrap();
            assert!(!new.is_empty(), "{change:?}");
            assert_eq!(apply(&new, change), Ok(new.clone()), "it is no error to say it again");
            assert_eq!(apply(&new, undo), Ok(Overrides::default()));
        }
    }

    #[test]
    fn changes_that_make_no_sense_are_refused() {
        let limit = |concurrency| LimitsOverride { concurrency, ..LimitsOverride::default() };
        for (change, refusal) in [
            (Change::Pause(Scope::All, Some(NOW)), Refusal::Over),
            (Change::Skip("a".into(), at(9)), Refusal::Over),
            (Change::Limit(host("a"), limit(None)), Refusal::NoLimit),
            (Change::Limit(Scope::All, limit(Some(9))), Refusal::Concurrency { most: 8 }),
            (Change::Limit(Scope::All, limit(Some(0))), Refusal::Concurrency { most: 8 }),
            (Change::Limit(host("a"), limit(Some(0))), Refusal::Concurrency { most: MOST_AT_ONCE }),
        ] {
            assert_eq!(apply(&Overrides::default(), change), Err(refusal));
        }
    }

    #[test]
    fn there_are_a_thousand_hosts_at_most_and_those_that_are_over_make_room() {
        let mut overrides = Overrides::default();
        for n in 0..MOST_HOSTS {
            let until = (n > 0).then(|| at(20));
            overrides = apply(&overrides, Change::Pause(host(&n.to_string()), until)).unwrap();
        }
        let one_more = Change::Pause(host("more"), None);
        assert_eq!(apply(&overrides, one_more.clone()), Err(Refusal::TooManyHosts));
        assert!(apply(&overrides, Change::Pause(host("0"), None)).is_ok());
        assert_eq!(overrides.next_end(), Some(at(20)));
        assert_eq!(overrides.apply(one_more, 8, at(20)).unwrap().hosts.len(), 2);
    }

    #[test]
    fn a_limit_that_is_not_named_stays() {
        let rate = LimitsOverride { rate: Some(Rate::per_second(2)), ..LimitsOverride::default() };
        let at_once = LimitsOverride { concurrency: Some(3), until: Some(at(20)), ..LimitsOverride::default() };
        let first = apply(&Overrides::default(), Change::Limit(host("a"), rate)).unwrap();
        let both = apply(&first, Change::Limit(host("a"), at_once)).unwrap();
        assert_eq!(both.hosts["a"].limits, Some(LimitsOverride { rate: rate.rate, ..at_once }));
    }
}
