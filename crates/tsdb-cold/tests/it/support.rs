//! Blocks, and stores that answer wrongly.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tsdb_cold::{ColdTier, merge_series};
use tsdb_core::{
    Append, Block, BlockId, BlockWriter, ChunkBuilder, ChunkEncoding, Labels, Matcher, Series, TimeRange,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const DAY: i64 = 1_767_225_600_000;

/// A block of the window that begins `window_ms` after [`DAY`]: for each name samples of `value`, a minute apart.
pub(crate) fn block(sequence: u64, window_ms: i64, names: &[&str], value: f64) -> Block {
    let start = DAY + window_ms;
    let id = BlockId { sequence, window_start_ms: start, window_end_ms: start + 7_200_000 };
    let mut writer = BlockWriter::new(Vec::new(), id).unwrap();
    for name in names {
        let mut chunk = ChunkBuilder::new(ChunkEncoding::Float);
        for minute in 0..3 {
            assert_eq!(chunk.append_float(start + minute * 60_000, value), Append::Appended);
        }
        let labels = Labels::from_pairs([("__name__", *name), ("job", "test")]).unwrap();
        writer.add_series(&labels, &[chunk.finish()]).unwrap();
    }
    Block::open(writer.finish().unwrap().1.into()).unwrap()
}

/// All series of the tier's live files.
pub(crate) async fn all(tier: &ColdTier) -> Vec<Series> {
    let matchers: Arc<[Matcher]> = Arc::new([]);
    merge_series(tier.sources::<tsdb_cold::Error>(&matchers, TimeRange::ALL)).try_collect().await.unwrap()
}

/// A store in memory whose n-th put from now fails: before it did anything, or after it did everything.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<InMemory>,
    /// Puts until the one that fails; negative: none will.
    countdown: AtomicI64,
    did_it: bool,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<InMemory>, put: i64, did_it: bool) -> Arc<Self> {
        Arc::new(Self { inner, countdown: AtomicI64::new(put), did_it })
    }

    pub(crate) fn fail_put(&self, put: i64) {
        self.countdown.store(put, Ordering::SeqCst);
    }

    fn strikes(&self) -> bool {
        self.countdown.fetch_sub(1, Ordering::SeqCst) == 0
    }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !self.strikes() {
            return self.inner.put_opts(location, payload, options).await;
        }
        if self.did_it {
            self.inner.put_opts(location, payload, options).await?;
        }
        Err(Error::Generic { store: "FaultyStore", source: "the connection broke".into() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
