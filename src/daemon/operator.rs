//! Carries out operators' verbs, and SIGHUP, one at a time in a thread of its own: a slow disk delays no other response
//! of the API, and verbs never run concurrently.
//!
//! In: verbs, from the API and from signals. Out: changes of the schedule through its desk, and controls of the run. A
//! durable change is on the disk before it is in force, and in force before the reply.

use std::time::Duration;

use futures::executor::block_on;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::override_changes::{Changed, OverrideChanges};
use super::overrides_in_dir::OverridesDir;
use super::reload::Reloader;
use super::verb_replies::{Known, drained, ended, limited, no_answer, paused, resumed, said, skipped, skips};
use crate::error::{BoxError, Error};
use crate::hosts::HostPattern;
use crate::ops::{Lasting, LimitsChange, Operator, Refusal, Reloading, Reply, Unfinished, Verb, Whom};
use crate::pipeline::{Control, Desk, EventKind, Events, InForce, Parts};
use crate::schedule::{Change, LimitsOverride, Scope};
use crate::units::{Concurrency, counted};

/// The most verbs that wait for the current one.
const MOST_WAITING: usize = 8;

/// A verb, and the channel for its reply; a signal has none.
type Order = (Verb, Option<oneshot::Sender<Result<Reply, Refusal>>>);

/// Sends verbs to the thread; clones share it.
#[derive(Clone)]
pub(super) struct Orders(mpsc::Sender<Order>);

/// The state of the thread.
pub(super) struct Steering {
    /// Control messages to the run.
    pub controls: mpsc::Sender<Control>,
    /// The desk of the schedule.
    pub desk: Desk,
    pub overrides: OverrideChanges,
    pub reloader: Reloader,
    /// The events of the run.
    pub events: Events,
}

/// The channels by which operators control the run.
#[derive(Default)]
pub(super) struct Steered {
    /// Verbs to the thread.
    pub orders: Option<Orders>,
    /// The desk of the schedule.
    pub desk: Option<Desk>,
    /// Control messages of the thread to the run.
    pub controls: Option<mpsc::Receiver<Control>>,
}

impl Steered {
    /// Starts the thread for a run of these parts.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn begin(
        parts: &mut Parts,
        kept: Option<OverridesDir>,
        reloader: Reloader,
        events: Events,
    ) -> Result<Self, Error> {
        let (controls, from_operators) = mpsc::channel(MOST_WAITING);
        let (desk, questions) = Desk::open();
        parts.questions = Some(questions);
        let cannot = |source| Error::Open { what: "cannot start the thread of operators".to_owned(), source };
        let asked = Some(desk.clone());
        let overrides = OverrideChanges { desk: desk.clone(), kept };
        let orders = Orders::start(Steering { controls, desk, overrides, reloader, events }).map_err(cannot)?;
        Ok(Self { orders: Some(orders), desk: asked, controls: Some(from_operators) })
    }
}

impl Orders {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(mut steering: Steering) -> Result<Self, BoxError> {
        let (orders, from_orders) = mpsc::channel::<Order>(MOST_WAITING);
        let obey = move || obey_all(from_orders, |verb| steering.carry_out(verb));
        std::thread::Builder::new().name("operator".to_owned()).spawn(obey)?;
        Ok(Self(orders))
    }

    /// Requests a reload for a signal; the log has its result.
    pub fn reload(&self) {
        if self.0.try_send((Verb::Reload(Reloading::Apply), None)).is_err() {
            tracing::warn!(
                "SIGHUP: the configuration was not reloaded, because too many verbs wait; send the signal again"
            );
        }
    }
}

/// Carries out orders until there are no more. One whose operator was told that it took too long must not be obeyed later.
fn obey_all(mut orders: mpsc::Receiver<Order>, mut carry_out: impl FnMut(Verb) -> Result<Reply, Refusal>) {
    while let Some((verb, reply)) = orders.blocking_recv() {
        if reply.as_ref().is_none_or(|reply| !reply.is_closed()) {
            let done = carry_out(verb);
            let _ = reply.map(|reply| reply.send(done));
        }
    }
}

impl Operator for Orders {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let (reply, replied) = oneshot::channel();
        let sent = self.0.try_send((verb, Some(reply)));
        Box::pin(async move {
            sent.map_err(|_| Refusal::TryAgain("Too many verbs wait; try again in a moment.".to_owned()))?;
            replied.await.unwrap_or_else(|_| Err(ended()))
        })
    }
}

impl Steering {
    /// Carries out a verb, and reports it as an event and in the log, there without an `event`, so that none is
    /// suppressed. A refusal goes only to the operator, except that of a reload, which a signal may have requested.
    fn carry_out(&mut self, verb: Verb) -> Result<Reply, Refusal> {
        let (name, dry_run) = (verb.name(), Verb::Reload(Reloading::DryRun));
        let kind = match verb {
            Verb::Reload(_) => EventKind::Reload,
            _ => EventKind::Override,
        };
        let is_told = verb != dry_run;
        let done = self.obey(verb);
        let message = match &done {
            Ok(reply) => reply.message.as_str(),
            Err(refusal) => refusal.message(),
        };
        let is_told = is_told && (done.is_ok() || kind == EventKind::Reload);
        if is_told {
            self.events.note(kind, format!("{name}: {message}"));
        }
        // The reloader logs reloads itself.
        if is_told && kind == EventKind::Override {
            tracing::info!(verb = name, "{message}");
        }
        done
    }

    fn obey(&mut self, verb: Verb) -> Result<Reply, Refusal> {
        match verb {
            Verb::Pause(whom, lasting) => self.pause(&whom, lasting),
            Verb::Resume(whom) => {
                let Changed { kept, overrides, .. } = self.overrides.make(|_| Ok(Change::Resume(scope(&whom))))?;
                Ok(Reply { kept, ..resumed(&whom, &overrides) })
            }
            Verb::Skip { host, lasting } => self.skip(&host, lasting),
            Verb::EndSkip(host) => {
                let Changed { kept, .. } = self.overrides.make(|_| Ok(Change::EndSkip(host.as_str().into())))?;
                Ok(Reply { kept, ..said(format!("New lines of {host} are fetched again.")) })
            }
            Verb::Limits(whom, change) => self.limit(&whom, change),
            Verb::Drain(unfinished) => self.drain(unfinished),
            Verb::Rotate => {
                self.control(Control::Rotate)?;
                Ok(said(match self.reloader.writes_files() {
                    true => "The outputs go on in new files.",
                    false => "No output of the run is a file; nothing was rotated.",
                }))
            }
            Verb::Reload(reloading) => self.reloader.reload(reloading, &self.desk, &self.controls),
        }
    }

    /// Refuses a port that is no host of its own: the override of such a port would have no effect.
    fn check(&self, host: &str) -> Result<(), Refusal> {
        let patterns = &self.reloader.present.loaded.config.hosts;
        let is_port = |name: &str, port: u16| patterns.contains_key(&format!("{name}:{port}"));
        match host.parse() {
            Ok(HostPattern::Port(name, port)) if !is_port(&name, port) => Err(Refusal::Refused(format!(
                "Nothing has changed: the run counts all ports of {name} as one host, because no table [hosts.\"{name}:{port}\"] makes this one a \
                 host of its own; write {name}."
            ))),
            _ => Ok(()),
        }
    }

    fn check_whom(&self, whom: &Whom) -> Result<(), Refusal> {
        match whom {
            Whom::All => Ok(()),
            Whom::Host(host) => self.check(host),
        }
    }

    fn pause(&mut self, whom: &Whom, lasting: Lasting) -> Result<Reply, Refusal> {
        self.check_whom(whom)?;
        let known = self.known(whom)?;
        let Changed { kept, .. } = self.overrides.make(|now| Ok(Change::Pause(scope(whom), end(lasting, now))))?;
        Ok(Reply { kept, ..paused(whom, lasting, &known) })
    }

    fn skip(&mut self, host: &str, lasting: Option<Duration>) -> Result<Reply, Refusal> {
        self.check(host)?;
        let known = self.known(&Whom::Host(host.to_owned()))?;
        let kept = match lasting {
            Some(time) => self.overrides.make(|now| Ok(Change::Skip(host.into(), now + time)))?.kept,
            None => None,
        };
        match (block_on(self.desk.skip(host.into())), lasting) {
            // The override may have begun to skip the lines before the desk counts them.
            (Ok(lines), Some(_)) => Ok(Reply { kept, ..skipped(host, lines.max(known.waiting()), lasting, &known) }),
            (Ok(lines), None) => Ok(Reply { kept, ..skipped(host, lines, lasting, &known) }),
            // The override skips the waiting lines, too, but their number is unknown.
            (Err(_), Some(time)) => Ok(Reply { kept, ..skips(host, time) }),
            (Err(why), None) => Err(no_answer(why)),
        }
    }

    fn limit(&mut self, whom: &Whom, limits: LimitsChange) -> Result<Reply, Refusal> {
        if limits != LimitsChange::Clear {
            self.check_whom(whom)?;
        }
        let change = |now| match limits {
            LimitsChange::Clear => Ok(Change::ClearLimits(scope(whom))),
            LimitsChange::Set { rate, concurrency, lasting } => {
                let concurrency = concurrency.map(fixed).transpose()?;
                let limits = LimitsOverride { rate, concurrency, until: end(lasting, now) };
                Ok(Change::Limit(scope(whom), limits))
            }
        };
        // Before the change, which enters the host in the table.
        let known = self.known(whom)?;
        let Changed { kept, overrides, now } = self.overrides.make(change)?;
        Ok(Reply { kept, ..limited(whom, &overrides, now, &known) })
    }

    /// Asks the schedule whether it has lines of the host.
    fn known(&self, whom: &Whom) -> Result<Known, Refusal> {
        let Whom::Host(host) = whom else { return Ok(Known::WithLines(0)) };
        let report = block_on(self.desk.host(host.as_str().into())).map_err(no_answer)?;
        let report = report.filter(|host| host.waiting + host.in_flight as usize > 0);
        Ok(report.map_or(Known::WithoutLines, |host| Known::WithLines(host.waiting)))
    }

    fn drain(&mut self, unfinished: Unfinished) -> Result<Reply, Refusal> {
        let InForce { would_cancel, .. } = block_on(self.desk.overrides()).map_err(no_answer)?;
        if would_cancel > 0 && unfinished == Unfinished::Keep {
            let lines = counted(would_cancel as u64, "line");
            return Err(Refusal::Refused(format!(
                "{lines} would be canceled: operators have paused them, and their source cannot read them again; resume them first, or drain with force."
            )));
        }
        self.control(Control::Stop)?;
        Ok(drained(would_cancel))
    }

    fn control(&self, control: Control) -> Result<(), Refusal> {
        self.controls.try_send(control).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::TryAgain("The run is busy; try again in a moment.".to_owned())
            }
            mpsc::error::TrySendError::Closed(_) => ended(),
        })
    }
}

fn scope(whom: &Whom) -> Scope {
    match whom {
        Whom::All => Scope::All,
        Whom::Host(host) => Scope::Host(host.as_str().into()),
    }
}

fn end(lasting: Lasting, now: Duration) -> Option<Duration> {
    match lasting {
        Lasting::UntilCleared => None,
        Lasting::For(time) => Some(now + time),
    }
}

fn fixed(concurrency: Concurrency) -> Result<u32, Refusal> {
    match concurrency {
        Concurrency::Fixed(n) => Ok(n),
        Concurrency::Adaptive => Err(Refusal::Invalid(
            "`concurrency` must be a number here; an adaptive limit is set in the configuration.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_whose_operator_has_gone_is_not_obeyed_and_that_of_a_signal_is() {
        let (orders, from_orders) = mpsc::channel::<Order>(MOST_WAITING);
        let (waits, mut replied) = oneshot::channel();
        orders.try_send((Verb::Rotate, Some(oneshot::channel().0))).unwrap();
        orders.try_send((Verb::Reload(Reloading::Apply), None)).unwrap();
        orders.try_send((Verb::Drain(Unfinished::Keep), Some(waits))).unwrap();
        drop(orders);
        let mut obeyed = Vec::new();
        obey_all(from_orders, |verb| {
            obeyed.push(verb.name());
            Err(ended())
        });
        assert_eq!(obeyed, ["reload", "drain"]);
        assert_eq!(replied.try_recv().unwrap().err(), Some(ended()));
    }
}
