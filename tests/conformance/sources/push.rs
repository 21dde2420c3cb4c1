//! The producer of lines over HTTP.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::{Absent, Producer};
use crate::common::fetchd::{Ended, Running};
use crate::site::until;

/// Pushes lines through a socket.
pub struct Push {
    socket: PathBuf,
}

impl Push {
    pub fn new(dir: &Path) -> Self {
        Self { socket: dir.join("in.sock") }
    }

    /// A connection to a process that has the source open.
    fn connect(&self) -> UnixStream {
        let mut connection = None;
        until("the listener", || {
            connection = UnixStream::connect(&self.socket).ok();
            connection.is_some()
        });
        connection.unwrap()
    }

    /// Posts these lines as one batch; the status of the answer.
    fn post(&self, lines: &[u8]) -> u16 {
        let mut connection = self.connect();
        connection.write_all(&[head(lines.len()).as_bytes(), lines].concat()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

fn head(length: usize) -> String {
    format!("POST /v1/lines HTTP/1.1\r\nhost: in\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
}

impl Producer for Push {
    fn table(&self) -> String {
        let socket = self.socket.display();
        format!("[source.in.http]\nsocket = '{socket}'\nmax_line = '1KiB'\nmax_journal = '64KiB'\n")
    }

    fn after(&mut self, _running: &mut Running, rest: &[u8]) {
        if !rest.is_empty() {
            assert_eq!(self.post(rest), 202);
        }
    }

    /// Half of a request, whose connection then breaks.
    fn give_half(&mut self, _running: &mut Running, half: &[u8]) {
        self.connect().write_all(&[head(2 * half.len()).as_bytes(), half].concat()).unwrap();
    }

    /// The producer is held up by a refusal, after which it would come again.
    fn overfill(&mut self, _running: &mut Running, line: &[u8], most: usize) -> usize {
        let batch = line.repeat(10);
        let mut taken = 0;
        while taken < most {
            match self.post(&batch) {
                202 => taken += batch.len(),
                503 => break,
                status => panic!("a batch was answered with {status}"),
            }
        }
        taken
    }

    fn end(&mut self, mut running: Running) -> Ended {
        running.wait_until_it_can_be_stopped();
        running.signal(Signal::SIGTERM);
        running.wait()
    }

    fn without_producer(&self) -> Absent {
        Absent::Waits
    }
}
