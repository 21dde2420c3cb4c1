//! A network, or mounts, for one test alone: the test runs itself once more, in a namespace of its own.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Output};

/// Says that this process is the one within.
const WITHIN: &str = "FETCHD_TEST_IN_ITS_OWN_NAMESPACE";

/// What a test is to have of its own.
#[derive(Clone, Copy, Debug)]
pub enum Own {
    Network,
    Mounts,
    NetworkAndMounts,
}

impl Own {
    fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Mounts => "mount",
            Self::NetworkAndMounts => "network or mount",
        }
    }

    /// A command in new namespaces, to be completed.
    fn unshare(self) -> Command {
        let mut command = Command::new("unshare");
        let own: &[&str] = match self {
            Self::Network => &["--net"],
            Self::Mounts => &["--mount"],
            Self::NetworkAndMounts => &["--net", "--mount"],
        };
        command.args(["--user", "--map-root-user"]).args(own).env("LC_ALL", "C");
        command
    }

    /// Whether the kernel allows it; any trouble but its refusal is a failure of the test.
    fn allowed(self) -> Result<(), String> {
        let output = self.unshare().arg("true").output().expect("`unshare`, of util-linux, starts");
        let said = both(&output).trim_end().to_owned();
        if output.status.success() {
            return Ok(());
        }
        // EPERM or EACCES: forbidden; ENOSPC: user.max_user_namespaces is 0; EINVAL or ENOSYS: built without them.
        let refusals = [
            "Operation not permitted",
            "Permission denied",
            "No space left on device",
            "Invalid argument",
            "Function not implemented",
        ];
        assert!(refusals.iter().any(|refusal| said.contains(refusal)), "not the kernel's refusal: {said}");
        Err(said)
    }
}

/// Plays the scenario of the test with this name. Only where the kernel allows no namespaces it is left out, and that is
/// said.
pub fn with(own: Own, test: &str, scenario: impl FnOnce()) {
    if env::var_os(WITHIN).is_some() {
        return scenario();
    }
    if let Err(refusal) = own.allowed() {
        // Unlike `eprintln`, this is shown also for a test that passes.
        let left_out = format!("{test} is left out: the kernel allows no {} namespace: {refusal}\n", own.name());
        io::stderr().write_all(left_out.as_bytes()).unwrap();
        return;
    }
    let itself = env::current_exe().unwrap();
    let output = own.unshare().arg(itself).args(["--exact", test, "--nocapture"]).env(WITHIN, "1").output().unwrap();
    let said = both(&output);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Everything that a command said.
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
