//! Blocks to a cold file: the step from the hot tier's format to the open one.
//!
//! The blocks of one partition, in sequence, become one Parquet file: series merged in label order, rows
//! streamed into the writer batch by batch and from there to the store part by part, so that memory follows
//! the row group, not the blocks. The file is then read back: its bytes against the checksum of what was
//! written, its footer against the counts. Only after that may a caller commit it to the catalog.

mod block_set;
mod sink;

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tsdb_core::{Block, Series, TimeRange};
use tsdb_parquet_io::{ColdStorageWriter, FileMeta, ParquetConfig, ParquetReader, ParquetWriter};
use tsdb_schema::SampleBatch;
use ulid::Ulid;
use xxhash_rust::xxh3::Xxh3;

use crate::catalog::DATA_DIR;
use crate::{ColdFile, Error, FileId, Result, SeriesSource, merge_series};

pub use block_set::BlockSet;
use sink::Sink;

/// Rows that are collected before they go to the writer.
const BATCH_ROWS: usize = 64 * 1024;
/// Bytes of one part of an upload. S3 asks for at least 5 MiB, some stores for parts of one size.
const PART_BYTES: usize = 8 << 20;

/// Key of a cold file's metadata: the lowest sequence it was made of.
const MIN_SEQUENCE_KEY: &str = "tsdb.min_sequence";
/// Key of a cold file's metadata: the highest sequence it was made of.
const MAX_SEQUENCE_KEY: &str = "tsdb.max_sequence";
/// Key of a cold file's metadata: how many times its samples went through compaction.
const LEVEL_KEY: &str = "tsdb.level";

/// Turns sealed blocks into cold files.
#[derive(Debug)]
pub struct BlockToParquetConverter {
    store: Arc<dyn ObjectStore>,
    config: ParquetConfig,
}

impl BlockToParquetConverter {
    /// A converter that writes to `store` with `config`, whose promoted labels it replaces by the store's.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, config: ParquetConfig) -> Self {
        Self { store, config }
    }

    /// Writes a set of blocks into one new cold file with `promoted` as label columns; durable and verified
    /// when it returns, but part of no catalog yet. `None` when the blocks hold no sample.
    ///
    /// # Errors
    /// [`Error::Core`] for a damaged block, [`Error::File`] or [`Error::Store`] when the file cannot be
    /// written, [`Error::Verification`] when it does not read back. What was written is removed.
    pub async fn convert(&self, set: &BlockSet<'_>, promoted: &[String]) -> Result<Option<ColdFile>> {
        let sequences = set.blocks().iter().map(|b| b.meta().id.sequence);
        let (Some(min_sequence), Some(max_sequence)) = (sequences.clone().min(), sequences.max()) else {
            return Ok(None);
        };
        let partition = set.partition();
        let name = format!("{}.parquet", Ulid::new().to_string().to_lowercase());
        let path = Path::from_iter([DATA_DIR, &format!("day={partition}"), &name]);

        let mut config = self.config.clone();
        config.promoted_labels = promoted.to_vec();
        config.label_names = Some(set.label_names());
        config.with_histograms = set.has_histograms();
        config.key_values = vec![
            (MIN_SEQUENCE_KEY.to_owned(), min_sequence.to_string()),
            (MAX_SEQUENCE_KEY.to_owned(), max_sequence.to_string()),
            (LEVEL_KEY.to_owned(), "0".to_owned()),
        ];
        let sources = set.blocks().iter().map(|block| source(block)).collect();
        let written = self.write(&path, config, merge_series(sources)).await?;
        if written.meta.rows == 0 {
            self.store.delete(&path).await?;
            return Ok(None);
        }
        if let Err(error) = self.verify(&path, &written).await {
            // The verification's error is the one to report; an orphan is swept at the next open.
            let _ = self.store.delete(&path).await;
            return Err(error);
        }
        tracing::info!(%path, samples = written.meta.rows, bytes = written.bytes, "converted");
        Ok(Some(ColdFile {
            path: FileId(path.to_string()),
            bytes: written.bytes,
            partition,
            min_time_ms: written.meta.time_range.start_ms,
            max_time_ms: written.meta.time_range.end_ms,
            min_sequence,
            max_sequence,
            level: 0,
            series: written.meta.series,
            samples: written.meta.rows,
            checksum: hex(written.checksum),
        }))
    }

    async fn write(
        &self,
        path: &Path,
        config: ParquetConfig,
        series: BoxStream<'_, Result<Series>>,
    ) -> Result<Written> {
        let mut upload = self.store.put_multipart(path).await?;
        let written = write_parts(upload.as_mut(), path, config, series).await;
        if written.is_err() {
            // The first error is the one to report; what stays behind is removed at the next open.
            let _ = upload.abort().await;
            let _ = self.store.delete(path).await;
        }
        written
    }

    /// Reads the file back: every byte against the checksum, and the footer against the counts.
    async fn verify(&self, path: &Path, written: &Written) -> Result<()> {
        let failed = |detail| Err(Error::Verification { path: path.to_string(), detail });
        let mut hasher = Xxh3::new();
        let mut bytes = 0;
        while bytes < written.bytes {
            let part =
                self.store.get_range(path, bytes..written.bytes.min(bytes + PART_BYTES as u64)).await?;
            if part.is_empty() {
                return failed(format!("it ends after {bytes} of {} bytes", written.bytes));
            }
            hasher.update(&part);
            bytes += part.len() as u64;
        }
        if hasher.digest() != written.checksum {
            return failed(format!(
                "its checksum is {}, not {}",
                hex(hasher.digest()),
                hex(written.checksum)
            ));
        }
        let reader = ParquetReader::open(Arc::clone(&self.store), path.clone(), Some(written.bytes))
            .await
            .map_err(Error::file(path))?;
        let (read, wrote) = (reader.file_meta(), &written.meta);
        if (read.rows, read.series, read.time_range) != (wrote.rows, wrote.series, wrote.time_range) {
            return failed(format!("its footer says {read:?}, {wrote:?} was written"));
        }
        Ok(())
    }
}

/// What is known of a file that was just written.
struct Written {
    meta: FileMeta,
    bytes: u64,
    checksum: u64,
}

async fn write_parts(
    upload: &mut dyn MultipartUpload,
    path: &Path,
    config: ParquetConfig,
    mut series: BoxStream<'_, Result<Series>>,
) -> Result<Written> {
    let sink = Sink::default();
    let mut writer = ParquetWriter::new(sink.clone(), config).map_err(Error::file(path))?;
    let mut batch = SampleBatch::default();
    let mut rows = 0;
    while let Some(next) = series.try_next().await? {
        rows += next.samples.len();
        batch.series.push(next);
        if rows >= BATCH_ROWS {
            writer.write_batch(&batch).map_err(Error::file(path))?;
            (batch, rows) = (SampleBatch::default(), 0);
            while let Some(part) = sink.take_part(PART_BYTES) {
                put(upload, part).await?;
            }
        }
    }
    writer.write_batch(&batch).map_err(Error::file(path))?;
    let meta = writer.close().map_err(Error::file(path))?;
    while let Some(part) = sink.take_part(PART_BYTES) {
        put(upload, part).await?;
    }
    put(upload, sink.take_rest()).await?;
    upload.complete().await?;
    let (bytes, checksum) = sink.totals();
    Ok(Written { meta, bytes, checksum })
}

async fn put(upload: &mut dyn MultipartUpload, part: Bytes) -> Result<()> {
    Ok(upload.put_part(part.into()).await?)
}

fn source<'a>(block: &'a Block) -> SeriesSource<'a, Error> {
    let read = move |ordinal| {
        let labels = block.labels(ordinal)?;
        Ok(Series { labels, samples: block.samples(ordinal, TimeRange::ALL)? })
    };
    let series = stream::iter((0..block.meta().series).map(read)).boxed();
    SeriesSource { sequence: block.meta().id.sequence, series }
}

fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}
