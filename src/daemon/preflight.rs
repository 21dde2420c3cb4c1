//! Checks of paths before the first request: rejects an output that the run would read, a file that two sinks would
//! write, and a compressed input.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::config::Config;
use crate::disk::{Disk, FileId, OutputPosition};
use crate::error::Error;
use crate::registry::Named;
use crate::sink::{OpenedSink, SinkConfig, Target};

/// All checks that need only the paths of a configuration.
pub(super) fn reject_impossible_paths(config: &Config) -> Result<(), Error> {
    reject_outputs_that_are_read(config)?;
    reject_shared_outputs(config)?;
    reject_compressed_inputs(config)
}

/// Rejects a run that reads its own output: it would never end.
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

/// Rejects compressed input files: each of their lines would get a `rejected` record.
fn reject_compressed_inputs(config: &Config) -> Result<(), Error> {
    let files = config.sources.iter().flat_map(|source| source.component.inputs().files);
    for path in files.filter(|path| path.is_file()) {
        let mut begin = [0; 4];
        let is_read = File::open(&path).and_then(|mut file| file.read_exact(&mut begin)).is_ok();
        let how = match begin {
            [0x1f, 0x8b, ..] if is_read => "gzip",
            [0x28, 0xb5, 0x2f, 0xfd] if is_read => "zstd",
            _ => continue,
        };
        let shown = path.display();
        let why = format!("it is compressed; decompress it on the way: {how} -dc {shown} | fetchd -i -");
        return Err(Error::Open { what: format!("cannot read {shown}"), source: why.into() });
    }
    Ok(())
}

/// Rejects two outputs that are one file or FIFO, by links or because standard output is redirected.
pub(super) fn reject_shared_outputs(config: &Config) -> Result<(), Error> {
    let mut taken = HashMap::new();
    for sink in &config.sinks {
        let (Some(path), name) = (file_of(sink.component.target()), sink.label()) else { continue };
        if let Some(first) = id(path).and_then(|id| taken.insert(id, name)) {
            return Err(shared(path, first, name));
        }
    }
    Ok(())
}

/// The error of a sink that could not be opened because a sink opened before it has the same file: by a dangling link,
/// or a link to a numbered file.
pub(super) fn shared_with(opened: &mut [OpenedSink], sink: &Named<dyn SinkConfig>, disk: &dyn Disk) -> Option<Error> {
    let path = file_of(sink.component.target())?;
    let mut logs = opened.iter_mut().filter_map(OpenedSink::log);
    let is_shared = |files: &[OutputPosition]| files.iter().any(|file| sink.component.has_file(disk, file.file));
    logs.find_map(|(first, files)| is_shared(&files).then(|| shared(path, &first, sink.label())))
}

fn shared(path: &Path, first: &str, second: &str) -> Error {
    cannot_write(path, format!("the sinks `{first}` and `{second}` have the same file; give each its own"))
}

fn cannot_write(path: &Path, why: String) -> Error {
    Error::Open { what: format!("cannot write to {}", path.display()), source: why.into() }
}

/// The identity of the file at a path, if it is a regular file or a FIFO.
fn id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok().filter(|metadata| metadata.is_file() || metadata.file_type().is_fifo())?;
    Some(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// The path that a sink writes to, if its file has only one name.
fn file_of(target: Target<'_>) -> Option<&Path> {
    match target {
        Target::Stdout => Some(Path::new("/dev/stdout")),
        Target::File(path) => Some(path),
        Target::Elsewhere => None,
    }
}
