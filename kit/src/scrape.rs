//! Metrics whose values are read when Prometheus asks for them: nothing to keep in step, nothing left behind.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Names and values of labels. Values are not escaped on the page: [`label`] makes them harmless.
pub type Labels = Vec<(&'static str, String)>;

/// What the values of a family do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They go up and down.
    Gauge,
    /// They only grow; `_total` is added to the name.
    Counter,
}

/// All series of one name, as they are now.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name, without `_total`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// Value by labels; none when there is nothing to say.
    pub samples: Vec<(Labels, f64)>,
}

impl Family {
    /// A gauge without series.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        let (kind, samples) = (Kind::Gauge, Vec::new());
        Self {
            name,
            help,
            kind,
            samples,
        }
    }

    /// A counter without series.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            kind: Kind::Counter,
            ..Self::gauge(name, help)
        }
    }

    /// Adds a series.
    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        let labels = labels.map(|(name, value)| (name, label(value)));
        self.samples.push((labels.into(), value));
    }

    /// With one more series.
    #[must_use]
    pub fn with<const N: usize>(mut self, labels: [(&'static str, &str); N], value: f64) -> Self {
        self.add(labels, value);
        self
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.samples.is_empty() {
            return Ok(());
        }
        let kind = match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (labels, value) in &self.samples {
            if labels.is_empty() {
                self.kind.encode(&mut metric, value)?;
            } else {
                self.kind.encode(&mut metric.encode_family(labels)?, value)?;
            }
        }
        Ok(())
    }
}

impl Kind {
    fn encode(self, metric: &mut MetricEncoder<'_>, value: &f64) -> fmt::Result {
        match self {
            Self::Gauge => metric.encode_gauge(value),
            Self::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(value, None),
        }
    }
}

/// Tells the families of now, at each scrape.
pub struct Scraped<F>(pub F);

impl<F> fmt::Debug for Scraped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scraped")
    }
}

impl<F: Fn() -> Vec<Family> + Send + Sync + 'static> Collector for Scraped<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)()
            .iter()
            .try_for_each(|family| family.encode(&mut encoder))
    }
}

/// Longest value of a label, in characters.
const LABEL_MAX: usize = 200;

/// A label's value that cannot break the page: what would is replaced.
#[must_use]
pub fn label(value: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() || c == '"' || c == '\\' {
            '_'
        } else {
            c
        }
    };
    value.chars().take(LABEL_MAX).map(harmless).collect()
}

/// A count as a sample's value; exact up to 2^53.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
pub fn value(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode_registry;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn families_are_told_as_they_are_now_and_cannot_break_the_page() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scraped(|| {
            vec![
                Family::gauge("left_seconds", "Left to live.").with([], 1.5),
                Family::counter("sent_bytes", "Sent.").with([("device", "a\"} 1\nforged 1")], 7.0),
                Family::gauge("nothing", "Has no series."),
            ]
        })));
        let mut page = String::new();
        encode_registry(&mut page, &registry).unwrap();
        assert_eq!(
            page,
            "# HELP left_seconds Left to live.\n# TYPE left_seconds gauge\nleft_seconds 1.5\n\
             # HELP sent_bytes Sent.\n# TYPE sent_bytes counter\nsent_bytes_total{device=\"a_} 1_forged 1\"} 7.0\n"
        );
    }
}
