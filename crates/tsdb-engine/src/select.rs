//! The hybrid query: head, blocks and cold files as one label-sorted stream.
//!
//! Every place that holds samples is a source with a sequence: the live generation, frozen ones, sealed
//! blocks, cold files. The merge joins what they hold of one series; where two have a sample at the same
//! timestamp, the higher sequence wins. So where a sample lies never changes the answer.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_cold::{ColdTier, SeriesSource, merge_series};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_hot::{HotSnapshot, HotSource};

use crate::error::{Error, Result};

/// A label-sorted stream of series, each once.
pub type SeriesStream = BoxStream<'static, Result<Series>>;

pub(crate) fn merged(
    hot: &HotSnapshot,
    cold: &ColdTier,
    matchers: &[Matcher],
    range: TimeRange,
) -> SeriesStream {
    if range.is_empty() {
        return stream::empty().boxed();
    }
    let matchers: Arc<[Matcher]> = matchers.into();
    let mut sources = cold.sources(&matchers, range);
    let overlapping = hot.sources().into_iter().filter(|source| source.time_range().overlaps(range));
    sources.extend(overlapping.map(|source| hot_source(source, &matchers, range)));
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
