//! `--again`: a run that begins or continues a round.
//!
//! `round_selection` begins a round. This module has the rest: the sources of the run, their order, and the message at
//! the end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{FutureExt, ready};
use futures::stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::round_selection::{NewRound, take_every_outcome};
use crate::config::Config;
use crate::error::BoxError;
use crate::item::{ErrorKind, Outcome};
use crate::sink::OpenedSink;
use crate::source::{Source, of_round};
use crate::state::{DataDir, OpenRound};
use crate::telemetry::Stats;
use crate::units::{counted, grouped};

/// Removes the sources that a run with `--again` does not read: standard input, listeners, and non-durable ones.
pub(super) fn sources_of_round(config: &Config) -> Config {
    let mut config = config.clone();
    config.sources.retain(|source| {
        let (reads_stdin, listens) = (source.component.inputs().stdin > 0, source.component.listens_at().is_some());
        let stays = source.component.is_durable() && !reads_stdin && !listens;
        if !stays && source.name.is_some() {
            tracing::info!("`{}` is not read in a run with --again", source.label());
        }
        stays
    });
    config
}

/// Refuses a round without a data directory, and a selection other than that of the open round.
pub(super) fn reject_impossible_round(new: &NewRound, state: Option<&DataDir>) -> Result<(), BoxError> {
    let Some(state) = state else {
        return Err("--again needs the data directory of the earlier runs, which has the lines that are done; add --data-dir DIR".into());
    };
    let Some(OpenRound { number, selection, done }) = &state.checkpoint.round else { return Ok(()) };
    if *selection == new.selection.to_string() {
        return Ok(());
    }
    let (dir, left) = (state.dir.display(), counted(state.lines_of_round() - done.count(), "line"));
    Err(format!(
        "round {number} in {dir} is open, with {left} of `{selection}` to fetch; finish it first, without --again or with --again {selection}"
    )
    .into())
}

/// The source of the open round, if one is open.
pub(super) fn open_round(state: &DataDir) -> Result<Option<Source>, BoxError> {
    let (Some(list), Some(OpenRound { number, selection, done })) = (&state.list, &state.checkpoint.round) else {
        return Ok(None);
    };
    if done.count() > 0 {
        let (lines, done) = (counted(list.lines(), "line"), grouped(done.count()));
        tracing::info!("round {number} goes on: of {lines} of `{selection}`, {done} are done");
    }
    let checkpoint = &state.checkpoint;
    let names: BTreeMap<String, Arc<str>> =
        checkpoint.sources.keys().map(|name| (name.clone(), Arc::clone(checkpoint.state_id_of(name)))).collect();
    let of_all = Arc::clone(&checkpoint.state_id);
    let state_id_of = move |source: &str| Arc::clone(names.get(source).unwrap_or(&of_all));
    Ok(Some(of_round(list, *number, done.clone(), state_id_of)?))
}

/// Puts the round's source first: the other sources begin once all its lines are accepted.
pub(super) fn round_first(round: Option<Source>, others: Vec<Source>) -> Vec<Source> {
    let Some(mut round) = round else { return others };
    round.name = "--again".into();
    let over = CancellationToken::new();
    let at_end = over.clone().drop_guard();
    round.lines = round
        .lines
        .map(move |line| {
            let _held = &at_end;
            line
        })
        .boxed();
    let later = others.into_iter().map(|mut source| {
        let wait = over.clone().cancelled_owned().into_stream().filter_map(|()| ready(None));
        source.lines = wait.chain(source.lines).boxed();
        source
    });
    std::iter::once(round).chain(later).collect()
}

/// Whether a round can repeat the failures of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeatable {
    /// It cannot, without a data directory.
    NotRemembered,
    /// It can.
    Yes,
    /// It can, and those of earlier runs with them.
    WithEarlier,
    /// It cannot: the files of the sinks together do not take every record.
    LacksRecords,
}

impl Repeatable {
    pub fn of(state: Option<&DataDir>, sinks: &mut [OpenedSink]) -> Self {
        match state {
            None => Self::NotRemembered,
            Some(_) if !take_every_outcome(sinks) => Self::LacksRecords,
            Some(state) if has_done_lines(state) => Self::WithEarlier,
            Some(_) => Self::Yes,
        }
    }
}

/// Whether lines are done by earlier runs.
fn has_done_lines(state: &DataDir) -> bool {
    let mut files = state.checkpoint.sources.values().flat_map(|source| source.files.values());
    files.any(|done| done.count() > 0)
}

/// Logs after a run without failures that those of earlier runs stay.
pub(super) fn say_what_stays(repeatable: Repeatable, stats: &Stats) {
    if repeatable == Repeatable::WithEarlier && stats.has_records() && stats.remembered_not_ok().is_empty() {
        tracing::info!(
            "lines that were not ok in earlier runs keep their records; if there are any, --again not_ok fetches them once more"
        );
    }
}

/// Failed lines, by kind, and by status if that is the error.
type NotOk = BTreeMap<(ErrorKind, Option<u16>), u64>;

/// A selection of failed lines.
#[derive(Debug, PartialEq, Eq)]
struct Selected {
    /// The words after `--again`.
    terms: String,
    /// Whether these are all failed lines of the run.
    are_all: bool,
}

/// The lines of each kind, the most frequent first.
fn by_kind(not_ok: &NotOk) -> Vec<(ErrorKind, u64)> {
    let mut kinds: BTreeMap<ErrorKind, u64> = BTreeMap::new();
    not_ok.iter().for_each(|((kind, _), lines)| *kinds.entry(*kind).or_default() += lines);
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, lines)| Reverse(*lines));
    kinds
}

/// The selection of the lines that may succeed in another round; `None` if there are none.
fn may_succeed(not_ok: &NotOk) -> Option<Selected> {
    let term = |(kind, status): &(ErrorKind, Option<u16>)| match (kind, status) {
        (_, Some(status @ (401 | 403 | 407 | 408 | 425 | 429))) => Some(status.to_string()),
        (_, Some(500..)) => Some("5xx".to_owned()),
        (ErrorKind::RobotsUnavailable, _) => Some(kind.name().to_owned()),
        _ => (kind.outcome(0) == Outcome::Failed).then(|| Outcome::Failed.name().to_owned()),
    };
    let terms: BTreeSet<String> = not_ok.keys().filter_map(term).collect();
    let are_all = not_ok.keys().all(|key| term(key).is_some());
    (!terms.is_empty()).then(|| Selected { terms: terms.into_iter().collect::<Vec<_>>().join(","), are_all })
}

/// Logs how many lines of durable sources were not ok, and the option that fetches them again.
pub(super) fn say_what_repeats(repeatable: Repeatable, stats: &Stats) {
    let not_ok = stats.remembered_not_ok();
    let kinds = by_kind(&not_ok);
    let total: u64 = kinds.iter().map(|(_, lines)| lines).sum();
    let are_forbidden = kinds.iter().all(|(kind, _)| *kind == ErrorKind::ForbiddenAddress);
    let lack_robots = kinds.iter().all(|(kind, _)| *kind == ErrorKind::RobotsUnavailable);
    let (are, them) = if total == 1 { ("is", "it") } else { ("are", "them") };
    let kinds: Vec<_> = kinds.iter().map(|(kind, lines)| format!("{} {}", kind.name(), grouped(*lines))).collect();
    let (run, others) = match repeatable {
        Repeatable::WithEarlier => (" in this run", ", with those of earlier runs"),
        _ => ("", ""),
    };
    let what = format!("{} {are} not ok{run} ({})", counted(total, "line"), kinds.join(" · "));
    match repeatable {
        _ if total == 0 => {}
        Repeatable::NotRemembered => {}
        Repeatable::Yes | Repeatable::WithEarlier if are_forbidden => tracing::info!(
            "{what}; allow their networks (network.allow or --allow), and run again with --again forbidden_address"
        ),
        Repeatable::Yes | Repeatable::WithEarlier if lack_robots => tracing::info!(
            "{what}; once their sites give a robots.txt again, fetch {them} with --again robots_unavailable"
        ),
        Repeatable::Yes | Repeatable::WithEarlier => {
            // Of earlier runs there may be other failures.
            let some = may_succeed(&not_ok).filter(|some| !some.are_all || repeatable == Repeatable::WithEarlier);
            let some =
                some.map(|some| format!("; those that may succeed now: --again {}", some.terms)).unwrap_or_default();
            tracing::info!("{what}; to fetch {them} once more{others}, run again with --again not_ok{some}");
        }
        Repeatable::LacksRecords => tracing::info!(
            "{what}; --again not_ok could fetch {them} once more if the files of this run took every record (records = \"all\")"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_may_succeed_are_selected() {
        let status = |status| (ErrorKind::HttpStatus, Some(status));
        let selected = |keys: &[(ErrorKind, Option<u16>)]| may_succeed(&keys.iter().map(|key| (*key, 1)).collect());
        let some = |terms: &str, are_all| Some(Selected { terms: terms.to_owned(), are_all });
        let timeout = (ErrorKind::Timeout, None);
        assert_eq!(selected(&[status(401), status(404)]), some("401", false));
        assert_eq!(selected(&[status(404), status(500), status(503), timeout]), some("5xx,failed", false));
        let robots = (ErrorKind::RobotsUnavailable, None);
        assert_eq!(selected(&[robots, (ErrorKind::InvalidUrl, None)]), some("robots_unavailable", false));
        assert_eq!(selected(&[status(404)]), None);
        assert_eq!(selected(&[status(401), timeout]), some("401,failed", true));
    }
}
