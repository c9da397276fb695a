//! The engine for plain programs: the same calls, without `async`.
//!
//! A [`Engine`] here owns a small runtime. Inside another async runtime its calls fail with
//! [`Error::InsideRuntime`] instead of stalling a thread that others need: use [`crate::Engine`] there.

use std::path::PathBuf;

use futures::StreamExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tsdb_core::{Labels, Matcher, Series, TimeRange};
use tsdb_hot::Recovery;
use tsdb_schema::arrow::array::RecordBatch;
use tsdb_schema::arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::{
    Aggregation, Appender, Compacted, EngineBuilder, EngineStats, Expired, Flushed, Found, LookupOptions,
    Maintained, MetadataSnapshot, MetadataStored, MetricMetadata, Query, QueryOptions, QueryStatistics,
    Rebuilt, Scan, ScanOptions, Verified,
};

/// A hybrid time-series store, open for reading and writing, or to be read only, without `async`.
#[derive(Debug)]
pub struct Engine {
    engine: crate::Engine,
    runtime: Runtime,
}

impl Engine {
    /// Opens the store in `dir`, with default settings, making a new one where there is none.
    ///
    /// # Errors
    /// As [`crate::Engine::open`], and [`Error::InsideRuntime`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(crate::Engine::builder(dir))
    }

    /// Opens the store that `builder` describes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(builder: EngineBuilder) -> Result<Self> {
        let runtime = runtime()?;
        let engine = runtime.block_on(builder.open())?;
        Ok(Self { engine, runtime })
    }

    /// As [`crate::Engine::open_read_only`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn open_read_only(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::open_read_only_with(crate::Engine::builder(dir))
    }

    /// As [`EngineBuilder::open_read_only`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn open_read_only_with(builder: EngineBuilder) -> Result<Self> {
        let runtime = runtime()?;
        let engine = runtime.block_on(builder.open_read_only())?;
        Ok(Self { engine, runtime })
    }

    /// As [`crate::Engine::is_read_only`].
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.engine.is_read_only()
    }

    /// What opening found in the WAL.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.engine.recovery()
    }

    /// A batch to append samples to.
    #[must_use]
    pub fn appender(&self) -> Appender<'_> {
        self.engine.appender()
    }

    /// As [`crate::Engine::select`], as an iterator.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`]; the iterator ends at its first error.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesIter<'_>> {
        self.query(matchers, range, &QueryOptions::default())
    }

    /// As [`crate::Engine::query`], as an iterator.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`]; the iterator ends at its first error.
    pub fn query(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &QueryOptions,
    ) -> Result<SeriesIter<'_>> {
        refuse_inside_runtime()?;
        Ok(SeriesIter { query: self.engine.query(matchers, range, options), runtime: &self.runtime })
    }

    /// As [`crate::Engine::scan`], as an iterator.
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`]; the iterator ends at its first error.
    pub fn scan(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &ScanOptions,
    ) -> Result<BatchIter<'_>> {
        refuse_inside_runtime()?;
        let scan = self.runtime.block_on(self.engine.scan(matchers, range, options))?;
        Ok(BatchIter { scan, runtime: &self.runtime })
    }

    /// As [`crate::Engine::aggregate`], as an iterator.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`]; the iterator ends at its first error.
    pub fn aggregate(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        aggregation: &Aggregation,
        options: &QueryOptions,
    ) -> Result<SeriesIter<'_>> {
        refuse_inside_runtime()?;
        let query = self.engine.aggregate(matchers, range, aggregation, options);
        Ok(SeriesIter { query, runtime: &self.runtime })
    }

    /// As [`crate::Engine::seal`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn seal(&self) -> Result<u64> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.seal())
    }

    /// As [`crate::Engine::flush`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn flush(&self) -> Result<Flushed> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.flush())
    }

    /// As [`crate::Engine::delete`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.delete(matchers, range))
    }

    /// As [`crate::Engine::compact`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn compact(&self) -> Result<Compacted> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.compact())
    }

    /// As [`crate::Engine::maintain`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.maintain(now_ms))
    }

    /// As [`crate::Engine::convert_due`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn convert_due(&self, now_ms: i64) -> Result<Flushed> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.convert_due(now_ms))
    }

    /// As [`crate::Engine::compact_due`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn compact_due(&self, now_ms: i64) -> Result<Compacted> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.compact_due(now_ms))
    }

    /// As [`crate::Engine::expire`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn expire(&self, now_ms: i64) -> Result<(Expired, u64)> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.expire(now_ms))
    }

    /// As [`crate::Engine::sweep`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn sweep(&self, now_ms: i64) -> Result<u64> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.sweep(now_ms))
    }

    /// As [`crate::Engine::count_series`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn count_series(&self) -> Result<u64> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.count_series())
    }

    /// As [`crate::Engine::series`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.series(matchers, range))
    }

    /// As [`crate::Engine::series_within`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn series_within(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<Labels>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.series_within(matchers, range, options))
    }

    /// As [`crate::Engine::label_names`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.label_names(matchers, range))
    }

    /// As [`crate::Engine::label_names_within`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn label_names_within(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<String>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.label_names_within(matchers, range, options))
    }

    /// As [`crate::Engine::label_values`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.label_values(name, matchers, range))
    }

    /// As [`crate::Engine::label_values_within`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn label_values_within(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<String>> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.label_values_within(name, matchers, range, options))
    }

    /// As [`crate::Engine::metadata`].
    #[must_use]
    pub fn metadata(&self) -> MetadataSnapshot {
        self.engine.metadata()
    }

    /// As [`crate::Engine::set_metadata`].
    ///
    /// # Errors
    /// As there.
    pub fn set_metadata(
        &self,
        entries: impl IntoIterator<Item = (String, MetricMetadata)>,
    ) -> Result<MetadataStored> {
        self.engine.set_metadata(entries)
    }

    /// As [`crate::Engine::verify`].
    ///
    /// # Errors
    /// [`Error::InsideRuntime`].
    pub fn verify(&self) -> Result<Verified> {
        refuse_inside_runtime()?;
        Ok(self.runtime.block_on(self.engine.verify()))
    }

    /// Counts over all tiers.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// As [`crate::Engine::close`].
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn close(self) -> Result<()> {
        refuse_inside_runtime()?;
        self.runtime.block_on(self.engine.close())
    }
}

/// The series, or groups, of one query, read as the iterator is driven.
pub struct SeriesIter<'a> {
    query: Query,
    runtime: &'a Runtime,
}

impl SeriesIter<'_> {
    /// As [`Query::statistics`].
    #[must_use]
    pub fn statistics(&self) -> QueryStatistics {
        self.query.statistics()
    }
}

impl Iterator for SeriesIter<'_> {
    type Item = Result<Series>;

    fn next(&mut self) -> Option<Self::Item> {
        match refuse_inside_runtime() {
            Ok(()) => self.runtime.block_on(self.query.next()),
            Err(error) => Some(Err(error)),
        }
    }
}

/// The batches of one scan, read as the iterator is driven.
pub struct BatchIter<'a> {
    scan: Scan,
    runtime: &'a Runtime,
}

impl BatchIter<'_> {
    /// As [`Scan::schema`].
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    /// As [`Scan::statistics`].
    #[must_use]
    pub fn statistics(&self) -> QueryStatistics {
        self.scan.statistics()
    }
}

impl Iterator for BatchIter<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match refuse_inside_runtime() {
            Ok(()) => self.runtime.block_on(self.scan.next()),
            Err(error) => Some(Err(error)),
        }
    }
}

/// As [`EngineBuilder::verify`].
///
/// # Errors
/// As there, and [`Error::InsideRuntime`].
pub fn verify(builder: EngineBuilder) -> Result<Verified> {
    runtime()?.block_on(builder.verify())
}

/// As [`EngineBuilder::rebuild_catalog`].
///
/// # Errors
/// As there, and [`Error::InsideRuntime`].
pub fn rebuild_catalog(builder: EngineBuilder) -> Result<Rebuilt> {
    runtime()?.block_on(builder.rebuild_catalog())
}

fn runtime() -> Result<Runtime> {
    refuse_inside_runtime()?;
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Error::Runtime(e.to_string()))
}

fn refuse_inside_runtime() -> Result<()> {
    if Handle::try_current().is_ok() { Err(Error::InsideRuntime) } else { Ok(()) }
}
