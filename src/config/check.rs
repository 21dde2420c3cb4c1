//! Cross-table validation: rejects combinations of keys that contradict each other. `bounds` checks numbers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::bounds::{self, MOST_AT_ONCE};
use super::{Config, credentials, files, paths, tls};
use crate::diagnostics::{Report, Section};
use crate::disk::resolved;
use crate::hosts::HostPattern;
use crate::item::{parse_header, parse_method};
use crate::pipeline::Order;
use crate::registry::Named;
use crate::sink::{SinkConfig, Target};
use crate::source::{CheckContext, Inputs};
use crate::units::Concurrency;

/// Adds every problem of the whole configuration to the report.
pub(super) fn check(config: &Config, file: Option<&Path>, most_files: u64, report: &mut Report) {
    bounds::check(config, report);
    hosts(config, report);
    credentials::check(config, report);
    requests(config, report);
    methods(config, report);
    tls::check(config, report);
    sources(config, report);
    sinks(config, report);
    config.api.check(&mut Section::new("api".to_owned(), report));
    paths::check(config, file, report);
    files::check(config, most_files, report);
}

fn hosts(config: &Config, report: &mut Report) {
    let mut seen: BTreeMap<HostPattern, &str> = BTreeMap::new();
    for (text, host) in &config.hosts {
        let key = format!("hosts.{text}");
        match text.parse::<HostPattern>() {
            Err(message) => report.add_at_key(&key, message),
            Ok(pattern) => {
                if let Some(first) = seen.insert(pattern, text) {
                    report
                        .add_at_key(&key, format!("the patterns `{first}` and `{text}` name the same hosts; keep one"));
                }
            }
        }
        let fixed = match host.concurrency {
            Some(Concurrency::Fixed(n)) => Some(n),
            Some(Concurrency::Adaptive) | None => None,
        };
        for (name, value) in [("concurrency", fixed), ("max_concurrency", host.max_concurrency)] {
            if let Some(n) = value.filter(|n| !(1..=MOST_AT_ONCE).contains(n)) {
                let message = format!("`hosts.\"{text}\".{name}` is {n}; it can be from 1 to {MOST_AT_ONCE}");
                report.add_at_key(&format!("{key}.{name}"), message);
            }
        }
    }
}

fn requests(config: &Config, report: &mut Report) {
    if let Err(message) = parse_header("user-agent", &config.fetch.user_agent) {
        report.add_at_key("fetch.user_agent", message);
    }
    if let Some(message) = config.fetch.proxy.as_ref().and_then(|proxy| wrong_proxy(proxy.expose())) {
        report.add_at_key("fetch.proxy", message);
    }
}

fn methods(config: &Config, report: &mut Report) {
    for message in config.retry.methods.iter().filter_map(|name| parse_method(name).err()) {
        report
            .add_at_key("retry.methods", format!("`retry.methods`: {message}; write for example [\"GET\", \"POST\"]"));
    }
}

/// The problem of an invalid proxy URL. The message does not show the URL because it may contain a password.
fn wrong_proxy(text: &str) -> Option<String> {
    let right = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "socks5" | "socks5h") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    (!right).then(|| {
        "`fetch.proxy` is not a proxy; write for example `http://proxy.example:3128` or `socks5://127.0.0.1:1080`"
            .to_owned()
    })
}

fn sources(config: &Config, report: &mut Report) {
    if config.sources.is_empty() && report.is_empty() {
        report.add_at_key("source", "there is no source; write for example [source.urls.stdin]");
    }
    let mut taken = HashMap::new();
    let context = CheckContext { window_bytes: config.queue.window_bytes, data_dir: config.state.data_dir.as_deref() };
    for source in &config.sources {
        let table = format!("source.{}.{}", source.label(), source.kind);
        source.component.check(&context, &mut Section::new(table.clone(), report));
        if let Some(place) = source.component.listens_at()
            && let Some(first) = taken.insert(place.clone(), source.label())
        {
            let message =
                format!("the sources `{first}` and `{}` both listen at {place}; give each its own", source.label());
            report.add_at_keys(&[&format!("{table}.socket"), &format!("{table}.listen")], message);
        }
        if config.output.order == Order::Input && source.component.releases() {
            let message = format!(
                "[{table}] can take lines back without a record, so records cannot have the order of the input; leave `output.order` at \"completion\""
            );
            report.add_at_key("output.order", message);
        }
    }
    let stdins_of = |inputs: Inputs| inputs.stdin + inputs.files.iter().filter(|path| paths::is_stdin(path)).count();
    let stdins: usize = config.sources.iter().map(|source| stdins_of(source.component.inputs())).sum();
    if stdins > 1 {
        report.add_at_key("source", "standard input is read more than once; keep one source or path that reads it");
    }
}

fn sinks(config: &Config, report: &mut Report) {
    if config.sinks.is_empty() && report.is_empty() {
        let message = "there is no sink; write for example [sink.results.jsonl] with path = \"results.jsonl\"";
        report.add_at_key("sink", message);
    }
    let mut taken = HashMap::new();
    for sink in &config.sinks {
        let (name, table) = (sink.label(), format!("sink.{}.{}", sink.label(), sink.kind));
        sink.component.check(&mut Section::new(table.clone(), report));
        if sink.component.ships() {
            staging(config, sink, &table, report);
        }
        let (target, key) = match sink.component.target() {
            Target::Stdout => (PathBuf::from("-"), table),
            Target::File(path) if paths::is_stdout(path) => (PathBuf::from("-"), format!("{table}.path")),
            Target::File(path) => (resolved(path), format!("{table}.path")),
            Target::Elsewhere => continue,
        };
        if config.state.has(&target) {
            report.add_at_key(&key, own_file(sink.component.target(), config));
        }
        if let Some(first) = taken.insert(target, name) {
            let message = format!(
                "the sinks `{first}` and `{name}` write to the same place, so records would mix; give each its own"
            );
            report.add_at_key(&key, message);
        }
    }
    future_files(config, report);
}

/// Checks the requirements of a sink that stages records in the data directory.
fn staging(config: &Config, sink: &Named<dyn SinkConfig>, table: &str, report: &mut Report) {
    if config.state.data_dir.is_none() {
        let message = format!(
            "[{table}] needs a data directory, which keeps records until they are delivered; add state.data_dir (or --data-dir DIR)"
        );
        report.add_at_key(table, message);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !sink.label().chars().all(is_plain) {
        let message = format!(
            "the name of [{table}] is part of file names, so it can contain only letters, digits, `-` and `_`; give it such a name"
        );
        report.add_at_key(table, message);
    }
}

/// Checks that no sink's path is that of another sink's numbered file.
fn future_files(config: &Config, report: &mut Report) {
    for sink in &config.sinks {
        let (Target::File(path), Some(first)) = (sink.component.target(), sink.component.paths().into_iter().next())
        else {
            continue;
        };
        let (path, first) = (path.to_owned(), resolved(&first));
        let is_own = |other: &Named<dyn SinkConfig>| match other.component.target() {
            Target::File(its_path) => resolved(its_path) == resolved(&path),
            Target::Stdout | Target::Elsewhere => true,
        };
        if let Some(other) = config.sinks.iter().find(|other| !is_own(other) && other.component.will_write_to(&first)) {
            let message = format!(
                "`{}` is the name of a file that the sink `{}` can come to write, as its files have numbers (rotate_size, rotate_every, compress); give one of the two another name",
                path.display(),
                other.label()
            );
            report.add_at_key(&format!("sink.{}.{}.path", sink.label(), sink.kind), message);
        }
    }
}

/// The message for a sink that would overwrite the checkpoint or a journal.
fn own_file(target: Target<'_>, config: &Config) -> String {
    let other = config.state.data_dir.iter().map(|dir| dir.join("results.jsonl")).next().unwrap_or_default();
    let Target::File(path) = target else { return String::new() };
    let (path, other) = (path.display(), other.display());
    format!("`{path}` is a file of the data directory's own; write the results to another, for example \"{other}\"")
}
