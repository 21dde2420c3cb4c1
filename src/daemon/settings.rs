//! Makes the settings of the HTTP client, the pipeline and the schedule from a checked configuration.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::{ANY_HOST_CONCURRENCY, ANY_HOST_MAX_CONCURRENCY, Config};
use crate::error::BoxError;
use crate::fetch::{
    ConfiguredHeaders, Guard, HeaderTable, HostTls, Http, HttpSettings, IdentityFiles, Resolver, Verify,
};
use crate::hosts::{HostPattern, Patterns, host_name};
use crate::item::{BodyNeed, CHUNK, ResponseRules, Revalidation, is_credential, parse};
use crate::pipeline::{FailFast, FirstHost, Settings};
use crate::schedule::{
    self, HealthPolicy, HostConfig, HostLimits, HostRule, LongPause, QuotaPolicy, RetryPolicy, TokenRule, TokenSettings,
};
use crate::units::Concurrency;

/// The HTTP client of a checked configuration.
pub(crate) fn http(config: &Config) -> Result<Http, BoxError> {
    let (guard, resolver) = ways(config);
    Http::new(&config.fetch, http_settings(config)?, guard, &resolver)
}

/// The client after a reload that keeps the connections.
pub(super) fn http_with_headers(before: &Http, config: &Config) -> Result<Http, BoxError> {
    before.with_headers(&config.fetch, headers(config)?)
}

/// The client after a reload that needs new connections.
pub(super) fn http_with_new_connections(before: &Http, config: &Config) -> Result<Http, BoxError> {
    let (guard, resolver) = ways(config);
    before.with_new_connections(&config.fetch, http_settings(config)?, guard, &resolver)
}

/// The guard of addresses, and the resolver.
fn ways(config: &Config) -> (Arc<Guard>, Resolver) {
    let guard = Arc::new(Guard::new(&config.network));
    let proxy_host = config
        .fetch
        .proxy
        .as_ref()
        .and_then(|proxy| Url::parse(proxy.expose()).ok())
        .and_then(|url| url.host_str().map(str::to_owned));
    if proxy_host.is_some() {
        tracing::info!(
            "requests go through a proxy, which resolves host names; only literal addresses are checked (fetch.proxy)"
        );
    }
    // With jitter, the shortest back-off is half of the configured one.
    let first_retry = config.retry.backoff.0 / 2;
    let connect_timeout = config.fetch.connect_timeout.0;
    let resolver = Resolver::new(&config.dns, Arc::clone(&guard), proxy_host.as_deref(), first_retry, connect_timeout);
    (guard, resolver)
}

fn http_settings(config: &Config) -> Result<HttpSettings, BoxError> {
    Ok(HttpSettings {
        headers: headers(config)?,
        tls: config.tls.clone(),
        hosts: host_tls(config),
        needs: config.needs(),
        idle_per_host: widest_host(config) as usize,
        // As many hosts as can have lines at once.
        session_hosts: config.limits.hosts.min(config.queue.window) as usize,
    })
}

/// The headers of requests.
fn headers(config: &Config) -> Result<HeaderTable, BoxError> {
    let headers = |(text, host): (&String, &HostConfig)| {
        let (values, templates) = (host.headers.clone(), config.file_values.headers_of(text));
        Some(ConfiguredHeaders { pattern: text.parse().ok()?, values, templates })
    };
    let hosts = config.hosts.iter().filter_map(headers).collect();
    Ok(HeaderTable::new(&config.fetch, hosts, config.file_values.token_files(), &config.headers)?)
}

/// The TLS settings of `[hosts]`.
fn host_tls(config: &Config) -> Vec<(HostPattern, HostTls)> {
    let of = |host: &HostConfig| HostTls {
        verify: host.insecure.map(|insecure| if insecure { Verify::No } else { Verify::Yes }),
        identity: host.client_cert.clone().zip(host.client_key.clone()).map(|(cert, key)| IdentityFiles { cert, key }),
    };
    config.hosts.iter().filter_map(|(text, host)| Some((text.parse().ok()?, of(host)))).collect()
}

/// The highest concurrency limit of any host.
pub(super) fn widest_host(config: &Config) -> u32 {
    let widths = config.hosts.values().filter_map(|host| match host.concurrency? {
        Concurrency::Fixed(n) => Some(n),
        Concurrency::Adaptive => Some(host.max_concurrency.unwrap_or(ANY_HOST_MAX_CONCURRENCY)),
    });
    widths.max().unwrap_or(1)
}

/// The pipeline's settings for a checked configuration.
pub(crate) fn settings(config: &Config) -> Settings {
    let concurrency = config.limits.permits() as usize;
    Settings {
        queue: config.queue.capacity as usize,
        window: config.queue.window as usize,
        window_bytes: usize::try_from(config.queue.window_bytes.0).unwrap_or(usize::MAX),
        workers: config.fetch.workers.map_or(concurrency, |workers| workers as usize),
        concurrency,
        body_memory: config.body_memory(),
        largest_body: config.largest_body(),
        revalidation: if config.fetch.revalidate { Revalidation::On } else { Revalidation::Off },
        first_host: first_host(config),
        order: config.output.order,
        fail_fast: if config.output.fail_fast { FailFast::Yes } else { FailFast::No },
        grace: config.shutdown.grace.0,
        schedule: schedule_settings(config),
    }
}

/// The host that gets the credentials of `-H`. Files that are read to their ends still have the first line in a later
/// run.
fn first_host(config: &Config) -> FirstHost {
    if !config.headers.keys().any(|name| is_credential(name)) {
        return FirstHost::Unneeded;
    }
    if let Some(url) = config.sources.first().and_then(|first| first.component.first_url()) {
        return FirstHost::known(Some(host_name(&url).to_owned()));
    }
    match config.sources.first() {
        Some(first) if first.component.is_batch() => {
            let first = first.component.inputs().files.into_iter().next();
            FirstHost::known(first.and_then(|path| host_of_first_line(&path)))
        }
        _ if config.sources.len() == 1 || config.state.data_dir.is_none() => FirstHost::Next,
        // The source of the first line differs from run to run.
        _ => FirstHost::known(None),
    }
}

/// The host of the first valid request in a file.
fn host_of_first_line(path: &Path) -> Option<String> {
    const MOST: u64 = 16 << 20;
    let lines = BufReader::new(File::open(path).ok()?.take(MOST)).split(b'\n');
    let request = |(number, line): (usize, Vec<u8>)| {
        let bom = if number == 0 { "\u{feff}" } else { "" };
        parse(line.strip_prefix(bom.as_bytes()).unwrap_or(&line).trim_ascii_end()).1.ok()
    };
    let request = lines.map_while(Result::ok).enumerate().find_map(request)?;
    Some(host_name(&request.url).to_owned())
}

/// The URL of the last line of the input, if it is a request in the only file of a batch.
fn last_line(config: &Config) -> Option<Url> {
    const MOST: u64 = 64 << 10;
    let [source] = config.sources.as_slice() else { return None };
    let path = source.component.inputs().files.pop().filter(|_| source.component.is_batch())?;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(|metadata| metadata.is_file())?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST))).ok()?;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).ok()?;
    let mut lines = text.rsplit(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let last = lines.find(|line| !line.is_empty())?;
    Some(parse(last).1.ok()?.url)
}

fn schedule_settings(config: &Config) -> schedule::Settings {
    let concurrency = config.limits.permits();
    schedule::Settings {
        every: config.limits.rate.every(),
        hosts: config.hosts.iter().filter_map(|(text, host)| Some((text.parse().ok()?, rule(host)))).collect(),
        responses: config
            .hosts
            .iter()
            .map(|(text, host)| (text, response_rules(host)))
            .filter(|(_, rules)| *rules != ResponseRules::default())
            .filter_map(|(text, rules)| Some((text.parse().ok()?, rules)))
            .collect(),
        tokens: tokens(config),
        any_host: any_host(config),
        adaptive: (config.limits.concurrency == Concurrency::Adaptive).then_some(concurrency),
        permits: concurrency,
        workers: config.fetch.workers.unwrap_or(concurrency),
        last_line: last_line(config),
        max_hosts: config.limits.hosts as usize,
        retry: RetryPolicy::from(&config.retry),
        budget: config.retry.budget(),
        host_budget: config.retry.host_budget(),
        health: HealthPolicy::from(&config.health),
        robots: config.robots.policy(&config.fetch.user_agent),
        timeout: config.fetch.timeout.0,
        min_speed: config.fetch.min_speed.0,
        max_body: config.fetch.max_body.0,
        connect_timeout: config.fetch.connect_timeout.0,
        deadline: config.fetch.deadline.0,
        max_redirects: config.fetch.max_redirects,
        idle_connections: config.fetch.idle_connections.unwrap_or(concurrency) as usize,
        largest_body: if config.needs().body == BodyNeed::Decoded { config.largest_body() } else { CHUNK },
        durable: Vec::new(),
        in_order: false,
        seed: fastrand::u64(..),
    }
}

/// The settings of tokens in files.
fn tokens(config: &Config) -> TokenSettings {
    let files = config.file_values.token_files();
    let rule = |(text, host): (&String, &HostConfig)| {
        let templates = config.file_values.headers_of(text);
        let number = |path: &Path| files.iter().position(|file| file == path);
        let files_of = |name: &String| -> Vec<usize> {
            templates.get(name).iter().flat_map(|of| of.files()).filter_map(|(path, _)| number(path)).collect()
        };
        let headers = host.headers.keys().filter_map(|name| Some((name.parse().ok()?, files_of(name)))).collect();
        Some((text.parse().ok()?, TokenRule { refresh_on: host.refresh_on.clone(), headers }))
    };
    let rules = if files.is_empty() { Patterns::default() } else { config.hosts.iter().filter_map(rule).collect() };
    TokenSettings { rules, files: files.iter().map(|file| file.display().to_string()).collect() }
}

/// The rules of one pattern for the responses of its hosts.
fn response_rules(host: &HostConfig) -> ResponseRules {
    ResponseRules {
        timeout: host.timeout.map(|timeout| timeout.0),
        min_speed: host.min_speed.map(|speed| speed.0),
        max_body: host.max_body.map(|size| size.0),
    }
}

/// The limits of one pattern for its hosts.
fn rule(host: &HostConfig) -> HostRule {
    HostRule {
        concurrency: host.concurrency,
        max_concurrency: host.max_concurrency,
        every: host.rate.map(crate::units::Rate::every),
        quota: host.quota,
    }
}

/// The limits of hosts that only the pattern `*` matches.
fn any_host(config: &Config) -> HostLimits {
    let any = config.hosts.get("*");
    let ends_by_itself = config.sources.iter().all(|source| source.component.is_batch());
    HostLimits {
        concurrency: any.and_then(|host| host.concurrency).unwrap_or(ANY_HOST_CONCURRENCY),
        max_concurrency: any.and_then(|host| host.max_concurrency).unwrap_or(ANY_HOST_MAX_CONCURRENCY),
        every: Duration::ZERO,
        quota: QuotaPolicy::Obey,
        long_pause: if ends_by_itself { LongPause::End } else { LongPause::Wait },
    }
}
