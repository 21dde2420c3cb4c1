//! What curl makes of the same bytes.

use std::process::Command;

/// What curl received.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// Its exit code: 0 when it took the answer for whole.
    pub exit: i32,
    /// The last status.
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks for a URL, with these arguments besides.
pub fn curl(url: &str, args: &[&str]) -> Received {
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--noproxy", "*", "--max-time", "5", "--write-out", "%{stderr}%{http_code}"])
        .args(args)
        .arg(url)
        .output()
        .expect("curl is installed");
    Received {
        exit: output.status.code().unwrap(),
        status: String::from_utf8(output.stderr).unwrap().parse().unwrap(),
        body: output.stdout,
    }
}
