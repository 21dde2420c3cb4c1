//! Which answers may leave their connection open, so that idle sockets stay bounded over all hosts.
//!
//! The client's pool has no bound of its own over hosts. This ledger believes a kept connection to be open until twice
//! the pool's idle timeout after the last answer, which is never too few.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::Version;
use url::Url;

use crate::hosts::{host_name, port_of};
use crate::item::{Attempt, Connection, Kind, POOL_IDLE_TIMEOUT, Sent};

/// The ledger of connections that are kept: on the wire with leave to stay, or idle.
#[derive(Debug)]
pub struct Idle {
    most: usize,
    kept: usize,
    // By scheme, host and port: what the client's pool keeps apart, too.
    pools: HashMap<u64, Pool>,
    hasher: RandomState,
    swept: Duration,
}

#[derive(Debug, Default)]
struct Pool {
    idle: usize,
    last_answer: Duration,
}

impl Idle {
    /// At most so many connections are kept.
    pub fn new(most: usize) -> Self {
        Self { most, kept: 0, pools: HashMap::new(), hasher: RandomState::new(), swept: Duration::ZERO }
    }

    /// Whether the request that starts now may leave its connection open.
    pub fn start(&mut self, url: &Url, now: Duration) -> Connection {
        if let Entry::Occupied(mut pool) = self.pools.entry(self.key(url)) {
            pool.get_mut().idle -= 1;
            if pool.get().idle == 0 {
                pool.remove();
            }
            return Connection::Keep;
        }
        if self.kept >= self.most {
            self.sweep(now);
        }
        if self.kept >= self.most {
            return Connection::Close;
        }
        self.kept += 1;
        Connection::Keep
    }

    /// The request is over; `alive` when its connection went back to the client's pool.
    pub fn end(&mut self, url: &Url, connection: Connection, alive: Alive, now: Duration) {
        match (connection, alive) {
            (Connection::Close, _) => {}
            (Connection::Keep, Alive::No) => self.kept -= 1,
            (Connection::Keep, Alive::Perhaps | Alive::Shared) => {
                let pool = self.pools.entry(self.key(url)).or_default();
                pool.last_answer = now;
                if alive == Alive::Shared && pool.idle > 0 {
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

    fn key(&self, url: &Url) -> u64 {
        self.hasher.hash_one((url.scheme(), host_name(url), port_of(url)))
    }
}

/// Whether a connection outlived its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// It may be idle now: the client reads the rest of a body that nobody wanted, and keeps the connection.
    Perhaps,
    /// It may be idle now, and then it is the one that all requests of its host share: HTTP/2's.
    Shared,
    /// It is gone, or never was.
    No,
}

impl Alive {
    /// What an attempt leaves behind.
    pub fn after(attempt: &Attempt) -> Self {
        match attempt {
            Attempt::Answer(answer) if answer.version == Version::HTTP_2 => Self::Shared,
            Attempt::Answer(_) | Attempt::NoMemory { .. } => Self::Perhaps,
            Attempt::Failed(failure) => match (failure.sent, failure.kind) {
                // With HTTP/1.1 it is gone; with HTTP/2 only the stream is. Which one it was nobody knows.
                (Sent::Something, Kind::Reset | Kind::Timeout) | (Sent::Nothing, Kind::Reset) => Self::Shared,
                (Sent::Something, _) => Self::Perhaps,
                (Sent::Refused | Sent::Starved | Sent::Nothing, _) => Self::No,
            },
            Attempt::Canceled => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}/")).unwrap()
    }

    #[test]
    fn connections_beyond_the_limit_close_and_idle_ones_are_used_again() {
        let (mut idle, now) = (Idle::new(2), Duration::from_secs(9));
        for host in ["a", "b"] {
            assert_eq!(idle.start(&url(host), now), Connection::Keep);
            idle.end(&url(host), Connection::Keep, Alive::Perhaps, now);
        }
        assert_eq!(idle.start(&url("c"), now), Connection::Close);
        assert_eq!(idle.start(&url("a"), now), Connection::Keep, "the one that is idle");
        assert_eq!(idle.start(&url("a"), now), Connection::Close, "a second one of the same host");
        idle.end(&url("a"), Connection::Keep, Alive::No, now);
        assert_eq!(idle.start(&url("c"), now), Connection::Keep, "the lost one made room");
    }

    #[test]
    fn a_connection_counts_until_the_client_has_surely_closed_it() {
        let (mut idle, now) = (Idle::new(1), Duration::from_secs(9));
        idle.start(&url("a"), now);
        idle.end(&url("a"), Connection::Keep, Alive::Perhaps, now);
        assert_eq!(idle.start(&url("b"), now + Duration::from_secs(29)), Connection::Close);
        assert_eq!(idle.start(&url("b"), now + Duration::from_secs(31)), Connection::Keep);
    }

    #[test]
    fn requests_that_share_a_connection_leave_one_behind() {
        let (mut idle, now) = (Idle::new(3), Duration::from_secs(9));
        for _ in 0..3 {
            assert_eq!(idle.start(&url("a"), now), Connection::Keep);
        }
        for _ in 0..3 {
            idle.end(&url("a"), Connection::Keep, Alive::Shared, now);
        }
        let further = ["b", "c", "d"].map(|host| idle.start(&url(host), now));
        assert_eq!(further, [Connection::Keep, Connection::Keep, Connection::Close]);
    }
}
