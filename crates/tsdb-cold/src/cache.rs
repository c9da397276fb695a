//! What is kept in memory of cold files, within one bound in bytes: their label blooms, their metadata, and blocks of their
//! series indexes.
//!
//! Each kind has a share of the bound for itself: blooms are asked by every query of many files and must not be driven out
//! by the metadata of the few that they leave, nor that by the blocks of one look-up over a million series. What many ask
//! for at once is loaded once; a load that fails, or that nobody waits for any more, leaves nothing behind, and the next
//! asker loads.
//!
//! Bloom and metadata go when their file does. Blocks are named by the metadata that they were read with, so those of a file that is
//! gone are asked for no more, and make room when others come.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::ObjectStore;
use object_store::path::Path;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tsdb_parquet_io::{
    BlockCache, ColdFileMetadata, LabelBloom, LabelBloomPlace, ParquetReader, ReadStatistics,
};

use crate::{ColdFile, Error, Result};

/// What an entry takes beside its content, about.
const ENTRY_BYTES: u64 = 256;
/// Bytes of the metadata of an average file: only the first size of the cache's tables comes from it.
const AVERAGE_FILE_BYTES: u64 = 64 << 10;
/// The same of a bloom.
const AVERAGE_BLOOM_BYTES: u64 = 2 << 10;
/// Of the bound, what blooms have: those of 8,000 small files, or of a thousand of ten thousand series, by default.
const BLOOMS_SHARE: u64 = 8;

/// How the cache of the cold tier fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// The bound: [`ColdOptions::cache_bytes`](crate::ColdOptions::cache_bytes).
    pub bytes_max: u64,
    /// Bytes in use, of all kinds.
    pub bytes: u64,
    /// Files whose metadata is in it.
    pub files: u64,
    /// How often the metadata of a file was asked for and there, or being loaded for someone else.
    pub file_hits: u64,
    /// How often it had to be loaded.
    pub file_misses: u64,
    /// Files whose label bloom is in it.
    pub blooms: u64,
    /// How often a label bloom was asked for and there, or being loaded for someone else.
    pub bloom_hits: u64,
    /// How often it had to be loaded.
    pub bloom_misses: u64,
    /// How often a block of a series index was asked for and there.
    pub block_hits: u64,
    /// How often it had to be read.
    pub block_misses: u64,
}

/// The cache. A clone shares it.
#[derive(Clone)]
pub(crate) struct ColdCache {
    files: Arc<Cache<Path, Arc<ColdFileMetadata>, FileWeighter>>,
    blooms: Arc<Cache<Path, Arc<LabelBloom>, FileWeighter>>,
    blocks: BlockCache,
    counters: Arc<Counters>,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Counters {
    file_hits: AtomicU64,
    file_misses: AtomicU64,
    bloom_hits: AtomicU64,
    bloom_misses: AtomicU64,
}

#[derive(Clone)]
struct FileWeighter;

impl Weighter<Path, Arc<ColdFileMetadata>> for FileWeighter {
    fn weight(&self, path: &Path, metadata: &Arc<ColdFileMetadata>) -> u64 {
        (metadata.memory_bytes() + path.as_ref().len()) as u64 + ENTRY_BYTES
    }
}

impl Weighter<Path, Arc<LabelBloom>> for FileWeighter {
    fn weight(&self, path: &Path, bloom: &Arc<LabelBloom>) -> u64 {
        (bloom.memory_bytes() + path.as_ref().len()) as u64 + ENTRY_BYTES
    }
}

/// A reader of a file, and what it took to have its metadata.
pub(crate) struct Opened {
    pub(crate) reader: ParquetReader,
    /// What was read for it; `None` when the metadata was there.
    pub(crate) loaded: Option<ReadStatistics>,
}

impl ColdCache {
    /// An empty cache that grows to `bytes_max`.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let (blocks_bytes, blooms_bytes) = (bytes_max / 2, bytes_max / BLOOMS_SHARE);
        Self {
            files: by_file(bytes_max - blocks_bytes - blooms_bytes, AVERAGE_FILE_BYTES),
            blooms: by_file(blooms_bytes, AVERAGE_BLOOM_BYTES),
            blocks: BlockCache::new(blocks_bytes),
            counters: Arc::default(),
            bytes_max,
        }
    }

    /// A reader of `file`, whose metadata is loaded unless it is here.
    pub(crate) async fn open(&self, store: Arc<dyn ObjectStore>, file: &ColdFile) -> Result<Opened> {
        let path = file.path.path();
        let mut loaded = None;
        let load = async {
            self.counters.file_misses.fetch_add(1, Ordering::Relaxed);
            let (store, blocks) = (Arc::clone(&store), self.blocks.clone());
            let opened = ParquetReader::open_cached(store, path.clone(), Some(file.bytes), blocks).await;
            let reader = opened.map_err(Error::file(&path))?;
            loaded = Some(reader.statistics());
            Ok::<_, Error>(Arc::clone(reader.metadata()))
        };
        let metadata = self.files.get_or_insert_async(&path, load).await?;
        if loaded.is_none() {
            self.counters.file_hits.fetch_add(1, Ordering::Relaxed);
        }
        let reader = ParquetReader::with_metadata(store, path, metadata, self.blocks.clone());
        Ok(Opened { reader, loaded })
    }

    /// The label bloom of the file at `path` if it is here.
    pub(crate) fn known_bloom(&self, path: &Path) -> Option<Arc<LabelBloom>> {
        let bloom = self.blooms.get(path)?;
        self.counters.bloom_hits.fetch_add(1, Ordering::Relaxed);
        Some(bloom)
    }

    /// The label bloom of the file at `path`, which lies at `place` in it, and what was read for it; `None` when it was there.
    pub(crate) async fn bloom(
        &self,
        store: Arc<dyn ObjectStore>,
        path: Path,
        place: &LabelBloomPlace,
    ) -> Result<(Arc<LabelBloom>, Option<ReadStatistics>)> {
        let mut loaded = None;
        let load = async {
            self.counters.bloom_misses.fetch_add(1, Ordering::Relaxed);
            let read = ParquetReader::label_bloom(store, path.clone(), place).await;
            let (bloom, read) = read.map_err(Error::file(&path))?;
            loaded = Some(read);
            Ok::<_, Error>(Arc::new(bloom))
        };
        let bloom = self.blooms.get_or_insert_async(&path, load).await?;
        if loaded.is_none() {
            self.counters.bloom_hits.fetch_add(1, Ordering::Relaxed);
        }
        Ok((bloom, loaded))
    }

    /// Whether the metadata of the file at `path` is here.
    pub(crate) fn is_open(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Forgets a file that is live no more.
    pub(crate) fn forget(&self, file: &ColdFile) {
        self.blooms.remove(&file.path.path());
        self.files.remove(&file.path.path());
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let (block_hits, block_misses) = self.blocks.hits_and_misses();
        CacheStats {
            bytes_max: self.bytes_max,
            bytes: self.files.weight() + self.blooms.weight() + self.blocks.memory_bytes(),
            files: self.files.len() as u64,
            file_hits: self.counters.file_hits.load(Ordering::Relaxed),
            file_misses: self.counters.file_misses.load(Ordering::Relaxed),
            blooms: self.blooms.len() as u64,
            bloom_hits: self.counters.bloom_hits.load(Ordering::Relaxed),
            bloom_misses: self.counters.bloom_misses.load(Ordering::Relaxed),
            block_hits,
            block_misses,
        }
    }
}

/// A cache of something of each file, in one shard: shares of the bound would leave out what is not small compared with it,
/// and a query asks once for each file.
fn by_file<V: Clone>(bytes: u64, average_bytes: u64) -> Arc<Cache<Path, V, FileWeighter>>
where
    FileWeighter: Weighter<Path, V>,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(usize::try_from(bytes / average_bytes).unwrap_or(usize::MAX).max(16))
        .weight_capacity(bytes)
        .shards(1)
        .build()
        .expect("invariant: all that must be set is set");
    let (hashes, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
    Arc::new(Cache::with_options(options, FileWeighter, hashes, lifecycle))
}

impl fmt::Debug for ColdCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColdCache").field("files", &self.files.len()).field("blocks", &self.blocks).finish()
    }
}
