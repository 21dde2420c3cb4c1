//! A name server that changes its mind: each name has a list of answers, and each question for A takes the next one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Addresses by name; the last answer is repeated.
pub type Script = &'static [(&'static str, &'static [&'static [IpAddr]])];

/// The server, in a thread that ends with the test.
pub struct Names {
    pub address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Names {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start(script: Script) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let names = Self { address: socket.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&names.asked);
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut query) {
                let answer = answer(&query[..length], script, &mut asked.lock().unwrap());
                socket.send_to(&answer, peer).unwrap();
            }
        });
        names
    }

    /// How often the address of a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

/// The answer to a query with one question (RFC 1035, section 4), which nobody may keep.
fn answer(query: &[u8], script: Script, asked: &mut HashMap<String, usize>) -> Vec<u8> {
    const A: [u8; 2] = [0, 1];
    let (name, end) = name_of(query);
    let kind = [query[end], query[end + 1]];
    let times = asked.entry(name.clone()).or_default();
    *times += usize::from(kind == A);
    let answers = script.iter().find(|(its_name, _)| *its_name == name).map_or(&[][..], |(_, answers)| *answers);
    let now = answers.get(times.saturating_sub(1)).or(answers.last()).copied().unwrap_or_default();
    let fitting: Vec<_> = now.iter().filter(|address| address.is_ipv4() == (kind == A)).collect();
    let mut answer = vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, fitting.len().try_into().unwrap(), 0, 0, 0, 0];
    answer.extend_from_slice(&query[12..end + 4]);
    for address in fitting {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        // The name is the question's; its kind, IN, no time to live, the address.
        answer.extend_from_slice(&[0xc0, 12, kind[0], kind[1], 0, 1, 0, 0, 0, 0, 0, bytes.len().try_into().unwrap()]);
        answer.extend_from_slice(&bytes);
    }
    answer
}

/// The name that is asked for, and where it ends.
fn name_of(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
