//! A cold file as a source of series: what matches, without what is deleted.

use std::future::ready;
use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt};
use tsdb_core::{Deletes, Matcher, TimeRange};
use tsdb_parquet_io::ParquetReader;

use crate::{ColdFile, Error, SeriesSource};

/// The series of `file` that match all `matchers`, with their samples in `range` that `deletes` leave. The stream holds on
/// to the file, so that its bytes stay.
pub(crate) fn file_source(
    reader: ParquetReader,
    file: &Arc<ColdFile>,
    deletes: Deletes,
    matchers: Arc<[Matcher]>,
    range: TimeRange,
) -> SeriesSource<'static, Error> {
    let file = Arc::clone(file);
    let sequence = file.max_sequence;
    let series = reader.select(matchers, range).map(move |series| {
        let mut series = series.map_err(|error| Error::file(&file.path.path())(error))?;
        deletes.apply(&series.labels, &mut series.samples);
        Ok(series)
    });
    let series = series.try_filter(|series| ready(!series.samples.is_empty())).boxed();
    SeriesSource { sequence, series }
}
