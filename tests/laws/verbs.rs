//! What an operator does while a scenario is played.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fetchd::fetch::Fetch;
use fetchd::pipeline::{Desk, Question, Reconfiguration};
use fetchd::schedule::{self, Change, LimitsOverride, Overrides, Scope};
use proptest::prelude::*;
use tokio::time::{Instant, sleep_until};

use crate::any;
use crate::log::{Event, Log};
use crate::script::{ms, secs};

#[derive(Clone, Debug)]
pub enum Verb {
    /// Its times are from when it is made.
    Change(Change),
    /// The lines of this host that wait are skipped.
    Skip(Arc<str>),
    /// Another configuration.
    Reload(Box<schedule::Settings>),
}

/// Does what it is told, as the operator's thread does, and goes on for ever.
pub async fn operate(verbs: &[(Duration, Verb)], desk: Desk, fetch: Arc<dyn Fetch>, log: &Log) -> Infallible {
    let start = Instant::now();
    for (at, verb) in verbs {
        sleep_until(start + *at).await;
        if obey(verb, &desk, &fetch, log).await.is_none() {
            break;
        }
    }
    drop((desk, fetch));
    pending().await
}

async fn obey(verb: &Verb, desk: &Desk, fetch: &Arc<dyn Fetch>, log: &Log) -> Option<()> {
    match verb {
        Verb::Change(change) => {
            let known = desk.overrides().await.ok()?;
            let Ok(new) = known.overrides.apply(later(change, known.now), known.workers, known.now) else {
                return Some(());
            };
            // What is lifted may be so before the reply comes.
            log.note(Event::Overridden(Overrides::default()));
            desk.set_overrides(new.clone()).await.ok()?;
            log.note(Event::Overridden(new));
        }
        Verb::Skip(host) => _ = desk.skip(Arc::clone(host)).await.ok()?,
        Verb::Reload(settings) => {
            let new = Reconfiguration { schedule: (**settings).clone(), fetch: Arc::clone(fetch), tokens: None };
            desk.ask(|reply| Question::Reconfigure(Box::new(new), reply)).await.ok()?;
        }
    }
    Some(())
}

fn later(change: &Change, now: Duration) -> Change {
    let later = |until: &Option<Duration>| until.map(|length| now + length);
    match change {
        Change::Pause(scope, until) => Change::Pause(scope.clone(), later(until)),
        Change::Limit(scope, limits) => {
            Change::Limit(scope.clone(), LimitsOverride { until: later(&limits.until), ..*limits })
        }
        Change::Skip(host, length) => Change::Skip(Arc::clone(host), now + *length),
        other => other.clone(),
    }
}

pub fn host(number: usize) -> Arc<str> {
    format!("h{number}.test").into()
}

/// Verbs in any order; in the end nothing is paused.
pub fn storm() -> impl Strategy<Value = Vec<(Duration, Verb)>> {
    let until = || prop::option::of(any::up_to(secs(20)).prop_map(|length| length + ms(1)));
    let scope = || prop_oneof![1 => Just(Scope::All), 3 => (0usize..4).prop_map(|n| Scope::Host(host(n)))];
    let rate = prop_oneof![Just("20/s"), Just("2/s"), Just("unlimited")];
    let limits = (rate, 1u32..4, until()).prop_map(|(rate, concurrency, until)| LimitsOverride {
        rate: Some(rate.parse().unwrap()),
        concurrency: Some(concurrency),
        until,
    });
    let skip = (0usize..4, any::up_to(secs(3))).prop_map(|(n, length)| Change::Skip(host(n), length + ms(1)));
    let change = prop_oneof![
        4 => (scope(), until()).prop_map(|(scope, until)| Change::Pause(scope, until)),
        2 => scope().prop_map(Change::Resume),
        2 => (scope(), limits).prop_map(|(scope, limits)| Change::Limit(scope, limits)),
        1 => scope().prop_map(Change::ClearLimits),
        1 => skip,
    ];
    let reload = any::any_settings().prop_map(|settings| Verb::Reload(Box::new(settings.schedule)));
    let verb = prop_oneof![
        6 => change.prop_map(Verb::Change),
        1 => (0usize..4).prop_map(|n| Verb::Skip(host(n))),
        2 => reload,
    ];
    prop::collection::vec((any::up_to(secs(20)), verb), 0..8).prop_map(|mut verbs| {
        verbs.sort_by_key(|(at, _)| *at);
        let scopes = (0..4).map(|n| Scope::Host(host(n))).chain([Scope::All]);
        verbs.extend(scopes.map(|scope| (secs(60), Verb::Change(Change::Resume(scope)))));
        verbs
    })
}
