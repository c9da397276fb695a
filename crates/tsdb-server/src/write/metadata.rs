//! What a body says about metrics: only what is not known yet is kept of it.
//!
//! Remote write 1.0 names the metric family. In 2.0 the metadata stands with each series, whose name has the suffix of its
//! part (`_bucket`, `_sum`, `_count`) where the family is a classic histogram or a summary: the suffix goes, so that both say the
//! same of one family.

use std::collections::HashMap;

use tsdb_engine::{Engine, MetadataSnapshot, MetricKind, MetricMetadata};

use super::decode::RawMetadata;

/// The metadata of one body.
pub(super) struct MetadataBatch {
    known: MetadataSnapshot,
    news: HashMap<String, MetricMetadata>,
}

impl MetadataBatch {
    pub(super) fn new(known: MetadataSnapshot) -> Self {
        Self { known, news: HashMap::new() }
    }

    /// The last that is said of a metric counts.
    pub(super) fn add(&mut self, raw: RawMetadata<'_>) {
        let kind = u8::try_from(raw.kind).ok().and_then(|kind| MetricKind::try_from(kind).ok());
        let kind = kind.unwrap_or_default();
        let family = family(raw.metric, kind);
        let is_same =
            |about: &MetricMetadata| about.kind == kind && about.help == raw.help && about.unit == raw.unit;
        let is_known = match self.news.get(family) {
            Some(news) => is_same(news),
            None => self.known.get(family).is_some_and(is_same),
        };
        if !is_known {
            let about = MetricMetadata { kind, help: raw.help.to_owned(), unit: raw.unit.to_owned() };
            self.news.insert(family.to_owned(), about);
        }
    }

    /// Stores what is new, durably. Gives how much was left out.
    pub(super) fn store(self, engine: &Engine) -> tsdb_engine::Result<u64> {
        if self.news.is_empty() {
            return Ok(0);
        }
        Ok(engine.set_metadata(self.news)?.left_out)
    }
}

/// The name of the family of a series.
fn family(metric: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        MetricKind::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    let family = suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix));
    family.filter(|family| !family.is_empty()).unwrap_or(metric)
}
