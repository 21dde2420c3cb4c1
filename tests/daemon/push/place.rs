//! A place for a source `http`, its state and its socket, and a producer that is curl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Fetchd, Running};

pub struct Place {
    dir: TempDir,
    /// More keys of the source.
    pub source: String,
    /// More tables.
    pub tables: String,
}

/// What curl was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Value,
}

impl Answer {
    /// The kind of the error.
    pub fn kind(&self) -> &str {
        self.body["error"]["kind"].as_str().unwrap_or_default()
    }

    /// The sentence of the error.
    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// The numbers of the lines that were accepted.
    pub fn lines(&self) -> (Option<u64>, Option<u64>) {
        assert_eq!(self.status, 202, "{self:?}");
        (self.body["first"].as_u64(), self.body["last"].as_u64())
    }
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), source: String::new(), tables: String::new() }
    }

    /// With these keys of the source.
    pub fn with(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("in.sock")
    }

    /// The process, to be started.
    pub fn fetchd(&self) -> Fetchd {
        let (socket, state, source) = (self.socket(), self.path("state"), &self.source);
        let tables = &self.tables;
        Fetchd::local().config(&format!(
            "[source.in.http]\nsocket = {socket:?}\n{source}\n[state]\ndata_dir = {state:?}\nmin_free = \"1\"\n{tables}"
        ))
    }

    /// The process, which listens.
    pub fn start(&self) -> Running {
        let running = self.fetchd().start();
        running.message("listening for lines at");
        running
    }

    /// A process that listens at a port, for producers with the token `s3cret`; and the URL for lines.
    pub fn start_at_port(&self) -> (Running, String) {
        let (token, state) = (self.file("token", "s3cret\n"), self.path("state"));
        let token = format!("${{file:{}}}", token.display());
        let running = Fetchd::local()
            .config(&format!(
                "[source.in.http]\nlisten = \"127.0.0.1:0\"\ntoken = {token:?}\n{}\n[state]\ndata_dir = {state:?}\nmin_free = \"1\"\n",
                self.source
            ))
            .start();
        let said = running.message("listening for lines at");
        let (_, address) = said.split_once("http://").unwrap();
        let address: String = address.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        (running, format!("http://{address}/v1/lines"))
    }

    /// A file with this content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// What curl is answered at a path, with these arguments.
    pub fn curl(&self, path: &str, args: &[&str]) -> Answer {
        self.try_curl(path, args).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; what curl says where it is not answered.
    pub fn try_curl(&self, path: &str, args: &[&str]) -> Result<Answer, String> {
        try_curl(&["--unix-socket", self.socket().to_str().unwrap(), &format!("http://fetchd{path}")], args)
    }

    /// Pushes lines.
    pub fn push(&self, lines: &str, args: &[&str]) -> Answer {
        let file = tempfile::NamedTempFile::new_in(self.dir.path()).unwrap();
        fs::write(file.path(), lines).unwrap();
        self.push_file(file.path(), args)
    }

    /// Pushes a file as it is.
    pub fn push_file(&self, file: &Path, args: &[&str]) -> Answer {
        let args = [&["-X", "POST", "-T", file.to_str().unwrap()], args].concat();
        self.curl("/v1/lines", &args)
    }

    /// How many lines were accepted, as `fetchd state status` says.
    pub fn accepted(&self) -> u64 {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "--data-dir"])
            .arg(self.path("state"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["sources"]["in"]["accepted"].as_u64().unwrap()
    }
}

/// What curl is answered.
pub fn curl(url: &[&str], args: &[&str]) -> Answer {
    try_curl(url, args).unwrap_or_else(|why| panic!("{why}"))
}

/// The same; what curl says where it is not answered.
pub fn try_curl(url: &[&str], args: &[&str]) -> Result<Answer, String> {
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60"])
        .args(["--dump-header", "/dev/stderr", "--write-out", "\n%{http_code}"])
        .args(args)
        .args(url)
        .output()
        .expect("curl is installed");
    let (out, headers) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if !output.status.success() {
        return Err(headers);
    }
    let (body, status) = out.rsplit_once('\n').unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {out}"));
    Ok(Answer { status: status.parse().unwrap(), headers: headers.to_ascii_lowercase(), body })
}

pub fn wait_until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
    }
}
