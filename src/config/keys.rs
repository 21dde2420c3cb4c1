//! The list of all keys, taken from the components' structs, and the notation of key paths.

use super::Registry;
use crate::fetch::{DnsConfig, FetchConfig, NetworkConfig, TlsConfig};
use crate::ops::ApiConfig;
use crate::pipeline::{OutputConfig, QueueConfig, ShutdownConfig};
use crate::registry::{Key, keys_of};
use crate::schedule::{HealthConfig, HostConfig, LimitsConfig, RetryConfig, RobotsConfig};
use crate::state::StateConfig;
use crate::telemetry::LogConfig;

pub(super) const TABLES: [&str; 17] = [
    "source", "queue", "fetch", "limits", "hosts", "retry", "health", "robots", "tls", "dns", "network", "output",
    "sink", "state", "shutdown", "api", "log",
];

/// All keys of a configuration with their tables.
pub(super) struct Keys(Vec<(&'static str, Key)>);

impl Keys {
    /// The keys of all tables, and of the kinds in the registry.
    pub fn of(registry: &Registry) -> Self {
        let tables: [(&str, Vec<Key>); 15] = [
            ("queue", keys_of::<QueueConfig>()),
            ("fetch", keys_of::<FetchConfig>()),
            ("limits", keys_of::<LimitsConfig>()),
            ("hosts", keys_of::<HostConfig>()),
            ("retry", keys_of::<RetryConfig>()),
            ("health", keys_of::<HealthConfig>()),
            ("robots", keys_of::<RobotsConfig>()),
            ("tls", keys_of::<TlsConfig>()),
            ("dns", keys_of::<DnsConfig>()),
            ("network", keys_of::<NetworkConfig>()),
            ("output", keys_of::<OutputConfig>()),
            ("state", keys_of::<StateConfig>()),
            ("shutdown", keys_of::<ShutdownConfig>()),
            ("api", keys_of::<ApiConfig>()),
            ("log", keys_of::<LogConfig>()),
        ];
        let sources = registry.sources.iter().map(|kind| ("source", kind.keys()));
        let sinks = registry.sinks.iter().map(|kind| ("sink", kind.keys()));
        let all = tables.into_iter().chain(sources).chain(sinks);
        Self(all.flat_map(|(table, keys)| keys.into_iter().map(move |key| (table, key))).collect())
    }

    /// All tables and keys.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().map(|(table, key)| (*table, key.name))
    }

    /// The keys whose values are secrets.
    #[cfg(test)]
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().filter(|(_, key)| key.is_secret).map(|(table, key)| (*table, key.name))
    }

    /// The tables with a key of this name.
    pub fn tables_with(&self, name: &str) -> Vec<&'static str> {
        let mut tables: Vec<_> =
            TABLES.into_iter().filter(|table| self.0.iter().any(|(of, key)| of == table && key.name == name)).collect();
        tables.dedup();
        tables
    }

    /// Whether the value of a key may be shown: its name is that of a key without a secret, or very similar to one.
    pub fn is_shown(&self, name: &str) -> bool {
        let (likeness, near) = match nearest(name, self.0.iter().map(|(_, key)| key.name)) {
            Some(nearest) => nearest,
            None => return false,
        };
        likeness > 0.9 && !self.0.iter().any(|(_, key)| key.name == near && key.is_secret)
    }
}

/// The most similar name, if one is similar enough.
pub(super) fn near<'a>(key: &str, names: &[&'a str]) -> Option<&'a str> {
    nearest(key, names.iter().copied()).filter(|(likeness, _)| *likeness > 0.75).map(|(_, near)| near)
}

fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    names.map(|name| (strsim::jaro_winkler(key, name), name)).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// A key path in TOML notation.
pub(super) fn name(path: &[&str]) -> String {
    path.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".")
}

fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) }
}
