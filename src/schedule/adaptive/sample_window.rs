//! A window of latency samples under one limit, and the comparison of two windows.

/// A limit, and the latency under it.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) struct SampleWindow {
    pub limit: f64,
    /// The mean time to first byte, in seconds.
    pub mean: f64,
    /// The standard error of the mean, as a share of it.
    pub doubt: f64,
}

impl SampleWindow {
    /// Summarises times in seconds. It uses the mean, because the mean grows with the queue (Little's law), and caps
    /// outliers at three times the median.
    pub fn of(limit: f64, times: &mut [f64]) -> Self {
        let (count, middle) = (times.len() as f64, times.len() / 2);
        let most = 3.0 * *times.select_nth_unstable_by(middle, f64::total_cmp).1;
        let mean = (times.iter().map(|time| time.min(most)).sum::<f64>() / count).max(1e-9);
        let variance = times.iter().map(|time| (time.min(most) - mean).powi(2)).sum::<f64>() / count;
        Self { limit, mean, doubt: (variance / count).sqrt() / mean }
    }
}

/// Whether the time to first byte hardly fell under much less load.
pub(in crate::schedule) fn cuts_were_in_vain(before: SampleWindow, now: SampleWindow) -> bool {
    let load = now.limit / before.limit;
    load <= 0.3 && now.mean > before.mean * (1.0 + load) / 2.0
}
