//! What a body says about metrics: only what is not known yet is kept of it.
//!
//! Remote write 1.0 names the metric family. In 2.0 the metadata stands with each series, whose name has the suffix of its
//! part (`_bucket`, `_sum`, `_count`) where the family is a classic histogram or a summary: the suffix goes, so that both say the
//! same of one family.
//!
//! What is new is stored at once. What contradicts an entry that is known is taken from one body a minute: where two targets
//! disagree, each of their bodies would have the metadata written anew. Senders repeat it, so a change comes a minute
//! later at most.

use std::collections::HashMap;

use parking_lot::Mutex;
use tsdb_engine::{Engine, METADATA_BYTES_MAX, MetadataSnapshot, MetricKind, MetricMetadata};

use super::decode::RawMetadata;

/// Milliseconds between bodies whose changes are taken.
const CHANGES_APART_MS: i64 = 60_000;

/// When a body last changed what was known.
#[derive(Debug, Default)]
pub(crate) struct MetadataChanges {
    last_ms: Mutex<Option<i64>>,
}

impl MetadataChanges {
    /// Whether changes are taken at this time; then they are not for a while.
    fn take(&self, now_ms: i64) -> bool {
        let mut last_ms = self.last_ms.lock();
        // A clock that was set back does not hold them up for longer.
        let is_due = last_ms.is_none_or(|last_ms| now_ms.abs_diff(last_ms) >= CHANGES_APART_MS as u64);
        if is_due {
            *last_ms = Some(now_ms);
        }
        is_due
    }
}

/// The metadata of one body.
pub(super) struct MetadataBatch {
    known: MetadataSnapshot,
    /// What is not known, or known otherwise.
    news: HashMap<String, MetricMetadata>,
    /// Bytes of the texts in `news`.
    bytes: usize,
    is_empty: bool,
    left_out: u64,
}

impl MetadataBatch {
    pub(super) fn new(known: MetadataSnapshot) -> Self {
        Self { known, news: HashMap::new(), bytes: 0, is_empty: true, left_out: 0 }
    }

    /// The last that is said of a metric counts.
    pub(super) fn add(&mut self, raw: RawMetadata<'_>) {
        self.is_empty = false;
        let kind = u8::try_from(raw.kind).ok().and_then(|kind| MetricKind::try_from(kind).ok());
        let kind = kind.unwrap_or_default();
        let family = if raw.is_of_series { family(raw.metric, kind) } else { raw.metric };
        let is_same =
            |about: &MetricMetadata| about.kind == kind && about.help == raw.help && about.unit == raw.unit;
        let is_known = match self.news.get(family) {
            Some(news) => is_same(news),
            None => self.known.get(family).is_some_and(is_same),
        };
        if is_known {
            return;
        }
        // What cannot be stored is not copied either.
        self.bytes = self.bytes.saturating_add(family.len() + raw.help.len() + raw.unit.len());
        if self.bytes > METADATA_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        let about = MetricMetadata { kind, help: raw.help.to_owned(), unit: raw.unit.to_owned() };
        self.news.insert(family.to_owned(), about);
    }

    /// Stores what is new, durably. Gives how much was left out.
    pub(super) fn store(
        self,
        engine: &Engine,
        changes: &MetadataChanges,
        now_ms: i64,
    ) -> tsdb_engine::Result<u64> {
        let Self { known, mut news, is_empty, mut left_out, .. } = self;
        if is_empty {
            return Ok(0);
        }
        let is_change = |metric: &str| known.contains_key(metric);
        if news.keys().any(|metric| is_change(metric)) && !changes.take(now_ms) {
            let before = news.len();
            news.retain(|metric, _| !is_change(metric));
            left_out += (before - news.len()) as u64;
        }
        // Nobody else has it any more, so it is changed in place.
        drop(known);
        // Also when nothing is new: what is known may be on its way to the disk.
        Ok(left_out + engine.set_metadata(news)?.left_out)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_taken_once_a_minute() {
        let changes = MetadataChanges::default();
        let taken = [0, 1, 59_999, 60_000, 60_001, 120_000, 0].map(|now_ms| changes.take(now_ms));
        assert_eq!(taken, [true, false, false, true, false, true, true]);
    }

    #[test]
    fn no_more_is_copied_than_can_be_stored() {
        let mut batch = MetadataBatch::new(MetadataSnapshot::default());
        let help = "x".repeat(1 << 20);
        for i in 0..20 {
            let metric = format!("metric_{i}");
            batch.add(RawMetadata { metric: &metric, is_of_series: false, kind: 1, help: &help, unit: "" });
        }
        assert_eq!((batch.news.len(), batch.left_out), (7, 13));
    }

    #[test]
    fn suffixes_of_series_go_where_the_family_has_parts() {
        for (metric, kind, expected) in [
            ("size_bucket", MetricKind::Histogram, "size"),
            ("size_count", MetricKind::Summary, "size"),
            ("size_bucket", MetricKind::Summary, "size_bucket"),
            ("requests_total", MetricKind::Counter, "requests_total"),
            ("page_count", MetricKind::Gauge, "page_count"),
            ("_sum", MetricKind::Summary, "_sum"),
        ] {
            assert_eq!(family(metric, kind), expected);
        }
    }
}
