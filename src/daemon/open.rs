//! Opens everything before the first request: the data directory, sinks, recovery, sources.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::again::{self, Repeatable};
use super::known_inputs::reject_renamed_sources;
use super::known_outputs::{positions_of, reject_left_records, remember_paths};
use super::overrides_in_dir::OverridesDir;
use super::{NewRound, begin_round, http, preflight, recover, staged};
use crate::config::Config;
use crate::disk::{Disk, RealDisk, RegisterOutputFile};
use crate::error::{BoxError, Chain, Error};
use crate::fetch::{Fetch, Http};
use crate::open_files;
use crate::ops::LiveRecords;
use crate::output::SavedPosition;
use crate::pipeline::Parts;
use crate::registry::Named;
use crate::schedule::Overrides;
use crate::ship::Shipper;
use crate::sink::{OpenedSink, Opening, Sink, StartedSink, Style, metered};
use crate::source::{SavedState, Source, SourceConfig, SourceLines};
use crate::state::{Checkpointer, DataDir, HostStateStore, Settle, SourceState};
use crate::telemetry::Stats;
use crate::units::counted;

/// The opened parts of a run, and whether a round could repeat its failures.
pub(super) struct Opened {
    pub parts: Parts,
    pub repeatable: Repeatable,
    /// The HTTP client, which is also in the parts.
    pub http: Arc<Http>,
    /// The store of overrides, if there is a data directory.
    pub kept: Option<OverridesDir>,
}

/// Opens everything before the first request: the client, the state, sinks, sources.
pub(super) fn open(
    config: &Config,
    stats: &Stats,
    live: Option<&LiveRecords>,
    new_round: Option<&NewRound>,
) -> Result<Opened, Error> {
    // First: if open files are short, the client goes without root certificates, and a later step reports the cause.
    let fetch = http(config).map_err(|error| cannot_open("the HTTP client", None, &error))?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut state = open_data_dir(config, &disk)?;
    let of_round = new_round.map(|_| again::sources_of_round(config));
    let config = of_round.as_ref().unwrap_or(config);
    if let Some(new) = new_round {
        again::reject_impossible_round(new, state.as_ref()).map_err(|error| cannot_begin(&error))?;
    }
    preflight::reject_impossible_paths(config)?;
    if let Some(state) = &state {
        staged::reject_orphans(config, disk.as_ref(), &state.dir)?;
    }
    // The beginning of a round makes these checks itself, by counting records.
    if let Some(state) = state.as_ref().filter(|state| new_round.is_none() || state.list.is_some()) {
        reject_renamed_sources(config, state)?;
        reject_left_records(config, state)?;
    }
    let mut opened = open_sinks(config, &disk, state.as_ref())?;
    // Again: a pattern may match an output that was created only now.
    preflight::reject_outputs_that_are_read(config)?;
    if let Some(state) = &mut state {
        remember_sources(config, state)?;
        remember_paths(config, &mut state.checkpoint);
        recover(state, &mut opened).map_err(|error| cannot_open("the data directory", None, &error))?;
        if let Some(new) = new_round {
            let scratch = state.dir.clone();
            begin_round(new, state, &mut opened, &scratch).map_err(|error| cannot_begin(&error))?;
        }
    }
    let kept = state.as_ref().map(|state| OverridesDir { disk: Arc::clone(&state.disk), dir: state.dir.clone() });
    let overrides = kept.as_ref().map(load_overrides).transpose()?.unwrap_or_default();
    let repeatable = Repeatable::of(state.as_ref(), &mut opened);
    let (sources, checkpointer) = open_sources(config, state)?;
    let hosts = checkpointer.as_ref().map(|checkpointer| host_states(checkpointer, config));
    let registry = checkpointer.as_ref().map(Checkpointer::output_files);
    let settle = checkpointer.map(|checkpointer| Box::new(checkpointer) as Box<dyn Settle>);
    let StartedSinks { mut sinks, shippers } = start_sinks(opened, registry.as_ref())?;
    sinks.extend(observers(stats, live));
    let (tokens, http) = (fetch.tokens(), Arc::new(fetch));
    let fetch = Arc::clone(&http) as Arc<dyn Fetch>;
    let parts = Parts { settle, tokens, hosts, shippers, overrides, ..Parts::new(sources, fetch, sinks) };
    Ok(Opened { parts, repeatable, http, kept })
}

fn open_data_dir(config: &Config, disk: &Arc<dyn Disk>) -> Result<Option<DataDir>, Error> {
    let data_dir = config.state.data_dir.as_ref().map(|dir| DataDir::open(Arc::clone(disk), dir));
    data_dir.transpose().map_err(|error| cannot_open("the data directory", None, &error))
}

/// Sinks that store nothing; they get records after all others.
fn observers(stats: &Stats, live: Option<&LiveRecords>) -> impl Iterator<Item = Box<dyn Sink>> {
    let live = live.map(|live| live.sink(Timestamp::now()));
    std::iter::once(Box::new(stats.clone()) as Box<dyn Sink>).chain(live)
}

/// The store of the states of hosts.
fn host_states(checkpointer: &Checkpointer, config: &Config) -> Box<dyn HostStateStore> {
    let robots_log = config.robots.enabled.then_some(config.robots.cache.0);
    Box::new(checkpointer.hosts(robots_log))
}

/// Loads the overrides of the previous run.
fn load_overrides(kept: &OverridesDir) -> Result<Overrides, Error> {
    kept.load().map_err(|error| cannot_open("the data directory", None, &error))
}

/// Opens the sinks, in the order in which they get records.
fn open_sinks(config: &Config, disk: &Arc<dyn Disk>, state: Option<&DataDir>) -> Result<Vec<OpenedSink>, Error> {
    let style = Style { content: config.content(), epoch: Timestamp::now() };
    let mut sinks = Vec::new();
    for sink in &config.sinks {
        let name = sink.name.as_deref();
        let known = state.map(|state| positions_of(sink, config, disk.as_ref(), &state.checkpoint));
        let saved = match known {
            None => SavedPosition::No,
            Some(None) => SavedPosition::New,
            Some(Some(positions)) => SavedPosition::Until(positions.clone()),
        };
        let shipping = state.filter(|_| sink.component.ships()).map(|state| staged::shipping(config, state));
        let opening = Opening { name: name.unwrap_or_default().into(), style, disk: Arc::clone(disk), saved, shipping };
        let mut opened = sink.component.open(opening).map_err(|error| {
            let shared = preflight::shared_with(&mut sinks, sink, disk.as_ref());
            shared.unwrap_or_else(|| cannot_open("the sink", name, &error))
        })?;
        opened.name = name.unwrap_or(sink.kind).into();
        if let Some(note) = &opened.note {
            tracing::info!("{note}");
        }
        sinks.push(opened);
    }
    sinks.sort_by_key(OpenedSink::rank);
    Ok(sinks)
}

/// Sinks that take records, and the shippers of some of them.
struct StartedSinks {
    sinks: Vec<Box<dyn Sink>>,
    shippers: Vec<Shipper>,
}

fn start_sinks(opened: Vec<OpenedSink>, registry: Option<&Arc<dyn RegisterOutputFile>>) -> Result<StartedSinks, Error> {
    let mut started = StartedSinks { sinks: Vec::new(), shippers: Vec::new() };
    for sink in opened {
        let name = Arc::clone(&sink.name);
        let StartedSink { sink, shipper } =
            sink.start(registry.cloned()).map_err(|error| cannot_open("the sinks", None, &error.into()))?;
        started.sinks.push(metered(name, sink));
        started.shippers.extend(shipper);
    }
    Ok(started)
}

/// Adds each durable source to the checkpoint. A source of another kind than before is refused: records of one source
/// would count for lines of the other.
fn remember_sources(config: &Config, state: &mut DataDir) -> Result<(), Error> {
    for source in &config.sources {
        let name = source.name.as_deref().unwrap_or_default();
        let kind = source.component.is_durable().then_some(source.kind);
        let known = state.checkpoint.sources.get(name);
        match (kind, known) {
            (Some(kind), None) => {
                state.checkpoint.sources.insert(name.to_owned(), SourceState::new(kind));
            }
            (Some(kind), Some(known)) if known.kind == kind => {}
            (None, None) => log_why_not_durable(source, &state.dir),
            (_, Some(known)) => {
                let (dir, was) = (state.dir.display(), &known.kind);
                let why = format!(
                    "{dir} has it as a durable source of the kind {was}, which it is not now; give it another name, or use another data directory"
                );
                return Err(cannot_open("the source", source.name.as_deref(), &why.into()));
            }
        }
    }
    Ok(())
}

/// Logs why a source is not durable although there is a data directory.
fn log_why_not_durable(source: &Named<dyn SourceConfig>, dir: &Path) {
    let why = source.component.why_not_durable(source.name.as_deref().unwrap_or(source.kind));
    tracing::info!("{} {why}", dir.display());
}

/// Opens the sources, and starts the checkpointer: sources may save their positions from now on.
fn open_sources(config: &Config, state: Option<DataDir>) -> Result<(Vec<Source>, Option<Checkpointer>), Error> {
    let Some(state) = state else {
        let opened = config.sources.iter().map(|source| open_source(source, None));
        return Ok((opened.collect::<Result<_, _>>()?, None));
    };
    let (disk, dir, checkpoint) = (Arc::clone(&state.disk), state.dir.join("journal"), state.checkpoint.clone());
    let round = again::open_round(&state).map_err(|error| cannot_open("the open round", None, &error))?;
    let of_round = round.iter().map(|_| None);
    let names = of_round.chain(
        config
            .sources
            .iter()
            .map(|source| source.component.is_durable().then(|| source.name.clone().unwrap_or_default())),
    );
    let checkpointer = Checkpointer::start(state, names.collect());
    let mut sources = Vec::new();
    for source in &config.sources {
        let key = source.name.as_deref().unwrap_or_default();
        let saved = source.component.is_durable().then(|| SavedState {
            state_id: Arc::clone(checkpoint.state_id_of(key)),
            disk: Arc::clone(&disk),
            dir: dir.join(key),
            min_free: config.state.min_free.0,
            position: checkpoint.sources[key].position.clone(),
            save_position: Box::new(checkpointer.position(key)),
            files: checkpoint.sources[key].files.clone(),
        });
        let mut opened = open_source(source, saved)?;
        if let Some(trim) = opened.trim.take() {
            checkpointer.add_trim(key.to_owned(), trim);
        }
        sources.push(opened);
    }
    Ok((again::round_first(round, sources), Some(checkpointer)))
}

fn open_source(source: &Named<dyn SourceConfig>, saved: Option<SavedState>) -> Result<Source, Error> {
    let name = source.name.as_deref();
    // This explains why no records come for these lines.
    for (path, settled) in saved.iter().flat_map(|saved| &saved.files) {
        if !path.is_empty() && settled.count() > 0 {
            tracing::info!("done by earlier runs: {} of {path}", counted(settled.count(), "line"));
        }
    }
    let done = saved.as_ref().map(|saved| Arc::new(saved.files.clone())).unwrap_or_default();
    let opened = source.component.open(name.map(Into::into), saved);
    let mut opened = opened.map_err(|error| cannot_open("the source", name, &error))?;
    opened.name = name.unwrap_or(source.kind).into();
    opened.known = Some(SourceLines { source: name.map(Into::into), done });
    Ok(opened)
}

fn cannot_begin(source: &BoxError) -> Error {
    Error::Open { what: "cannot begin a round".to_owned(), source: Chain::of(source).to_string().into() }
}

fn cannot_open(what: &str, name: Option<&str>, source: &BoxError) -> Error {
    let what = name.map_or_else(|| format!("cannot open {what}"), |name| format!("cannot open {what} `{name}`"));
    let mut why = Chain::of(source).to_string();
    if open_files::are_short(source.as_ref()) {
        why = format!("{why}; {}", open_files::advice());
    }
    Error::Open { what, source: why.into() }
}
