//! The hybrid query: head, blocks and cold files as one label-sorted stream.
//!
//! Every place that holds samples is a source with a sequence: the live generation, frozen ones, sealed
//! blocks, cold files. The merge joins what they hold of one series; where two have a sample at the same
//! timestamp, the higher sequence wins. So where a sample lies never changes the answer.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_cold::{SeriesSource, merge_series};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_hot::HotSource;

use crate::error::{Error, Result};
use crate::store::Store;

/// A label-sorted stream of series, each once.
pub type SeriesStream = BoxStream<'static, Result<Series>>;

/// The sources of one answer.
pub(crate) struct Sources {
    pub(crate) hot: Vec<HotSource>,
    pub(crate) cold: Vec<SeriesSource<'static, Error>>,
}

/// The sources that overlap `range`; those of the cold tier give the series that match.
///
/// First the hot tier is looked at, then the cold one: a block that is handed over in between is seen twice, as the same
/// samples, and never not at all. The cold tier's tombstones hold for both, so that a delete is seen in all tiers at once;
/// they are looked at before and after, for one may retire in between, when the last block that it concerns is handed over.
pub(crate) fn sources(store: &Store, matchers: &Arc<[Matcher]>, range: TimeRange) -> Sources {
    let before = store.cold.tombstones();
    let hot = store.hot.snapshot();
    let cold = store.cold.view();
    let mut hot = hot.sources_without([&before, cold.tombstones()]);
    hot.retain(|source| source.time_range().overlaps(range));
    let mut cold = cold.sources(matchers, range);
    if store.is_read_only() {
        for source in &mut cold {
            let series = std::mem::replace(&mut source.series, stream::empty().boxed());
            source.series = series.map_err(Error::seen_read_only).boxed();
        }
    }
    Sources { hot, cold }
}

pub(crate) fn merged(store: &Store, matchers: &[Matcher], range: TimeRange) -> SeriesStream {
    if range.is_empty() {
        return stream::empty().boxed();
    }
    let matchers: Arc<[Matcher]> = matchers.into();
    let Sources { hot, cold: mut sources } = sources(store, &matchers, range);
    sources.extend(hot.into_iter().map(|source| hot_source(source, &matchers, range)));
    merge_series(sources).try_filter(|series| std::future::ready(!series.samples.is_empty())).boxed()
}

fn hot_source(
    source: HotSource,
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
