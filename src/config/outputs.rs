//! What is wrong with sinks.

use std::collections::HashMap;
use std::path::PathBuf;

use super::check::LONGEST;
use super::{Config, Report};
use crate::disk::resolved;
use crate::sink::{Jsonl, SinkConfig};

/// Adds every problem of the sinks to the report.
pub(super) fn check(config: &Config, report: &mut Report) {
    if config.sinks.is_empty() && report.is_empty() {
        let message = "there is no sink; write for example [sink.results.jsonl] with path = \"results.jsonl\"";
        report.add_at_key("sink", message);
    }
    let mut taken = HashMap::new();
    for sink in &config.sinks {
        let name = sink.name.as_deref().unwrap_or_default();
        let (output, key) = match &sink.component {
            SinkConfig::Stdout(_) => (PathBuf::from("-"), format!("sink.{name}.stdout")),
            SinkConfig::Jsonl(jsonl) => {
                rotation(&format!("sink.{name}.jsonl"), jsonl, report);
                let key = format!("sink.{name}.jsonl.path");
                if config.state.has(&jsonl.path) {
                    report.add_at_key(&key, own_file(jsonl, config));
                }
                (resolved(&jsonl.path), key)
            }
        };
        if let Some(first) = taken.insert(output, name) {
            let message = format!(
                "the sinks `{first}` and `{name}` write to the same place, so records would mix; give each its own"
            );
            report.add_at_key(&key, message);
        }
    }
}

/// Results would be written into what tells the next run what is done.
fn own_file(jsonl: &Jsonl, config: &Config) -> String {
    let other = config.state.data_dir.iter().map(|dir| dir.join("results.jsonl")).next().unwrap_or_default();
    let (path, other) = (jsonl.path.display(), other.display());
    format!("`{path}` is a file of the data directory's own; write the results to another, for example \"{other}\"")
}

fn rotation(table: &str, jsonl: &Jsonl, report: &mut Report) {
    if jsonl.rotate_size.is_some_and(|size| size.0 == 0) {
        let message = format!("`{table}.rotate_size` is 0, so no record fits into a file; write for example \"1GiB\"");
        report.add_at_key(&format!("{table}.rotate_size"), message);
    }
    let key = format!("{table}.rotate_every");
    match jsonl.rotate_every {
        Some(every) if every.0.is_zero() => {
            report.add_at_key(
                &key,
                format!("`{key}` is zero, so no record gets into a file in time; write for example \"1h\""),
            );
        }
        Some(every) if every > LONGEST => {
            report.add_at_key(&key, format!("`{key}` is {every}; it can be at most a year, `8760h`"));
        }
        Some(_) | None => {}
    }
}
