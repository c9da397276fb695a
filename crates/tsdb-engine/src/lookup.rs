//! Look-ups over all tiers: series, label names and label values, without samples in the answer.
//!
//! Head, blocks and cold files answer from their indexes. Samples are decoded only where an index does not tell whether a
//! series has one in the range, and where a delete may have left none.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_cold::{SeriesSource, merge_series};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_hot::HotSource;

use crate::Engine;
use crate::error::{Error, Result};
use crate::select::{SeriesStream, Tiers, as_seen};

impl Engine {
    /// The label sets of the series that satisfy all `matchers` (an empty list is every series) and have a sample in
    /// `range`, both ends inclusive, in label order.
    ///
    /// # Errors
    /// A damaged block or cold file, or a store that cannot be read.
    pub async fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        self.series_stream(matchers, range).try_collect().await
    }

    /// As [`series`](Self::series), one after another: whoever stops early has not paid for the rest.
    ///
    /// # Errors
    /// As there; the stream ends at its first error.
    pub fn series_stream(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> BoxStream<'static, Result<Labels>> {
        self.series_without_samples(matchers, range).map_ok(|series| series.labels).boxed()
    }

    /// The number of distinct series over all tiers. Labels are looked up for it, and no samples but where a delete
    /// may have left none; of a store whose series all lie in one cold file not even these.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub async fn count_series(&self) -> Result<u64> {
        let tiers = Tiers::of(self.store(), TimeRange::ALL);
        if tiers.hot.is_empty()
            && let Some(count) = tiers.cold.known_series_count()
        {
            return Ok(count);
        }
        let all = self.series_without_samples(&[], TimeRange::ALL);
        all.try_fold(0, |count, _| ready(Ok(count + 1))).await
    }

    /// The label names of the series that [`series`](Self::series) would give, sorted by bytes.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub async fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let tiers = Tiers::of(self.store(), range);
        let cold = tiers.cold.label_names(&Arc::from(matchers), range).await;
        self.joined(&tiers.hot, cold, |source| source.label_names(matchers, range))
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
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let tiers = Tiers::of(self.store(), range);
        let cold = tiers.cold.label_values(name, &Arc::from(matchers), range).await;
        self.joined(&tiers.hot, cold, |source| source.label_values(name, matchers, range))
    }

    /// What was found in the cold tier, with what `look_up` finds in each source of the hot one.
    fn joined(
        &self,
        hot: &[HotSource],
        cold: tsdb_cold::Result<BTreeSet<String>>,
        look_up: impl Fn(&HotSource) -> tsdb_hot::Result<BTreeSet<String>>,
    ) -> Result<Vec<String>> {
        let mut found = cold.map_err(|error| match self.is_read_only() {
            true => Error::from(error).seen_read_only(),
            false => error.into(),
        })?;
        for source in hot {
            found.append(&mut look_up(source)?);
        }
        Ok(found.into_iter().collect())
    }

    /// The series that match and have a sample in `range`, in label order.
    fn series_without_samples(&self, matchers: &[Matcher], range: TimeRange) -> SeriesStream {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let Tiers { hot, cold } = Tiers::of(self.store(), range);
        let cold = cold.series_labels(&Arc::from(matchers), range);
        let is_read_only = self.is_read_only();
        let mut sources: Vec<_> = cold.into_iter().map(|source| as_seen(source, is_read_only)).collect();
        for source in hot {
            let series = match source.series(matchers, range) {
                Ok(all) => {
                    let bare = |labels| Ok(Series { labels, samples: SampleBuffer::default() });
                    stream::iter(all.into_iter().map(bare)).boxed()
                }
                Err(error) => stream::once(ready(Err(Error::from(error)))).boxed(),
            };
            sources.push(SeriesSource { sequence: source.sequence(), series });
        }
        merge_series(sources)
    }
}
