//! Look-ups over all tiers: series, label names and label values, without samples in the answer.
//!
//! Head and blocks answer from their indexes. Cold files have no index yet and are read through.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_hot::HotSource;

use crate::Engine;
use crate::error::Result;
use crate::select::sources;

impl Engine {
    /// The label sets of the series that satisfy all `matchers` (an empty list is every series) and have a sample in
    /// `range`, both ends inclusive, in label order.
    ///
    /// # Errors
    /// A damaged block or cold file, or a store that cannot be read.
    pub async fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        let hot = |source: &HotSource| source.series(matchers, range).map(BTreeSet::from_iter);
        self.look_up(matchers, range, hot, |labels, found| _ = found.insert(labels.clone())).await
    }

    /// The label names of the series that [`series`](Self::series) would give, sorted by bytes.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub async fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        let hot = |source: &HotSource| source.label_names(matchers, range);
        let cold = |labels: &Labels, found: &mut BTreeSet<String>| {
            for (name, _) in labels {
                insert(found, name);
            }
        };
        self.look_up(matchers, range, hot, cold).await
    }

    /// The values that label `name` has in the series that [`series`](Self::series) would give, sorted by bytes; none for
    /// an unknown name.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub async fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let hot = |source: &HotSource| source.label_values(name, matchers, range);
        let cold = |labels: &Labels, found: &mut BTreeSet<String>| {
            if let Some(value) = labels.get(name) {
                insert(found, value);
            }
        };
        self.look_up(matchers, range, hot, cold).await
    }

    /// Joins what `hot` finds in each source of the hot tier with what `cold` takes from each series of a cold file.
    async fn look_up<T: Ord>(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hot: impl Fn(&HotSource) -> tsdb_hot::Result<BTreeSet<T>>,
        cold: impl Fn(&Labels, &mut BTreeSet<T>),
    ) -> Result<Vec<T>> {
        let mut found = BTreeSet::new();
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let sources = sources(self.store(), &Arc::from(matchers), range);
        for source in sources.hot {
            found.append(&mut hot(&source)?);
        }
        for mut source in sources.cold {
            while let Some(series) = source.series.try_next().await? {
                if !series.samples.is_empty() {
                    cold(&series.labels, &mut found);
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

fn insert(found: &mut BTreeSet<String>, text: &str) {
    if !found.contains(text) {
        found.insert(text.to_owned());
    }
}
