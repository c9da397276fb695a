//! [`ParquetReader`]: series and record batches from one Parquet file in an object store.
//!
//! The decoder does no I/O of its own: it names the ranges it needs and gets them in one
//! [`get_ranges`](ObjectStore::get_ranges) call, so that a local file, memory and S3 share one code path. Decoding
//! runs where the stream is polled, unless the reader is given threads for it ([`ReadAhead`]).
//!
//! Footer and page index are decoded once into a [`ColdFileMetadata`], which can be shared among readers and
//! kept in a cache. The reader keeps nothing else.

mod ahead;
mod batches;
mod blocks;
mod contain;
mod footer;
mod foreign;
mod indexed;
mod label_bloom;
mod lookups;
mod page;
mod page_index;
mod page_slot;
mod pages;
mod rebuild;
mod rows;
mod series;
mod source;
mod step;
mod verify;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowFilter, RowSelection};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_schema::{HISTOGRAM_COLUMN, LABELS_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};

use crate::filter_to_arrow_expression::FilterToArrowExpression;
use crate::series_index::{RowsLookup, Selection};
use crate::{ColdStorageReader, Error, FileLayout, FileMeta, Inspection, Origin, Result};
pub use ahead::{ReadAhead, Work};
pub use blocks::BlockCache;
use blocks::{IndexReader, OWN_CACHE_BYTES};
use contain::contain;
pub use footer::{ColdFileMetadata, DEFAULT_TAIL_READ_BYTES};
use pages::PageChecks;
pub use rebuild::RebuiltIndex;
use rows::RowRanges;
pub use source::ReadStatistics;
use source::Source;
pub use verify::Verification;

/// Rows of a decoded batch. Row groups are a multiple of it by default, and the decoder's own default of
/// 1,024 costs more in calls than it saves in memory.
pub const DEFAULT_READ_BATCH_ROWS: usize = 8192;

/// Reads one Parquet file.
#[derive(Clone, Debug)]
pub struct ParquetReader {
    source: Source,
    metadata: Arc<ColdFileMetadata>,
    cache: BlockCache,
    ahead: ReadAhead,
    without_index: bool,
}

/// Which rows and columns of a file to read as they are.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The columns, by name in the file; `None` for all. They come in file order.
    pub columns: Option<Vec<String>>,
    /// Only rows whose labels match all of these.
    pub matchers: Arc<[Matcher]>,
    /// Only rows with a timestamp in this range.
    pub range: TimeRange,
    /// Only the rows with these numbers, counted from 0 over the whole file; `None` for all. The ranges may come in
    /// any order and overlap: each row comes once, in file order. Numbers beyond the file's end name nothing.
    pub rows: Option<Vec<Range<u64>>>,
    /// Most rows of a batch. Default [`DEFAULT_READ_BATCH_ROWS`].
    pub batch_rows: usize,
}

impl Default for ReadRequest {
    fn default() -> Self {
        Self {
            columns: None,
            matchers: Arc::from([]),
            range: TimeRange::ALL,
            rows: None,
            batch_rows: DEFAULT_READ_BATCH_ROWS,
        }
    }
}

/// What is left to decode after pruning.
struct ReadPlan {
    row_groups: Vec<usize>,
    /// Over the rows of `row_groups`; `None` for all.
    selection: Option<RowSelection>,
    filter: Option<RowFilter>,
}

impl ParquetReader {
    /// Opens the file at `path`, ours or a foreign one, and reads its footer and page index. With the `size`
    /// of the file in bytes, a request to find it out is saved.
    ///
    /// # Errors
    /// [`Error::NotParquet`], [`Error::Damaged`], [`Error::UnsupportedVersion`], [`Error::NotSamples`] for what
    /// the file is; [`Error::Store`] when it cannot be read.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: Option<u64>) -> Result<Self> {
        Self::open_cached(store, path, size, BlockCache::new(OWN_CACHE_BYTES)).await
    }

    /// Like [`ParquetReader::open`], with a cache for the blocks of the series index that other readers share.
    ///
    /// # Errors
    /// As there.
    pub async fn open_cached(
        store: Arc<dyn ObjectStore>,
        path: Path,
        size: Option<u64>,
        cache: BlockCache,
    ) -> Result<Self> {
        let source = Source::new(store, path);
        let footer = footer::load(&source, source.len_or(size).await?, true).await?;
        let end_of_index = footer.end_of_index();
        let reader = Self {
            metadata: Arc::new(footer.interpret(source.path())?),
            source,
            cache,
            ahead: ReadAhead::default(),
            without_index: false,
        };
        if let (Some(index), Some((at, bytes))) = (reader.index(), end_of_index) {
            index.seed(at, &bytes)?;
        }
        Ok(reader)
    }

    /// What is in the Parquet file at `path`, whether it holds samples or not. No rows are read.
    ///
    /// # Errors
    /// [`Error::NotParquet`], [`Error::Damaged`]; [`Error::Store`] when the file cannot be read.
    pub async fn inspect(store: Arc<dyn ObjectStore>, path: Path, size: Option<u64>) -> Result<Inspection> {
        let source = Source::new(store, path);
        let footer = footer::load(&source, source.len_or(size).await?, true).await?;
        let layout = footer.layout();
        let samples = footer.interpret(source.path()).map(|metadata| metadata.file_meta().clone());
        Ok(Inspection { layout, samples })
    }

    /// The reader of a file whose metadata was read before. Nothing is read.
    #[must_use]
    pub fn with_metadata(
        store: Arc<dyn ObjectStore>,
        path: Path,
        metadata: Arc<ColdFileMetadata>,
        cache: BlockCache,
    ) -> Self {
        let ahead = ReadAhead::default();
        Self { source: Source::new(store, path), metadata, cache, ahead, without_index: false }
    }

    /// The reader with threads that decode large selections ahead ([`select`](Self::select) by the series index).
    #[must_use]
    pub fn with_read_ahead(self, ahead: ReadAhead) -> Self {
        Self { ahead, ..self }
    }

    /// Opens the file as if it had no series index: to read its rows where the index is damaged. Its pages are not
    /// checked then.
    ///
    /// # Errors
    /// As [`ParquetReader::open`].
    pub async fn open_without_index(
        store: Arc<dyn ObjectStore>,
        path: Path,
        size: Option<u64>,
    ) -> Result<Self> {
        let source = Source::new(store, path);
        let footer = footer::load(&source, source.len_or(size).await?, false).await?;
        let metadata = Arc::new(footer.interpret(source.path())?);
        let (cache, ahead) = (BlockCache::new(0), ReadAhead::default());
        Ok(Self { source, metadata, cache, ahead, without_index: true })
    }

    /// A reader that finds rows by the label columns, and does not check pages.
    fn without_index(self) -> Self {
        Self { without_index: true, ..self }
    }

    /// The file's series index; `None` if it has none or it is not used.
    fn index(&self) -> Option<IndexReader> {
        let used = !self.without_index;
        used.then(|| IndexReader::new(&self.source, &self.metadata, &self.cache)).flatten()
    }

    /// The file's metadata, to share or to cache.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ColdFileMetadata> {
        &self.metadata
    }

    /// Counts, time range and the caller's pairs.
    #[must_use]
    pub fn file_meta(&self) -> &FileMeta {
        self.metadata.file_meta()
    }

    /// What this reader and its clones have read so far.
    #[must_use]
    pub fn statistics(&self) -> ReadStatistics {
        self.source.statistics()
    }

    /// Row groups, columns, encodings and sizes, for people and tools that ask what is in a file.
    #[must_use]
    pub fn layout(&self) -> FileLayout {
        let (metadata, bytes) = (&self.metadata, self.file_meta().bytes);
        FileLayout::new(
            metadata.parquet(),
            metadata.arrow.schema(),
            bytes,
            metadata.series_index().map(AsRef::as_ref),
        )
    }

    /// See [`ColdStorageReader::select`].
    #[must_use]
    pub fn select(&self, matchers: Arc<[Matcher]>, range: TimeRange) -> BoxStream<'static, Result<Series>> {
        if let Some(index) = self.index() {
            return indexed::series(self.clone(), index, matchers, range);
        }
        let columns = self.sample_columns();
        let mask = self.roots(|name| columns.contains(name));
        let batches = self.read(ReadRequest { matchers, range, ..ReadRequest::default() }, mask);
        let (path, metadata) = (self.source.path().to_owned(), Arc::clone(&self.metadata));
        match metadata.file_meta().origin {
            Origin::Tsdb => series::series(path, metadata, batches),
            Origin::Foreign => foreign::series(path, metadata, batches),
        }
    }

    /// See [`ColdStorageReader::read_batch`].
    #[must_use]
    pub fn read_batch(&self, request: ReadRequest) -> BoxStream<'static, Result<RecordBatch>> {
        let mask = match &request.columns {
            None => ProjectionMask::all(),
            Some(columns) => {
                let schema = self.metadata.arrow.schema();
                if let Some(missing) = columns.iter().find(|c| schema.column_with_name(c).is_none()) {
                    let (path, column) = (self.source.path().to_owned(), missing.clone());
                    return futures::stream::once(async { Err(Error::NoColumn { path, column }) }).boxed();
                }
                let columns: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
                self.roots(|name| columns.contains(name))
            }
        };
        self.read(request, mask)
    }

    /// The rows that match: by the series index if there is one, else pruned first by what the footer says and by bloom
    /// filters.
    fn read(&self, request: ReadRequest, mask: ProjectionMask) -> BoxStream<'static, Result<RecordBatch>> {
        let (source, metadata, index) = (self.source.clone(), Arc::clone(&self.metadata), self.index());
        let plan = async move {
            let ReadRequest { matchers, range, batch_rows, .. } = request;
            let mut rows = request.rows.map(RowRanges::new);
            let unindexed: &[Matcher] = if index.is_some() { &[] } else { &matchers };
            if let Some(index) = index.as_ref().filter(|_| !matchers.is_empty()) {
                let matching = rows_of_series(index, &matchers, range).await?;
                rows = Some(rows.map_or_else(|| matching.clone(), |rows| rows.intersection(&matching)));
            }
            let filter = FilterToArrowExpression::new(
                metadata.parquet(),
                metadata.arrow.schema(),
                metadata.mapper(),
                unindexed,
                range,
                metadata.file_meta().origin,
            );
            let mut row_groups = filter.row_groups();
            if let Some(rows) = &rows {
                row_groups = rows.row_groups(metadata.parquet(), row_groups);
            }
            let row_groups = prune_by_bloom(&source, metadata.parquet(), &filter, row_groups).await?;
            let checks = match &index {
                Some(index) => PageChecks::load(index, &row_groups).await?,
                None => PageChecks::default(),
            };
            let by_number = rows.map(|rows| rows.selection(metadata.parquet(), &row_groups));
            let by_page = filter.row_selection(&row_groups);
            let plan = ReadPlan {
                selection: by_number.into_iter().chain(by_page).reduce(|a, b| a.intersection(&b)),
                filter: filter.row_filter(&row_groups),
                row_groups,
            };
            Ok::<_, Error>(batches::batches(source, &metadata, plan, mask, batch_rows.max(1), checks))
        };
        futures::stream::once(plan).try_flatten().boxed()
    }

    /// By row group, whether its statistics leave rows possible that match.
    fn possible_row_groups(&self, matchers: &[Matcher], range: TimeRange) -> Vec<bool> {
        let metadata = &self.metadata;
        let filter = FilterToArrowExpression::new(
            metadata.parquet(),
            metadata.arrow.schema(),
            metadata.mapper(),
            matchers,
            range,
            metadata.file_meta().origin,
        );
        let mut possible = vec![false; metadata.parquet().num_row_groups()];
        filter.row_groups().into_iter().for_each(|group| possible[group] = true);
        possible
    }

    /// The columns that hold a part of a sample.
    fn sample_columns(&self) -> BTreeSet<&str> {
        let mapper = self.metadata.mapper();
        let ours = [
            (TIMESTAMP_COLUMN, true),
            (VALUE_COLUMN, mapper.has_values()),
            (HISTOGRAM_COLUMN, mapper.has_histograms()),
            (LABELS_COLUMN, mapper.has_label_map()),
        ];
        let ours = ours.into_iter().filter(|(_, is_there)| *is_there).map(|(column, _)| column);
        ours.chain(mapper.label_columns().iter().map(|c| c.column.as_str())).collect()
    }

    /// The projection to the top-level columns that pass `test`.
    fn roots(&self, test: impl Fn(&str) -> bool) -> ProjectionMask {
        let fields = self.metadata.arrow.schema().fields();
        let roots = fields.iter().enumerate().filter(|(_, field)| test(field.name())).map(|(i, _)| i);
        ProjectionMask::roots(self.metadata.arrow.parquet_schema(), roots)
    }
}

#[async_trait]
impl ColdStorageReader for ParquetReader {
    async fn read_schema(&self) -> Result<SchemaRef> {
        Ok(Arc::clone(self.metadata.arrow.schema()))
    }

    fn read_batch(&self, request: ReadRequest) -> BoxStream<'static, Result<RecordBatch>> {
        Self::read_batch(self, request)
    }

    fn select(&self, matchers: Arc<[Matcher]>, range: TimeRange) -> BoxStream<'static, Result<Series>> {
        Self::select(self, matchers, range)
    }
}

/// The rows of the series that satisfy `matchers` and have samples in reach of `range`.
async fn rows_of_series(index: &IndexReader, matchers: &[Matcher], range: TimeRange) -> Result<RowRanges> {
    let selected = index.answer(Selection::new(index.directory(), matchers)).await?;
    let series = index.answer(RowsLookup::new(index.directory(), &selected, range)).await?;
    Ok(RowRanges::new(series.into_iter().map(|series| series.rows).collect()))
}

/// Drops the row groups whose bloom filters know none of the values that a matcher asks for.
async fn prune_by_bloom(
    source: &Source,
    metadata: &ParquetMetaData,
    filter: &FilterToArrowExpression<'_>,
    row_groups: Vec<usize>,
) -> Result<Vec<usize>> {
    let mut wanted = Vec::new();
    for &group in &row_groups {
        for (leaf, values) in filter.exact_values() {
            let column = metadata.row_group(group).column(leaf);
            let place = (column.bloom_filter_offset(), column.bloom_filter_length());
            if let (Some(at), Some(length)) = place {
                let at = u64::try_from(at).map_err(|e| Error::damaged(source.path(), e))?;
                let length = u64::try_from(length).map_err(|e| Error::damaged(source.path(), e))?;
                wanted.push((group, values, at..at + length));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(row_groups);
    }
    let ranges: Vec<_> = wanted.iter().map(|(_, _, range)| range.clone()).collect();
    let filters = source.ranges(&ranges).await?;
    let mut absent = BTreeSet::new();
    for ((group, values, _), bytes) in wanted.into_iter().zip(filters) {
        let known = contain(source.path(), || {
            let bloom = Sbbf::from_bytes(&bytes).map_err(|e| Error::damaged(source.path(), e))?;
            Ok(values.iter().any(|value| bloom.check(value.as_ref())))
        })?;
        if !known {
            absent.insert(group);
        }
    }
    Ok(row_groups.into_iter().filter(|group| !absent.contains(group)).collect())
}
