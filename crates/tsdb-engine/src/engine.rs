//! The engine: one data directory, both tiers, and the life of data between them.
//!
//! Order of opening: the lock, the catalog, then the hot tier, which needs to know the blocks that the
//! catalog has taken over and the lowest sequence that is free. Order of a hand-over: see [`Engine::flush`].

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use futures::TryStreamExt;
use object_store::ObjectStore;
use tokio::sync::Mutex;
use tsdb_cold::{ColdTier, VfsStore};
use tsdb_core::{Matcher, TimeRange};
use tsdb_hot::{HotStore, Recovery};
use tsdb_vfs::{Vfs, VfsLock};

use crate::auto_seal::AutoSeal;
use crate::error::{Error, Result};
use crate::select::{self, SeriesStream};
use crate::{Appender, EngineBuilder, EngineStats};

/// The file that an open engine holds locked.
const LOCK_FILE: &str = "LOCK";
/// The directory of the cold tier.
const COLD_DIR: &str = "cold";

/// What one flush did.
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

/// A hybrid time-series store, open for reading and writing.
///
/// Appends are synchronous; what reads or moves data is `async`, for cold data may be remote. Local files
/// are read on the calling thread. All methods take `&self`: share it in an [`Arc`].
pub struct Engine {
    hot: Arc<HotStore>,
    cold: ColdTier,
    recovery: Recovery,
    dir: PathBuf,
    /// One seal or flush at a time.
    maintenance: Arc<Mutex<()>>,
    auto_seal: AutoSeal,
    /// Held until the engine is dropped.
    _lock: Box<dyn VfsLock>,
}

impl Engine {
    /// Opens the store in `dir`, with default settings, making a new one where there is none.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open; [`Error::Directory`] when it cannot be read or
    /// written; [`Error::Hot`] and [`Error::Cold`] when what is in it is damaged or from a newer version.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(dir).open().await
    }

    /// Settings and components for an engine in `dir`.
    #[must_use]
    pub fn builder(dir: impl Into<PathBuf>) -> EngineBuilder {
        EngineBuilder::new(dir.into())
    }

    pub(crate) async fn open_built(builder: EngineBuilder) -> Result<Self> {
        let EngineBuilder { dir, options, vfs, cold_store, create } = builder;
        let lock = take_lock(vfs.as_ref(), &dir, create)?;
        let store = match cold_store {
            Some(store) => store,
            None => local_cold_store(&vfs, &dir)?,
        };
        let cold = ColdTier::open(store, options.cold).await?;
        cold.sweep_orphans().await?;
        let catalog = cold.snapshot();
        let handed_over = |id: &_| catalog.handed_over.contains(id);
        let (hot, recovery) =
            HotStore::open(Arc::clone(&vfs), &dir, options.hot, &handed_over, catalog.next_sequence)?;
        cold.forget_handed_over().await;
        Ok(Self {
            hot: Arc::new(hot),
            cold,
            recovery,
            dir,
            maintenance: Arc::default(),
            auto_seal: AutoSeal::default(),
            _lock: lock,
        })
    }

    /// What opening found in the WAL.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// A batch to append samples to.
    #[must_use]
    pub fn appender(&self) -> Appender<'_> {
        Appender::new(self)
    }

    /// The series that match all `matchers` (an empty list selects everything), in label order, each with its
    /// samples inside `range`, over all tiers. Series without a sample in `range` are left out.
    ///
    /// What was committed before the call is in the answer, and seals and flushes meanwhile do not change it; a sample that
    /// is committed meanwhile may be in it.
    ///
    /// # Errors
    /// The stream ends at its first error: a damaged block or cold file, or a store that cannot be read.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> SeriesStream {
        // First the hot tier, then the cold one: a block that is handed over in between is seen twice, as
        // the same samples, and never not at all.
        let hot = self.hot.snapshot();
        select::merged(&hot, &self.cold, matchers, range)
    }

    /// Seals the head: what is in it becomes blocks, its WAL segments are dropped and its memory is freed. Appends
    /// go on meanwhile. Returns the number of blocks written.
    ///
    /// # Errors
    /// [`Error::Hot`]. Nothing is lost: what was not sealed stays in the head and in the WAL.
    pub async fn seal(&self) -> Result<usize> {
        let _one_at_a_time = self.maintenance.lock().await;
        self.seal_head().await
    }

    /// Seals the head and converts every block to Parquet: afterwards all data that was there at the call is
    /// in the cold tier only, and its WAL segments and blocks are gone. Appends go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Hot`] or [`Error::Cold`]. Nothing is lost: what was not converted stays in its block.
    pub async fn flush(&self) -> Result<Flushed> {
        let _one_at_a_time = self.maintenance.lock().await;
        self.seal_head().await?;
        let before = self.cold.stats();
        let sealed = self.hot.blocks();
        let blocks: Vec<_> = sealed.iter().map(|sealed| sealed.block()).collect();
        let remove = |ids: &[_]| ids.iter().try_for_each(|id| self.hot.remove_block(id)).map_err(Error::from);
        self.cold.convert(&blocks, remove).await?;
        let after = self.cold.stats();
        Ok(Flushed {
            blocks: blocks.len() as u64,
            files: after.files - before.files,
            samples: after.samples - before.samples,
            bytes: after.bytes - before.bytes,
        })
    }

    /// The number of distinct series over all tiers. It reads every series, so it costs what
    /// [`select`](Self::select) of everything costs.
    ///
    /// # Errors
    /// As the stream of [`select`](Self::select).
    pub async fn count_series(&self) -> Result<u64> {
        self.select(&[], TimeRange::ALL).try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await
    }

    /// Counts over all tiers.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let hot = self.hot.stats();
        let time_range = hot.time_range.hull(self.cold.time_range());
        EngineStats { time_range, hot, cold: self.cold.stats() }
    }

    /// Makes everything that was appended durable, says so in the WAL, so that any damage to it is found by the next
    /// opening, and closes the store. Dropping the engine instead loses nothing that
    /// [`WalSync`](crate::WalSync) promises, but cannot report an error; and damage to the last write can then not be
    /// told from one that a crash tore.
    ///
    /// # Errors
    /// [`Error::Hot`] when the last sync of the WAL fails.
    pub async fn close(self) -> Result<()> {
        let _no_flush_under_way = self.maintenance.lock().await;
        Ok(self.hot.close()?)
    }

    /// Seals on a thread of its own: it is work for a processor, and other tasks go on meanwhile.
    async fn seal_head(&self) -> Result<usize> {
        let hot = Arc::clone(&self.hot);
        let sealed = tokio::task::spawn_blocking(move || hot.seal()).await;
        Ok(sealed.map_err(|e| Error::Runtime(e.to_string()))??.len())
    }

    pub(crate) fn hot(&self) -> &HotStore {
        &self.hot
    }

    pub(crate) fn cold(&self) -> &ColdTier {
        &self.cold
    }

    /// Has the head sealed when it is over its limits and nobody is at it. Does not wait for that.
    pub(crate) fn seal_if_needed(&self) {
        if !self.hot.needs_seal() {
            return;
        }
        if let Ok(maintenance) = Arc::clone(&self.maintenance).try_lock_owned() {
            self.auto_seal.start(Arc::clone(&self.hot), maintenance);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

pub(crate) fn take_lock(vfs: &dyn Vfs, dir: &std::path::Path, create: bool) -> Result<Box<dyn VfsLock>> {
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    let lock_path = dir.join(LOCK_FILE);
    if !create {
        match vfs.metadata(&lock_path) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoStore { dir: dir.to_owned() });
            }
            Err(e) => return Err(failed(e)),
        }
    }
    vfs.create_dir_all(dir).map_err(failed)?;
    match vfs.lock(&lock_path) {
        Ok(lock) => Ok(lock),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(Error::InUse { dir: dir.to_owned() }),
        Err(e) => Err(failed(e)),
    }
}

fn local_cold_store(vfs: &Arc<dyn Vfs>, dir: &std::path::Path) -> Result<Arc<dyn ObjectStore>> {
    let store = VfsStore::new(Arc::clone(vfs), dir.join(COLD_DIR));
    store.recover().map_err(tsdb_cold::Error::from)?;
    Ok(Arc::new(store))
}
