//! Files in memory: write series, read them back through an object store, forge what they say of themselves.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::{ColdStorageWriter, FileMeta, ParquetConfig, ParquetReader, ParquetWriter, Result};
use tsdb_schema::SampleBatch;

/// The path of the one file in each store.
pub(crate) const PATH: &str = "cold/data/day=2024-01-01/file.parquet";

/// A series of floats.
pub(crate) fn series(labels: &[(&str, &str)], samples: impl IntoIterator<Item = (i64, f64)>) -> Series {
    let (timestamps_ms, values) = samples.into_iter().unzip();
    let samples = SampleBuffer { timestamps_ms, values, histograms: Vec::new() };
    Series { labels: Labels::from_pairs(labels.iter().copied()).expect("valid labels"), samples }
}

/// `count` series of one metric, `rows` samples each, every 15 s.
pub(crate) fn metric(name: &str, count: usize, rows: usize) -> Vec<Series> {
    let one = |i: usize| {
        let instance = format!("host-{i:05}");
        let samples =
            (0_u32..).take(rows).map(|row| (i64::from(row) * 15_000, f64::from(row % 7) + i as f64));
        series(&[("__name__", name), ("instance", &instance), ("job", "api")], samples)
    };
    (0..count).map(one).collect()
}

/// The file of `series`, written as one batch.
pub(crate) fn write(config: ParquetConfig, series: &[Series]) -> Result<(FileMeta, Bytes)> {
    let mut writer = ParquetWriter::new(Vec::new(), config)?;
    writer.write_batch(&SampleBatch::new(series.to_vec()))?;
    let (meta, bytes) = writer.finish()?;
    Ok((meta, bytes.into()))
}

/// Opens `file` as the one file of a store in memory.
pub(crate) async fn open(file: impl Into<Bytes>) -> Result<ParquetReader> {
    ParquetReader::open(store(file).await, Path::from(PATH), None).await
}

/// A store in memory with one file.
pub(crate) async fn store(file: impl Into<Bytes>) -> Arc<dyn ObjectStore> {
    let store = InMemory::new();
    store.put(&Path::from(PATH), file.into().into()).await.expect("memory takes any file");
    Arc::new(store)
}

/// The answer of `reader` as a whole.
pub(crate) async fn select(
    reader: &ParquetReader,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Vec<Series>> {
    reader.select(matchers.into(), range).try_collect().await
}

/// Where the footer begins.
pub(crate) fn footer_at(file: &[u8]) -> usize {
    let length = u32::from_le_bytes(file[file.len() - 8..][..4].try_into().expect("four bytes"));
    file.len() - 8 - length as usize
}

/// Makes the footer's checksum fit its bytes again.
pub(crate) fn reseal(file: &mut [u8]) {
    let (from, to) = (footer_at(file), file.len() - 8);
    let key = b"tsdb.tail";
    let at = file.windows(key.len()).rposition(|w| w == key).expect("the key is in the footer") + key.len();
    // The value begins with the zeros of the tail's offset; its length, in front of it, is a digit's byte too.
    let value = file[at..].windows(4).position(|w| w == b"0000").expect("the value") + at;
    let hash = value + 20 + 1 + 16 + 1;
    file[hash..hash + 16].fill(b'0');
    let digits = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&file[from..to]));
    file[hash..hash + 16].copy_from_slice(digits.as_bytes());
}
