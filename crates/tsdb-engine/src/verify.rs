//! Checking everything that is stored, and repairing what can be.

use std::sync::Arc;

use tsdb_cold::{ColdTier, Rebuilt, rebuild_catalog};
use tsdb_hot::{RepairedSegment, repair_wal};

use crate::engine::{check_store, cold_store, take_lock};
use crate::error::{Error, Result};
use crate::{Engine, EngineBuilder, metadata};

/// What a check of a store found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Segments of the write-ahead log that were read. Those of an open store were read when it was opened.
    pub segments: u64,
    /// Bytes at the end of the log that are no whole batch: as a crash leaves it. The next opening cuts them off, or this one
    /// has. (Or a batch that a writer was about to write.)
    pub torn_bytes: u64,
    /// Sealed blocks that were read.
    pub blocks: u64,
    /// Cold files that were read.
    pub files: u64,
    /// What is damaged: an error for each block and cold file that is, and for the metadata of metrics, which names it.
    pub damaged: Vec<Error>,
}

/// How often the catalog is read again because it cannot be: a writer may have changed it meanwhile.
const OPEN_TRIES: usize = 3;

impl Verified {
    async fn read_cold(&mut self, cold: &ColdTier) {
        for file in &cold.snapshot().files {
            self.files += 1;
            if let Err(error) = cold.verify(file).await {
                self.damaged.push(error.into());
            }
        }
    }

    /// As [`read_cold`](Self::read_cold), of a store that someone else may write to: a file that is gone is missed only if the
    /// newest catalog names it.
    async fn read_cold_beside_a_writer(&mut self, builder: &EngineBuilder) {
        let open = || ColdTier::open_read_only(builder.cold_store_to_read(), builder.options.cold.clone());
        let mut tries = 0;
        let cold = loop {
            match open().await {
                Ok(cold) => break cold,
                Err(_) if tries < OPEN_TRIES => tries += 1,
                Err(error) => return self.damaged.push(error.into()),
            }
        };
        for file in &cold.snapshot().files {
            let Err(error) = cold.verify(file).await else {
                self.files += 1;
                continue;
            };
            let is_live = |cold: ColdTier| cold.snapshot().files.iter().any(|live| live.path == file.path);
            if error.missing_object().is_none() || open().await.map_or(true, is_live) {
                self.files += 1;
                self.damaged.push(error.into());
            }
        }
    }
}

impl Engine {
    /// Reads everything that is stored: every checksum, index and chunk of the blocks, every byte and row of the cold files.
    /// Goes on after damage, to find all of it. A store that does not open is read by [`EngineBuilder::verify`].
    pub async fn verify(&self) -> Verified {
        let (stats, recovery) = (self.stats(), self.recovery());
        let mut verified = Verified {
            segments: stats.hot.wal.segments,
            torn_bytes: recovery.torn_bytes,
            ..Verified::default()
        };
        for sealed in self.hot().blocks() {
            verified.blocks += 1;
            if let Err(error) = sealed.verify() {
                verified.damaged.push(error.into());
            }
        }
        verified.read_cold(self.cold()).await;
        if let Err(error) = self.metadata_store().verify() {
            verified.damaged.push(error);
        }
        if self.is_read_only() {
            // A file that a writer has merged since is none that was lost.
            verified.damaged = verified.damaged.into_iter().map(Error::seen_read_only).collect();
        }
        verified
    }
}

impl EngineBuilder {
    /// As [`Engine::verify`], of a store that is not open here and perhaps does not open: the log, every block and every cold
    /// file are read, whichever of them is damaged. Changes nothing. Another process may have the store open for writing: what
    /// it removes meanwhile is passed over, and what it adds is not looked at.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Directory`]; [`Error::Hot`] when the directories cannot be listed.
    pub async fn verify(self) -> Result<Verified> {
        check_store(self.vfs.as_ref(), &self.dir)?;
        let hot = tsdb_hot::verify(&self.vfs, &self.dir)?;
        let mut verified = Verified {
            segments: hot.segments,
            torn_bytes: hot.torn_bytes,
            blocks: hot.blocks,
            files: 0,
            damaged: hot.damaged.into_iter().map(Error::from).collect(),
        };
        verified.read_cold_beside_a_writer(&self).await;
        if let Err(error) = metadata::read(self.vfs.as_ref(), &self.dir) {
            verified.damaged.push(error);
        }
        Ok(verified)
    }

    /// Lists all cold files in a new catalog, whatever the state of the old one: for a catalog that is damaged or lost. What
    /// was found is in the answer; files that cannot be read are kept under `cold/damaged/`.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NoStore`], [`Error::Directory`]; [`Error::Cold`] when the store cannot be read or written,
    /// or files contradict each other. No catalog was committed then.
    pub async fn rebuild_catalog(self) -> Result<Rebuilt> {
        let _lock = take_lock(self.vfs.as_ref(), &self.dir, false)?;
        let blocks = tsdb_hot::list_blocks(Arc::clone(&self.vfs), &self.dir)?;
        Ok(rebuild_catalog(cold_store(&self, true)?, &blocks).await?)
    }

    /// Makes a damaged write-ahead log readable again, by giving up the batches that cannot be read. The damaged segments
    /// are kept in `wal/damaged/`. Gives what was changed; nothing if the log is whole.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NoStore`], [`Error::Directory`]; [`Error::Hot`] when the log cannot be read or written.
    pub fn repair_wal(&self) -> Result<Vec<RepairedSegment>> {
        let _lock = take_lock(self.vfs.as_ref(), &self.dir, false)?;
        Ok(repair_wal(self.vfs.as_ref(), &self.dir)?)
    }
}
