//! The hybrid query: head, blocks and cold files as one label-sorted stream.
//!
//! Every place that holds samples is a source with a sequence: the live generation, frozen ones, sealed
//! blocks, cold files. The merge joins what they hold of one series; where two have a sample at the same
//! timestamp, the higher sequence wins. So where a sample lies never changes the answer.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_cold::{ColdView, SeriesSource, merge_series};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_hot::HotSource;

use crate::error::{Error, Result};
use crate::metered::Stage;
use crate::query::{Meter, Query, QueryOptions};
use crate::store::Store;

/// A label-sorted stream of series, each once.
pub type SeriesStream = BoxStream<'static, Result<Series>>;

/// What a query sees of both tiers.
pub(crate) struct Tiers {
    /// The sources that overlap the range.
    pub(crate) hot: Vec<HotSource>,
    pub(crate) cold: ColdView,
}

impl Tiers {
    /// The tiers as they are now.
    ///
    /// First the hot tier is looked at, then the cold one: a block that is handed over in between is seen twice, as the same
    /// samples, and never not at all. The cold tier's tombstones hold for both, so that a delete is seen in all tiers at once;
    /// they are looked at before and after, for one may retire in between, when the last block that it concerns is handed over.
    pub(crate) fn of(store: &Store, range: TimeRange) -> Self {
        let before = store.cold.tombstones();
        let hot = store.hot.snapshot();
        let cold = store.cold.view();
        let mut hot = hot.sources_without([&before, cold.tombstones()]);
        hot.retain(|source| source.time_range().overlaps(range));
        Self { hot, cold }
    }
}

/// A source of the cold tier whose errors mean what they mean to the engine.
pub(crate) fn as_seen(
    source: SeriesSource<'static, Error>,
    is_read_only: bool,
) -> SeriesSource<'static, Error> {
    if !is_read_only {
        return source;
    }
    let SeriesSource { sequence, series } = source;
    SeriesSource { sequence, series: series.map_err(Error::seen_read_only).boxed() }
}

/// The answer of a query.
pub(crate) fn query(store: &Store, matchers: &[Matcher], range: TimeRange, options: &QueryOptions) -> Query {
    let meter = Meter::new(options.limits);
    if range.is_empty() {
        return Query::new(&meter, stream::empty().boxed());
    }
    let tiers = Tiers::of(store, range);
    let series = series(store, tiers, &matchers.into(), range, &meter, |_| true);
    Query::new(&meter, series)
}

/// The series of all tiers that match, merged. Of the head, which takes writes meanwhile, only those that `of_head` keeps.
pub(crate) fn series(
    store: &Store,
    tiers: Tiers,
    matchers: &Arc<[Matcher]>,
    range: TimeRange,
    meter: &Arc<Meter>,
    of_head: impl Fn(&Series) -> bool + Clone + Send + 'static,
) -> SeriesStream {
    let cold = tiers.cold.sources_counted(matchers, range, &meter.reads).into_iter();
    let as_seen = |source| meter.metered_source(Stage::Cold, as_seen(source, store.is_read_only()));
    let mut sources: Vec<_> = cold.map(as_seen).collect();
    sources.extend(tiers.hot.iter().map(|source| {
        let started = Instant::now();
        meter.count_hot(source.block().is_some());
        let mut selected = hot_source(source, matchers, range);
        if source.block().is_none() {
            let of_head = of_head.clone();
            let kept = selected.series.try_filter(move |series| std::future::ready(of_head(series)));
            selected.series = kept.boxed();
        }
        meter.add_time(Stage::Hot, started.elapsed());
        meter.metered_source(Stage::Hot, selected)
    }));
    merge_series(sources).try_filter(|series| std::future::ready(!series.samples.is_empty())).boxed()
}

fn hot_source(
    source: &HotSource,
    matchers: &Arc<[Matcher]>,
    range: TimeRange,
) -> SeriesSource<'static, Error> {
    let sequence = source.sequence();
    let series = match source.select(matchers, range) {
        Ok(series) => stream::iter(series.map(|s| s.map_err(Error::from))).boxed(),
        Err(error) => stream::once(std::future::ready(Err(Error::from(error)))).boxed(),
    };
    SeriesSource { sequence, series }
}
