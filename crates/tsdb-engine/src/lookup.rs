//! Look-ups over all tiers: series, label names and label values, without samples in the answer.
//!
//! Head, blocks and cold files answer from their indexes. Samples are decoded only where an index does not tell whether a
//! series has one in the range, and where a delete may have left none.
//!
//! A look-up is a query without samples: it has the same limits, counts and end.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_cold::{ColdReads, ColdView, SeriesSource, merge_series};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_hot::HotSource;

use crate::error::{Error, Result};
use crate::metered::{Stage, Within};
use crate::query::{Meter, Query};
use crate::select::{Tiers, as_seen};
use crate::{Engine, QueryLimits, QueryOptions, QueryStatistics};

/// Settings of one look-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupOptions {
    /// What the look-up may cost. Beyond, it fails.
    pub limits: QueryLimits,
    /// Gives only so many, the first ones in order, and does not fail when there are more. `None`, the default, gives all.
    pub first: Option<u64>,
}

impl LookupOptions {
    /// The limits of a look-up of series: one more than the first ones is looked at to know whether they are all, and that is
    /// no answer beyond the limit.
    fn of_series(&self) -> QueryLimits {
        let mut limits = self.limits;
        limits.series_max = limits.series_max.filter(|max| self.first.is_none_or(|first| *max < first));
        limits
    }
}

/// The answer of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<T> {
    /// What was found, in order.
    pub found: Vec<T>,
    /// Whether that is all; otherwise there is more than [`LookupOptions::first`].
    pub is_all: bool,
    /// What the look-up has cost.
    pub statistics: QueryStatistics,
}

impl Engine {
    /// The label sets of the series that satisfy all `matchers` (an empty list is every series) and have a sample in
    /// `range`, both ends inclusive, in label order.
    ///
    /// # Errors
    /// A damaged block or cold file, or a store that cannot be read.
    pub async fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        Ok(self.series_within(matchers, range, &LookupOptions::default()).await?.found)
    }

    /// As [`series`](Self::series), within limits, and with what it costs counted.
    ///
    /// # Errors
    /// As there, and [`Error::LimitExceeded`].
    pub async fn series_within(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<Labels>> {
        Found::of_query(self.series_without_samples(matchers, range, options.of_series()), options).await
    }

    /// As [`series`](Self::series), one after another, without samples: whoever stops early has not paid for the rest.
    ///
    /// # Errors
    /// As [`series_within`](Self::series_within); the stream ends at its first error.
    pub fn series_stream(&self, matchers: &[Matcher], range: TimeRange, options: &QueryOptions) -> Query {
        self.series_without_samples(matchers, range, options.limits)
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
        let all = self.series_without_samples(&[], TimeRange::ALL, QueryLimits::default());
        all.try_fold(0, |count, _| ready(Ok(count + 1))).await
    }

    /// The label names of the series that [`series`](Self::series) would give, sorted by bytes.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub async fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        Ok(self.label_names_within(matchers, range, &LookupOptions::default()).await?.found)
    }

    /// As [`label_names`](Self::label_names), within limits, and with what it costs counted.
    ///
    /// # Errors
    /// As there, and [`Error::LimitExceeded`].
    pub async fn label_names_within(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<String>> {
        let meter = Meter::new(options.limits);
        if range.is_empty() {
            return Found::of(BTreeSet::new(), options, &meter);
        }
        let tiers = Tiers::of(self.store(), range);
        count_hot(&tiers, &meter);
        let names = label_names(&tiers, &matchers.into(), range, &meter, self.is_read_only()).await?;
        Found::of(names, options, &meter)
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
        Ok(self.label_values_within(name, matchers, range, &LookupOptions::default()).await?.found)
    }

    /// As [`label_values`](Self::label_values), within limits, and with what it costs counted.
    ///
    /// # Errors
    /// As there, and [`Error::LimitExceeded`].
    pub async fn label_values_within(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<String>> {
        let meter = Meter::new(options.limits);
        if range.is_empty() {
            return Found::of(BTreeSet::new(), options, &meter);
        }
        let (tiers, matchers) = (Tiers::of(self.store(), range), Arc::from(matchers));
        count_hot(&tiers, &meter);
        let cold = |view: &ColdView, reads: &_| view.label_values(name, &matchers, range, reads);
        let (name, of_hot) = (name.to_owned(), Arc::clone(&matchers));
        let hot = move |source: &HotSource| source.label_values(&name, &of_hot, range);
        Found::of(joined(&tiers, cold, hot, &meter, self.is_read_only()).await?, options, &meter)
    }

    /// The series that match and have a sample in `range`, in label order, without samples.
    fn series_without_samples(&self, matchers: &[Matcher], range: TimeRange, limits: QueryLimits) -> Query {
        let meter = Meter::new(limits);
        if range.is_empty() {
            return Query::new(&meter, stream::empty().boxed());
        }
        let Tiers { hot, cold } = Tiers::of(self.store(), range);
        let cold = cold.series_labels(&Arc::from(matchers), range, &meter.reads);
        let is_read_only = self.is_read_only();
        let as_seen = |source| meter.metered_source(Stage::Cold, as_seen(source, is_read_only));
        let mut sources: Vec<_> = cold.into_iter().map(as_seen).collect();
        let matchers: Arc<[Matcher]> = matchers.into();
        for source in hot {
            meter.count_hot(source.block().is_some());
            let (sequence, matchers) = (source.sequence(), Arc::clone(&matchers));
            let look_up = async move {
                let bare = |labels| Ok(Series { labels, samples: SampleBuffer::default() });
                Ok::<_, Error>(stream::iter(source.series(&matchers, range)?.into_iter().map(bare)))
            };
            let series = stream::once(look_up).try_flatten().boxed();
            sources.push(meter.metered_source(Stage::Hot, SeriesSource { sequence, series }));
        }
        Query::new(&meter, merge_series(sources))
    }
}

impl Found<Labels> {
    /// The label sets of the first series of a query.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn of_query(mut query: Query, options: &LookupOptions) -> Result<Self> {
        let (mut found, mut is_all) = (Vec::new(), true);
        while let Some(Series { labels, .. }) = query.try_next().await? {
            if options.first.is_some_and(|first| found.len() as u64 == first) {
                is_all = false;
                break;
            }
            found.push(labels);
        }
        let mut statistics = query.statistics();
        statistics.series = found.len() as u64;
        Ok(Self { found, is_all, statistics })
    }
}

impl Found<String> {
    fn of(found: BTreeSet<String>, options: &LookupOptions, meter: &Meter) -> Result<Self> {
        let all = found.len();
        let first = options.first.and_then(|first| usize::try_from(first).ok()).unwrap_or(usize::MAX);
        let found: Vec<String> = found.into_iter().take(first).collect();
        meter.check_values(found.len())?;
        Ok(Self { is_all: found.len() == all, found, statistics: meter.statistics() })
    }
}

fn count_hot(tiers: &Tiers, meter: &Meter) {
    tiers.hot.iter().for_each(|source| meter.count_hot(source.block().is_some()));
}

/// The label names of the series of `tiers` that match and have a sample in `range`.
pub(crate) async fn label_names(
    tiers: &Tiers,
    matchers: &Arc<[Matcher]>,
    range: TimeRange,
    meter: &Arc<Meter>,
    is_read_only: bool,
) -> Result<BTreeSet<String>> {
    let cold = |view: &ColdView, reads: &_| view.label_names(matchers, range, reads);
    let matchers = Arc::clone(matchers);
    let hot = move |source: &HotSource| source.label_names(&matchers, range);
    joined(tiers, cold, hot, meter, is_read_only).await
}

/// What is found in the cold tier, with what `hot` finds in each source of the hot one.
async fn joined(
    tiers: &Tiers,
    cold: impl FnOnce(&ColdView, &Arc<ColdReads>) -> BoxStream<'static, tsdb_cold::Result<Vec<String>>>,
    hot: impl Fn(&HotSource) -> tsdb_hot::Result<BTreeSet<String>> + Send + 'static,
    meter: &Arc<Meter>,
    is_read_only: bool,
) -> Result<BTreeSet<String>> {
    let as_seen = move |error| match is_read_only {
        true => Error::from(error).seen_read_only(),
        false => Error::from(error),
    };
    let cold = meter.metered(Stage::Cold, cold(&tiers.cold, &meter.reads).map_err(as_seen).boxed());
    let hot = stream::iter(tiers.hot.clone()).map(move |source| Ok(Vec::from_iter(hot(&source)?)));
    let hot = meter.metered(Stage::Hot, hot.boxed());
    meter.planned();
    let mut each: Within<Vec<String>> = meter.within(cold.chain(hot).boxed());
    let mut found = BTreeSet::new();
    while let Some(of_source) = each.try_next().await? {
        found.extend(of_source);
    }
    Ok(found)
}
