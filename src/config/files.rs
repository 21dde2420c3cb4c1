//! Computes the most open files that a configuration needs: requests on the wire, idle connections, its own files, and
//! a reserve. A request has one socket, for its DNS lookup and then for its connection. It opens a second one for the
//! other address family, and more while name servers do not respond, only if files are left.

use super::Config;
use super::bounds::bounds_of;
use crate::diagnostics::Report;
use crate::open_files::BESIDES;
use crate::units::{Concurrency, counted, grouped};

/// The default limit of idle connections. One takes up to about 64 KiB (benches/README.md), so all together take as
/// much as `limits.body_memory`, but only if that many hosts have lines at once.
const IDLE_CONNECTIONS: u32 = 4096;

/// The default number of idle connections with `most` open files.
pub(super) fn idle_connections(config: &Config, most: u64) -> u32 {
    let room = most.saturating_sub(u64::from(config.limits.permits()) + others(config));
    u32::try_from(room).unwrap_or(u32::MAX).min(IDLE_CONNECTIONS)
}

/// Adds a problem if the configuration can need more than `most` open files.
pub(super) fn check(config: &Config, most: u64, report: &mut Report) {
    let concurrency = u64::from(config.limits.permits());
    let key = match config.limits.concurrency {
        Concurrency::Fixed(_) => "limits.concurrency",
        Concurrency::Adaptive => "limits.max_concurrency",
    };
    let idle = u64::from(config.fetch.idle_connections.unwrap_or(0));
    let others = others(config);
    let needed = concurrency + idle + others;
    // A concurrency that is out of range has its own problem.
    let in_bounds = bounds_of(key).is_none_or(|(_, highest)| concurrency <= highest);
    if needed > most && in_bounds {
        let message = format!(
            "{} can be needed at once: {} for `{key}`, {} for `fetch.idle_connections` and {} besides; the hard limit is {}, so lower one of the two, or raise the limit (`ulimit -Hn`, or LimitNOFILE= in systemd)",
            counted(needed, "open file"),
            grouped(concurrency),
            grouped(idle),
            grouped(others),
            grouped(most)
        );
        report.add_at_keys(&[key, "fetch.idle_connections"], message);
    }
}

/// Open files other than connections of requests: sources, sinks, the API and a reserve. The number of files that a
/// pattern will match is unknown.
fn others(config: &Config) -> u64 {
    let sources: u64 = config.sources.iter().map(|source| source.component.open_files()).sum();
    let sinks: u64 = config.sinks.iter().map(|sink| sink.component.open_files()).sum();
    sources + sinks + config.api.open_files() + BESIDES
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A configuration from stdin to stdout with these keys.
    fn config(concurrency: u32, idle_connections: Option<u32>) -> Config {
        let mut config = Config::default();
        config.limits.concurrency = Concurrency::Fixed(concurrency);
        config.fetch.idle_connections = idle_connections;
        config
    }

    fn problems(config: &Config, most: u64) -> Vec<String> {
        let mut report = Report::default();
        check(config, most, &mut report);
        report.problems().iter().map(|problem| problem.message.clone()).collect()
    }

    #[test]
    fn idle_connections_follow_the_open_files_up_to_a_bound() {
        for (concurrency, most, idle) in
            [(256, 1024, 702), (256, u64::MAX, 4096), (512, 1024, 446), (958, 1024, 0), (2000, 1024, 0)]
        {
            assert_eq!(idle_connections(&config(concurrency, None), most), idle, "{concurrency} of {most}");
        }
    }

    #[test]
    fn a_configuration_may_need_every_file_and_not_one_more() {
        assert_eq!(problems(&config(500, Some(458)), 1024), [""; 0]);
        assert_eq!(problems(&config(500, Some(459)), 1024).len(), 1);
        let mut config = config(500, Some(458));
        config.set_input(vec![PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(problems(&config, 1024).len(), 1);
    }

    #[test]
    fn the_problem_names_the_keys_both_numbers_and_the_fix() {
        let problem = problems(&config(2000, Some(10)), 1024).concat();
        for part in
            ["2,076 open files", "1,024", "limits.concurrency", "fetch.idle_connections", "ulimit", "LimitNOFILE"]
        {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
