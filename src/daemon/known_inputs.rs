//! Refuses inputs whose done lines are in the checkpoint under a source that this run does not have: `-i urls.txt`
//! after a configuration with `[source.urls.file]`, or the reverse.
//!
//! In: the configuration and the checkpoint, before a source is opened. Next: `open`.

use std::path::PathBuf;

use crate::config::Config;
use crate::disk::resolved;
use crate::error::Error;
use crate::registry::Named;
use crate::source::SourceConfig;
use crate::state::DataDir;
use crate::units::counted;

/// Refuses a run that would fetch a file again because its source has another name now.
///
/// # Errors
/// Exit code 2: a file of a new source has done lines under a source that is gone.
pub(super) fn reject_renamed_sources(config: &Config, state: &DataDir) -> Result<(), Error> {
    let known = &state.checkpoint.sources;
    for source in config.sources.iter().filter(|source| !known.contains_key(source.label())) {
        let read: Vec<PathBuf> = source.component.inputs().files.iter().map(|path| resolved(path)).collect();
        for (name, before) in known.iter().filter(|(name, _)| config.sources.iter().all(|has| has.label() != *name)) {
            let done = before.files.iter().filter(|(_, lines)| lines.count() > 0);
            let same = done.clone().find(|(path, _)| read.contains(&resolved(path.as_ref())));
            if let Some((path, lines)) = same {
                return Err(refused(path, lines.count(), name, source, state));
            }
        }
    }
    Ok(())
}

fn refused(path: &str, lines: u64, before: &str, now: &Named<dyn SourceConfig>, state: &DataDir) -> Error {
    let (dir, lines) = (state.dir.display(), counted(lines, "line"));
    let (before, now) = (called(before), called(now.label()));
    Error::Open {
        what: format!("cannot read {path}"),
        source: format!(
            "according to {dir} {before} has done {lines} of it; this run reads it with {now}, which would fetch all of it again; \
             run it as before (the same `-i` or `-c`, the same name of the source), or give another `--data-dir`"
        )
        .into(),
    }
}

/// A source as the user wrote it.
fn called(name: &str) -> String {
    if name.is_empty() { "`-i`".to_owned() } else { format!("the source `{name}`") }
}
