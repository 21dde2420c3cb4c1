//! A scripted name server made of bytes and no DNS library, over UDP and TCP on a free port of 127.0.0.1.
//!
//! What it says to a name is given to [`Dns::script`], answer by answer; to a name without a script it says REFUSED.
//! It remembers every query, and how many were without an answer at once.

mod messages;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{PATIENCE, in_a_thread};
use messages::{Query, messages};

/// The server; dropped, it falls silent.
pub struct Dns {
    address: SocketAddr,
    log: Arc<Log>,
    _stop: oneshot::Sender<()>,
}

/// What is said to a query.
#[derive(Clone, Debug)]
pub enum Say {
    /// Those of these addresses that are of the kind asked for, to be believed for so many seconds.
    Addresses(u32, Vec<IpAddr>),
    /// Addresses for a minute at the end of these aliases, to be believed for so many seconds; without addresses the last
    /// one leads nowhere.
    Aliases(u32, Vec<&'static str>, Vec<IpAddr>),
    /// A response code without addresses, with the TTL and the minimum of an SOA record.
    Nothing(u8, Option<(u32, u32)>),
    /// An answer that breaks off in the middle of a record.
    Malformed,
    Silence,
    /// The first answer under another id, then the second one.
    Forged(Box<Say>, Box<Say>),
    /// Over UDP an empty answer with the truncation bit, over TCP this.
    Truncated(Box<Say>),
    Late(Duration, Box<Say>),
    /// The first to a question for IPv4 addresses, the second to one for IPv6 addresses.
    ByFamily(Box<Say>, Box<Say>),
}

pub const NO_DATA: u8 = 0;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

/// These addresses, to be believed for so many seconds.
pub fn addresses(ttl: u32, addresses: &[&str]) -> Say {
    Say::Addresses(ttl, addresses.iter().map(|address| address.parse().unwrap()).collect())
}

/// What a query asks for: RFC 1035, section 3.2.2, and RFC 3596.
pub const A: u16 = 1;
pub const AAAA: u16 = 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    Udp,
    Tcp,
}

impl Dns {
    pub fn start() -> Self {
        Self::on(sockets())
    }

    /// At this address, which must be free.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::on((std::net::UdpSocket::bind(address).unwrap(), std::net::TcpListener::bind(address).unwrap()))
    }

    fn on((udp, tcp): (std::net::UdpSocket, std::net::TcpListener)) -> Self {
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let address = udp.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let stop = in_a_thread(serve(udp, tcp, Arc::clone(&log)));
        Self { address, log, _stop: stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is said to a name, query by query of each kind; the last is said for ever. `*.` stands for one label.
    pub fn script(&self, name: &str, says: impl IntoIterator<Item = Say>) {
        self.log.state.lock().unwrap().scripts.insert(name.to_owned(), says.into_iter().collect());
    }

    /// How often a name was asked for.
    pub fn queries(&self, name: &str, kind: u16, over: Over) -> usize {
        self.log.state.lock().unwrap().queries.get(&(name.to_owned(), kind, over)).copied().unwrap_or_default()
    }

    /// How often a name's IPv4 and IPv6 addresses were asked for over UDP.
    pub fn asked(&self, name: &str) -> [usize; 2] {
        [A, AAAA].map(|kind| self.queries(name, kind, Over::Udp))
    }

    /// How often a name was looked up: each look-up asks for IPv4 addresses, and for IPv6 ones where the machine has IPv6.
    pub fn look_ups(&self, name: &str) -> usize {
        self.queries(name, A, Over::Udp)
    }

    /// How many queries were without an answer at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.log.state.lock().unwrap().most_open
    }

    /// Waits until so many names were asked for.
    pub fn wait_for_names(&self, n: usize) {
        let names = |state: &State| state.queries.keys().map(|(name, ..)| name).collect::<HashSet<_>>().len();
        let state = self.log.state.lock().unwrap();
        let (state, timeout) = self.log.changed.wait_timeout_while(state, PATIENCE, |state| names(state) < n).unwrap();
        assert!(!timeout.timed_out(), "{} of {n} names were asked for", names(&state));
    }
}

/// One port for both protocols: one that UDP has free may be taken for TCP.
fn sockets() -> (std::net::UdpSocket, std::net::TcpListener) {
    let pair = || {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Some((std::net::UdpSocket::bind(tcp.local_addr().unwrap()).ok()?, tcp))
    };
    (0..100).find_map(|_| pair()).unwrap()
}

#[derive(Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Vec<Say>>,
    queries: HashMap<(String, u16, Over), usize>,
    /// Queries without an answer, now and at most.
    open: usize,
    most_open: usize,
}

impl Log {
    /// Notes a query, and says what is to be said to it.
    fn begin(&self, query: &Query) -> Say {
        let mut state = self.state.lock().unwrap();
        let earlier = state.queries.entry((query.name.clone(), query.kind, query.over)).or_default();
        *earlier += 1;
        let turn = *earlier - 1;
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        self.changed.notify_all();
        let pattern = || query.name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let script = state.scripts.get(&query.name).or_else(|| state.scripts.get(&pattern()?));
        match script.map(|says| says[turn.min(says.len() - 1)].clone()) {
            Some(Say::ByFamily(v4, v6)) => *if query.kind == A { v4 } else { v6 },
            Some(say) => say,
            None => Say::Nothing(REFUSED, None),
        }
    }

    fn end(&self) {
        self.state.lock().unwrap().open -= 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "these are the answers of a test's server, which end with it")]
async fn serve(udp: std::net::UdpSocket, tcp: std::net::TcpListener, log: Arc<Log>) {
    let (udp, tcp) = (Arc::new(UdpSocket::from_std(udp).unwrap()), TcpListener::from_std(tcp).unwrap());
    let mut answers = JoinSet::new();
    let mut message = [0; 512];
    loop {
        tokio::select! {
            Ok((length, peer)) = udp.recv_from(&mut message) => {
                let query = Query::read(&message[..length], Over::Udp);
                let say = log.begin(&query);
                answers.spawn(answer_udp(Arc::clone(&udp), peer, query, say, Arc::clone(&log)));
            }
            Ok((stream, _)) = tcp.accept() => drop(answers.spawn(answer_tcp(stream, Arc::clone(&log)))),
        }
        while answers.try_join_next().is_some() {}
    }
}

/// An error is the asker's leaving.
async fn answer_udp(udp: Arc<UdpSocket>, peer: SocketAddr, query: Query, say: Say, log: Arc<Log>) -> io::Result<()> {
    for message in messages(&query, wait(say).await) {
        udp.send_to(&message, peer).await?;
    }
    log.end();
    Ok(())
}

/// One query on one connection.
async fn answer_tcp(mut stream: TcpStream, log: Arc<Log>) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    let query = Query::read(&message, Over::Tcp);
    let say = wait(log.begin(&query)).await;
    for message in messages(&query, say) {
        stream.write_u16(message.len().try_into().unwrap()).await?;
        stream.write_all(&message).await?;
    }
    log.end();
    Ok(())
}

/// Waits as long as the script says; for ever, if it says nothing.
async fn wait(say: Say) -> Say {
    match say {
        Say::Silence => std::future::pending().await,
        Say::Late(time, say) => {
            tokio::time::sleep(time).await;
            *say
        }
        say => say,
    }
}
