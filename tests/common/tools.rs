//! Programs of other people that judge what was written. Where one is not installed its tests say so; in CI they fail.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Where a program is; nothing if it is not installed and need not be.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let is_required = std::env::var("FETCHD_TEST_TOOLS").is_ok_and(|value| value == "required");
        assert!(!is_required, "{name} is not installed, and FETCHD_TEST_TOOLS=required");
        let _ = writeln!(std::io::stderr(), "{name} is not installed: what it would judge is not tested");
    }
    found
}

/// Whether the kernel lets a process be traced.
pub fn traces() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output().expect("`strace` starts");
    if !tried.status.success() {
        // Unlike `eprintln`, this is shown also for a test that passes.
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        let _ = std::io::stderr().write_all(format!("a test of delayed or broken calls is left out: {why}").as_bytes());
    }
    tried.status.success()
}
