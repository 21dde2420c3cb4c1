//! A quota as servers have them: so many requests in a window, which begins with the first one after the last window.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// See the module.
#[derive(Default)]
pub struct Quota {
    window: Option<Window>,
}

struct Window {
    ends: Instant,
    used: u32,
}

/// How far the server's clock is from ours.
#[derive(Clone, Copy)]
pub enum Clock {
    Slow(Duration),
    Fast(Duration),
}

impl Quota {
    /// Counts a request: its status, and what the headers say.
    pub fn take(&mut self, most: u32, length: Duration, clock: Clock) -> (u32, String) {
        let now = Instant::now();
        let window = match &mut self.window {
            Some(window) if window.ends > now => window,
            window => window.insert(Window { ends: now + length, used: 0 }),
        };
        window.used += 1;
        let there = match clock {
            Clock::Slow(by) => SystemTime::now() - by,
            Clock::Fast(by) => SystemTime::now() + by,
        };
        let resets = (there + (window.ends - now)).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let headers = format!(
            "date: {}\r\nx-ratelimit-limit: {most}\r\nx-ratelimit-remaining: {}\r\nx-ratelimit-reset: {resets}\r\n",
            httpdate::fmt_http_date(there),
            most.saturating_sub(window.used),
        );
        (if window.used <= most { 200 } else { 429 }, headers)
    }
}
