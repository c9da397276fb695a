//! The real file system with a counter of what is waited for: fsyncs of files and of directories.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tsdb_vfs::{DirEntry, FileInfo, RealFs, Vfs, VfsFile, VfsLock, VfsRead};

/// [`RealFs`], counted.
#[derive(Debug, Default)]
pub(super) struct CountingFs {
    syncs: Arc<AtomicU64>,
}

impl CountingFs {
    /// How many files and directories were fsynced.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn VfsFile>,
    syncs: Arc<AtomicU64>,
}

impl VfsFile for CountingFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl Vfs for CountingFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = RealFs.create(path)?;
        Ok(Arc::new(CountingFile { file, syncs: Arc::clone(&self.syncs) }))
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        RealFs.map(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealFs.read(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsRead>> {
        RealFs.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        RealFs.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealFs.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        RealFs.hard_link(original, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        RealFs.truncate(path, len)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        RealFs.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        RealFs.lock(path)
    }
}
