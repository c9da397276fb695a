//! The calls of a selection that need many blocks: how far each has come.

use tsdb_core::Postings;

use super::super::block::{BLOCKS_AT_A_TIME, Held};
use super::super::postings::Union;
use super::super::resolve::ValueNumbers;
use super::super::{BlockId, Directory, IndexResult};
use super::Stop;

/// A call by `select`, and what is known of its answer.
#[derive(Debug)]
pub(super) enum Call {
    /// Not answered yet, and nothing to remember.
    Asked,
    /// Going through values.
    Matching(Matching),
    /// Going through series.
    Retaining(Retaining),
    /// The index will not do this.
    Declined,
    Answered(Postings),
}

/// Going through the values of a label, a few blocks at a time.
#[derive(Debug)]
pub(super) struct Matching {
    blocks: Vec<BlockId>,
    /// Blocks that are done.
    done: usize,
    union: Union,
}

impl Matching {
    pub(super) fn new(blocks: Vec<BlockId>) -> Self {
        Self { blocks, done: 0, union: Union::default() }
    }

    /// Uses the blocks that are there; the answer when these were the last.
    pub(super) fn go_on(
        &mut self,
        directory: &Directory,
        held: &mut Held,
        label: u32,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Stop> {
        while let Some(&block) = self.blocks.get(self.done) {
            if !held.has(block) {
                let next = self.blocks[self.done..].iter().copied().take(BLOCKS_AT_A_TIME);
                return Err(Stop::Need(held.missing(next)));
            }
            self.add(directory, held, block, label, prefix, test)?;
            self.done += 1;
            // A block that labels share may be wanted by the next call.
            if self.blocks.len() > 1 {
                held.take(block);
            }
        }
        Ok(std::mem::take(&mut self.union).finish())
    }

    fn add(
        &mut self,
        directory: &Directory,
        held: &Held,
        block: BlockId,
        label: u32,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> IndexResult<()> {
        let block = held.values(block, directory)?;
        let values = block.values(label)?;
        for entry in values.lower_bound(prefix.as_bytes())..values.len() {
            let value = values.value(entry);
            if !value.starts_with(prefix) {
                break;
            }
            if test(value) {
                values.add_series(entry, &mut self.union)?;
            }
        }
        Ok(())
    }
}

/// Looking at one label of a few series: first in the series' blocks, then in those of the values.
#[derive(Debug)]
pub(super) struct Retaining {
    numbers: ValueNumbers,
    /// The place in `numbers` of the next value to test.
    next: usize,
    kept: Vec<u32>,
}

impl Retaining {
    /// `None` where going through the label's `own_blocks` takes fewer blocks.
    pub(super) fn new(directory: &Directory, series: &Postings, own_blocks: usize) -> Option<Self> {
        // Each series may need a value block of its own, and no more than one series block.
        if series.len() >= own_blocks {
            return None;
        }
        let mut series_blocks: Vec<_> =
            series.iter().filter_map(|ordinal| directory.series_block_of(ordinal)).collect();
        series_blocks.dedup();
        let numbers = ValueNumbers::new(series.iter().collect());
        (series_blocks.len() + series.len() < own_blocks).then_some(Self {
            numbers,
            next: 0,
            kept: Vec::new(),
        })
    }

    pub(super) fn go_on(
        &mut self,
        directory: &Directory,
        held: &mut Held,
        label: u32,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Stop> {
        if let Some(needed) = self.numbers.go_on(directory, held, |block, ordinal, found| {
            found.push((label, block.value(ordinal, label), ordinal));
        })? {
            return Err(Stop::Need(needed));
        }
        while let Some(&(_, value, _)) = self.numbers.found.get(self.next) {
            let same = self.numbers.found[self.next..].iter().take_while(|found| found.1 == value).count();
            let passes = if value == 0 {
                test("")
            } else {
                let Some(block) = directory.labels()[label as usize].block_numbered(value) else { break };
                if !held.has(block) {
                    let rest = &self.numbers.found[self.next..];
                    return Err(Stop::Need(ValueNumbers::need(rest, directory, held)));
                }
                test(held.values(block, directory)?.values(label)?.numbered(value)?)
            };
            if passes {
                self.kept.extend(self.numbers.found[self.next..self.next + same].iter().map(|found| found.2));
            }
            self.next += same;
        }
        Ok(std::mem::take(&mut self.kept).into_iter().collect())
    }
}
