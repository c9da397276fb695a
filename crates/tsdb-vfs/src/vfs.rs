//! The seam: what a storage engine needs of a file system, and when each thing is durable.
//!
//! Small on purpose. Files are written once, by appending, and then are immutable: there is no seek, no
//! overwrite (but of zeros that were reserved), no reopening for append. That is all a log and a set of immutable files
//! need, and it is what a simulated disk can model exactly.
//!
//! # What is durable when
//!
//! *Durable* means: still there after the power went away.
//!
//! - **Bytes** of a file are durable once [`VfsFile::sync`] returned `Ok` after they were appended. Before, any
//!   part of them can be lost, and a torn tail (some bytes, zeros, garbage) can stand in their place.
//! - **Directory entries** (what [`create`](Vfs::create), [`rename`](Vfs::rename), [`hard_link`](Vfs::hard_link),
//!   [`remove_file`](Vfs::remove_file) and [`lock`](Vfs::lock) change) are durable once [`Vfs::sync_dir`] of the directory
//!   returned `Ok`. Before, the change can be undone by a power loss. Syncing a file does not make its name durable.
//! - A rename across directories is one change of both: it happened or it did not. Sync both.
//! - [`Vfs::create_dir_all`] and [`Vfs::truncate`] are durable when they return.
//! - **After a failed sync** nothing appended since the last good one may be trusted to become durable, even if a
//!   later sync returns `Ok`: operating systems drop the dirty pages and forget. Never retry; start a new file.
//!
//! Publishing a file so that it is either not there or whole: create under a temporary name, append, `sync`,
//! `rename` to the final name, `sync_dir`.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// A file system as a storage engine uses one. The module's text says what is durable when.
///
/// Every error names the operation and the path ([`path_error`](crate::path_error)) and keeps its
/// [`ErrorKind`](io::ErrorKind). All calls may block.
pub trait Vfs: Debug + Send + Sync + 'static {
    /// Creates a new, empty file for appending. Its name is durable after [`Vfs::sync_dir`] of its directory.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `NotFound` if the directory is missing, any other I/O error.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;

    /// The whole contents of an **immutable** file, without copying them where the system can (`mmap`).
    ///
    /// The file must not change while the bytes or a slice of them live: no append, no truncation. Removing its
    /// name or renaming it is fine; the bytes stay. Pages are read when they are first touched, so an error of
    /// the device ends the process there (`SIGBUS`): map what checksums and a local disk back.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn map(&self, path: &Path) -> io::Result<Bytes>;

    /// The whole contents of a file, copied into memory. Sees what was appended, durable or not.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// As [`Vfs::read`], into memory that is there already: what `buffer` held is gone. For one large file after another.
    ///
    /// # Errors
    /// As [`Vfs::read`]; what `buffer` holds then is of no meaning.
    fn read_into(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
        *buffer = self.read(path)?;
        Ok(())
    }

    /// Opens a file for reads at offsets. The handle stays good when the name is removed.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsRead>>;

    /// Length and modification time of a file or directory.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn metadata(&self, path: &Path) -> io::Result<FileInfo>;

    /// Length of a file in bytes.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn file_len(&self, path: &Path) -> io::Result<u64> {
        self.metadata(path).map(|info| info.len)
    }

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound` if the directory is missing, any other I/O error.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a directory and every missing parent, durably: each new entry's parent is synced. An existing
    /// directory is no error.
    ///
    /// # Errors
    /// `AlreadyExists` or `NotADirectory` if a file is in the way, any other I/O error.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file, replacing `to` if it exists: a reader sees the old file or the new one, never neither.
    /// Durable after [`Vfs::sync_dir`] of the directory (both, if they differ).
    ///
    /// # Errors
    /// `NotFound` if `from` or the directory of `to` is missing, any other I/O error.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, never replacing one: put-if-absent. Durable after [`Vfs::sync_dir`] of
    /// `link`'s directory.
    ///
    /// # Errors
    /// `AlreadyExists` if `link` is taken, `NotFound` if `original` is missing, any other I/O error.
    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()>;

    /// Removes a file's name. Handles and maps of it stay good. Durable after [`Vfs::sync_dir`].
    ///
    /// # Errors
    /// `NotFound`, any other I/O error.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Cuts a file to `len` bytes, durably: the file is synced before this returns. For repair, on a file that
    /// nobody has mapped or holds for appending ([`VfsFile::truncate`] is for those).
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if the file is shorter than `len`; any other I/O error.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Makes every change of the directory's entries so far durable.
    ///
    /// # Errors
    /// `NotFound`, any other I/O error: then none of the changes may be taken as durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, creating it if it is missing, for as long as the guard lives. The lock
    /// also ends with the process, however it ends, and leaves the file in place.
    ///
    /// # Errors
    /// `WouldBlock` if another process, or another guard of this one, holds it; any other I/O error.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>>;
}

/// A file being written: bytes go to its end. Shareable: one thread may sync while another appends.
pub trait VfsFile: Debug + Send + Sync {
    /// Appends all of `bytes`. Appends of several threads do not mix. Not durable before [`VfsFile::sync`].
    ///
    /// # Errors
    /// Any I/O error (`StorageFull` when the disk is full): then a part of `bytes` may be in the file, which
    /// [`VfsFile::len`] counts and [`VfsFile::truncate`] takes back.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Writes zeros behind the end, so that the file has `len` bytes on the disk, for appends to write over: a sync of those
    /// has no metadata to write and does not wait for what else the file system is about to. Reserved bytes are not in
    /// [`VfsFile::len`]; readers see them as zeros, and [`VfsFile::truncate`] takes them back. A crash may leave zeros before
    /// bytes that were appended later and not synced. Does nothing where a file system has no use for it, or has so many.
    ///
    /// # Errors
    /// Any I/O error (`StorageFull` when the disk is full): then less may be reserved.
    fn reserve(&self, len: u64) -> io::Result<()> {
        let _ = len;
        Ok(())
    }

    /// Makes every byte whose `append` returned before this call durable. Does not cover the file's name.
    ///
    /// # Errors
    /// Any I/O error. Then nothing since the last good sync is to be trusted and a retry proves nothing: give
    /// up the file.
    fn sync(&self) -> io::Result<()>;

    /// Takes back the end of the file, down to `len` bytes, such as a half-written append, and all that is reserved. Durable
    /// after [`VfsFile::sync`]. The next append continues at `len`.
    ///
    /// # Errors
    /// `InvalidInput` if the file is shorter than `len`; any other I/O error.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Bytes in the file: those of appends that failed half-way included.
    fn len(&self) -> u64;

    /// Whether nothing is in the file.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file open for reads at offsets, from any number of threads.
pub trait VfsRead: Debug + Send + Sync {
    /// Length of the file in bytes when it was opened.
    fn len(&self) -> u64;

    /// Whether the file was empty when it was opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly `len` bytes from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before; any other I/O error.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}

/// An exclusive lock, held until it is dropped.
pub trait VfsLock: Debug + Send + Sync {}

/// What is known of a file or directory without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Length in bytes; of no meaning for a directory.
    pub len: u64,
    /// When the contents last changed, in milliseconds since the Unix epoch, as the file system's clock had it.
    pub modified_ms: i64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Name within the directory. Bytes that are not UTF-8 are shown as U+FFFD: such a file is not ours.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}
