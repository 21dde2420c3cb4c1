//! What no table can know alone: bounds, and how the keys fit together.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::{Config, Report};
use crate::hosts::HostPattern;
use crate::item::{CHUNK, parse_header};
use crate::sink::SinkConfig;
use crate::source::SourceConfig;
use crate::units::{Size, Span};

/// Adds every problem of the whole to the report.
pub(super) fn check(config: &Config, report: &mut Report) {
    bounds(config, report);
    times(config, report);
    memory(config, report);
    hosts(config, report);
    headers(config, report);
    sources(config, report);
    sinks(config, report);
}

fn bounds(config: &Config, report: &mut Report) {
    let mut within = |key: &str, value: u64, low: u64, high: u64| {
        if !(low..=high).contains(&value) {
            report.add_at_key(key, format!("`{key}` is {value}; it can be from {low} to {high}"));
        }
    };
    within("queue.capacity", config.queue.capacity.into(), 1, 1 << 20);
    within("queue.window", config.queue.window.into(), 1, 1 << 24);
    within("queue.window_bytes", config.queue.window_bytes.0, 1, u32::MAX.into());
    within("limits.concurrency", config.limits.concurrency.into(), 1, 65_535);
    within("limits.hosts", config.limits.hosts.into(), 1, 1 << 24);
    within("fetch.max_redirects", config.fetch.max_redirects.into(), 0, 100);
    within("fetch.max_body", config.fetch.max_body.0, 1, 1 << 40);
    within("retry.retries", config.retry.retries.into(), 0, 100);
    // What it falls back to, `limits.concurrency`, was checked above.
    if config.fetch.workers != Some(config.limits.concurrency) {
        within("fetch.workers", config.fetch.workers.unwrap_or(1).into(), 1, 65_535);
    }
    for status in &config.retry.on_status {
        if !(300..=599).contains(status) {
            report.add_at_key(
                "retry.on_status",
                format!("`retry.on_status` has {status}; it takes statuses from 300 to 599"),
            );
        }
    }
}

fn times(config: &Config, report: &mut Report) {
    let mut positive = |key: &str, span: Span| {
        if span.0.is_zero() {
            report
                .add_at_key(key, format!("`{key}` is zero, so nothing could ever be fetched; write for example `30s`"));
        }
    };
    positive("fetch.timeout", config.fetch.timeout);
    positive("fetch.connect_timeout", config.fetch.connect_timeout);
    positive("fetch.deadline", config.fetch.deadline);
    let (dns, connect) = (config.dns.timeout.unwrap_or(Span::secs(0)), config.fetch.connect_timeout);
    if dns >= connect {
        let message = format!(
            "`dns.timeout` ({dns}) must be shorter than `fetch.connect_timeout` ({connect}), which contains it"
        );
        report.add_at_key("dns.timeout", message);
    }
    if config.retry.backoff > config.retry.max_backoff {
        let (first, most) = (config.retry.backoff, config.retry.max_backoff);
        report.add_at_key(
            "retry.backoff",
            format!("`retry.backoff` ({first}) is longer than `retry.max_backoff` ({most})"),
        );
    }
}

fn memory(config: &Config, report: &mut Report) {
    let memory = config.limits.body_memory.unwrap_or(Size::mib(256));
    let for_starts = Size(u64::from(config.limits.concurrency) * CHUNK);
    let for_bodies = Size(config.fetch.max_body.0.saturating_mul(2));
    if memory < for_starts {
        let message = format!(
            "`limits.body_memory` is {memory}, but {} requests at once need {for_starts} (64KiB each); raise it or lower `limits.concurrency`",
            config.limits.concurrency
        );
        report.add_at_key("limits.body_memory", message);
    }
    if memory < for_bodies {
        let message = format!(
            "`limits.body_memory` is {memory}, but it must be at least {for_bodies}, twice `fetch.max_body`; raise it or lower `fetch.max_body`"
        );
        report.add_at_key("limits.body_memory", message);
    }
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
        if host.concurrency == Some(0) {
            report.add_at_key(
                &format!("{key}.concurrency"),
                format!("`hosts.\"{text}\".concurrency` is 0; it can be from 1"),
            );
        }
    }
}

fn headers(config: &Config, report: &mut Report) {
    const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
    for (name, value) in &config.fetch.headers {
        let key = format!("fetch.headers.{name}");
        if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
            let message = format!(
                "`{name}` in `fetch.headers` would go to every host; put it under [hosts.\"example.com\"] as headers = {{ {name} = \"...\" }}"
            );
            report.add_at_key(&key, message);
        } else if let Err(message) = parse_header(name, value) {
            report.add_at_key(&key, message);
        }
    }
    for (pattern, host) in &config.hosts {
        for (name, value) in &host.headers {
            if let Err(message) = parse_header(name, value) {
                report.add_at_key(&format!("hosts.{pattern}.headers.{name}"), message);
            }
        }
    }
    if let Err(message) = parse_header("user-agent", &config.fetch.user_agent) {
        report.add_at_key("fetch.user_agent", message);
    }
    if let Some(message) = config.fetch.proxy.as_deref().and_then(wrong_proxy) {
        report.add_at_key("fetch.proxy", message);
    }
}

/// What is wrong with a proxy's URL; the URL itself is not shown, for it may hold a password.
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
    let mut stdins = 0;
    for source in &config.sources {
        let key = |kind: &str, key: &str| format!("source.{}.{kind}.{key}", source.name.as_deref().unwrap_or_default());
        let (place, max_line) = match &source.component {
            SourceConfig::Stdin(stdin) => {
                stdins += 1;
                (key("stdin", "max_line"), stdin.max_line)
            }
            SourceConfig::File(file) => {
                stdins += file.paths.iter().filter(|path| path.as_path() == Path::new("-")).count();
                if file.paths.is_empty() {
                    report.add_at_key(&key("file", "paths"), "a file source needs at least one path");
                }
                (key("file", "max_line"), file.max_line)
            }
        };
        if max_line.0 == 0 || max_line > config.queue.window_bytes {
            let most = config.queue.window_bytes;
            report.add_at_key(
                &place,
                format!("`max_line` is {max_line}; it can be from 1 to `queue.window_bytes` ({most})"),
            );
        }
    }
    if stdins > 1 {
        report.add_at_key("source", "standard input is read by more than one source; keep one");
    }
}

fn sinks(config: &Config, report: &mut Report) {
    if config.sinks.is_empty() && report.is_empty() {
        report.add_at_key(
            "sink",
            "there is no sink; write for example [sink.results.jsonl] with path = \"results.jsonl\"",
        );
    }
    let mut taken = HashSet::new();
    for sink in &config.sinks {
        let output = match &sink.component {
            SinkConfig::Stdout(_) => Path::new("-"),
            SinkConfig::Jsonl(jsonl) => jsonl.path.as_path(),
        };
        if !taken.insert(output) {
            let key = format!("sink.{}.jsonl.path", sink.name.as_deref().unwrap_or_default());
            report.add_at_key(&key, format!("two sinks write to `{}`; give each its own", output.display()));
        }
    }
}
