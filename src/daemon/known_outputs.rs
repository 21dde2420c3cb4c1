//! Outputs in the checkpoint: finds the sink of each, and refuses a run that would leave their records behind.
//!
//! In: the configuration and the checkpoint, before a sink is opened. Next: `open`.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::disk::{Disk, OutputPosition, resolved};
use crate::error::Error;
use crate::registry::Named;
use crate::sink::{SinkConfig, Target};
use crate::state::{Checkpoint, DataDir};

/// The positions in the checkpoint of a sink's output. A renamed sink is identified by its file, whose records still
/// count for their lines.
pub(super) fn positions_of<'a>(
    sink: &Named<dyn SinkConfig>,
    config: &Config,
    disk: &dyn Disk,
    checkpoint: &'a Checkpoint,
) -> Option<&'a Vec<OutputPosition>> {
    let known = &checkpoint.sinks;
    known.get(sink.label()).or_else(|| {
        let mut others = known.iter().filter(|(name, _)| named(config, name).is_none());
        others.find(|(_, positions)| has_one_of(sink, disk, positions)).map(|(_, positions)| positions)
    })
}

/// Refuses a run that would end with an empty output: its lines are done, but their records are in an output that is
/// gone, or that the run no longer has. For a run whose input has no end, it only warns.
pub(super) fn reject_left_records(config: &Config, state: &DataDir) -> Result<(), Error> {
    let (checkpoint, disk) = (&state.checkpoint, state.disk.as_ref());
    let Some(lines) = done_lines(config, checkpoint) else { return Ok(()) };
    let is_batch = config.sources.iter().all(|source| source.component.is_batch());
    for (name, positions) in checkpoint.sinks.iter().filter(|(_, positions)| positions.iter().any(|p| p.length > 0)) {
        let is_there = config.sinks.iter().any(|sink| has_one_of(sink, disk, positions));
        let left = if is_there { None } else { left(name, positions, config, state) };
        match left {
            None => {}
            Some(left) if is_batch => return Err(left.refused(&lines, &state.dir)),
            Some(Left::Elsewhere { now, .. }) => {
                tracing::warn!("{now} gets the records from now on; earlier records stay in the previous output");
            }
            // The sink warns itself.
            Some(Left::Gone { .. }) => {}
        }
    }
    Ok(())
}

/// Notes the paths of the outputs in the checkpoint.
pub(super) fn remember_paths(config: &Config, checkpoint: &mut Checkpoint) {
    let path = |sink: &Named<dyn SinkConfig>| Some((sink.label().to_owned(), written(file_of(sink)?)));
    checkpoint.paths = config.sinks.iter().filter_map(path).collect();
}

/// Records that a run would leave behind.
enum Left {
    /// Their file is gone.
    Gone { path: String },
    /// The sink writes somewhere else now; `before` is unknown if fetchd 0.1.0 wrote the checkpoint.
    Elsewhere { now: String, before: Option<String> },
}

impl Left {
    fn refused(self, lines: &str, dir: &Path) -> Error {
        let dir = dir.display();
        let (path, why) = match self {
            Self::Gone { path } => {
                let why =
                    format!("it is gone, but according to {dir} {lines} with records in it are done; put it back");
                (path, why)
            }
            Self::Elsewhere { now, before } => {
                let before = before.unwrap_or_else(|| "the previous output".to_owned());
                let why = format!(
                    "according to {dir} {lines} with records in {before} are done; go on with {before} (`-o` or `path`)"
                );
                (now, why)
            }
        };
        let source = format!("{why}, or fetch them once more with another `--data-dir`").into();
        Error::Open { what: format!("cannot write to {path}"), source }
    }
}

/// The records that a run would leave behind of a sink with this name in the checkpoint.
fn left(name: &str, positions: &[OutputPosition], config: &Config, state: &DataDir) -> Option<Left> {
    let before = state.checkpoint.paths.get(name);
    let Some(sink) = named(config, name) else {
        // If another sink of the checkpoint is still there, this one was removed on purpose.
        let is_replaced = state.checkpoint.sinks.keys().all(|known| named(config, known).is_none());
        let now = config.sinks.first().filter(|_| is_replaced)?;
        let by_name = || (!name.is_empty()).then(|| format!("the sink `{name}`"));
        return Some(Left::Elsewhere { now: shown(now), before: before.cloned().or_else(by_name) });
    };
    // A sink that ships has no path.
    if sink.component.ships() && before.is_none() {
        // Its records have been delivered, or are in the data directory.
        return None;
    }
    let elsewhere = || Some(Left::Elsewhere { now: shown(sink), before: before.cloned() });
    let Some(path) = file_of(sink).filter(|path| path.metadata().map_or(true, |metadata| metadata.is_file())) else {
        return elsewhere();
    };
    let is_moved = before.is_some_and(|before| *before != written(path) && resolved(before.as_ref()) != resolved(path));
    if is_moved {
        return if is_carried_over(path, before?, positions) { None } else { elsewhere() };
    }
    // Users may take numbered files away. The sink itself checks the file at the path.
    let is_one = positions.iter().all(|position| position.number == 0);
    let is_gone = is_one && !path.exists() && !is_renamed(path, positions, state.disk.as_ref()).unwrap_or(true);
    is_gone.then(|| Left::Gone { path: path.display().to_string() })
}

/// Whether the file at a path is the previous one, moved there from another file system.
fn is_carried_over(path: &Path, before: &str, positions: &[OutputPosition]) -> bool {
    let length = positions.iter().map(|position| position.length).max();
    !Path::new(before).exists() && path.metadata().is_ok_and(|metadata| Some(metadata.len()) >= length)
}

/// Whether one of these files is in the directory of a path, under another name.
fn is_renamed(path: &Path, positions: &[OutputPosition], disk: &dyn Disk) -> io::Result<bool> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_it = |path: &PathBuf| disk.id_at(path).is_ok_and(|id| positions.iter().any(|position| position.file == id));
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        files => Ok(files?.iter().any(is_it)),
    }
}

/// The first input file of this run with lines that are done.
fn done_lines(config: &Config, checkpoint: &Checkpoint) -> Option<String> {
    config.sources.iter().find_map(|source| {
        let known = &checkpoint.sources.get(source.label())?.files;
        let read: Vec<PathBuf> = source.component.inputs().files.iter().map(|path| resolved(path)).collect();
        let mut done = known
            .iter()
            .filter(|(path, lines)| lines.count() > 0 && (path.is_empty() || read.contains(&resolved(path.as_ref()))));
        done.next().map(|(path, _)| if path.is_empty() { "lines".to_owned() } else { format!("lines of {path}") })
    })
}

fn named<'a>(config: &'a Config, name: &str) -> Option<&'a Named<dyn SinkConfig>> {
    config.sinks.iter().find(|sink| sink.label() == name)
}

fn has_one_of(sink: &Named<dyn SinkConfig>, disk: &dyn Disk, positions: &[OutputPosition]) -> bool {
    positions.iter().any(|position| sink.component.has_file(disk, position.file))
}

fn file_of(sink: &Named<dyn SinkConfig>) -> Option<&Path> {
    match sink.component.target() {
        Target::File(path) => Some(path),
        Target::Stdout | Target::Elsewhere => None,
    }
}

/// A path as it is stored in the checkpoint.
fn written(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn shown(sink: &Named<dyn SinkConfig>) -> String {
    match sink.component.target() {
        Target::Stdout => "standard output".to_owned(),
        Target::File(path) => written(path),
        Target::Elsewhere => format!("the sink `{}`", sink.label()),
    }
}
