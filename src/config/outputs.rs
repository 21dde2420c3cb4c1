//! What is wrong with sinks.

use std::collections::HashMap;
use std::path::Path;

use super::check::LONGEST;
use super::{Config, Report};
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
            SinkConfig::Stdout(_) => (Path::new("-"), format!("sink.{name}.stdout")),
            SinkConfig::Jsonl(jsonl) => {
                rotation(&format!("sink.{name}.jsonl"), jsonl, report);
                (jsonl.path.as_path(), format!("sink.{name}.jsonl.path"))
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
