//! Writing one cold file from label-sorted sources: the step that conversion and compaction share.
//!
//! Series are merged in label order and streamed into the Parquet writer batch by batch, and from there to the store
//! part by part, so that memory follows the row group, not the data. The file is then read back: its bytes against the
//! checksum of what was written, its footer against the counts. Only after that may a caller commit it to the catalog.

mod sink;

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tsdb_core::Series;
use tsdb_parquet_io::{ColdStorageWriter, FileMeta, ParquetConfig, ParquetReader, ParquetWriter};
use tsdb_schema::SampleBatch;
use xxhash_rust::xxh3::Xxh3;

use crate::progress::give_way;
use crate::{ColdFile, Error, FileId, Partition, Progress, Result, SeriesSource, merge_series};

use sink::Sink;

/// Rows that are collected before they go to the writer.
const BATCH_ROWS: usize = 64 * 1024;
/// Bytes of one part of an upload. S3 asks for at least 5 MiB, some stores for parts of one size.
const PART_BYTES: usize = 8 << 20;

/// Keys of a cold file's metadata by which a lost catalog is rebuilt.
pub(crate) mod key {
    /// The lowest sequence the file was made of.
    pub(crate) const MIN_SEQUENCE: &str = "tsdb.min_sequence";
    /// The highest sequence the file was made of.
    pub(crate) const MAX_SEQUENCE: &str = "tsdb.max_sequence";
    /// How many times its samples went through compaction.
    pub(crate) const LEVEL: &str = "tsdb.level";
    /// The tombstones with lower numbers have been applied to it.
    pub(crate) const TOMBSTONES_BELOW: &str = "tsdb.tombstones_below";
}

/// What a file is to be, known before its first row.
pub(crate) struct FilePlan {
    pub(crate) partition: Partition,
    pub(crate) min_sequence: u64,
    pub(crate) max_sequence: u64,
    pub(crate) level: u32,
    /// The sources have no sample any more that a tombstone of a lower number deletes.
    pub(crate) tombstones_below: u64,
    /// The store's promoted labels.
    pub(crate) promoted: Vec<String>,
    /// All label names that the rows will have, if known.
    pub(crate) label_names: Option<Vec<String>>,
    pub(crate) has_histograms: bool,
    /// When, milliseconds since the Unix epoch: a part of the file's name.
    pub(crate) now_ms: i64,
}

/// Writes cold files.
#[derive(Clone, Debug)]
pub(crate) struct ColdFileWriter {
    store: Arc<dyn ObjectStore>,
    config: ParquetConfig,
}

impl ColdFileWriter {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, config: ParquetConfig) -> Self {
        Self { store, config }
    }

    /// Writes `sources` into one new file; durable and verified when it returns, but part of no catalog yet. `None` when
    /// they hold no sample. After an error what was written is removed.
    pub(crate) async fn write(
        &self,
        plan: FilePlan,
        sources: Vec<SeriesSource<'_, Error>>,
        progress: &Progress,
    ) -> Result<Option<ColdFile>> {
        let id = FileId::new(plan.partition, plan.now_ms);
        let path = id.path();
        let mut config = self.config.clone();
        config.promoted_labels = plan.promoted;
        config.label_names = plan.label_names;
        config.with_histograms = plan.has_histograms;
        config.key_values = [
            (key::MIN_SEQUENCE, plan.min_sequence.to_string()),
            (key::MAX_SEQUENCE, plan.max_sequence.to_string()),
            (key::LEVEL, plan.level.to_string()),
            (key::TOMBSTONES_BELOW, plan.tombstones_below.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let Some(written) = self.upload(&path, config, sources, progress).await? else { return Ok(None) };
        if let Err(error) = self.verify(&path, &written).await {
            // The verification's error is the one to report; an orphan is swept later.
            let _ = self.store.delete(&path).await;
            return Err(error);
        }
        Ok(Some(ColdFile {
            path: id,
            bytes: written.bytes,
            partition: plan.partition,
            min_time_ms: written.meta.time_range.start_ms,
            max_time_ms: written.meta.time_range.end_ms,
            min_sequence: plan.min_sequence,
            max_sequence: plan.max_sequence,
            level: plan.level,
            tombstones_below: plan.tombstones_below,
            series: written.meta.series,
            samples: written.meta.rows,
            checksum: hex(written.checksum),
            label_bloom: written.meta.label_bloom,
        }))
    }

    async fn upload(
        &self,
        path: &Path,
        config: ParquetConfig,
        sources: Vec<SeriesSource<'_, Error>>,
        progress: &Progress,
    ) -> Result<Option<Written>> {
        let mut upload = self.store.put_multipart(path).await?;
        let written = write_parts(upload.as_mut(), path, config, sources, progress).await;
        if !matches!(written, Ok(Some(_))) {
            // The first error is the one to report; what stays behind is swept later.
            let _ = upload.abort().await;
            let _ = self.store.delete(path).await;
        }
        written
    }

    /// Reads the file back: every byte against the checksum, and the footer against the counts.
    async fn verify(&self, path: &Path, written: &Written) -> Result<()> {
        verify_bytes(self.store.as_ref(), path, written.bytes, &hex(written.checksum)).await?;
        let reader = ParquetReader::open(Arc::clone(&self.store), path.clone(), Some(written.bytes))
            .await
            .map_err(Error::file(path))?;
        let (read, wrote) = (reader.file_meta(), &written.meta);
        let says = |meta: &FileMeta| (meta.rows, meta.series, meta.time_range, meta.label_bloom);
        if says(read) != says(wrote) {
            let detail = format!("its footer says {read:?}, {wrote:?} was written");
            return Err(Error::Verification { path: path.to_string(), detail });
        }
        Ok(())
    }
}

/// The checksum of an object's first `bytes` bytes, as the catalog writes it.
pub(crate) async fn checksum(store: &dyn ObjectStore, path: &Path, bytes: u64) -> Result<String> {
    let mut hasher = Xxh3::new();
    let mut at = 0;
    while at < bytes {
        let part = store.get_range(path, at..bytes.min(at + PART_BYTES as u64)).await?;
        if part.is_empty() {
            let detail = format!("it ends after {at} of {bytes} bytes");
            return Err(Error::Verification { path: path.to_string(), detail });
        }
        hasher.update(&part);
        give_way().await;
        at += part.len() as u64;
    }
    Ok(hex(hasher.digest()))
}

/// Compares an object's bytes with the checksum that they had.
pub(crate) async fn verify_bytes(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: u64,
    expected: &str,
) -> Result<()> {
    let found = checksum(store, path, bytes).await?;
    if found != expected {
        let detail = format!("its checksum is {found}, not {expected}");
        return Err(Error::Verification { path: path.to_string(), detail });
    }
    Ok(())
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
    sources: Vec<SeriesSource<'_, Error>>,
    progress: &Progress,
) -> Result<Option<Written>> {
    let mut series = merge_series(sources);
    let sink = Sink::default();
    let mut writer = ParquetWriter::new(sink.clone(), config).map_err(Error::file(path))?;
    let mut batch = Batch::default();
    while let Some(next) = series.try_next().await? {
        batch.push(next);
        if batch.rows >= BATCH_ROWS {
            batch.write(&mut writer, path, progress)?;
            while let Some(part) = sink.take_part(PART_BYTES) {
                put(upload, part).await?;
            }
            give_way().await;
        }
    }
    batch.write(&mut writer, path, progress)?;
    let meta = writer.close().map_err(Error::file(path))?;
    if meta.rows == 0 {
        return Ok(None);
    }
    while let Some(part) = sink.take_part(PART_BYTES) {
        put(upload, part).await?;
    }
    put(upload, sink.take_rest()).await?;
    upload.complete().await?;
    let (bytes, checksum) = sink.totals();
    Ok(Some(Written { meta, bytes, checksum }))
}

/// Series on their way to the writer.
#[derive(Default)]
struct Batch {
    samples: SampleBatch,
    rows: usize,
}

impl Batch {
    /// Adds a series, unless everything in it was deleted.
    fn push(&mut self, series: Series) {
        if !series.samples.is_empty() {
            self.rows += series.samples.len();
            self.samples.series.push(series);
        }
    }

    fn write(&mut self, writer: &mut ParquetWriter<Sink>, path: &Path, progress: &Progress) -> Result<()> {
        progress.check()?;
        let Self { samples, rows } = std::mem::take(self);
        writer.write_batch(&samples).map_err(Error::file(path))?;
        progress.add_samples(rows as u64);
        Ok(())
    }
}

async fn put(upload: &mut dyn MultipartUpload, part: Bytes) -> Result<()> {
    Ok(upload.put_part(part.into()).await?)
}

fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}
