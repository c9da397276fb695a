//! The operating system's file system behind [`Vfs`].
//!
//! Nothing here knows what the bytes mean, caches, or retries a failed sync. Unix only: positioned reads and
//! the fsync of a directory have no portable form in the standard library.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};

use crate::{DirEntry, FileInfo, Vfs, VfsFile, VfsLock, VfsRead, map, path_error};

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl Vfs for RealFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| path_error("create", path, e))?;
        Ok(Arc::new(RealFile {
            path: path.to_owned(),
            file,
            len: AtomicU64::new(0),
            appending: Mutex::default(),
        }))
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        File::open(path).and_then(|file| map::map(&file)).map_err(|e| path_error("map", path, e))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path).map_err(|e| path_error("read", path, e))
    }

    fn read_into(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        let read = File::open(path).and_then(|mut file| {
            buffer.try_reserve(file.metadata()?.len() as usize)?;
            file.read_to_end(buffer)
        });
        read.map(drop).map_err(|e| path_error("read", path, e))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsRead>> {
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(RealRead { path: path.to_owned(), file, len })
        };
        open().map(|read| Arc::new(read) as Arc<dyn VfsRead>).map_err(|e| path_error("open", path, e))
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        let info = || {
            let metadata = fs::metadata(path)?;
            Ok(FileInfo {
                len: metadata.len(),
                modified_ms: modified_ms(&metadata)?,
                is_dir: metadata.is_dir(),
            })
        };
        info().map_err(|e| path_error("read the metadata of", path, e))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        list(dir).map_err(|e| path_error("list", dir, e))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        create_dir_all(dir).map_err(|e| path_error("create directory", dir, e))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(|e| path_error(&format!("rename {} to", from.display()), to, e))
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        fs::hard_link(original, link)
            .map_err(|e| path_error(&format!("link {} as", original.display()), link, e))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(|e| path_error("remove", path, e))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let cut = || {
            let file = OpenOptions::new().write(true).open(path)?;
            shorten(&file, file.metadata()?.len(), len)?;
            file.sync_all()
        };
        cut().map_err(|e| path_error("truncate", path, e))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        sync_dir(dir).map_err(|e| path_error("sync directory", dir, e))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let lock = || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => Ok(RealLock { _file: file }),
                Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
                Err(TryLockError::Error(e)) => Err(e),
            }
        };
        lock().map(|lock| Box::new(lock) as Box<dyn VfsLock>).map_err(|e| path_error("lock", path, e))
    }
}

/// What [`VfsFile::reserve`] writes at once.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// A file open for appending. `len` is counted here rather than asked of the system at each append.
#[derive(Debug)]
struct RealFile {
    path: PathBuf,
    file: File,
    len: AtomicU64,
    /// Where the zeros end that are reserved. Held while the length changes, so that appends of several threads do not mix.
    /// A sync does not take it.
    appending: Mutex<u64>,
}

impl RealFile {
    fn appending(&self) -> MutexGuard<'_, u64> {
        // What a panic leaves is no more than is reserved.
        self.appending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like `write_all`, but counting: what a failed append left behind must be known to be taken back.
    fn write_all_counted(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write_at(bytes, self.len()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.len.fetch_add(written as u64, Ordering::Release);
                    bytes = &bytes[written..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl VfsFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let _guard = self.appending();
        self.write_all_counted(bytes).map_err(|e| path_error("append to", &self.path, e))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut reserved = self.appending();
        let mut end = self.len().max(*reserved);
        while end < len {
            let zeros = &ZEROS[..ZEROS.len().min((len - end) as usize)];
            self.file.write_all_at(zeros, end).map_err(|e| path_error("reserve space in", &self.path, e))?;
            end += zeros.len() as u64;
            *reserved = end;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // `fdatasync`: it covers the length, which is all the metadata that reading the bytes back needs.
        self.file.sync_data().map_err(|e| path_error("sync", &self.path, e))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut reserved = self.appending();
        shorten(&self.file, self.len(), len).map_err(|e| path_error("truncate", &self.path, e))?;
        self.len.store(len, Ordering::Release);
        *reserved = 0;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct RealRead {
    path: PathBuf,
    file: File,
    len: u64,
}

impl VfsRead for RealRead {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let read = || {
            // Checked before the buffer is allocated: a damaged length must not ask for all the memory.
            let end = offset.checked_add(len as u64);
            if end.is_none_or(|end| end > self.len) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut buffer = BytesMut::zeroed(len);
            self.file.read_exact_at(&mut buffer, offset)?;
            Ok(buffer.freeze())
        };
        read().map_err(|e| path_error(&format!("read {len} bytes at {offset} of"), &self.path, e))
    }
}

/// The lock lives as long as the open file.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl VfsLock for RealLock {}

/// Shortens a file of `now` bytes, and refuses to lengthen: `set_len` past the end would append zeros.
fn shorten(file: &File, now: u64, len: u64) -> io::Result<()> {
    if len > now {
        let reason = format!("the file has {now} bytes, fewer than {len}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    file.set_len(len)
}

fn list(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // Follows links, so that a store may keep a part elsewhere.
        let metadata = match fs::metadata(entry.path()) {
            // Removed since it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let is_dir = metadata.is_dir();
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(DirEntry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } });
    }
    entries.sort_unstable();
    Ok(entries)
}

fn create_dir_all(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new(""));
    create_dir_all(parent)?;
    match fs::create_dir(dir) {
        // Somebody else made it meanwhile. They may not have synced it yet, so go on.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        other => other?,
    }
    sync_dir(parent)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative name is the empty path, which means the working directory.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

fn modified_ms(metadata: &fs::Metadata) -> io::Result<i64> {
    let modified = metadata.modified()?;
    Ok(match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    })
}
