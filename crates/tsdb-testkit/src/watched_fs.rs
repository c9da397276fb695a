//! A file system whose steps somebody watches: to count them, to slow them down, to hold one back.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tsdb_vfs::{DirEntry, FileInfo, Vfs, VfsFile, VfsLock, VfsRead};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsStep<'a> {
    /// A file is made durable.
    Sync,
    /// The entries of a directory are made durable.
    SyncDir,
    /// A file is cut by its path, and made durable.
    Truncate,
    /// A file takes another name.
    Rename {
        /// The new name.
        to: &'a Path,
    },
}

type Watch = Arc<dyn Fn(FsStep<'_>) + Send + Sync>;

/// Another file system, of which a function is called before each [`FsStep`].
#[derive(Clone)]
pub struct WatchedFs {
    inner: Arc<dyn Vfs>,
    watch: Watch,
}

impl WatchedFs {
    /// `inner`, watched.
    pub fn new(inner: Arc<dyn Vfs>, watch: impl Fn(FsStep<'_>) + Send + Sync + 'static) -> Self {
        Self { inner, watch: Arc::new(watch) }
    }
}

impl fmt::Debug for WatchedFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedFs").field(&self.inner).finish()
    }
}

struct WatchedFile {
    inner: Arc<dyn VfsFile>,
    watch: Watch,
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedFile").field(&self.inner).finish()
    }
}

impl VfsFile for WatchedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.inner.append(bytes)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.inner.reserve(len)
    }

    fn sync(&self) -> io::Result<()> {
        (self.watch)(FsStep::Sync);
        self.inner.sync()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}

impl Vfs for WatchedFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let inner = self.inner.create(path)?;
        Ok(Arc::new(WatchedFile { inner, watch: Arc::clone(&self.watch) }))
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        self.inner.map(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.inner.read(path)
    }

    fn read_into(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.inner.read_into(path, buffer)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsRead>> {
        self.inner.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        self.inner.metadata(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_len(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.watch)(FsStep::Rename { to });
        self.inner.rename(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        (self.watch)(FsStep::Truncate);
        self.inner.truncate(path, len)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        (self.watch)(FsStep::SyncDir);
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.inner.lock(path)
    }
}
