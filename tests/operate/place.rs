//! A run with an API, and clients of it: raw bytes, whole requests, and `fetchd ctl`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::PATIENCE;
use crate::common::fetchd::{Fetchd, Running};

/// A directory for a run, with its socket in another one below it.
pub struct Place {
    dir: TempDir,
    /// More tables of the configuration.
    pub tables: String,
    /// More lines of `[api]`.
    pub more_api: String,
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of an error.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_ascii_lowercase(), text: body.to_owned() })
    }
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), tables: String::new(), more_api: String::new() }
    }

    /// With these tables besides.
    pub fn with(tables: &str) -> Self {
        Self { tables: tables.to_owned(), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("api/api.sock")
    }

    /// Its configuration.
    pub fn config(&self) -> String {
        format!("{}\n[api]\nsocket = {:?}\n{}", self.tables, self.socket(), self.more_api)
    }

    /// The file of its configuration, which a reload reads again.
    pub fn file(&self) -> PathBuf {
        self.path("fetchd.toml")
    }

    /// Writes other tables into that file.
    pub fn write(&mut self, tables: &str) {
        tables.clone_into(&mut self.tables);
        std::fs::write(self.file(), self.config()).unwrap();
    }

    /// The process, to be started.
    pub fn fetchd(&self) -> Fetchd {
        std::fs::write(self.file(), self.config()).unwrap();
        Fetchd::with(["-c".as_ref(), self.file().as_os_str()]).directory(self.dir.path())
    }

    /// The process, once its run has begun.
    pub fn start(&self) -> Running {
        let running = self.fetchd().start();
        running.message("operators connect at");
        self.wait_until(|status| status["state"] != "starting");
        running
    }

    /// A connection.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        stream.set_write_timeout(Some(PATIENCE * 2)).unwrap();
        stream
    }

    /// What is answered to these bytes, until the connection is closed.
    pub fn send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // Whoever is refused may find the connection closed before all is written.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&answer)
    }

    /// What is answered to a request with these header lines and this body.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let text =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        self.send(text.as_bytes()).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same of a question, which waits its turn where too many come at once.
    pub fn get(&self, path: &str) -> Answer {
        let begin = tokio::time::Instant::now();
        loop {
            let answer = self.request("GET", path, "host: localhost\r\n", "");
            if !answer.text.contains("more than 50 requests") || begin.elapsed() > PATIENCE {
                return answer;
            }
            std::thread::park_timeout(Duration::from_millis(40));
        }
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, "host: localhost\r\n", body)
    }

    /// The status.
    pub fn status(&self) -> Value {
        self.get("/v1/status").json()
    }

    /// Asks until this is so of the status.
    pub fn wait_until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let begin = tokio::time::Instant::now();
        loop {
            let answer = self.get("/v1/status");
            if answer.status == 200 && is_so(&answer.json()) {
                return answer.json();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not come to that: {answer:?}");
            // The API takes fifty requests a second, and others want to ask, too.
            std::thread::park_timeout(Duration::from_millis(40));
        }
    }

    /// `fetchd ctl` with these arguments.
    pub fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Said {
        ctl_at(&self.socket(), args)
    }
}

/// What `fetchd ctl` said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// `fetchd ctl` at this socket.
pub fn ctl_at<'a>(socket: &Path, args: impl IntoIterator<Item = &'a str>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
    command.arg("ctl").arg("--socket").arg(socket).args(args).output().unwrap().into()
}

/// Reads from a stream until it has this text.
pub fn read_until(stream: &mut UnixStream, text: &str) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        let shown = String::from_utf8_lossy(&all).into_owned();
        if shown.contains(text) {
            return shown;
        }
        let n = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{error} before `{text}` in: {shown}"));
        assert!(n > 0, "no `{text}` in: {shown}");
        all.extend_from_slice(&buffer[..n]);
    }
}
