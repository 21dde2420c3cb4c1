//! A scripted name server over UDP, on a free port of 127.0.0.1. It answers by the first label of the name:
//!
//! | first label | answer |
//! |---|---|
//! | `servfail` | SERVFAIL for A, no data for AAAA |
//! | `missing` | NXDOMAIN |
//! | `silent` | nothing |
//! | `private` | 10.1.2.3 |
//! | any other | 127.0.0.1 |

use std::net::{SocketAddr, UdpSocket};

/// Starts the server, in a thread that ends with the test.
pub fn start() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                socket.send_to(&answer, peer).unwrap();
            }
        }
    });
    address
}

/// The answer to a query with one question (RFC 1035, section 4).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    const A: u16 = 1;
    let labels = &query[12..];
    let name_end = 12 + labels.iter().position(|byte| *byte == 0)? + 1;
    let question = &query[12..name_end + 4];
    let kind = u16::from_be_bytes([query[name_end], query[name_end + 1]]);
    let (code, address) = match (&labels[1..=usize::from(labels[0])], kind) {
        (b"silent", _) => return None,
        (b"missing", _) => (3, None),
        (b"servfail", A) => (2, None),
        (b"private", A) => (0, Some([10, 1, 2, 3])),
        (label, A) if *label != b"servfail"[..] => (0, Some([127, 0, 0, 1])),
        _ => (0, None),
    };
    let answers = u8::from(address.is_some());
    let mut answer = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
    answer.extend_from_slice(question);
    if let Some(address) = address {
        // The name is the question's; A, IN, no time to live, four bytes.
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend_from_slice(&address);
    }
    Some(answer)
}
