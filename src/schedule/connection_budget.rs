//! The budget of kept connections: which requests may leave theirs open. It bounds open sockets over all hosts.
//!
//! Hosts with waiting lines keep connections up to the bound. A host without waiting lines keeps one only while few are
//! kept; beyond that, its last request closes its connection.
//!
//! The client's connection pool has no bound over hosts, and cannot close a connection. This ledger counts a kept
//! connection as open until twice the pool's idle timeout after the last response, so it never counts too few.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::Version;

use crate::item::{Attempt, Connection, ErrorKind, POOL_IDLE_TIMEOUT, Sent};

/// While fewer connections are kept, every host keeps its own, because its next line may come soon. This bounds the
/// memory for many hosts with one line each.
const FEW: usize = 256;

/// The ledger of kept connections: idle, or on the wire and to be kept.
#[derive(Debug)]
pub struct ConnectionBudget {
    most: usize,
    /// While fewer are kept, every host keeps its own.
    few: usize,
    kept: usize,
    // By the hash of scheme, host and port, like the client's pool.
    pools: HashMap<u64, Pool>,
    hasher: RandomState,
    swept: Duration,
}

#[derive(Debug, Default)]
struct Pool {
    idle: usize,
    last_answer: Duration,
}

/// Whether the host of a request has waiting lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Lines wait.
    More,
    /// No line waits.
    Last,
}

impl ConnectionBudget {
    /// A budget of at most `most` kept connections.
    pub fn new(most: usize) -> Self {
        Self::with_few(most, most.min(FEW))
    }

    fn with_few(most: usize, few: usize) -> Self {
        Self { most, few, kept: 0, pools: HashMap::new(), hasher: RandomState::new(), swept: Duration::ZERO }
    }

    /// The connection for a request to this site.
    pub fn start(&mut self, site: &str, demand: Demand, now: Duration) -> Connection {
        let key = self.hasher.hash_one(site);
        let most = match demand {
            Demand::More => self.most,
            Demand::Last => self.few,
        };
        if let Entry::Occupied(mut pool) = self.pools.entry(key) {
            pool.get_mut().idle -= 1;
            if pool.get().idle == 0 {
                pool.remove();
            }
            return if self.kept > most { Connection::Last(key) } else { Connection::Keep(key) };
        }
        if self.kept >= most {
            self.sweep(now);
        }
        if self.kept >= most {
            return Connection::New;
        }
        self.kept += 1;
        Connection::Keep(key)
    }

    /// Notes the end of a request; `reuse` is the fate of its connection.
    pub fn end(&mut self, connection: Connection, reuse: Reuse, now: Duration) {
        match (connection, reuse) {
            (Connection::New, _) => {}
            (Connection::Last(_), Reuse::Closed | Reuse::Pooled) | (Connection::Keep(_), Reuse::Closed) => {
                self.kept -= 1;
            }
            // No request closes a shared connection.
            (Connection::Keep(key), Reuse::Pooled) | (Connection::Keep(key) | Connection::Last(key), Reuse::Shared) => {
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

    /// Removes connections that the client has closed by now; at most once a second, because it scans all pools.
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
    /// It may be idle now: the client reads the rest of an unneeded body, and keeps the connection.
    Pooled,
    /// It may be idle now, and all requests of its host share it (HTTP/2).
    Shared,
    /// It is closed, or was never opened.
    Closed,
}

impl Reuse {
    /// The fate of an attempt's connection.
    pub fn after(attempt: &Attempt) -> Self {
        match attempt {
            Attempt::Response(_) | Attempt::Redirect(_) => match attempt.head() {
                Some(head) if head.version == Version::HTTP_2 => Self::Shared,
                Some(head) if head.closes => Self::Closed,
                _ => Self::Pooled,
            },
            Attempt::NoMemory { .. } => Self::Pooled,
            Attempt::Failed(failure) => match (failure.sent, failure.kind) {
                // HTTP/1.1 closes the connection, HTTP/2 only the stream; the version is unknown here.
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    fn keeps(connection: Connection) -> bool {
        matches!(connection, Connection::Keep(_))
    }

    #[test]
    fn connections_beyond_the_limit_close_and_idle_ones_are_used_again() {
        let mut idle = ConnectionBudget::new(2);
        for site in ["http://a", "http://b"] {
            let kept = idle.start(site, Demand::More, NOW);
            assert!(keeps(kept));
            idle.end(kept, Reuse::Pooled, NOW);
        }
        assert_eq!(idle.start("http://c", Demand::More, NOW), Connection::New);
        assert_eq!(
            idle.start("https://a", Demand::More, NOW),
            Connection::New,
            "another scheme has another connection"
        );
        let again = idle.start("http://a", Demand::Last, NOW);
        assert!(keeps(again), "the one that is idle");
        assert_eq!(idle.start("http://a", Demand::More, NOW), Connection::New, "a second one of the same host");
        idle.end(again, Reuse::Closed, NOW);
        assert!(keeps(idle.start("http://c", Demand::More, NOW)), "the lost one made room");
    }

    #[test]
    fn hosts_without_lines_give_theirs_up_first() {
        let mut budget = ConnectionBudget::with_few(4, 2);
        for n in 0..=2 {
            let kept = budget.start(&format!("http://{n}"), Demand::More, NOW);
            budget.end(kept, Reuse::Pooled, NOW);
        }
        assert_eq!(budget.start("http://new", Demand::Last, NOW), Connection::New);
        assert!(keeps(budget.start("http://new", Demand::More, NOW)));
        assert!(keeps(budget.start("http://1", Demand::More, NOW)));
        let last = budget.start("http://0", Demand::Last, NOW);
        assert!(matches!(last, Connection::Last(_)), "it takes the idle one, and closes it");
        budget.end(last, Reuse::Pooled, NOW);
        assert!(keeps(budget.start("http://newer", Demand::More, NOW)), "that made room");
    }

    #[test]
    fn a_connection_counts_until_the_client_has_surely_closed_it() {
        let mut idle = ConnectionBudget::new(1);
        let kept = idle.start("http://a", Demand::More, NOW);
        idle.end(kept, Reuse::Pooled, NOW);
        assert!(!keeps(idle.start("http://b", Demand::More, NOW + Duration::from_secs(29))));
        assert!(keeps(idle.start("http://b", Demand::More, NOW + Duration::from_secs(31))));
    }

    #[test]
    fn requests_that_share_a_connection_leave_one_behind() {
        let mut idle = ConnectionBudget::new(3);
        for kept in ["http://a"; 3].map(|site| idle.start(site, Demand::More, NOW)) {
            assert!(keeps(kept));
            idle.end(kept, Reuse::Shared, NOW);
        }
        let further = ["http://b", "http://c", "http://d"].map(|site| keeps(idle.start(site, Demand::More, NOW)));
        assert_eq!(further, [true, true, false]);
    }

    /// A model of the client's pool: open connections by site.
    #[derive(Default)]
    struct Model {
        idle: [usize; SITES],
        on_wire: Vec<(usize, Connection)>,
    }

    const SITES: usize = 4;

    impl Model {
        fn start(&mut self, site: usize, connection: Connection) {
            if connection != Connection::New {
                self.idle[site] = self.idle[site].saturating_sub(1);
            }
            self.on_wire.push((site, connection));
        }

        fn end(&mut self, nth: usize, reuse: Reuse) -> Option<Connection> {
            if self.on_wire.is_empty() {
                return None;
            }
            let (site, connection) = self.on_wire.swap_remove(nth % self.on_wire.len());
            self.idle[site] += usize::from(keeps(connection) && reuse == Reuse::Pooled);
            Some(connection)
        }

        fn kept(&self) -> usize {
            self.idle.iter().sum::<usize>() + self.on_wire.iter().filter(|(_, on_wire)| keeps(*on_wire)).count()
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Start(usize, Demand),
        End(usize, Reuse),
        /// The server closes an idle connection unnoticed.
        ServerCloses(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        let demand = prop_oneof![Just(Demand::More), Just(Demand::Last)];
        let reuse = prop_oneof![Just(Reuse::Pooled), Just(Reuse::Closed)];
        prop_oneof![
            (0..SITES, demand).prop_map(|(site, demand)| Event::Start(site, demand)),
            (0..9usize, reuse).prop_map(|(nth, reuse)| Event::End(nth, reuse)),
            (0..SITES).prop_map(Event::ServerCloses),
        ]
    }

    proptest! {
        #[test]
        fn no_more_connections_are_kept_than_the_bound_whatever_happens(
            most in 0..5usize, few in 0..5usize, events in vec(event(), 0..100)
        ) {
            let (mut budget, mut model) = (ConnectionBudget::with_few(most, few.min(most)), Model::default());
            for event in events {
                match event {
                    Event::Start(site, demand) => {
                        let connection = budget.start(&site.to_string(), demand, NOW);
                        model.start(site, connection);
                    }
                    Event::End(nth, reuse) => {
                        if let Some(connection) = model.end(nth, reuse) {
                            budget.end(connection, reuse, NOW);
                        }
                    }
                    Event::ServerCloses(site) => model.idle[site] = model.idle[site].saturating_sub(1),
                }
                prop_assert!(model.kept() <= most, "{} of {most}", model.kept());
            }
        }
    }
}
