//! Overrides: changes of operators during the run. A pure value; the core is given a complete new set each time
//! (`Core::set_overrides`), also at the start, so that a restart does the same as the verb did.
//!
//! All times are since the start of the run. A host is an exact name, as in the host table; a name without a port also
//! covers its ports that patterns name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::units::Rate;

/// The most hosts with overrides.
pub const MOST_HOSTS: usize = 1000;

/// The highest concurrency of a host.
const MOST_AT_ONCE: u32 = 65_535;

/// All overrides of operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Of the whole run.
    pub all: HostOverrides,
    /// Of single hosts; none of them is empty.
    pub hosts: BTreeMap<Arc<str>, HostOverrides>,
}

/// The overrides of one host, or of the run, which cannot be skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOverrides {
    /// No line starts.
    pub pause: Option<PauseOverride>,
    /// New lines are settled unsent.
    pub skip: Option<SkipOverride>,
    /// The rate in place of the configured one.
    pub rate: Option<RateOverride>,
    /// The concurrency in place of the configured one.
    pub concurrency: Option<ConcurrencyOverride>,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseOverride {
    /// Its end; `None` until it is resumed.
    pub until: Option<Duration>,
}

/// A skip of all lines of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipOverride {
    /// Its end.
    pub until: Duration,
}

/// A rate in place of the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateOverride {
    /// The rate of request starts.
    pub rate: Rate,
    /// Its end; `None` until it is cleared.
    pub until: Option<Duration>,
}

/// A concurrency in place of the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyOverride {
    /// Requests on the wire at once.
    pub limit: u32,
    /// Its end; `None` until it is cleared.
    pub until: Option<Duration>,
}

/// Limits with one end: those of one change, or overrides that end together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsOverride {
    /// The rate of request starts; `None` for no change.
    pub rate: Option<Rate>,
    /// Requests on the wire at once; `None` for no change.
    pub concurrency: Option<u32>,
    /// Their end; `None` until they are cleared.
    pub until: Option<Duration>,
}

/// The scope of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole run.
    All,
    /// The host of this name, as the host table has it.
    Host(Arc<str>),
}

/// One change of the overrides. To repeat a change is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// No line starts until then, or until it is resumed.
    Pause(Scope, Option<Duration>),
    /// Ends a pause. That of the run leaves the pauses of hosts.
    Resume(Scope),
    /// Sets these limits; a limit that is `None` stays as it is, with its own end.
    Limit(Scope, LimitsOverride),
    /// Restores the configured limits.
    ClearLimits(Scope),
    /// Settles the waiting lines of a host, and new ones until then, unsent.
    Skip(Arc<str>, Duration),
    /// Ends a skip: new lines are fetched again.
    EndSkip(Arc<str>),
}

/// Why a change is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are overrides of [`MOST_HOSTS`] hosts.
    TooManyHosts,
    /// The end has passed already.
    Over,
    /// No limit is given.
    NoLimit,
    /// The concurrency is not between 1 and this.
    Concurrency {
        /// For the run, the workers that it began with.
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
    /// The overrides of a host of the table: its own and, if it has a port, those of its name.
    pub fn holding_for(&self, host: &str) -> HostOverrides {
        let port = |port: &str| port.parse::<u16>().is_ok();
        let of_name = host.rsplit_once(':').filter(|(_, text)| port(text)).and_then(|(name, _)| self.hosts.get(name));
        let [own, of_name] = [self.hosts.get(host), of_name].map(|host| host.cloned().unwrap_or_default());
        HostOverrides {
            pause: own.pause.or(of_name.pause),
            skip: own.skip.or(of_name.skip),
            rate: own.rate.or(of_name.rate),
            concurrency: own.concurrency.or(of_name.concurrency),
        }
    }

    /// The set with one more change, as of `now`; `workers` is the number that the run began with.
    ///
    /// # Errors
    /// The reason, if the change is invalid.
    pub fn apply(&self, change: Change, workers: u32, now: Duration) -> Result<Self, Refusal> {
        let mut new = self.at(now);
        match change {
            Change::Pause(scope, until) => {
                new.of(&scope).pause = Some(PauseOverride { until: in_future(until, now)? });
            }
            Change::Resume(scope) => undo(new.of(&scope).pause.take())?,
            Change::Limit(scope, limits) => {
                let most = if scope == Scope::All { workers } else { MOST_AT_ONCE };
                new.of(&scope).limit(limits, most, now)?;
            }
            Change::ClearLimits(scope) => {
                let host = new.of(&scope);
                undo(host.rate.take().map(drop).or(host.concurrency.take().map(drop)))?;
                host.concurrency = None;
            }
            Change::Skip(host, until) => {
                in_future(Some(until), now)?;
                new.of(&Scope::Host(host)).skip = Some(SkipOverride { until });
            }
            Change::EndSkip(host) => undo(new.of(&Scope::Host(host)).skip.take())?,
        }
        new.hosts.retain(|_, host| !host.is_empty());
        if new.hosts.len() > MOST_HOSTS { Err(Refusal::TooManyHosts) } else { Ok(new) }
    }

    /// Whether there is no override.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.hosts.is_empty()
    }

    /// The overrides that are in force at `now`.
    #[must_use]
    pub fn at(&self, now: Duration) -> Self {
        let hosts = self.hosts.iter().map(|(name, host)| (Arc::clone(name), host.at(now)));
        Self { all: self.all.at(now), hosts: hosts.filter(|(_, host)| !host.is_empty()).collect() }
    }

    /// When the first override ends by itself.
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
    /// Whether there is no override.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn at(&self, now: Duration) -> Self {
        let holds = |until: Option<Duration>| until.is_none_or(|until| until > now);
        Self {
            pause: self.pause.filter(|pause| holds(pause.until)),
            skip: self.skip.filter(|skip| skip.until > now),
            rate: self.rate.filter(|rate| holds(rate.until)),
            concurrency: self.concurrency.filter(|concurrency| holds(concurrency.until)),
        }
    }

    fn next_end(&self) -> Option<Duration> {
        let pause = self.pause.and_then(|pause| pause.until);
        let rate = self.rate.and_then(|rate| rate.until);
        let concurrency = self.concurrency.and_then(|concurrency| concurrency.until);
        [pause, self.skip.map(|skip| skip.until), rate, concurrency].into_iter().flatten().min()
    }

    /// The limits; those with the same end are together.
    pub fn limits(&self) -> Vec<LimitsOverride> {
        let rate =
            self.rate.map(|RateOverride { rate, until }| LimitsOverride { rate: Some(rate), concurrency: None, until });
        let concurrency = self.concurrency.map(|ConcurrencyOverride { limit, until }| LimitsOverride {
            rate: None,
            concurrency: Some(limit),
            until,
        });
        match (rate, concurrency) {
            (Some(one), Some(other)) if one.until == other.until => {
                vec![LimitsOverride { concurrency: other.concurrency, ..one }]
            }
            (rate, concurrency) => rate.into_iter().chain(concurrency).collect(),
        }
    }

    fn limit(&mut self, new: LimitsOverride, most: u32, now: Duration) -> Result<(), Refusal> {
        let LimitsOverride { rate, concurrency, until } = new;
        if rate.is_none() && concurrency.is_none() {
            return Err(Refusal::NoLimit);
        }
        if concurrency.is_some_and(|n| !(1..=most).contains(&n)) {
            return Err(Refusal::Concurrency { most });
        }
        let until = in_future(until, now)?;
        self.rate = rate.map(|rate| RateOverride { rate, until }).or(self.rate);
        self.concurrency = concurrency.map(|limit| ConcurrencyOverride { limit, until }).or(self.concurrency);
        Ok(())
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
            assert_eq!(apply(&new, change), Ok(new.clone()), "to repeat it is no error");
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
    fn a_limit_that_is_not_named_stays_with_its_own_end() {
        let rate = LimitsOverride { rate: Some(Rate::per_second(2)), ..LimitsOverride::default() };
        let at_once = LimitsOverride { concurrency: Some(3), until: Some(at(20)), ..LimitsOverride::default() };
        let first = apply(&Overrides::default(), Change::Limit(host("a"), rate)).unwrap();
        let both = apply(&first, Change::Limit(host("a"), at_once)).unwrap();
        assert_eq!(both.hosts["a"].limits(), [rate, at_once]);
        assert_eq!((both.next_end(), both.at(at(20)).hosts["a"].limits()), (Some(at(20)), vec![rate]));
        let again = apply(&both, Change::Limit(host("a"), LimitsOverride { until: Some(at(20)), ..rate })).unwrap();
        let together = LimitsOverride { rate: rate.rate, ..at_once };
        assert_eq!(again.hosts["a"].limits(), [together], "limits with one end are together");
        assert_eq!(apply(&both, Change::ClearLimits(host("a"))), Ok(Overrides::default()));
    }
}
