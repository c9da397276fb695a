//! Opening a store to read it, while another process may be writing to it.
//!
//! Nothing is locked and nothing is written, so the writer knows of no reader, and waits for none. What is read must be of
//! one moment all the same. Samples go from the log to blocks to cold files, so the tiers are read so that none is missed:
//!
//! 1. the catalog, and the tombstones;
//! 2. the log, then the blocks that the catalog has not taken over: what is sealed in between is in both, and the log's
//!    copy counts; should a younger generation be in blocks already, the log may lack the end of an older one, and everything
//!    is read again;
//! 3. whether catalog and tombstones are still the newest. If not, everything is read again.
//!
//! While the catalog stays the same no block is handed over but those that it names, so what 2 has found is all there is.
//! A file that is removed while it is read is one more reason to begin anew; an error is believed when nothing in the
//! directories has changed since.
//!
//! Later, a writer removes blocks and cold files that a reader here may want. Blocks are open; of cold files the handles of
//! the last ones that were read are kept, which is enough for a query to end that has begun. One that begins after its
//! files are gone fails with [`Error::Outdated`].

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tsdb_cold::{ColdTier, VfsStore};
use tsdb_hot::{HotStore, Recovery};

use crate::engine::{COLD_DIR, check_store};
use crate::error::{Error, Result};
use crate::metadata::MetadataStore;
use crate::read_ahead::read_ahead;
use crate::store::Store;
use crate::{Engine, EngineBuilder};

/// How often a store that changes meanwhile is read.
const TRIES: u32 = 20;
/// What is waited before the next try, times the number of tries.
const PAUSE: Duration = Duration::from_millis(5);

impl EngineBuilder {
    /// Opens the store to be read only, also while another process has it open for writing: what is in it now, the log up to
    /// its valid end included. Takes no lock, and writes and removes nothing; every call that writes fails with
    /// [`Error::ReadOnly`]. What is written later is not seen: open it again for that. It costs the memory of the head, and
    /// the time to replay the log.
    ///
    /// A writer that compacts removes cold files without waiting for readers elsewhere. A query that has begun ends all the
    /// same, as long as it reads no more than [`VfsStore::HANDLES_KEPT`] files; one that begins later may fail with
    /// [`Error::Outdated`]: then open again. (In a cold store of one's own, [`cold_store`](Self::cold_store), files go
    /// under a running query, too.)
    ///
    /// # Errors
    /// [`Error::NoStore`]; [`Error::Unsettled`] when a writer changes the store each time it is read; as
    /// [`open`](Self::open) when what is in it is damaged.
    pub async fn open_read_only(self) -> Result<Engine> {
        check_store(self.vfs.as_ref(), &self.dir)?;
        let mut tried = 0;
        loop {
            tried += 1;
            let before = self.names();
            match self.read().await {
                Ok(Some((store, recovery))) => {
                    // It says nothing about samples, so it may be of another moment.
                    let metadata = MetadataStore::open(self.vfs, &self.dir, false)?;
                    return Engine::read_only(store, metadata, recovery, self.dir);
                }
                Ok(None) if tried == TRIES => return Err(Error::Unsettled { dir: self.dir, tries: TRIES }),
                Ok(None) => {}
                Err(Error::Hot(tsdb_hot::Error::Changed)) if tried < TRIES => {}
                // Nobody was at it: the error is what is there.
                Err(error) if tried == TRIES || (tried > 1 && self.names() == before) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "the store could not be read; perhaps it changed meanwhile");
                }
            }
            // Not the runtime's timer, which it may be without.
            let pause = tokio::task::spawn_blocking(move || std::thread::sleep(PAUSE * tried));
            pause.await.map_err(|e| Error::Runtime(e.to_string()))?;
        }
    }

    /// Both tiers, if they are of one moment.
    async fn read(&self) -> Result<Option<(Store, Recovery)>> {
        let cold = ColdTier::open_read_only(self.cold_store_to_read(), self.options.cold.clone()).await?;
        let catalog = cold.snapshot();
        let handed_over = |id: &_| catalog.handed_over.contains(id);
        let (hot, recovery) = HotStore::open_read_only(
            Arc::clone(&self.vfs),
            &self.dir,
            self.options.hot.clone(),
            &handed_over,
            cold.next_sequence(),
        )?;
        if !cold.is_current().await? {
            return Ok(None);
        }
        let cold = cold.with_read_ahead(read_ahead(self.options.read_threads));
        let store = Store::new(hot, cold, Arc::clone(&self.clock), self.options.lifecycle, None);
        Ok(Some((store, recovery)))
    }

    /// The cold store that was asked for, or the one of the data directory as it is.
    pub(crate) fn cold_store_to_read(&self) -> Arc<dyn ObjectStore> {
        match &self.cold_store {
            Some(store) => Arc::clone(store),
            None => {
                let vfs = Arc::clone(&self.vfs);
                Arc::new(VfsStore::new(vfs, self.dir.join(COLD_DIR)).keeping_handles())
            }
        }
    }

    /// The names of what is in the directories that a writer changes.
    fn names(&self) -> Vec<String> {
        let dirs = ["wal", "blocks", "cold/catalog", "cold/tombstones"];
        let entries = dirs.iter().flat_map(|dir| self.vfs.list(&self.dir.join(dir)).unwrap_or_default());
        entries.map(|entry| entry.name).collect()
    }
}
