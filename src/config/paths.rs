//! Checks that paths of a configuration do not collide: an output must not be read as input, or overwrite the
//! configuration or a certificate. `daemon::preflight` checks open files at the start.

use std::path::{Path, PathBuf};

use super::Config;
use crate::diagnostics::Report;
use crate::disk::resolved;
use crate::registry::Named;
use crate::sink::{SinkConfig, Target};
use crate::source::SourceConfig;

/// Adds a problem for every path that is empty, or that another key uses for another purpose.
pub(super) fn check(config: &Config, file: Option<&Path>, report: &mut Report) {
    empty(config, report);
    let read = files_read(config, file);
    for sink in &config.sinks {
        let Target::File(path) = sink.component.target() else { continue };
        let key = output_key(sink);
        // With numbered files, the path itself is not a file.
        let paths = Some(sink.component.paths()).filter(|paths| !paths.is_empty());
        let paths = paths.unwrap_or_else(|| vec![path.to_owned()]);
        let writes_to = |to: &Path| match paths.as_slice() {
            [only] => resolved(only) == to,
            _ => sink.component.will_write_to(to),
        };
        let meets = read.iter().find(|read| writes_to(&read.path));
        let followed = config.sources.iter().find_map(|source| would_read(source, &paths));
        let (path, Use { what, key: other, .. }) = match (meets, followed) {
            (Some(meets), None) => (path, meets.clone()),
            (Some(meets), _) if meets.path.is_file() => (path, meets.clone()),
            (_, Some((path, followed))) => (path, followed),
            (None, None) => continue,
        };
        let message = format!("cannot write to {}: {what}; give `{key}` another path", path.display());
        report.add_at_keys(&[&key, &other], message);
    }
    for (source, path) in inputs(config).filter(|(_, path)| config.state.has(path)) {
        let message =
            format!("`{}` is a file of the data directory's own (`state.data_dir`); read another", path.display());
        report.add_at_keys(&[&input_key(source), "state.data_dir"], message);
    }
}

/// Whether a path is an alias of standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Whether a path is an alias of standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().any(|name| path == Path::new(name))
}

/// The use of a file other than as an output.
#[derive(Clone)]
struct Use {
    /// The resolved path.
    path: PathBuf,
    /// A clause with the subject "it".
    what: String,
    key: String,
}

/// The files that a run reads, and its data directory. Pipes and devices are left out because they can be both read and
/// written.
fn files_read(config: &Config, file: Option<&Path>) -> Vec<Use> {
    let used = |path: &Path, key: &str, what: String| Use { path: resolved(path), what, key: key.to_owned() };
    let mut read: Vec<Use> =
        file.iter().map(|path| used(path, "", "it is the configuration file itself".to_owned())).collect();
    let mut named = |path: Option<&Path>, key: &str| {
        read.extend(path.map(|path| used(path, key, format!("it is also the path of `{key}`"))));
    };
    named(config.state.data_dir.as_deref(), "state.data_dir");
    named(config.tls.ca_file.as_deref(), "tls.ca_file");
    for (pattern, host) in &config.hosts {
        named(host.client_cert.as_deref(), &format!("hosts.{pattern}.client_cert"));
        named(host.client_key.as_ref().map(|key| key.expose().as_path()), &format!("hosts.{pattern}.client_key"));
    }
    for (source, path) in inputs(config) {
        let key = input_key(source);
        read.push(used(&path, &key, format!("it is also read as input (`{key}`)")));
    }
    for (key, path) in config.file_values.all() {
        read.push(used(path, key, format!("`{key}` takes its content (`${{file:...}}`)")));
    }
    read.retain(|read| read.path.is_file() || read.path.is_dir() || !read.path.exists());
    read
}

fn would_read<'a>(source: &Named<dyn SourceConfig>, outputs: &'a [PathBuf]) -> Option<(&'a Path, Use)> {
    let (pattern, output) = source.component.would_read(outputs)?;
    let key = input_key(source);
    let what = format!("{} of a followed source would read it as input (`{key}`)", pattern.display());
    Some((output, Use { path: output.to_owned(), what, key }))
}

fn empty(config: &Config, report: &mut Report) {
    let is_empty = |path: &Path| path.as_os_str().is_empty();
    let mut add = |key: &str, fix: &str| report.add_at_key(key, format!("`{key}` is an empty path; {fix}"));
    if config.state.data_dir.as_deref().is_some_and(is_empty) {
        add("state.data_dir", "name a directory, or leave it out");
    }
    for sink in &config.sinks {
        if matches!(sink.component.target(), Target::File(path) if is_empty(path)) {
            add(&output_key(sink), "write for example \"results.jsonl\"");
        }
    }
    for (source, _) in inputs(config).filter(|(_, path)| is_empty(path)) {
        add(&input_key(source), "write for example \"urls.txt\"");
    }
}

fn inputs(config: &Config) -> impl Iterator<Item = (&Named<dyn SourceConfig>, PathBuf)> {
    let of = |source: &'_ Named<dyn SourceConfig>| source.component.inputs().files;
    config.sources.iter().flat_map(move |source| of(source).into_iter().map(move |path| (source, path)))
}

/// The key of an output's path; a sink of the command line has no name.
fn output_key(sink: &Named<dyn SinkConfig>) -> String {
    match sink.label() {
        "" => "--output".to_owned(),
        label => format!("sink.{label}.{}.path", sink.kind),
    }
}

/// The key of a source's paths; a source of the command line has no name.
fn input_key(source: &Named<dyn SourceConfig>) -> String {
    match source.label() {
        "" => "--input".to_owned(),
        label => format!("source.{label}.{}.paths", source.kind),
    }
}
