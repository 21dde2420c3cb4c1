//! From where to where the whole number of a key can be.

/// As many as there are ports.
pub(super) const MOST_AT_ONCE: u32 = 65_535;

/// The bounds of a key that has any.
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
        _ => return None,
    })
}
