//! Metrics in the text format of Prometheus (0.0.4). Each scrape makes a new [`text`] of the current values
//! ([`Metered`]).

mod families;
mod metered;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use families::{FAMILIES, Family, Kind, Sample, Value};
pub use metered::{ApiRequests, DiskFree, DiskPlace, Metered, Reloads};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Encodes all metrics.
pub fn text(metered: Metered) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metered));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Collector for Metered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        FAMILIES.iter().try_for_each(|family| family.encode(self, &mut encoder))
    }
}

impl Family {
    fn encode(&self, metered: &Metered, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, kind) = match self.kind {
            // The crate appends `_total`.
            Kind::Counter => (self.name.strip_suffix("_total").unwrap_or(self.name), MetricType::Counter),
            Kind::Gauge => (self.name, MetricType::Gauge),
            Kind::Histogram => (self.name, MetricType::Histogram),
        };
        let mut encoder = encoder.encode_descriptor(name, self.help, None, kind)?;
        for Sample { labels, value } in (self.samples)(metered) {
            let labels: Vec<_> = self.labels.iter().copied().zip(labels).collect();
            value.encode(self.kind, encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, kind: Kind, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        const SECOND: f64 = 1e6;
        match (self, kind) {
            (Self::Integer(value), Kind::Counter) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
            (Self::Float(value), Kind::Counter) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
            (Self::Integer(value), _) => encoder.encode_gauge(value),
            (Self::Float(value), _) => encoder.encode_gauge(value),
            (Self::Durations(times), _) => {
                let bounds = times.bounds.iter().map(|bound| *bound as f64 / SECOND);
                let buckets: Vec<_> = bounds.zip(times.counts.iter().copied()).collect();
                let (sum, count) = (times.sum as f64 / SECOND, times.count());
                encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
        }
    }
}
