//! The keys there are, as the components' own structs name them, and how a path of keys is written.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use super::{Config, Named};
use crate::schedule::HostConfig;
use crate::sink::{Jsonl, SinkConfig};
use crate::source::{File, SourceConfig};

pub(super) const TABLES: [&str; 16] = [
    "source", "queue", "fetch", "limits", "hosts", "retry", "health", "robots", "tls", "dns", "network", "output",
    "sink", "state", "shutdown", "log",
];

/// Keys whose values may hold a password, a token, or, in place of its path, a key.
const SECRET: [&str; 3] = ["headers", "proxy", "client_key"];

/// Every key with the table that it belongs to.
static KEYS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut config = Config::default();
    config.sources.push(Named::unnamed(SourceConfig::File(File::new(Vec::new()))));
    config.sinks.push(Named::unnamed(SinkConfig::Jsonl(Jsonl::new(PathBuf::new()))));
    config.hosts.insert("*".to_owned(), HostConfig::default());
    let mut keys = Vec::new();
    for table in TABLES {
        let component = match table {
            "source" => serde_json::to_value(&config.sources),
            "sink" => serde_json::to_value(&config.sinks),
            _ => serde_json::to_value(&config).map(|mut config| config[table].take()),
        };
        collect(table, &component.unwrap_or_default(), &mut keys);
    }
    keys
});

fn collect(table: &str, component: &Value, keys: &mut Vec<(String, String)>) {
    match component {
        Value::Array(all) => all.iter().for_each(|named| collect(table, &named["component"], keys)),
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    // One level down: the kind of a source or sink, or the pattern of a host.
                    Value::Object(_) if matches!(table, "source" | "sink" | "hosts") && key != "headers" => {
                        collect(table, value, keys);
                    }
                    _ => keys.push((table.to_owned(), key.clone())),
                }
            }
        }
        _ => {}
    }
}

/// The tables with a key of this name.
pub(super) fn tables_with(key: &str) -> Vec<&'static str> {
    let mut tables: Vec<_> = KEYS.iter().filter(|(_, name)| name == key).map(|(table, _)| table.as_str()).collect();
    tables.dedup();
    tables
}

/// Whether the value of a key of this name may be shown: it is, or almost is, a key that holds no secret.
pub(super) fn is_shown(key: &str) -> bool {
    let names = KEYS.iter().map(|(_, name)| name.as_str());
    nearest(key, names).is_some_and(|(likeness, near)| likeness > 0.9 && !SECRET.contains(&near))
}

/// The name most like this one, if it is like it.
pub(super) fn near<'a>(key: &str, names: &[&'a str]) -> Option<&'a str> {
    nearest(key, names.iter().copied()).filter(|(likeness, _)| *likeness > 0.75).map(|(_, near)| near)
}

fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    names.map(|name| (strsim::jaro_winkler(key, name), name)).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// A path of keys as TOML writes it.
pub(super) fn name(path: &[&str]) -> String {
    path.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".")
}

fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) }
}
