//! Instructions per line, counted by valgrind: a number that no other work on the machine can change. A change that
//! makes lines dearer by more than the ceiling fails, until someone records that it is worth it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::say;

/// How far above the baseline a case may be.
const CEILING: f64 = 1.05;

/// Where the baseline is kept: instructions per line by case.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/baseline.toml");

/// The cases: a name, and so many hosts.
const CASES: [(&str, u64); 2] = [("one_host", 1), ("a_host_for_each_line", 1_000_000)];

/// Fewer lines and more: the difference leaves out what a run costs before its first line.
const LINES: [u64; 2] = [2_000, 12_000];

type Counts = BTreeMap<String, u64>;

/// Compares with the baseline.
pub fn guard() {
    let text = std::fs::read_to_string(BASELINE).expect("the baseline is there; `-- record` writes it");
    let baseline: Counts = toml::from_str(&text).expect("the baseline is a table of numbers");
    let mut worst: f64 = 0.0;
    for (case, now) in count() {
        let before = baseline.get(&case).copied().expect("the baseline has this case; `-- record` writes it");
        let ratio = now as f64 / before as f64;
        worst = worst.max(ratio);
        say(&format!("{case}: {now} instructions per line, {before} in the baseline: {ratio:.3}"));
    }
    assert!(
        worst <= CEILING,
        "a line takes {worst:.3} times the instructions of the baseline, more than {CEILING}: find out why, or, if it is \
         worth it, write a new one with `cargo bench --bench engine -- record`"
    );
}

/// Writes a new baseline.
pub fn record() {
    let text = toml::to_string(&count()).expect("a table");
    let head = "# Instructions per line; `cargo bench --bench engine -- record` writes this file.\n";
    std::fs::write(BASELINE, format!("{head}{text}")).expect("the baseline is written");
    say(&text);
}

fn count() -> Counts {
    let [few, many] = LINES;
    CASES
        .into_iter()
        .map(|(case, hosts)| (case.to_owned(), (instructions(many, hosts) - instructions(few, hosts)) / (many - few)))
        .collect()
}

/// All instructions of a run.
fn instructions(lines: u64, hosts: u64) -> u64 {
    let me = std::env::current_exe().expect("this program");
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=counts"])
        .arg(me)
        .args(["run", &lines.to_string(), &hosts.to_string()])
        .current_dir(dir.path())
        .output()
        .expect("valgrind starts; install it (`apt-get install valgrind`)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let counts = std::fs::read_to_string(dir.path().join("counts")).expect("callgrind's counts");
    let summary =
        counts.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    summary.and_then(|number| number.trim().parse().ok()).expect("a sum of all instructions")
}
