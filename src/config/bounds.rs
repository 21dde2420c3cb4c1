//! Checks the ranges of numbers, sizes and times, and the order of pairs of them.

use super::Config;
use crate::diagnostics::Report;
use crate::item::CHUNK;
use crate::schedule::HostConfig;
use crate::units::{Concurrency, Size, Span};

/// The number of ports.
pub(super) const MOST_AT_ONCE: u32 = 65_535;

/// The range of a numeric key, if it is limited.
pub(super) fn bounds_of(key: &str) -> Option<(u64, u64)> {
    Some(match key {
        "queue.capacity" => (1, 1 << 20),
        "queue.window" => (1, 1 << 24),
        "limits.concurrency" | "limits.max_concurrency" => (1, MOST_AT_ONCE.into()),
        "health.failures" => (1, 1_000_000),
        "limits.hosts" => (1, 1 << 24),
        "fetch.workers" => (1, 65_535),
        "fetch.threads" => (1, 1024),
        "fetch.max_redirects" => (0, 100),
        "retry.retries" => (0, 100),
        "retry.max_waits" => (0, 1000),
        "dns.cache" => (0, 1 << 20),
        "retry.on_status" => (300, 599),
        key if key.starts_with("hosts.") && key.ends_with(".refresh_on") => (400, 599),
        _ => return None,
    })
}

/// Adds every value that is out of range to the report.
pub(super) fn check(config: &Config, report: &mut Report) {
    whole_numbers_and_sizes(config, report);
    times(config, report);
    time_pairs(config, report);
    memory(config, report);
}

fn whole_numbers_and_sizes(config: &Config, report: &mut Report) {
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
        // The value follows from the concurrency, which is reported.
        Some(workers) if workers == config.limits.permits() => {}
        workers => within("fetch.workers", workers.unwrap_or(1)),
    }
    for (key, status) in statuses(config) {
        within(&key, status.into());
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

/// The elements of keys that are lists of statuses.
fn statuses(config: &Config) -> impl Iterator<Item = (String, u16)> {
    let of_host = |(pattern, host): (&String, &HostConfig)| {
        let key = format!("hosts.{pattern}.refresh_on");
        host.refresh_on.iter().flatten().map(|status| (key.clone(), *status)).collect::<Vec<_>>()
    };
    let retried = config.retry.on_status.iter().map(|status| ("retry.on_status".to_owned(), *status));
    retried.chain(config.hosts.iter().flat_map(of_host))
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
    bounded("retry.refresh_wait", config.retry.refresh_wait);
    bounded("health.cool_down", config.health.cool_down);
    bounded("health.give_up", config.health.give_up);
    bounded("robots.max_crawl_delay", config.robots.max_crawl_delay);
    bounded("shutdown.grace", config.shutdown.grace);
}

/// The timeouts of hosts with their keys.
fn host_timeouts(config: &Config) -> impl Iterator<Item = (String, Span)> {
    config.hosts.iter().filter_map(|(pattern, host)| Some((format!("hosts.{pattern}.timeout"), host.timeout?)))
}

/// Checks pairs of times of which one must not be longer than the other.
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
