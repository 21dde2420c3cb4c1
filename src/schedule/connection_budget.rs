//! The budget of idle connections: which requests may leave their connection open, so that idle sockets are bounded over all
//! hosts.
//!
//! The client's pool has no bound over hosts. This ledger counts a kept connection as open until twice the pool's idle
//! timeout after the last response, which is never too few.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::Version;

use crate::item::{Attempt, Connection, ErrorKind, POOL_IDLE_TIMEOUT, Sent};

/// The ledger of connections that are kept: on the wire with leave to stay, or idle.
#[derive(Debug)]
pub struct ConnectionBudget {
    most: usize,
    kept: usize,
    // By the hash of scheme, host and port: what the client's pool keeps apart, too.
    pools: HashMap<u64, Pool>,
    hasher: RandomState,
    swept: Duration,
}

#[derive(Debug, Default)]
struct Pool {
    idle: usize,
    last_answer: Duration,
}

impl ConnectionBudget {
    /// At most so many connections are kept.
    pub fn new(most: usize) -> Self {
        Self { most, kept: 0, pools: HashMap::new(), hasher: RandomState::new(), swept: Duration::ZERO }
    }

    /// Whether the request to this site that starts now may leave its connection open.
    pub fn start(&mut self, site: &str, now: Duration) -> Connection {
        let key = self.hasher.hash_one(site);
        if let Entry::Occupied(mut pool) = self.pools.entry(key) {
            pool.get_mut().idle -= 1;
            if pool.get().idle == 0 {
                pool.remove();
            }
            return Connection::Keep(key);
        }
        if self.kept >= self.most {
            self.sweep(now);
        }
        if self.kept >= self.most {
            return Connection::Close;
        }
        self.kept += 1;
        Connection::Keep(key)
    }

    /// The request is over; `reuse` when its connection went back to the client's pool.
    pub fn end(&mut self, connection: Connection, reuse: Reuse, now: Duration) {
        match (connection, reuse) {
            (Connection::Close, _) => {}
            (Connection::Keep(_), Reuse::Closed) => self.kept -= 1,
            (Connection::Keep(key), Reuse::Pooled | Reuse::Shared) => {
                let pool = self.pools.entry(key).or_default();
                pool.last_answer = now;
                if reuse == Reuse::Shared && pool.idle > 0 {
                    self.kept -= 1;
                } else {
                    pool.idle += 1;
                }
            }
        }
    }

    /// Forgets the connections that the client has closed by now; at most once a second, for it looks at each pool.
    fn sweep(&mut self, now: Duration) {
        if now < self.swept + Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        let kept = &mut self.kept;
        self.pools.retain(|_, pool| {
            let open = now < pool.last_answer + 2 * POOL_IDLE_TIMEOUT;
            if !open {
                *kept -= pool.idle;
            }
            open
        });
    }
}

/// Whether a connection outlived its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It may be idle now: the client reads the rest of a body that nobody wanted, and keeps the connection.
    Pooled,
    /// It may be idle now, and then it is the one that all requests of its host share: HTTP/2's.
    Shared,
    /// It is gone, or never was.
    Closed,
}

impl Reuse {
    /// What an attempt leaves behind.
    pub fn after(attempt: &Attempt) -> Self {
        match attempt {
            Attempt::Response(_) | Attempt::Redirect(_) => match attempt.head().map(|head| head.version) {
                Some(Version::HTTP_2) => Self::Shared,
                _ => Self::Pooled,
            },
            Attempt::NoMemory { .. } => Self::Pooled,
            Attempt::Failed(failure) => match (failure.sent, failure.kind) {
                // With HTTP/1.1 it is gone; with HTTP/2 only the stream is. Which one it was nobody knows.
                (Sent::Something, ErrorKind::Reset | ErrorKind::Timeout) | (Sent::Nothing, ErrorKind::Reset) => {
                    Self::Shared
                }
                (Sent::Something, _) => Self::Pooled,
                (Sent::Refused | Sent::Starved | Sent::Stale | Sent::LongHead | Sent::Nothing, _) => Self::Closed,
            },
            Attempt::Canceled => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    fn keeps(connection: Connection) -> bool {
        connection != Connection::Close
    }

    #[test]
    fn connections_beyond_the_limit_close_and_idle_ones_are_used_again() {
        let mut idle = ConnectionBudget::new(2);
        for site in ["http://a", "http://b"] {
            let kept = idle.start(site, NOW);
            assert!(keeps(kept));
            idle.end(kept, Reuse::Pooled, NOW);
        }
        assert_eq!(idle.start("http://c", NOW), Connection::Close);
        assert_eq!(idle.start("https://a", NOW), Connection::Close, "another scheme has another connection");
        let again = idle.start("http://a", NOW);
        assert!(keeps(again), "the one that is idle");
        assert_eq!(idle.start("http://a", NOW), Connection::Close, "a second one of the same host");
        idle.end(again, Reuse::Closed, NOW);
        assert!(keeps(idle.start("http://c", NOW)), "the lost one made room");
    }

    #[test]
    fn a_connection_counts_until_the_client_has_surely_closed_it() {
        let mut idle = ConnectionBudget::new(1);
        let kept = idle.start("http://a", NOW);
        idle.end(kept, Reuse::Pooled, NOW);
        assert!(!keeps(idle.start("http://b", NOW + Duration::from_secs(29))));
        assert!(keeps(idle.start("http://b", NOW + Duration::from_secs(31))));
    }

    #[test]
    fn requests_that_share_a_connection_leave_one_behind() {
        let mut idle = ConnectionBudget::new(3);
        for kept in ["http://a"; 3].map(|site| idle.start(site, NOW)) {
            assert!(keeps(kept));
            idle.end(kept, Reuse::Shared, NOW);
        }
        let further = ["http://b", "http://c", "http://d"].map(|site| keeps(idle.start(site, NOW)));
        assert_eq!(further, [true, true, false]);
    }
}
