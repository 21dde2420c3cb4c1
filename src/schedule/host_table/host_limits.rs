//! The limits of a host, and its errors.

use std::time::Duration;

use super::host::Host;
use super::trouble::Trouble;
use crate::item::ErrorKind;
use crate::schedule::adaptive::AdaptiveLimit;
use crate::schedule::config::HostLimits;
use crate::units::Concurrency;

impl Host {
    /// Sets the limits: the next start counts from the last one, and an adaptive limit starts at one, unless there was
    /// one already.
    pub fn set_limits(&mut self, limits: HostLimits) {
        self.rate_limiter.set_interval(limits.every);
        match (&mut self.adaptive, limits.concurrency) {
            (Some(adaptive), Concurrency::Adaptive) => adaptive.set_most(limits.max_concurrency),
            _ => self.adaptive = Self::adaptive_limit(&limits),
        }
        self.limits = limits;
    }

    /// Requests on the wire at once, as of now.
    pub fn concurrency(&self) -> u32 {
        match (&self.adaptive, self.limits.concurrency) {
            (Some(adaptive), _) => adaptive.limit(),
            (None, Concurrency::Fixed(most)) => most,
            (None, Concurrency::Adaptive) => self.limits.max_concurrency,
        }
    }

    /// Whether the concurrency is adaptive.
    pub fn is_adaptive(&self) -> bool {
        self.adaptive.is_some()
    }

    /// The adaptive limit, if there is one.
    pub fn adaptive(&mut self) -> Option<&mut AdaptiveLimit> {
        self.adaptive.as_deref_mut()
    }

    /// Notes an error of the host.
    pub fn note_trouble(&mut self, (kind, message): (ErrorKind, &str), now: Duration) {
        let last = (kind, message.into());
        match &mut self.trouble {
            Some(trouble) => **trouble = Trouble { count: trouble.count + 1, last, at: now },
            None => self.trouble = Some(Box::new(Trouble { count: 1, last, at: now })),
        }
    }
}
