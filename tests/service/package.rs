//! The Debian package, from its first installation to its purge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::tools::tool;
use crate::machine::{Init, Machine};
use crate::repository;

const FIRST: &str = "0.1.0-1";

const NEXT: &str = "0.1.0-2";

const CONFIG: &str = "/etc/fetchd/fetchd.toml";

/// Builds the package out of the binary under test.
fn package(dir: &Path) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_fetchd"));
    let package = dir.join("fetchd.deb");
    fs::create_dir(dir.join("release")).unwrap();
    std::os::unix::fs::symlink(binary, dir.join("release/fetchd")).unwrap();
    let output = Command::new("bash")
        .arg(repository("config/debian/build"))
        .args(["--fast", "--deb-version", FIRST, "--output"])
        .arg(&package)
        .env("FETCHD", binary)
        .env("CARGO_TARGET_DIR", dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    package
}

/// The next version is the same but for its number.
fn make_next_version(machine: &Machine) {
    machine.shell(&format!(
        "cd /tmp; dpkg-deb --raw-extract fetchd.deb next; sed -i 's/^Version: {FIRST}$/Version: {NEXT}/' next/DEBIAN/control; \
         dpkg-deb -Znone --build next next.deb"
    ));
}

#[test]
fn a_package_is_installed_upgraded_removed_and_purged_and_leaves_what_is_the_users() {
    if tool("cargo-deb").is_none() {
        return;
    }
    let Some(machine) = Machine::start(Init::Nothing, &["dpkg", "nsenter", "systemctl"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::copy(package(dir.path()), machine.path("/tmp/fetchd.deb")).unwrap();
    make_next_version(&machine);

    machine.done(["dpkg", "--no-triggers", "--install", "/tmp/fetchd.deb"]);
    machine.done(["fetchd", "check", "-c", CONFIG]);
    assert_eq!(machine.shell(&format!("stat -c '%U:%G %a' {CONFIG}")), "root:fetchd 640\n");
    machine.shell("getent passwd fetchd; getent group fetchd-producers");
    machine.shell("test -s /usr/share/man/man1/fetchd.1.gz; test -s /usr/share/bash-completion/completions/fetchd");
    for unit in ["fetchd.service", "fetchd.socket"] {
        let enabled = machine.run(["env", "-u", "SYSTEMD_UNIT_PATH", "systemctl", "is-enabled", unit]);
        assert_eq!(enabled.text.trim(), "disabled", "{unit}");
    }

    // What a user writes, and what a run leaves.
    let own = machine.read(CONFIG) + "# mine\n";
    machine.write(CONFIG, &own);
    machine.write("/var/lib/fetchd/results.jsonl", "{}\n");
    machine.write("/var/lib/fetchd/state/checkpoint.json", "{}\n");
    machine.write("/etc/fetchd/environment", "API_TOKEN=t0ken\n");
    machine.done(["dpkg", "--no-triggers", "--install", "/tmp/next.deb"]);
    assert_eq!(machine.shell("dpkg-query --show --showformat '${Version}' fetchd"), NEXT);
    assert_eq!(machine.read(CONFIG), own);
    assert_eq!(machine.shell(&format!("stat -c '%U:%G %a' {CONFIG}")), "root:fetchd 640\n");

    machine.done(["dpkg", "--no-triggers", "--remove", "fetchd"]);
    assert!(
        !machine.path("/usr/bin/fetchd").exists() && !machine.path("/usr/lib/systemd/system/fetchd.service").exists()
    );
    assert_eq!(machine.read(CONFIG), own);
    assert!(machine.path("/var/lib/fetchd/state/checkpoint.json").exists(), "a reinstalled fetchd goes on");

    let said = machine.done(["dpkg", "--no-triggers", "--purge", "fetchd"]);
    assert!(said.contains("fetchd: the results in /var/lib/fetchd are kept"), "{said}");
    assert!(!machine.path("/etc/fetchd").exists() && !machine.path("/var/lib/fetchd/state").exists());
    assert_eq!(machine.read("/var/lib/fetchd/results.jsonl"), "{}\n");
    assert_ne!(machine.run(["dpkg", "--status", "fetchd"]).code, Some(0), "dpkg still knows it");
}
