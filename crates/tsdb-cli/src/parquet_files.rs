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
use tsdb_cold::{SeriesSource, VfsStore, merge_series};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_parquet_io::futures::{StreamExt, TryStreamExt};
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_parquet_io::{
    ColdStorageWriter, Error, FileMeta, Inspection, Origin, ParquetConfig, ParquetReader, ParquetWriter,
    Verification,
};
use tsdb_vfs::{RealFs, Vfs};

use crate::error::{Failure, Result};

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
        let (part, sink) = create_beside(output)?;
        let written = self.runtime.block_on(write_all(&reader, sink, config)).map_err(in_file(file));
        let finished = written.and_then(|(meta, sink)| {
            let finish = sink.sync_all().and_then(|()| std::fs::hard_link(&part, output));
            finish.map_err(|source| Failure::Create { path: output.to_owned(), source })?;
            Ok(Rewritten { meta, bytes_before: bytes })
        });
        // Under its own name the file is whole or is not there.
        let _ = std::fs::remove_file(&part);
        finished
    }

    /// The series of all `files` that match, merged; of two samples with one time the later file's is right.
    pub(crate) fn select(
        &self,
        files: &[PathBuf],
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<impl Iterator<Item = Result<Series>>> {
        let matchers: Arc<[Matcher]> = matchers.into();
        let mut sources = Vec::new();
        for (sequence, file) in (0..).zip(files) {
            let Place { store, path, bytes } = Place::of(file)?;
            let opened = self.runtime.block_on(ParquetReader::open(store, path, Some(bytes)));
            let series = opened.map_err(in_file(file))?.select(Arc::clone(&matchers), range);
            sources.push(SeriesSource { sequence, series: series.map_err(in_file(file)).boxed() });
        }
        let mut merged = merge_series(sources).boxed();
        Ok(std::iter::from_fn(move || self.runtime.block_on(merged.next())))
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
    sink: File,
    config: ParquetConfig,
) -> tsdb_parquet_io::Result<(FileMeta, File)> {
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
    writer.finish()
}

/// A new file beside `output`, which does not exist.
fn create_beside(output: &FsPath) -> Result<(PathBuf, File)> {
    let failed = |source| Failure::Create { path: output.to_owned(), source };
    if output.exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let file =
        File::create_new(&part).map_err(|source| Failure::Create { path: PathBuf::from(&part), source })?;
    Ok((part.into(), file))
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
