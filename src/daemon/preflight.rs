//! Checks before the first request that need the file system: an output that the run would read, and a file that two
//! sinks would write.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::{Config, Named};
use crate::disk::FileId;
use crate::error::Error;
use crate::sink::SinkConfig;
use crate::source::SourceConfig;

/// A file that is read and written in one run would never end.
pub(super) fn reject_outputs_that_are_read(config: &Config) -> Result<(), Error> {
    let stdin = Path::new("/dev/stdin");
    let read: Vec<_> = config
        .sources
        .iter()
        .flat_map(|source| match &source.component {
            SourceConfig::File(file) => file.files(),
            SourceConfig::Stdin(_) => vec![stdin.to_owned()],
        })
        .filter_map(|path| id(if path == Path::new("-") { stdin } else { &path }))
        .collect();
    for path in config.sinks.iter().map(output) {
        if id(path).is_some_and(|id| read.contains(&id)) {
            let what = format!("cannot write to {}", path.display());
            return Err(Error::Open { what, source: "it is also read as input".into() });
        }
    }
    Ok(())
}

/// Two outputs may be one file by links, or when standard output was redirected.
pub(super) fn reject_shared_outputs(config: &Config) -> Result<(), Error> {
    let mut taken = HashMap::new();
    for sink in &config.sinks {
        let (path, name) = (output(sink), sink.name.as_deref().unwrap_or_default());
        if let Some(first) = id(path).and_then(|id| taken.insert(id, name)) {
            let what = format!("cannot write to {}", path.display());
            let why = format!("the sinks `{first}` and `{name}` have the same file; give each its own");
            return Err(Error::Open { what, source: why.into() });
        }
    }
    Ok(())
}

/// An output that a followed source finds once it is there, too.
pub(super) fn reject_outputs_that_are_followed(config: &Config) -> Result<(), Error> {
    for sink in &config.sinks {
        let SinkConfig::Jsonl(jsonl) = &sink.component else { continue };
        let outputs = jsonl.paths();
        for source in &config.sources {
            let SourceConfig::File(file) = &source.component else { continue };
            let Some((path, output)) = file.would_follow(&outputs) else { continue };
            let why = format!(
                "{} of a followed source would read it as input; give it a name that does not match, or another directory",
                path.display()
            );
            return Err(Error::Open { what: format!("cannot write to {}", output.display()), source: why.into() });
        }
    }
    Ok(())
}

/// Which file a path stands for, if it is a regular one.
fn id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok().filter(Metadata::is_file)?;
    Some(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// Where a sink writes, if its file has but one name.
fn output(sink: &Named<SinkConfig>) -> &Path {
    match &sink.component {
        SinkConfig::Jsonl(jsonl) => &jsonl.path,
        SinkConfig::Stdout(_) => Path::new("/dev/stdout"),
    }
}
