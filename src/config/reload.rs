//! Compares configurations for a reload: each key is *live* or needs a *restart*, and [`changes`] returns the keys that
//! differ.
//!
//! Configurations are compared as serialised tables, and secrets by their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Config;
use super::keys::name;
use crate::hosts::HostPattern;
use crate::units::{Concurrency, Secret};

/// Whether a running daemon can apply a new value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It can apply the value.
    Live,
    /// Only a restart applies the value.
    Restart,
}

use Effect::{Live, Restart};

/// The effects of all keys by table. All keys of sources and sinks have the same effect.
pub const EFFECTS: &[(&str, Effect, &[&str])] = &[
    ("source", Restart, &[]),
    ("queue", Restart, &["capacity", "window", "window_bytes"]),
    ("fetch", Live, &["timeout", "connect_timeout", "deadline", "user_agent", "headers"]),
    ("fetch", Restart, &["workers", "threads", "min_speed", "speed_time", "max_body", "oversize", "max_redirects"]),
    ("fetch", Restart, &["idle_connections", "revalidate", "http2", "proxy"]),
    ("limits", Live, &["concurrency", "rate"]),
    ("limits", Restart, &["max_concurrency", "body_memory", "hosts"]),
    ("hosts", Live, &["concurrency", "max_concurrency", "rate", "quota", "timeout", "min_speed"]),
    ("hosts", Live, &["headers", "everywhere", "refresh_on", "client_cert", "client_key", "insecure"]),
    // The size of the body memory depends on the longest body.
    ("hosts", Restart, &["max_body"]),
    ("retry", Live, &["retries", "backoff", "max_backoff", "max_retry_after", "max_waits", "refresh_wait"]),
    ("retry", Live, &["on_status", "methods", "budget", "floor", "host_floor"]),
    ("health", Live, &["enabled", "failures", "cool_down", "give_up"]),
    ("robots", Live, &["max_crawl_delay"]),
    ("robots", Restart, &["enabled", "cache"]),
    ("tls", Live, &["ca_file"]),
    ("dns", Restart, &["servers", "timeout", "cache"]),
    ("network", Live, &["allow", "deny"]),
    ("output", Restart, &["order", "body", "headers", "digest", "fail", "fail_fast"]),
    ("sink", Restart, &[]),
    ("state", Restart, &["data_dir", "min_free"]),
    ("shutdown", Live, &["grace"]),
    ("log", Live, &["level"]),
    ("log", Restart, &["format"]),
    ("api", Restart, &["socket", "socket_group", "metrics_listen"]),
];

/// The keys that differ between two configurations, in TOML notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys that a running daemon applies.
    pub live: BTreeSet<String>,
    /// Keys that need a restart.
    pub restart: BTreeSet<String>,
}

impl Changes {
    /// Whether the configurations are equal.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }

    /// All keys that differ.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.live.iter().chain(&self.restart)
    }

    fn add(&mut self, effect: Effect, path: &[&str]) {
        match effect {
            Live => self.live.insert(name(path)),
            Restart => self.restart.insert(name(path)),
        };
    }
}

/// The changes from `old` to `new`, both before defaults are filled in. At most `workers` requests can be on the wire.
pub fn changes(old: &Config, new: &Config, workers: u32) -> Changes {
    let (before, after) = (leaves(old), leaves(new));
    let mut changes = Changes::default();
    let paths: BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
    for path in paths {
        if before.get(path) != after.get(path) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            changes.add(effect_of(&path, old, new, workers), &path);
        }
    }
    components(&mut changes, old, new);
    changes
}

/// The values of all keys except those of sources and sinks, by key path. Secrets have their real values, not `***`.
fn leaves(config: &Config) -> BTreeMap<Vec<String>, Value> {
    let mut leaves = BTreeMap::new();
    if let Ok(Value::Object(tables)) = serde_json::to_value(config) {
        for (table, value) in tables {
            if !matches!(table.as_str(), "sources" | "sinks") {
                flatten(vec![table], value, &mut leaves);
            }
        }
    }
    // Unset keys of patterns are not serialised, except for this one, which has a default.
    leaves.retain(|path, value| path.last().is_none_or(|key| key != "everywhere") || *value != Value::Bool(false));
    for (path, secret) in secrets(config) {
        leaves.insert(path, Value::String(secret));
    }
    leaves
}

fn flatten(path: Vec<String>, value: Value, leaves: &mut BTreeMap<Vec<String>, Value>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                flatten([path.as_slice(), &[key]].concat(), value, leaves);
            }
        }
        Value::Null => {}
        value => drop(leaves.insert(path, value)),
    }
}

/// The values that serialise as `***`, by key path.
fn secrets(config: &Config) -> Vec<(Vec<String>, String)> {
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let text = |secret: &Secret<String>| secret.expose().clone();
    let mut secrets = Vec::new();
    for (header, value) in &config.fetch.headers {
        secrets.push((path(&["fetch", "headers", header]), text(value)));
    }
    secrets.extend(config.fetch.proxy.iter().map(|proxy| (path(&["fetch", "proxy"]), text(proxy))));
    for (pattern, host) in &config.hosts {
        for (header, value) in &host.headers {
            secrets.push((path(&["hosts", pattern, "headers", header]), text(value)));
        }
        let key = host.client_key.iter().map(|key| key.expose().display().to_string());
        secrets.extend(key.map(|key| (path(&["hosts", pattern, "client_key"]), key)));
    }
    secrets
}

/// Adds the differences of sources and sinks, which need a restart. If no key differs visibly, a secret does.
fn components(changes: &mut Changes, old: &Config, new: &Config) {
    let (sources, sinks) = (old.sources != new.sources, old.sinks != new.sinks);
    let tables = |config: &Config, side: &str| {
        let mut leaves = BTreeMap::new();
        let named: Vec<(String, &str, Value)> = match side {
            "source" => {
                config.sources.iter().map(|of| (of.label().to_owned(), of.kind, of.component.table())).collect()
            }
            _ => config.sinks.iter().map(|of| (of.label().to_owned(), of.kind, of.component.table())).collect(),
        };
        for (label, kind, table) in named {
            flatten(vec![side.to_owned(), label, kind.to_owned()], table, &mut leaves);
        }
        leaves
    };
    for side in [("source", sources), ("sink", sinks)].into_iter().filter(|(_, differ)| *differ).map(|(side, _)| side) {
        let (before, after) = (tables(old, side), tables(new, side));
        let paths: BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
        let differs = |path: &&&Vec<String>| before.get(**path) != after.get(**path);
        let mut differing: Vec<_> = paths.iter().filter(differs).copied().collect();
        if differing.is_empty() {
            let is_secret = |path: &&&Vec<String>| after.get(**path).is_some_and(|value| value == "***");
            differing = paths.iter().filter(is_secret).copied().collect();
        }
        for path in differing {
            changes.add(Restart, &path.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

/// Whether a running daemon can apply the new value of a key.
fn effect_of(path: &[&str], old: &Config, new: &Config, workers: u32) -> Effect {
    let declared = match path {
        ["hosts", _, key, ..] => effect("hosts", key),
        [table, key, ..] => effect(table, key),
        // Flags like `-H` are no keys.
        _ => Restart,
    };
    match path {
        ["limits", "concurrency"] if !fits(new.limits.concurrency, workers) => Restart,
        ["fetch", "user_agent"] if new.robots.enabled && product(old) != product(new) => Restart,
        ["hosts", pattern, ..] if matches!(pattern.parse(), Ok(HostPattern::Port(..))) && is_new(pattern, old, new) => {
            Restart
        }
        _ => declared,
    }
}

/// The effect of a key according to [`EFFECTS`].
pub fn effect(table: &str, key: &str) -> Effect {
    let row = EFFECTS.iter().find(|(of, _, keys)| *of == table && (keys.is_empty() || keys.contains(&key)));
    row.map_or(Restart, |(_, effect, _)| *effect)
}

/// Whether the limit fits the workers. An adaptive limit does because its maximum does not change.
fn fits(concurrency: Concurrency, workers: u32) -> bool {
    match concurrency {
        Concurrency::Fixed(n) => (1..=workers).contains(&n),
        Concurrency::Adaptive => true,
    }
}

/// The product token that robots.txt files match (RFC 9309, section 2.2.1).
fn product(config: &Config) -> &str {
    config.fetch.user_agent.split(['/', ' ']).next().unwrap_or_default()
}

/// Whether only one configuration has the pattern, so that a port becomes a separate host or no longer is one.
fn is_new(pattern: &str, old: &Config, new: &Config) -> bool {
    old.hosts.contains_key(pattern) != new.hosts.contains_key(pattern)
}

#[cfg(test)]
mod tests {
    use super::super::{Registry, Written};
    use super::*;
    use crate::config::keys::Keys;

    fn config(text: &str) -> Config {
        let written = Written::parse("fetchd.toml".as_ref(), text, |_| None);
        assert!(written.report.is_empty(), "{}", written.report);
        written.config
    }

    fn between(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
        let changes = changes(&config(old), &config(new), 256);
        (changes.live.into_iter().collect(), changes.restart.into_iter().collect())
    }

    #[test]
    fn every_key_has_one_row_and_every_row_is_a_key() {
        let declared = |table: &str, key: &str| {
            EFFECTS.iter().filter(|(of, _, keys)| *of == table && (keys.is_empty() || keys.contains(&key))).count()
        };
        let keys = Keys::of(&Registry::default());
        for (table, key) in keys.all() {
            assert_eq!(declared(table, key), 1, "{table}.{key}");
        }
        for (table, _, names) in EFFECTS {
            for key in *names {
                assert!(keys.all().any(|known| known == (*table, *key)), "{table}.{key} is no key");
            }
        }
    }

    #[test]
    fn every_secret_of_a_section_is_compared_by_its_value() {
        let text = |secret: &str| {
            format!(
                "[fetch]\nheaders = {{ x-a = \"{secret}\" }}\nproxy = \"http://u:{secret}@127.0.0.1:3128\"\n[hosts.\"a.test\"]\nheaders = {{ authorization = \"{secret}\" }}\n"
            )
        };
        let (live, restart) = between(&text("one"), &text("two"));
        assert_eq!(live, ["fetch.headers.x-a", "hosts.\"a.test\".headers.authorization"]);
        assert_eq!(restart, ["fetch.proxy"]);
        let keys = Keys::of(&Registry::default());
        let secret: Vec<_> = keys.secrets().filter(|(table, _)| !matches!(*table, "source" | "sink")).collect();
        assert_eq!(
            secret,
            [("fetch", "headers"), ("fetch", "proxy"), ("hosts", "headers"), ("hosts", "client_key")],
            "`secrets` compares these"
        );
    }

    #[test]
    fn what_differs_is_named_as_toml_writes_it_and_what_is_written_out_is_no_difference() {
        assert_eq!(between("", "[limits]\nrate = \"unlimited\"\n"), (vec![], vec![]));
        let (live, restart) = between(
            "[hosts.\"*.a.test\"]\nrate = \"1/s\"\n[queue]\nwindow = 100\n",
            "[hosts.\"*.a.test\"]\nrate = \"2/s\"\n[queue]\nwindow = 200\n[retry]\nretries = 5\n",
        );
        assert_eq!(live, ["hosts.\"*.a.test\".rate", "retry.retries"]);
        assert_eq!(restart, ["queue.window"]);
    }

    #[test]
    fn a_source_or_a_sink_that_differs_needs_a_restart_and_so_does_one_whose_secret_does() {
        let sink = |path: &str| format!("[sink.results.jsonl]\npath = \"{path}\"\n");
        assert_eq!(between(&sink("a"), &sink("b")), (vec![], vec!["sink.results.jsonl.path".to_owned()]));
        let hook = |secret: &str| {
            format!(
                "[state]\ndata_dir = \"d\"\n[sink.hook.webhook]\nurl = \"https://a.test/\"\nsecret = \"s\"\nheaders = {{ authorization = \"{secret}\" }}\n"
            )
        };
        let (live, restart) = between(&hook("a"), &hook("b"));
        assert!(live.is_empty() && restart.iter().any(|key| key.ends_with("headers.authorization")), "{restart:?}");
    }

    #[test]
    fn limits_that_the_run_has_no_room_for_need_a_restart() {
        let limit = |n: &str| format!("[limits]\nconcurrency = {n}\n");
        let one = |key: &str| vec![key.to_owned()];
        assert_eq!(between("", &limit("3")), (one("limits.concurrency"), vec![]));
        assert_eq!(between("", &limit("\"adaptive\"")), (one("limits.concurrency"), vec![]));
        assert_eq!(between("", &limit("257")), (vec![], one("limits.concurrency")));
        let agent = |text: &str| format!("[robots]\nenabled = true\n[fetch]\nuser_agent = \"{text}\"\n");
        assert_eq!(between(&agent("a/1"), &agent("a/2")), (one("fetch.user_agent"), vec![]));
        assert_eq!(between(&agent("a/1"), &agent("b/1")), (vec![], one("fetch.user_agent")));
        let port = "[hosts.\"a.test:81\"]\nrate = \"1/s\"\n";
        assert_eq!(between("", port), (vec![], one("hosts.\"a.test:81\".rate")));
        let faster = "[hosts.\"a.test:81\"]\nrate = \"2/s\"\n";
        assert_eq!(between(port, faster), (one("hosts.\"a.test:81\".rate"), vec![]));
    }
}
