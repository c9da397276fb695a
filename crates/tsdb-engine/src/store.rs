//! The two tiers of one data directory, and the steps that move data between them. The engine and its worker share it.
//!
//! Two locks, so that ingest never waits for Parquet: `sealing` is held by whoever seals, `maintenance` by whoever moves or
//! removes what is sealed. Whoever takes both takes `maintenance` first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex as StateMutex;
use tokio::sync::{Mutex, MutexGuard};
use tsdb_cold::{ColdTier, Compacted, CompactionMode, Expired, Progress, Unconverted};
use tsdb_core::{BlockId, Matcher, TimeRange, Tombstone};
use tsdb_hot::{HotSource, HotStore};
use tsdb_vfs::VfsLock;

use crate::clock::Clock;
use crate::due;
use crate::error::{Error, Result};
use crate::options::{BackgroundOptions, LifecycleOptions};

/// What one flush, or one round of conversion, did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Blocks that were converted to cold files and removed.
    pub blocks: u64,
    /// Cold files that were written.
    pub files: u64,
    /// Samples in those files.
    pub samples: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Blocks that the head was sealed into.
    pub sealed: u64,
    /// What was converted.
    pub converted: Flushed,
    /// What was compacted.
    pub compacted: Compacted,
    /// What has expired in the cold tier.
    pub expired: Expired,
    /// Blocks that have expired before they were converted.
    pub blocks_expired: u64,
    /// Cold files that no catalog named.
    pub orphans: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) hot: Arc<HotStore>,
    pub(crate) cold: ColdTier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lifecycle: LifecycleOptions,
    /// The lock of the data directory, held until the last work on a thread of its own is done. `None`: the tiers were opened
    /// to be read only, and someone else may remove cold files.
    lock: Option<Arc<dyn VfsLock>>,
    /// Of all conversions and compactions; cancelled when the engine closes.
    pub(crate) progress: Progress,
    pub(crate) sealing: Arc<Mutex<()>>,
    maintenance: Mutex<()>,
    /// Who waits for `maintenance`, or for what the worker may be at otherwise.
    waiting: AtomicUsize,
    /// Batches that were appended.
    commits: AtomicU64,
    rounds: StateMutex<Rounds>,
}

/// One who waits, for as long as this lives.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one round leaves for the next.
#[derive(Debug, Default)]
struct Rounds {
    /// The head as it was last seen to change (live sequence and samples), and when that was seen.
    head: Option<((u64, u64), i64)>,
    swept_ms: Option<i64>,
}

impl Store {
    pub(crate) fn new(
        hot: HotStore,
        cold: ColdTier,
        clock: Arc<dyn Clock>,
        lifecycle: LifecycleOptions,
        lock: Option<Arc<dyn VfsLock>>,
    ) -> Self {
        Self {
            hot: Arc::new(hot),
            cold,
            clock,
            lifecycle,
            lock,
            progress: Progress::default(),
            sealing: Arc::default(),
            maintenance: Mutex::default(),
            waiting: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
            rounds: StateMutex::default(),
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Says again and again whether the background worker should stand back: somebody appends, nobody waits for what it is at,
    /// and it is not behind.
    pub(crate) fn stands_back(&self) -> impl FnMut() -> bool + Send + '_ {
        let mut seen = self.commits.load(Ordering::Relaxed);
        move || {
            let commits = self.commits.load(Ordering::Relaxed);
            let is_busy = std::mem::replace(&mut seen, commits) != commits;
            is_busy && self.waiting.load(Ordering::Relaxed) == 0 && !self.is_behind()
        }
    }

    /// Whether more blocks are due to be converted than should be.
    fn is_behind(&self) -> bool {
        let ids = self.hot.blocks().iter().map(|block| *block.id()).collect();
        let ended_before_ms = self.clock.now_ms().saturating_sub(self.lifecycle.convert_after_ms);
        due::to_convert(ids, ended_before_ms).len() > BackgroundOptions::BACKLOG_BLOCKS
    }

    /// Waits until nobody else moves or removes what is sealed.
    async fn maintaining(&self) -> MutexGuard<'_, ()> {
        let _waits = Waits::of(&self.waiting);
        self.maintenance.lock().await
    }

    /// Seals on a thread of its own: it is work for a processor, and other tasks go on meanwhile. Who stops waiting for it does
    /// not stop it.
    pub(crate) async fn seal(&self) -> Result<u64> {
        let _waits = Waits::of(&self.waiting);
        let one_at_a_time = Arc::clone(&self.sealing).lock_owned().await;
        let sealed = self.blocking(move |hot| {
            let sealed = hot.seal();
            drop(one_at_a_time);
            sealed
        });
        Ok(sealed.await?.len() as u64)
    }

    /// Runs work of the hot tier where it may block. It is done to its end, also when nobody waits for it any more and the
    /// engine is gone: it holds the lock of the directory until then.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&HotStore) -> tsdb_hot::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (hot, lock) = (Arc::clone(&self.hot), self.lock.clone());
        let work = move || {
            let done = work(&hot);
            drop(hot);
            drop(lock);
            done
        };
        Ok(tokio::task::spawn_blocking(work).await.map_err(|e| Error::Runtime(e.to_string()))??)
    }

    /// Seals a head that is over its limits, or that nothing came to for a while.
    async fn seal_due(&self, now_ms: i64) -> Result<u64> {
        let head = (self.hot.older_sources().live_sequence, self.hot.stats().head.samples);
        let is_idle = {
            let mut rounds = self.rounds.lock();
            let since_ms = match rounds.head {
                Some((seen, since_ms)) if seen == head => since_ms,
                _ => now_ms,
            };
            rounds.head = Some((head, since_ms));
            head.1 > 0 && now_ms.saturating_sub(since_ms) >= self.lifecycle.seal_idle_after_ms
        };
        if is_idle || self.hot.needs_seal() { self.seal().await } else { Ok(0) }
    }

    /// Converts the blocks that `choose` takes from all that there are.
    pub(crate) async fn convert(
        &self,
        now_ms: i64,
        choose: impl FnOnce(Vec<BlockId>) -> Vec<BlockId>,
    ) -> Result<Flushed> {
        let _one_at_a_time = self.maintaining().await;
        let sealed = self.hot.blocks();
        let chosen = choose(sealed.iter().map(|block| *block.id()).collect());
        let blocks: Vec<_> =
            sealed.iter().filter(|block| chosen.contains(block.id())).map(|block| block.block()).collect();
        let before = self.cold.stats();
        let mut converted = 0;
        let remove = |ids: &[BlockId]| {
            converted += ids.len() as u64;
            ids.iter().try_for_each(|id| self.hot.remove_block(id)).map_err(Error::from)
        };
        self.cold.convert(&blocks, now_ms, &self.progress, remove).await?;
        let after = self.cold.stats();
        Ok(Flushed {
            blocks: converted,
            files: after.files - before.files,
            samples: after.samples - before.samples,
            bytes: after.bytes - before.bytes,
        })
    }

    pub(crate) async fn convert_due(&self, now_ms: i64) -> Result<Flushed> {
        let ended_before_ms = now_ms.saturating_sub(self.lifecycle.convert_after_ms);
        self.convert(now_ms, |ids| due::to_convert(ids, ended_before_ms)).await
    }

    pub(crate) async fn compact(&self, mode: CompactionMode, now_ms: i64) -> Result<Compacted> {
        let _one_at_a_time = self.maintaining().await;
        // First the hot tier, then the cold one: what is handed over in between is seen twice, and never not at all.
        let unconverted = self.unconverted();
        Ok(self.cold.compact(&unconverted, mode, now_ms, &self.progress).await?)
    }

    /// Drops the days that are over the retention: cold files first, because what blocks have replaced in them must not
    /// show again.
    pub(crate) async fn expire(&self, now_ms: i64) -> Result<(Expired, u64)> {
        let Some(retention_ms) = self.lifecycle.retention_ms else { return Ok(Default::default()) };
        let _one_at_a_time = self.maintaining().await;
        let hot = self.hot.snapshot().sources();
        let range = hot.iter().map(HotSource::time_range).fold(self.cold.time_range(), TimeRange::hull);
        if range.is_empty() {
            return Ok(Default::default());
        }
        let cutoff_ms = due::retention_cutoff(range.end_ms, now_ms, retention_ms);
        let expired = self.cold.expire(cutoff_ms).await?;
        let mut blocks = 0;
        // By identity, so by sequence.
        for block in self.hot.blocks().iter().filter(|b| b.block().meta().time_range.end_ms < cutoff_ms) {
            self.hot.remove_block(block.id())?;
            blocks += 1;
        }
        Ok((expired, blocks))
    }

    pub(crate) async fn sweep(&self, now_ms: i64) -> Result<u64> {
        let _one_at_a_time = self.maintaining().await;
        let grace_ms = self.lifecycle.orphan_grace_ms;
        let swept = self.cold.sweep_orphans(now_ms, grace_ms).await? as u64;
        self.rounds.lock().swept_ms = Some(now_ms);
        Ok(swept)
    }

    /// One round: everything that is due. A step that fails does not keep the others from being taken; the first error is
    /// returned.
    pub(crate) async fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        let mut done = Maintained::default();
        let mut failed = None;
        let mut note = |step: &str, error: Error| {
            tracing::error!(%error, step, "maintenance failed; it is tried again");
            failed.get_or_insert(error);
        };
        match self.seal_due(now_ms).await {
            Ok(sealed) => done.sealed = sealed,
            Err(error) => note("seal", error),
        }
        match self.convert_due(now_ms).await {
            Ok(converted) => done.converted = converted,
            Err(error) => note("convert", error),
        }
        match self.expire(now_ms).await {
            Ok((expired, blocks)) => (done.expired, done.blocks_expired) = (expired, blocks),
            Err(error) => note("expire", error),
        }
        match self.compact(CompactionMode::Due, now_ms).await {
            Ok(compacted) => done.compacted = compacted,
            Err(error) => note("compact", error),
        }
        let swept_ms = self.rounds.lock().swept_ms.unwrap_or(i64::MIN);
        if now_ms.saturating_sub(swept_ms) >= self.lifecycle.orphan_grace_ms {
            match self.sweep(now_ms).await {
                Ok(orphans) => done.orphans = orphans,
                Err(error) => note("sweep", error),
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Deletes in every tier. First in the cold one: what a deleted sample had replaced must not show in between.
    pub(crate) async fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let mut below_sequence = self.hot.older_sources().live_sequence;
        loop {
            let tombstone = Tombstone { below_sequence, range, matchers: matchers.to_vec() };
            self.cold.delete(tombstone, &self.unconverted()).await?;
            let matchers = matchers.to_vec();
            let deleted_below = self.blocking(move |hot| hot.delete(&matchers, range)).await?;
            if deleted_below == below_sequence {
                return Ok(());
            }
            // The live generation was frozen meanwhile, and its blocks may have been converted before the tombstone was there.
            below_sequence = deleted_below;
        }
    }

    fn unconverted(&self) -> Unconverted {
        let older = self.hot.older_sources();
        Unconverted { live_sequence: older.live_sequence, sources: older.sources }
    }
}
