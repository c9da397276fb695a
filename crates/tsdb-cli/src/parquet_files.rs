//! Parquet files named on the command line, which belong to no store of ours.
//!
//! They are read where they lie, by the same reader as the cold tier's own files. Only what a command needs is
//! read: the end of a file to inspect it, the matching pages to query it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tsdb_cold::{ColdReads, SeriesSource, VfsStore};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_engine::{Aggregation, Found, LookupOptions, Query, QueryOptions, QueryStatistics};
use tsdb_parquet_io::futures::stream::{self, BoxStream};
use tsdb_parquet_io::futures::{StreamExt, TryStreamExt};
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_parquet_io::{
    ColdStorageWriter, Error, FileMeta, Inspection, Origin, ParquetConfig, ParquetReader, ParquetWriter,
    Verification,
};
use tsdb_vfs::{RealFs, Vfs};

use crate::error::{Failure, Result};
use crate::new_file::NewFile;

/// Reads such files, one command long.
pub(crate) struct ParquetFiles {
    runtime: Runtime,
}

impl ParquetFiles {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().build()? })
    }

    /// What is in `file`.
    pub(crate) fn inspect(&self, file: &FsPath) -> Result<Inspection> {
        let Place { store, path, bytes } = Place::of(file)?;
        self.runtime.block_on(ParquetReader::inspect(store, path, Some(bytes))).map_err(in_file(file))
    }

    /// Checks all of `file`.
    pub(crate) fn verify(&self, file: &FsPath) -> Result<Verification> {
        let Place { store, path, bytes } = Place::of(file)?;
        let verified = async { ParquetReader::open(store, path, Some(bytes)).await?.verify().await };
        self.runtime.block_on(verified).map_err(in_file(file))
    }

    /// Writes the samples of `file` to the new file `output`, in the layout that `file` has.
    pub(crate) fn rewrite(&self, file: &FsPath, output: &FsPath) -> Result<Rewritten> {
        let Place { store, path, bytes } = Place::of(file)?;
        let reader = self.runtime.block_on(sound_rows(store, path, bytes)).map_err(in_file(file))?;
        let mapper = reader.metadata().mapper();
        let columns = mapper.label_columns().iter().map(|column| column.label.clone());
        let config = ParquetConfig {
            // A file of another tool may have no map, and yet labels that come to have no column here.
            label_layout: LabelLayout::Hybrid,
            promoted_labels: columns.take(PROMOTED_MAX).collect(),
            with_histograms: mapper.has_histograms(),
            key_values: reader.file_meta().key_values.clone(),
            ..ParquetConfig::default()
        };
        let new = NewFile::beside(output)?;
        let meta = self.runtime.block_on(write_all(&reader, new.file(), config)).map_err(in_file(file))?;
        new.publish()?;
        Ok(Rewritten { meta, bytes_before: bytes })
    }

    /// The series of all `files` that match, merged; of two samples with one time the later file's is right.
    pub(crate) fn query(
        self,
        files: &[PathBuf],
        matchers: &[Matcher],
        range: TimeRange,
        options: &QueryOptions,
    ) -> Result<FilesQuery> {
        self.merged(files, options, move |reader, matchers| reader.select(matchers, range), matchers)
    }

    /// The label sets of those series.
    pub(crate) fn series(
        self,
        files: &[PathBuf],
        matchers: &[Matcher],
        range: TimeRange,
        options: &LookupOptions,
    ) -> Result<Found<Labels>> {
        let mut limits = QueryOptions::default();
        limits.limits = options.limits;
        let bare = |labels| Series { labels, samples: SampleBuffer::default() };
        let look_up = move |reader: &ParquetReader, matchers| {
            reader.series_labels(matchers, range).map_ok(bare).boxed()
        };
        let FilesQuery { runtime, query } = self.merged(files, &limits, look_up, matchers)?;
        runtime.block_on(Found::of_query(query, options)).map_err(of_engine)
    }

    fn merged(
        self,
        files: &[PathBuf],
        options: &QueryOptions,
        read: impl Fn(&ParquetReader, Arc<[Matcher]>) -> ReaderStream + Clone + Send + 'static,
        matchers: &[Matcher],
    ) -> Result<FilesQuery> {
        let matchers: Arc<[Matcher]> = matchers.into();
        let reads = Arc::new(ColdReads::default());
        let mut sources = Vec::new();
        for (sequence, file) in (0..).zip(files) {
            let Place { store, path, bytes } = Place::of(file)?;
            let (reads, read, matchers) = (Arc::clone(&reads), read.clone(), Arc::clone(&matchers));
            let open = async move {
                let reader = ParquetReader::open(store, path, Some(bytes)).await?;
                Ok::<_, Error>(reads.count_file(&reader, read(&reader, matchers)))
            };
            let path = file.display().to_string();
            let in_file = move |source| {
                let (path, source) = (path.clone(), Box::new(source));
                tsdb_engine::Error::from(tsdb_cold::Error::File { path, source })
            };
            let series = stream::once(open).try_flatten().map_err(in_file).boxed();
            sources.push(SeriesSource { sequence, series });
        }
        Ok(FilesQuery { query: Query::of_sources(sources, reads, options), runtime: self.runtime })
    }
}

type ReaderStream = BoxStream<'static, tsdb_parquet_io::Result<Series>>;

/// The series of a query of files.
pub(crate) struct FilesQuery {
    query: Query,
    runtime: Runtime,
}

impl FilesQuery {
    /// What the series come to.
    pub(crate) fn aggregated(self, aggregation: &Aggregation, range: TimeRange) -> Self {
        Self { query: self.query.aggregated(aggregation, range), ..self }
    }

    pub(crate) fn statistics(&self) -> QueryStatistics {
        self.query.statistics()
    }
}

impl Iterator for FilesQuery {
    type Item = Result<Series>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.query.next()).map(|series| series.map_err(of_engine))
    }
}

/// A file that is in no store is no cold file.
fn of_engine(error: tsdb_engine::Error) -> Failure {
    match error {
        tsdb_engine::Error::Cold(tsdb_cold::Error::File { path, source }) => {
            Failure::Parquet { path: path.into(), source: *source }
        }
        error => Failure::Engine(error),
    }
}

/// Labels with columns of their own in a rewritten file.
const PROMOTED_MAX: usize = 200;
/// Series that are handed to the writer at a time, by their samples.
const BATCH_SAMPLES: usize = 64 * 1024;

/// What became of a file.
pub(crate) struct Rewritten {
    pub(crate) meta: FileMeta,
    pub(crate) bytes_before: u64,
}

/// A reader of all rows, which are known to be sound as far as the file has checksums; its series index is not used.
async fn sound_rows(store: Arc<VfsStore>, path: Path, bytes: u64) -> tsdb_parquet_io::Result<ParquetReader> {
    match ParquetReader::open(Arc::clone(&store) as _, path.clone(), Some(bytes)).await {
        Ok(reader) if reader.file_meta().origin == Origin::Tsdb => {
            if let Some(damage) = reader.verify().await?.damaged.into_iter().next() {
                return Err(damage);
            }
        }
        // Where the index cannot even be opened there are no checksums to compare the rows with.
        Ok(_) | Err(Error::Damaged { .. }) => {}
        Err(other) => return Err(other),
    }
    ParquetReader::open_without_index(store, path, Some(bytes)).await
}

/// Writes all series of `reader` to `sink`.
async fn write_all(
    reader: &ParquetReader,
    sink: &File,
    config: ParquetConfig,
) -> tsdb_parquet_io::Result<FileMeta> {
    let mut writer = ParquetWriter::new(sink, config)?;
    let mut all = reader.select(Arc::from([]), TimeRange::ALL);
    let (mut batch, mut samples) = (SampleBatch::default(), 0);
    while let Some(series) = all.try_next().await? {
        samples += series.samples.len();
        batch.series.push(series);
        if samples >= BATCH_SAMPLES {
            writer.write_batch(&batch)?;
            (batch, samples) = (SampleBatch::default(), 0);
        }
    }
    writer.write_batch(&batch)?;
    Ok(writer.finish()?.0)
}

/// Where a file lies, as the reader wants to be told.
struct Place {
    store: Arc<VfsStore>,
    path: Path,
    bytes: u64,
}

impl Place {
    fn of(file: &FsPath) -> Result<Self> {
        let unreadable = |source| Failure::Input { path: file.to_owned(), source };
        let info = RealFs.metadata(file).map_err(Failure::File)?;
        if info.is_dir {
            return Err(unreadable(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory; name a file in it",
            )));
        }
        let name = file.file_name().and_then(OsStr::to_str).and_then(|name| Path::parse(name).ok());
        let path =
            name.ok_or_else(|| unreadable(io::Error::other("its name is not plain text; rename it")))?;
        let directory = file.parent().unwrap_or(FsPath::new(""));
        let directory = if directory.as_os_str().is_empty() { FsPath::new(".") } else { directory };
        Ok(Self { store: Arc::new(VfsStore::new(Arc::new(RealFs), directory)), path, bytes: info.len })
    }
}

fn in_file(file: &FsPath) -> impl Fn(Error) -> Failure + 'static {
    let path = file.to_owned();
    move |source| Failure::Parquet { path: path.clone(), source }
}
