//! Carries out operators' verbs, and SIGHUP, one after the other in a thread of its own: a slow disk holds up no answer of the
//! API, and two verbs never meet.
//!
//! In: verbs, from the API and from signals. Out: changes of the schedule through its desk, and controls of the run. What
//! outlasts the run is on the disk before it holds, and it holds before the operator is told so.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{BoxFuture, ready};
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

/// Verbs that wait for the one that is being carried out, at most.
const MOST_WAITING: usize = 8;

/// Whom the API gives verbs to, before the run begins: then they are refused.
#[derive(Clone, Default)]
pub(super) struct LateOrders(Arc<OnceLock<Orders>>);

impl LateOrders {
    /// From now on verbs are carried out.
    pub fn begin(&self, orders: Orders) {
        let _ = self.0.set(orders);
    }
}

impl Operator for LateOrders {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        match self.0.get() {
            Some(orders) => orders.carry_out(verb),
            None => ready(Err(Refusal::Unavailable(
                "The run is still starting; try again once /readyz says that it is ready.".to_owned(),
            )))
            .boxed(),
        }
    }
}

/// A verb, and where its reply goes; a signal waits for none.
type Order = (Verb, Option<oneshot::Sender<Result<Reply, Refusal>>>);

/// The senders' end of the thread; clones share it.
#[derive(Clone)]
pub(super) struct Orders(mpsc::Sender<Order>);

/// What the thread works on.
pub(super) struct Steering {
    /// Steers the run.
    pub controls: mpsc::Sender<Control>,
    /// Where the schedule is asked.
    pub desk: Desk,
    pub overrides: OverrideChanges,
    pub reloader: Reloader,
    /// Where those look who want to know what was done.
    pub events: Events,
}

/// What operators steer the run by.
#[derive(Default)]
pub(super) struct Steered {
    /// Where verbs are sent.
    pub orders: Option<Orders>,
    /// Where the schedule is asked.
    pub desk: Option<Desk>,
    /// What comes of them for the run.
    pub controls: Option<mpsc::Receiver<Control>>,
}

impl Steered {
    /// Lets operators steer a run of these parts.
    ///
    /// # Errors
    /// When there is no thread for it.
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
    /// When there is none left.
    pub fn start(mut steering: Steering) -> Result<Self, BoxError> {
        let (orders, mut from_orders) = mpsc::channel::<Order>(MOST_WAITING);
        let obey = move || {
            while let Some((verb, reply)) = from_orders.blocking_recv() {
                // An order whose operator was told that it took too long must not be obeyed later.
                if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
                    continue;
                }
                let replied = steering.carry_out(verb);
                let _ = reply.map(|reply| reply.send(replied));
            }
        };
        std::thread::Builder::new().name("operator".to_owned()).spawn(obey)?;
        Ok(Self(orders))
    }

    /// Has the configuration loaded anew for a signal; what came of it is in the log.
    pub fn reload(&self) {
        if self.0.try_send((Verb::Reload(Reloading::Apply), None)).is_err() {
            tracing::warn!(
                "SIGHUP: too much else is being changed, so the configuration was not loaded anew; send it again"
            );
        }
    }
}

impl Operator for Orders {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let (reply, replied) = oneshot::channel();
        let sent = self.0.try_send((verb, Some(reply)));
        Box::pin(async move {
            sent.map_err(|_| Refusal::TryAgain("Others are being carried out; try again in a moment.".to_owned()))?;
            replied.await.unwrap_or_else(|_| Err(ended()))
        })
    }
}

impl Steering {
    /// Carries out a verb, and tells of it: in the log without a kind, so that each is written.
    fn carry_out(&mut self, verb: Verb) -> Result<Reply, Refusal> {
        let (name, reloading) = (verb.name(), matches!(verb, Verb::Reload(_)));
        let told = !matches!(verb, Verb::Reload(Reloading::DryRun));
        let done = self.obey(verb);
        match &done {
            _ if !told => {}
            Ok(Reply { message, .. }) if reloading => self.events.note(EventKind::Reload, format!("{name}: {message}")),
            Err(Refusal::Invalid(message) | Refusal::Refused(message) | Refusal::TryAgain(message)) if reloading => {
                self.events.note(EventKind::Reload, format!("{name}: {message}"));
            }
            Ok(Reply { message, .. }) => {
                self.events.note(EventKind::Override, format!("{name}: {message}"));
                tracing::info!(verb = name, "{message}");
            }
            // Who asked is told.
            Err(_) => {}
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
                Ok(Reply { kept, ..said(format!("Lines of {host} that come are fetched again.")) })
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

    /// Refuses a port of a host whose lines are all counted as those of one host: what is said of the port would hold nothing.
    fn check(&self, host: &str) -> Result<(), Refusal> {
        let patterns = &self.reloader.present.loaded.config.hosts;
        let is_port = |name: &str, port: u16| patterns.contains_key(&format!("{name}:{port}"));
        match host.parse() {
            Ok(HostPattern::Port(name, port)) if !is_port(&name, port) => Err(Refusal::Refused(format!(
                "Nothing has changed: the run counts all ports of {name} as one host, as no table [hosts.\"{name}:{port}\"] makes this one a \
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
            (Ok(lines), _) => Ok(Reply { kept, ..skipped(host, lines, lasting, &known) }),
            // The schedule skips the lines that wait, too, and did not say how many they are.
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
        // Before the change: a host whose limits change enters the table by it.
        let known = self.known(whom)?;
        let Changed { kept, overrides, now } = self.overrides.make(change)?;
        Ok(Reply { kept, ..limited(whom, &overrides, now, &known) })
    }

    /// How the schedule knows whom a verb is about.
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
                "{lines} would be canceled that operators have paused, as their source cannot yield them again; resume them first, or drain with force."
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
