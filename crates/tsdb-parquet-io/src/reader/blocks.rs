//! The blocks of a file's series index: from a cache, or read, checked and decoded.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ColdFileMetadata;
use super::source::Source;
use crate::series_index::{Block, BlockId, BlockKind, BlockLookup, Directory, PageTable, Step};
use crate::{Error, Result};

/// Bytes of decoded blocks that a reader keeps for itself when it is given no cache.
pub(super) const OWN_CACHE_BYTES: u64 = 16 << 20;
/// What a block takes in the cache beside its content, about.
const ENTRY_BYTES: u64 = 128;
/// Bytes of an average block: only the first size of the cache's tables comes from it.
const AVERAGE_BLOCK_BYTES: u64 = 64 << 10;

/// Decoded blocks of the series indexes of many files, those in use longest, within a bound in bytes. A clone shares it.
#[derive(Clone)]
pub struct BlockCache {
    blocks: Arc<Cache<(FileId, BlockId), Block, BlockWeighter>>,
}

#[derive(Clone)]
struct BlockWeighter;

impl Weighter<(FileId, BlockId), Block> for BlockWeighter {
    fn weight(&self, _: &(FileId, BlockId), block: &Block) -> u64 {
        block.memory_bytes() as u64 + ENTRY_BYTES
    }
}

impl BlockCache {
    /// An empty cache that grows to `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let blocks = usize::try_from(bytes / AVERAGE_BLOCK_BYTES).unwrap_or(usize::MAX).max(16);
        Self { blocks: Arc::new(Cache::with_weighter(blocks, bytes, BlockWeighter)) }
    }

    /// Bytes that the blocks in it take.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.blocks.weight()
    }

    /// How many blocks were asked for and found, and asked for and not found.
    #[must_use]
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.blocks.hits(), self.blocks.misses())
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockCache({} blocks, {} bytes)", self.blocks.len(), self.blocks.weight())
    }
}

/// Names a file's blocks in a cache: one for each time that a file's metadata was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId(u64);

impl FileId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A file's series index, ready to be asked.
#[derive(Clone)]
pub(super) struct IndexReader {
    source: Source,
    file: FileId,
    directory: Arc<Directory>,
    cache: BlockCache,
}

impl IndexReader {
    /// The index of a file with this metadata; `None` if it has none.
    pub(super) fn new(source: &Source, metadata: &ColdFileMetadata, cache: &BlockCache) -> Option<Self> {
        let directory = Arc::clone(metadata.series_index()?);
        Some(Self { source: source.clone(), file: metadata.file_id, directory, cache: cache.clone() })
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Drives a lookup to its answer.
    pub(super) async fn answer<L: BlockLookup>(&self, mut lookup: L) -> Result<L::Answer> {
        loop {
            match lookup.step().map_err(Error::index(self.source.path()))? {
                Step::Done(answer) => return Ok(answer),
                Step::Need(ids) => {
                    self.blocks(&ids).await?.into_iter().for_each(|block| lookup.supply(block));
                }
            }
        }
    }

    /// The page tables of these row groups.
    pub(super) async fn page_tables(&self, row_groups: &[u32]) -> Result<Vec<Arc<PageTable>>> {
        let missing = |group: u32| {
            let detail = format!("its series index has no page table for row group {group}");
            Error::damaged(self.source.path(), detail)
        };
        let ids = row_groups
            .iter()
            .map(|&group| self.directory.page_table_of(group).ok_or_else(|| missing(group)))
            .collect::<Result<Vec<_>>>()?;
        let tables = row_groups.iter().zip(self.blocks(&ids).await?);
        tables
            .map(|(&group, block)| match block {
                Block::Pages(table) => Ok(table),
                _ => Err(missing(group)),
            })
            .collect()
    }

    /// The blocks with these ids, in their order.
    pub(super) async fn blocks(&self, ids: &[BlockId]) -> Result<Vec<Block>> {
        let mut blocks: Vec<Option<Block>> =
            ids.iter().map(|&id| self.cache.blocks.get(&(self.file, id))).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|&at| blocks[at].is_none()).collect();
        if !missing.is_empty() {
            let ranges: Vec<_> = missing
                .iter()
                .map(|&at| self.directory.block(ids[at]).map(crate::BlockRef::range).unwrap_or_default())
                .collect();
            let stored = self.source.ranges(&ranges).await?;
            for (at, stored) in missing.into_iter().zip(stored) {
                blocks[at] = Some(self.decode(ids[at], &stored)?);
            }
        }
        Ok(blocks.into_iter().flatten().collect())
    }

    /// Decodes the blocks that lie in `bytes`, which are those of the file from `at` on.
    pub(super) fn seed(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let end = at + bytes.len() as u64;
        let first = self.directory.blocks().partition_point(|block| block.offset < at);
        for block in &self.directory.blocks()[first..] {
            if block.range().end > end {
                break;
            }
            // Who has opened the file needs no bloom any more.
            if block.kind == BlockKind::LabelBloom {
                continue;
            }
            let start = (block.offset - at) as usize;
            self.decode(block.id, &bytes[start..start + block.stored_len as usize])?;
        }
        Ok(())
    }

    fn decode(&self, id: BlockId, stored: &[u8]) -> Result<Block> {
        let block = Block::decode(stored, id, &self.directory).map_err(Error::index(self.source.path()))?;
        self.cache.blocks.insert((self.file, id), block.clone());
        Ok(block)
    }
}
