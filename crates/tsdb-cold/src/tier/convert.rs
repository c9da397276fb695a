//! Blocks into the tier: convert, commit, hand over.

use std::collections::BTreeMap;
use std::sync::Arc;

use tsdb_core::{Block, BlockId};

use super::{ColdTier, Work};
use crate::{BlockSet, Error, Partition, Progress, Result};

impl ColdTier {
    /// Converts `blocks`, partition by partition in order of time, each in one commit that also hands the
    /// blocks over. Returns the ids of the blocks handed over so far through `handed_over`, which the caller
    /// then removes from the hot tier: after each commit, also when a later partition fails. `now_ms` is the time that
    /// the new files say they were made.
    ///
    /// `blocks` must be all sealed blocks of their partitions, or those with the lowest sequences.
    ///
    /// # Errors
    /// As [`BlockToParquetConverter::convert`](crate::BlockToParquetConverter::convert); [`Error::Fenced`] when another
    /// writer has taken over. The partitions that were committed stay so; after a damaged block the others are still
    /// converted.
    pub async fn convert<E: From<Error>>(
        &self,
        blocks: &[&Block],
        now_ms: i64,
        progress: &Progress,
        mut handed_over: impl FnMut(&[BlockId]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.catalog.check_writable()?;
        let mut work = self.work.lock().await;
        let mut partitions: BTreeMap<Partition, Vec<&Block>> = BTreeMap::new();
        let taken = &self.snapshot().handed_over;
        let (taken, blocks): (Vec<&Block>, Vec<&Block>) =
            blocks.iter().partition(|block| taken.contains(&block.meta().id));
        if !taken.is_empty() {
            // By a commit that said it had failed.
            handed_over(&taken.iter().map(|block| block.meta().id).collect::<Vec<_>>())?;
        }
        for block in blocks {
            partitions.entry(Partition::of(block.meta().id.window_start_ms)).or_default().push(block);
        }
        let mut damaged = None;
        for blocks in partitions.into_values() {
            let converted = match BlockSet::new(blocks) {
                Ok(set) => self.convert_set(&set, now_ms, progress, &mut work).await.map(|()| set.ids()),
                Err(error) => Err(error),
            };
            match converted {
                Ok(ids) => {
                    handed_over(&ids)?;
                    work.forgettable.extend(ids);
                }
                // One bad block must not keep all others in the hot tier.
                Err(error @ Error::Core(_)) => damaged = damaged.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        damaged.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn convert_set(
        &self,
        set: &BlockSet<'_>,
        now_ms: i64,
        progress: &Progress,
        work: &mut Work,
    ) -> Result<()> {
        let promoted =
            set.promoted_labels(&self.snapshot().promoted_labels, self.options.promoted_labels_max);
        let tombstones = self.live().tombstones.clone();
        let file = self.converter.convert(set, &promoted, &tombstones, now_ms, progress).await?;
        let ids = set.ids();
        self.commit(work, |next| {
            let above = ids.iter().map(|id| id.sequence + 1).max().unwrap_or(0);
            next.next_sequence = next.next_sequence.max(above);
            next.promoted_labels = promoted;
            next.handed_over.extend(ids);
            next.files.extend(file.map(Arc::new));
        })
        .await
    }

    /// Says that the hot tier holds no handed-over block any more, durably, as it does once it has opened.
    /// The next commit then forgets their ids.
    pub async fn forget_handed_over(&self) {
        self.work.lock().await.forgettable.extend(&self.snapshot().handed_over);
    }
}
