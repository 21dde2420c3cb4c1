//! Checks before the first request that need the file system: an output that the run would read, and a file that two
//! sinks would write.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::Config;
use crate::disk::FileId;
use crate::error::Error;
use crate::sink::Target;

/// A run whose output is its own input would never end.
pub(super) fn reject_outputs_that_are_read(config: &Config) -> Result<(), Error> {
    let inputs = config.sources.iter().map(|source| source.component.inputs());
    let read: Vec<FileId> = inputs
        .flat_map(|inputs| {
            let stdin = id(Path::new("/dev/stdin")).filter(|_| inputs.stdin > 0);
            inputs.files.into_iter().filter_map(|path| id(&path)).chain(stdin)
        })
        .collect();
    for path in config.sinks.iter().filter_map(|sink| file_of(sink.component.target())) {
        if id(path).is_some_and(|id| read.contains(&id)) {
            return Err(cannot_write(path, "it is also read as input".to_owned()));
        }
    }
    Ok(())
}

/// Two outputs may be one file by links, or when standard output was redirected.
pub(super) fn reject_shared_outputs(config: &Config) -> Result<(), Error> {
    let mut taken = HashMap::new();
    for sink in &config.sinks {
        let (Some(path), name) = (file_of(sink.component.target()), sink.label()) else { continue };
        if let Some(first) = id(path).and_then(|id| taken.insert(id, name)) {
            let why = format!("the sinks `{first}` and `{name}` have the same file; give each its own");
            return Err(cannot_write(path, why));
        }
    }
    Ok(())
}

/// An output that a source would come to read once the output exists, such as a followed pattern that matches it.
pub(super) fn reject_outputs_that_are_followed(config: &Config) -> Result<(), Error> {
    for sink in &config.sinks {
        let outputs = sink.component.paths();
        for source in &config.sources {
            let Some((path, output)) = source.component.would_read(&outputs) else { continue };
            let why = format!(
                "{} of a followed source would read it as input; give it a name that does not match, or another directory",
                path.display()
            );
            return Err(cannot_write(output, why));
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, why: String) -> Error {
    Error::Open { what: format!("cannot write to {}", path.display()), source: why.into() }
}

/// The identity of the file at a path, if it is a regular one.
fn id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok().filter(Metadata::is_file)?;
    Some(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// The path that a sink writes to, if its file has but one name.
fn file_of(target: Target<'_>) -> Option<&Path> {
    match target {
        Target::Stdout => Some(Path::new("/dev/stdout")),
        Target::File(path) => Some(path),
        Target::Elsewhere => None,
    }
}
