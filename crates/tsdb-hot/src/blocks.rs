//! Sealed blocks and tombstones on disk: which there are, and how one comes and goes.
//!
//! A file is written under a temporary name, fsynced, renamed and its directory fsynced, so a name that ends in `.block`
//! or `.tombstone` is always a whole file. This module decides nothing about generations: opening tells it what to forget.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_core::{Block, BlockId, BlockMeta, BlockWriter, Tombstone};
use tsdb_vfs::{FileWriter, Vfs, VfsFile};

use crate::{Error, Result};

/// Ending of a block's file name; the stem is its [`BlockId`].
const BLOCK_SUFFIX: &str = ".block";
/// Ending of a tombstone's file name; the stem is its number in 20 decimal digits.
const TOMBSTONE_SUFFIX: &str = ".tombstone";
/// Ending of a file that is being written. After a crash it is garbage.
const TMP_SUFFIX: &str = ".tmp";
/// Bytes gathered before they go to the file.
const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// A block on disk, open.
#[derive(Debug)]
pub struct SealedBlock {
    block: Block,
    path: PathBuf,
    bytes: u64,
}

impl SealedBlock {
    /// The block's identity.
    #[must_use]
    pub fn id(&self) -> &BlockId {
        &self.block.meta().id
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks everything: see [`Block::verify`].
    ///
    /// # Errors
    /// [`Error::BlockDamaged`] at the first damage.
    pub fn verify(&self) -> Result<()> {
        self.block.verify().map_err(|source| Error::block(&self.path, source))
    }

    /// Length of its file in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The directory of sealed blocks.
#[derive(Debug)]
pub(crate) struct BlockManager {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
}

/// What is in the directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) blocks: Vec<BlockId>,
    /// By number.
    pub(crate) tombstones: Vec<u64>,
    pub(crate) leftovers: Vec<PathBuf>,
}

impl BlockManager {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, dir: PathBuf) -> Self {
        Self { vfs, dir }
    }

    /// The blocks, the tombstones and the files of interrupted writes. Nothing where there is no directory yet.
    pub(crate) fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let entries = match self.vfs.list(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
            entries => entries?,
        };
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let id = entry.name.strip_suffix(BLOCK_SUFFIX).and_then(|stem| stem.parse().ok());
            let number = entry.name.strip_suffix(TOMBSTONE_SUFFIX).and_then(|stem| stem.parse().ok());
            match id {
                Some(id) => listing.blocks.push(id),
                None if number.is_some_and(|number| tombstone_name(number) == entry.name) => {
                    listing.tombstones.extend(number);
                }
                None if entry.name.ends_with(TMP_SUFFIX) => {
                    listing.leftovers.push(self.dir.join(&entry.name));
                }
                None => {
                    tracing::warn!(
                        name = entry.name,
                        "a file in the blocks' directory is neither a block nor a tombstone; it is left alone"
                    );
                }
            }
        }
        listing.tombstones.sort_unstable();
        Ok(listing)
    }

    /// Reads a tombstone.
    pub(crate) fn read_tombstone(&self, number: u64) -> Result<Tombstone> {
        let path = self.dir.join(tombstone_name(number));
        let bytes = self.vfs.read(&path)?;
        Tombstone::decode(&bytes).map_err(|source| Error::tombstone(&path, source))
    }

    /// Writes a tombstone; it is durable when this returns.
    pub(crate) fn write_tombstone(&self, number: u64, tombstone: &Tombstone) -> Result<()> {
        let name = tombstone_name(number);
        self.write_file(&name, |file| Ok(file.append(&tombstone.encode())?))?;
        self.sync().inspect_err(|_| {
            // Nobody can know whether the name is durable; it must not come back without having been asked for.
            let _ = self.remove_tombstone(number);
        })
    }

    /// Removes a tombstone's file; one that is gone already is no error. Durable after [`BlockManager::sync`].
    pub(crate) fn remove_tombstone(&self, number: u64) -> Result<()> {
        self.remove_path(&self.dir.join(tombstone_name(number)))
    }

    /// Opens a block.
    pub(crate) fn open(&self, id: &BlockId) -> Result<SealedBlock> {
        let path = self.path(id);
        let bytes = self.vfs.map(&path)?;
        let len = bytes.len() as u64;
        let block = Block::open(bytes).map_err(|source| Error::block(&path, source))?;
        if block.meta().id != *id {
            let detail = format!("the file holds the block {}", block.meta().id);
            let source = tsdb_core::Error::Corrupt { what: "block", offset: 0, detail };
            return Err(Error::BlockDamaged { path, source });
        }
        Ok(SealedBlock { block, path, bytes: len })
    }

    /// Writes a block with what `fill` adds to it. Its name is durable after [`BlockManager::sync`].
    pub(crate) fn write(
        &self,
        id: &BlockId,
        fill: impl FnOnce(&mut BlockWriter<BufWriter<FileWriter>>) -> Result<()>,
    ) -> Result<BlockMeta> {
        self.write_file(&format!("{id}{BLOCK_SUFFIX}"), |file| {
            let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, FileWriter::new(Arc::clone(file)));
            let mut writer = BlockWriter::new(out, *id)?;
            fill(&mut writer)?;
            let (meta, mut out) = writer.finish()?;
            out.flush()?;
            Ok(meta)
        })
    }

    /// Makes the file `name` with what `fill` writes, all of it or nothing. Its name is durable after
    /// [`BlockManager::sync`].
    fn write_file<T>(&self, name: &str, fill: impl FnOnce(&Arc<dyn VfsFile>) -> Result<T>) -> Result<T> {
        let tmp = self.dir.join(format!("{name}{TMP_SUFFIX}"));
        let written = self.create(&tmp).and_then(|file| {
            let written = fill(&file)?;
            file.sync()?;
            self.vfs.rename(&tmp, &self.dir.join(name))?;
            Ok(written)
        });
        if written.is_err() {
            // The error that matters is the first one; what stays is removed when the store is opened.
            let _ = self.vfs.remove_file(&tmp);
        }
        written
    }

    fn create(&self, tmp: &Path) -> Result<Arc<dyn VfsFile>> {
        let file = self.vfs.create(tmp).or_else(|error| match error.kind() {
            // Left by a write that failed.
            std::io::ErrorKind::AlreadyExists => {
                self.vfs.remove_file(tmp)?;
                self.vfs.create(tmp)
            }
            _ => Err(error),
        })?;
        Ok(file)
    }

    /// Makes names of written blocks, and removals, durable.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.vfs.sync_dir(&self.dir)?)
    }

    /// Removes a block's file; one that is gone already is no error. Durable after [`BlockManager::sync`].
    pub(crate) fn remove(&self, id: &BlockId) -> Result<()> {
        self.remove_path(&self.path(id))
    }

    /// Removes a file of the directory.
    pub(crate) fn remove_path(&self, path: &Path) -> Result<()> {
        match self.vfs.remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn path(&self, id: &BlockId) -> PathBuf {
        self.dir.join(format!("{id}{BLOCK_SUFFIX}"))
    }
}

fn tombstone_name(number: u64) -> String {
    format!("{number:020}{TOMBSTONE_SUFFIX}")
}
