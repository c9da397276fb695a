//! A decoded block of any kind, and what all lookups have in common: they say which blocks they need.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    BlockId, BlockKind, Directory, IndexError, IndexResult, LabelBloom, PageTable, SeriesBlock, ValueBlock,
};

/// Blocks that a lookup asks for at a time: a bound on what it keeps in memory.
pub(super) const BLOCKS_AT_A_TIME: usize = 16;

/// A decoded block. A clone shares it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Block {
    /// Values of labels, each with its postings.
    Values(Arc<ValueBlock>),
    /// Which pairs of label and value there are, about.
    LabelBloom(BlockId, Arc<LabelBloom>),
    /// Of each series its rows, times and labels.
    Series(Arc<SeriesBlock>),
    /// Where the pages of a row group lie.
    Pages(Arc<PageTable>),
}

impl Block {
    /// Checks and decodes the stored bytes of the block `id`, whatever it holds.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when they are not what was written.
    pub fn decode(stored: &[u8], id: BlockId, directory: &Directory) -> IndexResult<Self> {
        Ok(match directory.block(id).map(|block| block.kind) {
            Some(BlockKind::Values) => Self::Values(Arc::new(ValueBlock::decode(stored, id, directory)?)),
            Some(BlockKind::LabelBloom) => {
                let block = directory.expect_block(id, BlockKind::LabelBloom)?;
                let bloom = LabelBloom::decode_raw(&block.open(stored)?, block.place())?;
                Self::LabelBloom(id, Arc::new(bloom))
            }
            Some(BlockKind::Series) => Self::Series(Arc::new(SeriesBlock::decode(stored, id, directory)?)),
            _ => Self::Pages(Arc::new(PageTable::decode(stored, id, directory)?)),
        })
    }

    /// Which block of the index this is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        match self {
            Self::Values(block) => block.id(),
            Self::LabelBloom(id, _) => *id,
            Self::Series(block) => block.id(),
            Self::Pages(block) => block.id(),
        }
    }

    /// Bytes that the decoded block takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Values(block) => block.memory_bytes(),
            Self::LabelBloom(_, bloom) => bloom.memory_bytes(),
            Self::Series(block) => block.memory_bytes(),
            Self::Pages(block) => block.memory_bytes(),
        }
    }
}

/// What a lookup does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It needs these blocks, at most a few, ascending, none twice.
    Need(Vec<BlockId>),
    /// It has its answer.
    Done(T),
}

/// A question to an index whose blocks are elsewhere: it is asked for the next step and given the blocks that it needs
/// for it, until it has its answer. Whoever asks reads, caches and decodes the blocks in their own way.
///
/// A lookup keeps a block no longer than it needs it, so its memory does not grow with the file beyond the answer.
pub trait BlockLookup {
    /// The answer.
    type Answer;

    /// Goes on as far as the supplied blocks allow. The answer is given once.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when a block contradicts the directory.
    fn step(&mut self) -> IndexResult<Step<Self::Answer>>;

    /// Hands over a block that [`BlockLookup::step`] has asked for. Others are of no use.
    fn supply(&mut self, block: Block);
}

/// The blocks that a lookup holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    blocks: HashMap<BlockId, Block>,
}

impl Held {
    pub(super) fn supply(&mut self, block: Block) {
        self.blocks.insert(block.id(), block);
    }

    /// Those of `wanted` that are not here, ascending.
    pub(super) fn missing(&self, wanted: impl IntoIterator<Item = BlockId>) -> Vec<BlockId> {
        let mut missing: Vec<BlockId> =
            wanted.into_iter().filter(|id| !self.blocks.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    pub(super) fn has(&self, id: BlockId) -> bool {
        self.blocks.contains_key(&id)
    }

    /// Drops all blocks but those that `keep` accepts.
    pub(super) fn retain(&mut self, keep: impl Fn(BlockId) -> bool) {
        self.blocks.retain(|&id, _| keep(id));
    }

    pub(super) fn take(&mut self, id: BlockId) -> Option<Block> {
        self.blocks.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn values(&self, id: BlockId, directory: &Directory) -> IndexResult<Arc<ValueBlock>> {
        match self.blocks.get(&id) {
            Some(Block::Values(block)) => Ok(Arc::clone(block)),
            _ => Err(wrong_block(id, directory)),
        }
    }

    pub(super) fn series(&self, id: BlockId, directory: &Directory) -> IndexResult<Arc<SeriesBlock>> {
        match self.blocks.get(&id) {
            Some(Block::Series(block)) => Ok(Arc::clone(block)),
            _ => Err(wrong_block(id, directory)),
        }
    }
}

/// A block that is not what the directory says it is, which cannot be once it was decoded by that directory.
#[cold]
fn wrong_block(id: BlockId, directory: &Directory) -> IndexError {
    let (block, offset) =
        directory.block(id).map_or((BlockKind::Region, 0), |block| (block.kind, block.offset));
    IndexError::Damaged { block, offset, detail: format!("block {} came from elsewhere", id.0) }
}
