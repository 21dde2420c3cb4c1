//! The closing messages of a run.

use super::{closed_hosts, state};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::pipeline::Status;

/// Logs that `fetch.revalidate` had no effect, and the lines that are left for the next start.
pub(super) fn say_what_is_left(config: &Config, args: &RunArgs, status: &Status) {
    if args.again.again.is_none() {
        say_if_none_was_revalidated(config, status);
    }
    config.state.data_dir.iter().for_each(|dir| state::say_what_is_left(config, dir));
    status.closed_hosts().into_iter().for_each(|left| closed_hosts::say_what_waits(left, config));
}

/// Warns if `fetch.revalidate` had no effect.
fn say_if_none_was_revalidated(config: &Config, status: &Status) {
    let (accepted, revalidated) = (status.counters().accepted.get(), status.metrics().revalidated.get());
    if config.fetch.revalidate && accepted > 0 && revalidated == 0 {
        tracing::warn!(
            "no line was a fetchd record with validators or a digest, so all were fetched whole (fetch.revalidate); give the output of an earlier run as the input"
        );
    }
}
