//! Runs a command as a whole process and tells what it cost, by the operating system's own account.

use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What one run cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// From start to end.
    pub seconds: f64,
    /// User and system time.
    pub cpu_seconds: f64,
    /// Peak resident memory.
    pub rss_mib: f64,
}

/// Runs `command` in a process that has no other children, so that the account is of this run alone.
pub fn measure(command: &[String]) -> Cost {
    let me = std::env::current_exe().expect("this program");
    let output = Command::new(me).arg("account").args(command).stderr(Stdio::inherit()).output().expect("a run");
    assert!(output.status.success(), "the run failed: {command:?}");
    serde_json::from_slice(&output.stdout).expect("an account")
}

/// The other side of [`measure`]: runs the command and prints its account.
pub fn account(command: &[String]) -> serde_json::Result<()> {
    let (program, arguments) = command.split_first().expect("a command");
    let start = Instant::now();
    // What tools say of their progress is kept for when they fail.
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let seconds = start.elapsed().as_secs_f64();
    let output = output.expect("the command starts");
    assert!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("an account");
    let cpu = usage.user_time() + usage.system_time();
    let cost =
        Cost { seconds, cpu_seconds: cpu.num_microseconds() as f64 / 1e6, rss_mib: usage.max_rss() as f64 / 1024.0 };
    serde_json::to_writer(std::io::stdout(), &cost)
}

/// Peak resident memory of a process that runs, in MiB.
pub fn peak_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}

/// CPU time of the threads of a process that runs, in seconds: those of this name, and all others.
pub fn cpu_seconds(process: u32, name: &str) -> (f64, f64) {
    let (mut named, mut others) = (0.0, 0.0);
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads") {
        let dir = thread.expect("a thread").path();
        // One may have ended meanwhile.
        let read = |file| std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        let nanos: f64 = read("schedstat").split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default();
        *if read("comm").trim() == name { &mut named } else { &mut others } += nanos / 1e9;
    }
    (named, others)
}
