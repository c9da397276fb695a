//! The blocks that become one cold file, and what must be known of them before its first row is written.

use std::collections::HashMap;

use tsdb_core::{Block, BlockId, LabelIndex};

use crate::{Error, Partition, Result};

/// Blocks of one partition, surveyed: their label names and the kinds of their samples.
#[derive(Debug)]
pub struct BlockSet<'a> {
    partition: Partition,
    /// By id: ascending in sequence.
    blocks: Vec<&'a Block>,
    /// For each label name, how many series have it (a series that is in two blocks counts twice).
    series_with: HashMap<String, u64>,
    has_histograms: bool,
}

impl<'a> BlockSet<'a> {
    /// Surveys `blocks`, at least one, all of one partition.
    ///
    /// # Errors
    /// [`Error::Core`] for a damaged block; [`Error::Invariant`] when the blocks do not lie in one partition.
    pub fn new(mut blocks: Vec<&'a Block>) -> Result<Self> {
        let invariant = "blocks_lie_in_one_partition";
        let Some(first) = blocks.first() else {
            return Err(Error::Invariant { invariant, detail: "there is no block".to_owned() });
        };
        let partition = Partition::of(first.meta().id.window_start_ms);
        if let Some(stray) = blocks.iter().find(|b| !partition.time_range().covers(b.meta().time_range)) {
            let detail = format!("block {} does not lie in {partition}", stray.meta().id);
            return Err(Error::Invariant { invariant, detail });
        }
        blocks.sort_by_key(|b| b.meta().id);
        let mut set = Self { partition, blocks, series_with: HashMap::new(), has_histograms: false };
        set.survey()?;
        Ok(set)
    }

    /// The partition that the blocks lie in.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The ids of the blocks, ascending.
    #[must_use]
    pub fn ids(&self) -> Vec<BlockId> {
        self.blocks.iter().map(|b| b.meta().id).collect()
    }

    /// `current` with the blocks' other label names added, those of most series first, up to `max` names.
    #[must_use]
    pub fn promoted_labels(&self, current: &[String], max: usize) -> Vec<String> {
        let mut new: Vec<_> = self.series_with.iter().filter(|(name, _)| !current.contains(name)).collect();
        new.sort_by(|(a, a_series), (b, b_series)| b_series.cmp(a_series).then_with(|| a.cmp(b)));
        let room = max.saturating_sub(current.len());
        current.iter().chain(new.into_iter().map(|(name, _)| name).take(room)).cloned().collect()
    }

    pub(crate) fn blocks(&self) -> &[&'a Block] {
        &self.blocks
    }

    pub(crate) fn label_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.series_with.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn has_histograms(&self) -> bool {
        self.has_histograms
    }

    fn survey(&mut self) -> Result<()> {
        for block in &self.blocks {
            for name in block.label_names()? {
                let series = block.postings_having(&name)?.len();
                *self.series_with.entry(name).or_default() += series as u64;
            }
            self.has_histograms = self.has_histograms || block.has_histograms()?;
        }
        Ok(())
    }
}
