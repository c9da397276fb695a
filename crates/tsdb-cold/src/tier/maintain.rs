//! What becomes of the files: compaction, expiry, and the removal of what is not needed any more.
//!
//! A file that leaves the catalog is *retired*: its object goes once no query holds it. After a crash nothing remembers
//! it, and it is swept like any object that no catalog names.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tsdb_core::Tombstone;

use super::{ColdTier, Work};
use crate::catalog::DATA_DIR;
use crate::compact::{check_contiguous, merge_files, next_inputs};
use crate::{
    CatalogSnapshot, ColdBlockIndex, ColdFile, CompactionMode, FileId, Progress, Result, Unconverted,
    tombstones,
};

/// What one run of compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Files that were merged.
    pub files_in: u64,
    /// Files that took their place.
    pub files_out: u64,
    /// Samples that were read from the old files.
    pub samples_in: u64,
    /// Samples in the new files: without those that were replaced or deleted.
    pub samples_out: u64,
    /// Bytes of the old files.
    pub bytes_in: u64,
    /// Bytes of the new files.
    pub bytes_out: u64,
}

/// What expiry dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expired {
    /// Files.
    pub files: u64,
    /// Samples in them.
    pub samples: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ColdTier {
    /// Merges files until nothing that `mode` asks for is left to merge, one commit a merge. `unconverted` is what the hot
    /// tier holds, as it was before this call or later; no block may be converted meanwhile but through this tier.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File), [`Error::Store`](crate::Error::Store),
    /// [`Error::Fenced`](crate::Error::Fenced), [`Error::Cancelled`](crate::Error::Cancelled). What was committed stays.
    pub async fn compact(
        &self,
        unconverted: &Unconverted,
        mode: CompactionMode,
        now_ms: i64,
        progress: &Progress,
    ) -> Result<Compacted> {
        self.catalog.check_writable()?;
        let mut work = self.work.lock().await;
        let mut done = Compacted::default();
        loop {
            let (snapshot, tombstones) = (self.snapshot(), self.live().tombstones.clone());
            let options = &self.options.compaction;
            let Some(inputs) = next_inputs(&snapshot.files, &tombstones, unconverted, options, mode, now_ms)
            else {
                break;
            };
            check_contiguous(&snapshot.files, unconverted, &inputs)?;
            let promoted = &snapshot.promoted_labels;
            let output =
                merge_files(&self.store, &self.writer, &inputs, promoted, &tombstones, now_ms, progress)
                    .await?;
            drop(snapshot);
            done.count(&inputs, output.as_ref());
            self.replace(&mut work, inputs, output).await?;
        }
        self.tidy(&mut work, unconverted).await?;
        Ok(done)
    }

    /// Drops the files all of whose samples are older than `cutoff_ms`, in one commit.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Fenced`](crate::Error::Fenced).
    pub async fn expire(&self, cutoff_ms: i64) -> Result<Expired> {
        self.catalog.check_writable()?;
        let mut work = self.work.lock().await;
        let mut files = self.snapshot().files.clone();
        files.retain(|file| file.max_time_ms < cutoff_ms);
        if files.is_empty() {
            return Ok(Expired::default());
        }
        let expired = files.iter().fold(Expired::default(), |sum, file| Expired {
            files: sum.files + 1,
            samples: sum.samples + file.samples,
            bytes: sum.bytes + file.bytes,
        });
        tracing::info!(files = expired.files, samples = expired.samples, cutoff_ms, "expired");
        self.replace(&mut work, files, None).await?;
        self.remove_retired(&mut work).await?;
        Ok(expired)
    }

    /// Removes what is not needed any more: files that were merged or have expired, once no query reads them, and
    /// tombstones that have nothing left to delete, in this tier or in what is `unconverted`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store). What is left is removed by the next call, or swept.
    pub async fn remove_unneeded(&self, unconverted: &Unconverted) -> Result<()> {
        self.catalog.check_writable()?;
        let mut work = self.work.lock().await;
        self.tidy(&mut work, unconverted).await
    }

    /// Removes cold files that no catalog names: what a crash, or a conversion that failed, leaves behind. Only those that
    /// were last changed `grace_ms` or longer before `now_ms`: where several machines share a store, someone may still read
    /// what a compaction has replaced. Returns how many. For the store's one writer.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) when the store cannot be listed or a file not be removed;
    /// [`Error::Fenced`](crate::Error::Fenced) when another writer has taken over: nothing was removed then.
    pub async fn sweep_orphans(&self, now_ms: i64, grace_ms: i64) -> Result<usize> {
        self.catalog.check_writable()?;
        let mut work = self.work.lock().await;
        if self.catalog.in_doubt() {
            self.commit(&mut work, |_| {}).await?;
        }
        let snapshot = self.snapshot();
        let known: HashSet<&FileId> =
            snapshot.files.iter().chain(&work.retired).map(|file| &file.path).collect();
        let listed: Vec<_> = self.store.list(Some(&Path::from(DATA_DIR))).try_collect().await?;
        // After the listing: what another writer has committed by then is no orphan, and what it commits later is too young.
        self.catalog.check_not_fenced().await?;
        let mut swept = 0;
        for object in listed {
            let is_orphan = FileId::of_object(&object.location).is_some_and(|id| !known.contains(&id));
            let age_ms = now_ms.saturating_sub(object.last_modified.timestamp_millis());
            if is_orphan && (grace_ms == 0 || age_ms >= grace_ms) {
                self.store.delete(&object.location).await?;
                tracing::warn!(path = %object.location, "removed a cold file that no catalog names");
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Commits an edit of the catalog, and shows it to queries. Files that are not in it any more are retired.
    pub(super) async fn commit(
        &self,
        work: &mut Work,
        edit: impl FnOnce(&mut CatalogSnapshot),
    ) -> Result<()> {
        let before = self.snapshot();
        let forgettable = &work.forgettable;
        let committed = self
            .catalog
            .commit(|next| {
                next.handed_over.retain(|id| !forgettable.contains(id));
                edit(next);
            })
            .await;
        // Also after an error: a commit that had failed before may turn out to have been done.
        let after = self.snapshot();
        if after.number != before.number {
            let live: HashSet<&FileId> = after.files.iter().map(|file| &file.path).collect();
            let gone = before.files.iter().filter(|file| !live.contains(&file.path)).cloned();
            work.retired.extend(gone.inspect(|file| self.cache.forget(file)));
            let index = Arc::new(ColdBlockIndex::new(&after));
            self.publish(|live| live.index = index);
        }
        committed?;
        work.forgettable.clear();
        Ok(())
    }

    /// Commits that `output` takes the place of `inputs`.
    async fn replace(
        &self,
        work: &mut Work,
        inputs: Vec<Arc<ColdFile>>,
        output: Option<ColdFile>,
    ) -> Result<()> {
        let gone: HashSet<&FileId> = inputs.iter().map(|file| &file.path).collect();
        self.commit(work, |next| {
            next.files.retain(|file| !gone.contains(&file.path));
            next.files.extend(output.map(Arc::new));
        })
        .await
    }

    async fn tidy(&self, work: &mut Work, unconverted: &Unconverted) -> Result<()> {
        self.remove_retired(work).await?;
        self.retire_tombstones(work, unconverted).await
    }

    async fn remove_retired(&self, work: &mut Work) -> Result<()> {
        let mut at = 0;
        while let Some(file) = work.retired.get(at) {
            // Nobody can come to hold it any more: it is in no catalog that queries are given.
            if Arc::strong_count(file) > 1 {
                at += 1;
                continue;
            }
            match self.store.delete(&file.path.path()).await {
                Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => {
                    return Err(error.into());
                }
                // A query that had begun before may have brought it back into the cache.
                _ => self.cache.forget(&work.retired.swap_remove(at)),
            }
        }
        Ok(())
    }

    /// Removes the tombstones that concern nothing. The bytes of retired files count, too: should the catalog have to be
    /// rebuilt, they must not come back without what deletes in them.
    async fn retire_tombstones(&self, work: &Work, unconverted: &Unconverted) -> Result<()> {
        let _one_at_a_time = self.deleting.lock().await;
        let snapshot = self.snapshot();
        let in_file = |number: u64, tombstone: &Tombstone, file: &ColdFile| {
            number >= file.tombstones_below && tombstone.concerns(file.min_sequence, file.time_range())
        };
        let is_needed = |number: u64, tombstone: &Tombstone| {
            // What is between the two sequences may have come after `unconverted` was taken.
            tombstone.below_sequence > unconverted.live_sequence
                || unconverted.sources.iter().any(|&(sequence, range)| tombstone.concerns(sequence, range))
                || snapshot.files.iter().chain(&work.retired).any(|file| in_file(number, tombstone, file))
        };
        if self.live().tombstones.iter().all(|(number, tombstone)| is_needed(number, tombstone)) {
            return Ok(());
        }
        // Another writer may hold what this one has handed to it.
        self.catalog.check_not_fenced().await?;
        let mut retired = Vec::new();
        self.publish(|live| retired = live.tombstones.retire(is_needed));
        for number in retired {
            tombstones::remove(self.store.as_ref(), number).await?;
        }
        Ok(())
    }
}

impl Compacted {
    fn count(&mut self, inputs: &[Arc<ColdFile>], output: Option<&ColdFile>) {
        self.files_in += inputs.len() as u64;
        self.samples_in += inputs.iter().map(|file| file.samples).sum::<u64>();
        self.bytes_in += inputs.iter().map(|file| file.bytes).sum::<u64>();
        self.files_out += u64::from(output.is_some());
        self.samples_out += output.map_or(0, |file| file.samples);
        self.bytes_out += output.map_or(0, |file| file.bytes);
    }
}
