//! Process metrics from proc(5), with the names that all exporters use.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Ticks a second in `/proc/self/stat`: `USER_HZ`, 100 on every Linux.
const TICKS: f64 = 100.0;

/// The values of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// User and system CPU time in seconds.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    pub max_fds: u64,
    pub threads: u64,
    /// In seconds since 1970.
    pub start_seconds: f64,
}

impl Process {
    /// Reads the current values; unreadable values are 0.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let own = Self::of(&text("/proc/self/stat"), &text("/proc/self/status"), boot());
        // One of them is the open directory itself.
        let open_fds = fs::read_dir("/proc/self/fd").map_or(0, |fds| (fds.count() as u64).saturating_sub(1));
        let max_fds = rlimit::Resource::NOFILE.get_soft().unwrap_or_default();
        Self { open_fds, max_fds, ..own }
    }

    /// Parses the values. `boot` is the boot time in seconds since 1970.
    fn of(stat: &str, status: &str, boot: f64) -> Self {
        // The program name is in parentheses, and may contain spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        // The first of these is field 3 (proc(5)).
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let kib = |key| value(status, key).unwrap_or_default() << 10;
        Self {
            cpu_seconds: (ticks(14) + ticks(15)) / TICKS,
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: value(status, "Threads:").unwrap_or_default(),
            start_seconds: boot + ticks(22) / TICKS,
            ..Self::default()
        }
    }

    /// The start time of the process.
    pub fn start(&self) -> SystemTime {
        UNIX_EPOCH + Duration::try_from_secs_f64(self.start_seconds).unwrap_or_default()
    }
}

/// The boot time in seconds since 1970. The hardened service cannot read `/proc/stat`, so this is computed from two
/// clocks. It is computed once because a time that changes looks like a restart.
fn boot() -> f64 {
    static BOOT: OnceLock<f64> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let up = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(up).as_secs_f64()
    })
}

/// The number after a key at the start of a line.
fn value(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(key));
    lines.next()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_are_read_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 2000 1000 10 0";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t4\n";
        let process = Process::of(stat, status, 1_700_000_000.0);
        let expected = Process {
            cpu_seconds: 2.0,
            resident_bytes: 1 << 20,
            virtual_bytes: 2 << 20,
            threads: 4,
            start_seconds: 1_700_000_020.0,
            ..Process::default()
        };
        assert_eq!(process, expected);
    }

    #[test]
    fn this_process_has_threads_files_and_a_past() {
        let process = Process::read();
        assert!(process.threads > 0 && process.open_fds > 2 && process.max_fds >= process.open_fds, "{process:?}");
        assert!(process.resident_bytes > 1 << 20 && process.virtual_bytes >= process.resident_bytes, "{process:?}");
        let age = SystemTime::now().duration_since(process.start()).unwrap();
        assert!(age < Duration::from_secs(24 * 3600), "{age:?}");
        assert_eq!(Process::read().start(), process.start(), "another time would look like a restart");
    }
}
