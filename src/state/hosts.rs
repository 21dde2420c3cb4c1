//! Hosts in trouble, as the checkpoint has them: by the clock on the wall, for no other outlasts a run.
//!
//! In: lengths of time from now on, from the schedule. Out: the same, of what is left of them. A clock on the wall may
//! jump; when it jumps back, nothing lasts for longer than it was to last when it was written.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Hosts;
use super::keeper::Note;
use crate::item::Kind;
use crate::schedule::{Trouble, Unreachable};
use crate::units::Span;

/// Nothing is remembered for longer: some ask for more rest than a clock can tell.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A host in trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostState {
    /// No request before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<Until>,
    /// It asked for more rest than its lines may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<Until>,
    /// It cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreachable: Option<Lost>,
}

/// A time to come, and how far off it was when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    time: Timestamp,
    left: Span,
}

/// See [`Unreachable`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lost {
    tried: Span,
    probe: Option<Until>,
    remembered: Until,
    kind: String,
    message: String,
}

impl Until {
    fn write(left: Duration, now: Timestamp) -> Option<Self> {
        let left = left.min(LONGEST);
        let time = now.checked_add(SignedDuration::try_from(left).ok()?).unwrap_or(Timestamp::MAX);
        (!left.is_zero()).then_some(Self { time, left: Span(left) })
    }

    /// What is left of it.
    fn read(self, now: Timestamp) -> Duration {
        let left = Duration::try_from(self.time.duration_since(now)).unwrap_or_default();
        left.min(self.left.0).min(LONGEST)
    }
}

impl Lost {
    fn write(known: &Unreachable, now: Timestamp) -> Option<Self> {
        Some(Self {
            tried: Span(known.tried.min(LONGEST)),
            probe: Until::write(known.probe, now),
            remembered: Until::write(known.remembered, now)?,
            kind: known.last_error.0.name().to_owned(),
            message: known.last_error.1.clone(),
        })
    }

    fn read(&self, now: Timestamp) -> Option<Unreachable> {
        let remembered = self.remembered.read(now);
        let kind = Kind::named(&self.kind).filter(|_| !remembered.is_zero())?;
        let probe = left(self.probe, now);
        Some(Unreachable { tried: self.tried.0, probe, remembered, last_error: (kind, self.message.clone()) })
    }
}

fn left(until: Option<Until>, now: Timestamp) -> Duration {
    until.map(|until| until.read(now)).unwrap_or_default()
}

/// What a checkpoint of this moment says of these hosts.
pub fn to_remember(troubles: &[Trouble], now: Timestamp) -> BTreeMap<String, HostState> {
    let state = |known: &Trouble| HostState {
        paused: Until::write(known.paused, now),
        closed: Until::write(known.closed, now),
        unreachable: known.unreachable.as_ref().and_then(|known| Lost::write(known, now)),
    };
    troubles.iter().map(|known| (known.host.to_string(), state(known))).collect()
}

/// Which hosts are still in trouble at this moment, by what a checkpoint says.
pub fn leave_alone(hosts: &BTreeMap<String, HostState>, now: Timestamp) -> Vec<Trouble> {
    let trouble = |(name, host): (&String, &HostState)| Trouble {
        host: name.as_str().into(),
        paused: left(host.paused, now),
        closed: left(host.closed, now),
        unreachable: host.unreachable.as_ref().and_then(|lost| lost.read(now)),
    };
    let is_over = |known: &Trouble| known.paused.is_zero() && known.closed.is_zero() && known.unreachable.is_none();
    hosts.iter().map(trouble).filter(|known| !is_over(known)).collect()
}

/// Brings hosts in trouble to the thread that writes checkpoints.
pub struct HostKeeper {
    pub(super) before: BTreeMap<String, HostState>,
    pub(super) newest: Newest,
    pub(super) notes: SyncSender<Note>,
}

/// What is to be written down next of hosts. Whoever puts something where nothing was sends a note.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Option<BTreeMap<String, HostState>>>>);

impl Newest {
    pub fn take(&self) -> Option<BTreeMap<String, HostState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, hosts: BTreeMap<String, HostState>) -> Option<BTreeMap<String, HostState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(hosts)
    }
}

impl Hosts for HostKeeper {
    fn recall(&mut self) -> Vec<Trouble> {
        leave_alone(&std::mem::take(&mut self.before), Timestamp::now())
    }

    fn remember(&mut self, troubles: &[Trouble]) {
        let unread = self.newest.put(to_remember(troubles, Timestamp::now()));
        if unread.is_none() {
            // There is room for one such note. A thread that is gone has said why, or will at the next commit.
            let _ = self.notes.try_send(Note::Hosts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn paused(for_so_long: Duration) -> Trouble {
        Trouble { host: "a.test".into(), paused: for_so_long, closed: Duration::ZERO, unreachable: None }
    }

    /// What is read at a later moment, after the way through a file.
    fn read(troubles: &[Trouble], now: Timestamp) -> Vec<Trouble> {
        let text = serde_json::to_string(&to_remember(troubles, at(0))).unwrap();
        leave_alone(&serde_json::from_str(&text).unwrap(), now)
    }

    fn any_trouble() -> impl Strategy<Value = Trouble> {
        let length = || (0u64..1000, 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos));
        let kind = prop::sample::select(Kind::ALL.to_vec());
        let unreachable = prop::option::of((length(), length(), 1u64..1000, kind, ".*").prop_map(
            |(tried, probe, remembered, kind, message)| Unreachable {
                tried,
                probe,
                remembered: secs(remembered),
                last_error: (kind, message),
            },
        ));
        (1u64..1000, length(), unreachable).prop_map(|(paused, closed, unreachable)| Trouble {
            host: "a.test".into(),
            paused: secs(paused),
            closed,
            unreachable,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trouble in any_trouble()) {
            prop_assert_eq!(read(std::slice::from_ref(&trouble), at(0)), [trouble]);
        }

        #[test]
        fn no_clock_makes_a_pause_longer_than_it_was(length in 1u64..1000, now in -100_000i64..100_000) {
            let left = read(&[paused(secs(length))], at(now)).first().map(|known| known.paused).unwrap_or_default();
            prop_assert_eq!(left, secs(length.saturating_sub(now.max(0) as u64)));
        }
    }

    #[test]
    fn a_pause_for_ever_ends_after_a_year() {
        let left = read(&[paused(Duration::MAX)], at(10));
        assert_eq!(left[0].paused, LONGEST - secs(10));
    }

    #[test]
    fn a_circuit_that_is_not_worth_remembering_any_more_is_forgotten() {
        let last_error = (Kind::Reset, "reset".to_owned());
        let lost = Unreachable { tried: secs(9), probe: secs(5), remembered: secs(60), last_error };
        let known = [Trouble { unreachable: Some(lost), ..paused(secs(70)) }];
        let left = read(&known, at(59));
        assert_eq!(left[0].unreachable.as_ref().map(|lost| (lost.tried, lost.probe)), Some((secs(9), Duration::ZERO)));
        assert_eq!(read(&known, at(60)), [paused(secs(10))]);
    }
}
