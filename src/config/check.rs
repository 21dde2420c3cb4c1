//! Cross-table validation: the bounds of numbers, and combinations of keys that contradict each other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::bounds::{MOST_AT_ONCE, bounds_of};
use super::{Config, files, tls};
use crate::diagnostics::{Report, Section};
use crate::disk::resolved;
use crate::hosts::HostPattern;
use crate::item::{CHUNK, parse_header};
use crate::pipeline::Order;
use crate::registry::Named;
use crate::sink::{SinkConfig, Target};
use crate::source::CheckContext;
use crate::units::{Concurrency, Secret, Size, Span};

/// Adds every problem of the whole to the report.
pub(super) fn check(config: &Config, most_files: u64, report: &mut Report) {
    bounds(config, report);
    times(config, report);
    time_pairs(config, report);
    memory(config, report);
    hosts(config, report);
    headers(config, report);
    tls::check(config, report);
    sources(config, report);
    sinks(config, report);
    files::check(config, most_files, report);
}

fn bounds(config: &Config, report: &mut Report) {
    let mut within = |key: &str, value: u32| {
        if let Some((low, high)) = bounds_of(key)
            && !(low..=high).contains(&value.into())
        {
            report.add_at_key(key, format!("`{key}` is {value}; it can be from {low} to {high}"));
        }
    };
    within("queue.capacity", config.queue.capacity);
    within("queue.window", config.queue.window);
    match config.limits.concurrency {
        Concurrency::Fixed(n) => within("limits.concurrency", n),
        Concurrency::Adaptive => within("limits.max_concurrency", config.limits.max_concurrency),
    }
    within("limits.hosts", config.limits.hosts);
    within("fetch.threads", config.fetch.threads);
    within("fetch.max_redirects", config.fetch.max_redirects);
    within("retry.retries", config.retry.retries);
    within("retry.max_waits", config.retry.max_waits);
    within("health.failures", config.health.failures);
    within("dns.cache", config.dns.cache);
    match config.fetch.workers {
        // It only follows: the concurrency is what is wrong.
        Some(workers) if workers == config.limits.permits() => {}
        workers => within("fetch.workers", workers.unwrap_or(1)),
    }
    for status in &config.retry.on_status {
        within("retry.on_status", (*status).into());
    }
    let mut sized = |key: &str, value: Size, most: Size| {
        if !(Size(1)..=most).contains(&value) {
            report.add_at_key(key, format!("`{key}` is {value}; it can be from 1 byte to {most}"));
        }
    };
    sized("queue.window_bytes", config.queue.window_bytes, Size::mib(4095));
    sized("robots.cache", config.robots.cache, Size::mib(1 << 20));
    for (key, max_body) in config.max_bodies() {
        sized(&key, max_body, Size(1 << 40));
    }
}

fn times(config: &Config, report: &mut Report) {
    let mut positive = |key: &str, span: Span| {
        if span.0.is_zero() {
            report.add_at_key(key, format!("`{key}` is zero, so nothing could be fetched; write for example \"5s\""));
        }
    };
    positive("fetch.timeout", config.fetch.timeout);
    positive("fetch.speed_time", config.fetch.speed_time);
    positive("fetch.connect_timeout", config.fetch.connect_timeout);
    positive("fetch.deadline", config.fetch.deadline);
    positive("health.cool_down", config.health.cool_down);
    for (key, timeout) in host_timeouts(config) {
        positive(&key, timeout);
    }
    let (dns, connect) = (config.dns.timeout.unwrap_or(Span::secs(0)), config.fetch.connect_timeout);
    if dns.0.is_zero() && !connect.0.is_zero() {
        positive("dns.timeout", dns);
    }
    let mut bounded = |key: &str, span: Span| {
        if span > Span::LONGEST {
            report.add_at_key(key, format!("`{key}` is {span}; it can be at most a year, `8760h`"));
        }
    };
    bounded("fetch.timeout", config.fetch.timeout);
    bounded("fetch.speed_time", config.fetch.speed_time);
    bounded("fetch.connect_timeout", config.fetch.connect_timeout);
    bounded("fetch.deadline", config.fetch.deadline);
    for (key, timeout) in host_timeouts(config) {
        bounded(&key, timeout);
    }
    bounded("retry.backoff", config.retry.backoff);
    bounded("retry.max_backoff", config.retry.max_backoff);
    bounded("retry.max_retry_after", config.retry.max_retry_after);
    bounded("health.cool_down", config.health.cool_down);
    bounded("health.give_up", config.health.give_up);
    bounded("robots.max_crawl_delay", config.robots.max_crawl_delay);
    bounded("shutdown.grace", config.shutdown.grace);
}

/// The time limits of hosts, by their keys.
fn host_timeouts(config: &Config) -> impl Iterator<Item = (String, Span)> {
    config.hosts.iter().filter_map(|(pattern, host)| Some((format!("hosts.{pattern}.timeout"), host.timeout?)))
}

/// Times of which one must not be longer than another.
fn time_pairs(config: &Config, report: &mut Report) {
    let (dns, connect) = (config.dns.timeout.unwrap_or(Span::secs(0)), config.fetch.connect_timeout);
    if dns >= connect && !connect.0.is_zero() {
        let message = format!(
            "`dns.timeout` is {dns}, but it must be shorter than `fetch.connect_timeout` ({connect}), of which it is a part; lower it, or leave it out"
        );
        report.add_at_keys(&["dns.timeout", "fetch.connect_timeout"], message);
    }
    let (first, most) = (config.retry.backoff, config.retry.max_backoff);
    if first > most {
        let message = format!(
            "`retry.backoff` ({first}) is longer than `retry.max_backoff` ({most}); lower it or raise the other"
        );
        report.add_at_keys(&["retry.backoff", "retry.max_backoff"], message);
    }
}

fn memory(config: &Config, report: &mut Report) {
    let memory = Size(config.body_memory());
    let concurrency = config.limits.permits();
    let for_starts = Size(u64::from(concurrency) * CHUNK);
    if memory < for_starts {
        let message = format!(
            "`limits.body_memory` is {memory}, but {concurrency} requests at once need {for_starts} (64KiB each); raise it, lower `limits.concurrency`, or leave it out"
        );
        report.add_at_keys(&["limits.body_memory", "limits.concurrency"], message);
    }
    for (key, max_body) in config.max_bodies() {
        let for_bodies = Size(max_body.0.saturating_mul(2));
        if memory < for_bodies {
            let message = format!(
                "`limits.body_memory` is {memory}, but it must be at least {for_bodies}, twice `{key}`; raise it, lower `{key}`, or leave it out"
            );
            report.add_at_keys(&["limits.body_memory", &key], message);
        }
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

fn headers(config: &Config, report: &mut Report) {
    const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
    once_each("fetch.headers", &config.fetch.headers, report);
    for (name, value) in &config.fetch.headers {
        let key = format!("fetch.headers.{name}");
        if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
            let message = format!(
                "`{name}` in `fetch.headers` would go to every host; put it under [hosts.\"example.com\"] as headers = {{ {name} = \"...\" }}"
            );
            report.add_at_key(&key, message);
        } else if let Err(message) = parse_header(name, value.expose()) {
            report.add_at_key(&key, message);
        }
    }
    for (pattern, host) in &config.hosts {
        once_each(&format!("hosts.{pattern}.headers"), &host.headers, report);
        for (name, value) in &host.headers {
            if let Err(message) = parse_header(name, value.expose()) {
                report.add_at_key(&format!("hosts.{pattern}.headers.{name}"), message);
            }
        }
    }
    if let Err(message) = parse_header("user-agent", &config.fetch.user_agent) {
        report.add_at_key("fetch.user_agent", message);
    }
    if let Some(message) = config.fetch.proxy.as_ref().and_then(|proxy| wrong_proxy(proxy.expose())) {
        report.add_at_key("fetch.proxy", message);
    }
}

/// Header names do not differ by case, so which of two would win is not for chance to say.
fn once_each(table: &str, headers: &BTreeMap<String, Secret<String>>, report: &mut Report) {
    let mut seen = HashSet::new();
    for name in headers.keys().filter(|name| !seen.insert(name.to_ascii_lowercase())) {
        report
            .add_at_key(&format!("{table}.{name}"), format!("the header `{name}` is given twice; keep one of the two"));
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
    let context = CheckContext { window_bytes: config.queue.window_bytes, data_dir: config.state.data_dir.as_deref() };
    for source in &config.sources {
        let table = format!("source.{}.{}", source.label(), source.kind);
        source.component.check(&context, &mut Section::new(table.clone(), report));
        if config.output.order == Order::Input && source.component.releases() {
            let message = format!(
                "[{table}] can take lines back without a record, so records cannot have the order of the input; leave `output.order` at \"completion\""
            );
            report.add_at_key("output.order", message);
        }
    }
    let stdins: usize = config.sources.iter().map(|source| source.component.inputs().stdin).sum();
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
        let (target, key) = match sink.component.target() {
            Target::Stdout => (PathBuf::from("-"), table),
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

/// The numbered files of a sink that rotates can have the path of another sink's file.
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

/// A sink in the data directory would write records into the checkpoint or a journal.
fn own_file(target: Target<'_>, config: &Config) -> String {
    let other = config.state.data_dir.iter().map(|dir| dir.join("results.jsonl")).next().unwrap_or_default();
    let Target::File(path) = target else { return String::new() };
    let (path, other) = (path.display(), other.display());
    format!("`{path}` is a file of the data directory's own; write the results to another, for example \"{other}\"")
}
