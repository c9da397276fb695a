//! Checking everything that is stored, and repairing what can be.

use tsdb_hot::{RepairedSegment, repair_wal};

use crate::engine::take_lock;
use crate::error::{Error, Result};
use crate::{Engine, EngineBuilder};

/// What a check of a store found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Sealed blocks that were read.
    pub blocks: u64,
    /// Cold files that were read.
    pub files: u64,
    /// What is damaged: an error for each block and cold file that is, which names it.
    pub damaged: Vec<Error>,
}

impl Engine {
    /// Reads everything that is stored: every checksum, index and chunk of the blocks, every row of the cold files. (The
    /// write-ahead log was checked when the store was opened.) Goes on after damage, to find all of it.
    pub async fn verify(&self) -> Verified {
        let mut verified = Verified::default();
        for sealed in self.hot().blocks() {
            verified.blocks += 1;
            if let Err(error) = sealed.verify() {
                verified.damaged.push(error.into());
            }
        }
        for file in &self.cold().snapshot().files {
            verified.files += 1;
            if let Err(error) = self.cold().verify(file).await {
                verified.damaged.push(error.into());
            }
        }
        verified
    }
}

impl EngineBuilder {
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
