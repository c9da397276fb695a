//! [`SimDisk`]: the handle, its controls, and its [`Vfs`] side.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tsdb_vfs::{DirEntry, FileInfo, Vfs, VfsFile, VfsLock, VfsRead, path_error};

use super::Fault;
use super::crash::Rng;
use super::fault::Faults;
use super::file::Contents;
use super::tree::{Inode, Node, Tree, normalise};

/// A simulated disk. Clones are handles to the same disk.
///
/// It begins empty, with a root directory; absolute and relative paths mean the same. Like a process that keeps
/// running, its view shows everything written; [`SimDisk::crash`] shows what of it was durable. Changing a file
/// while a map of it lives panics, because on a real disk that is undefined behaviour.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    faults: Faults,
    locked: HashSet<PathBuf>,
    now_ms: i64,
    /// Bytes that still fit; none: no limit.
    free_bytes: Option<u64>,
}

impl SimDisk {
    /// An empty disk that nothing is wrong with.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This disk as the seam that the storage crates take.
    #[must_use]
    pub fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(self.clone())
    }

    /// Cuts the power: this disk and its open handles fail from here on. Returns the disk as it comes back, with
    /// no locks, no planned faults and no limit of space.
    ///
    /// Seed 0 loses everything that was not synced, seed 1 keeps all of it, any other seed loses, keeps and tears
    /// at random, the same way each time. What a failed sync covered reads as zeros at best.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut state = self.state.lock();
        state.faults.cut_power();
        let tree = state.tree.after_crash(&mut Rng::new(seed));
        let state = State { tree, now_ms: state.now_ms, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A copy of the disk as it is, unsynced things and counts included, with nothing shared and no locks held.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state.lock();
        let state = State {
            tree: state.tree.fork(),
            faults: state.faults.clone(),
            locked: HashSet::new(),
            now_ms: state.now_ms,
            free_bytes: state.free_bytes,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many operations that change the disk were tried so far; the next one has this number.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().faults.writes.count()
    }

    /// How many operations that only read were tried so far; the next one has this number.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state.lock().faults.reads.count()
    }

    /// Lets the `operation`th operation that changes the disk fail (counted from 0, see [`SimDisk::operations`]).
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state.lock().faults.writes.add(operation, fault);
    }

    /// Lets the `read`th operation that only reads fail (counted from 0, see [`SimDisk::reads`]).
    pub fn fail_read_at(&self, read: u64, fault: Fault) {
        self.state.lock().faults.reads.add(read, fault);
    }

    /// The planned faults that struck so far, each with its operation and path, for messages.
    #[must_use]
    pub fn faults_struck(&self) -> Vec<String> {
        self.state.lock().faults.struck().to_vec()
    }

    /// Lets `free_bytes` more bytes fit on the disk: an append writes what fits and then fails as a full disk does,
    /// and with nothing left no file can be created. `None` lifts the limit. Removing files frees nothing.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.state.lock().free_bytes = free_bytes;
    }

    /// Sets the disk's clock, which stamps files as they change. It stands still otherwise, at 0 in the beginning.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.state.lock().now_ms = now_ms;
    }

    /// Runs an operation that changes the disk, unless a fault strikes.
    fn write<T>(
        &self,
        operation: &str,
        path: &Path,
        run: impl FnOnce(&mut State, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        state.faults.before_write(operation, path)?;
        run(&mut state, &normalise(path)).map_err(|e| path_error(operation, path, e))
    }

    /// Runs an operation that only reads, unless a fault strikes.
    fn read_only<T>(
        &self,
        operation: &str,
        path: &Path,
        run: impl FnOnce(&State, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        state.faults.before_read(operation, path)?;
        run(&state, &normalise(path)).map_err(|e| path_error(operation, path, e))
    }
}

impl State {
    /// Adds an empty file.
    fn add_file(&mut self, path: &Path) -> io::Result<Inode> {
        let inode = Inode::default();
        inode.lock().modified_ms = self.now_ms;
        self.tree.add(path, Node::File(inode.clone()))?;
        Ok(inode)
    }

    /// Takes as many of `len` bytes as fit.
    fn take_free(&mut self, len: usize) -> usize {
        let fits = self.free_bytes.map_or(len, |free| len.min(free as usize));
        if let Some(free) = &mut self.free_bytes {
            *free -= fits as u64;
        }
        fits
    }

    /// Appends what fits.
    fn append(&mut self, contents: &mut Contents, bytes: &[u8]) -> io::Result<()> {
        let growth = contents.growth(bytes.len());
        let lacking = growth - self.take_free(growth);
        contents.append(&bytes[..bytes.len() - lacking]);
        contents.modified_ms = self.now_ms;
        if lacking > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Reserves what fits, up to `len` bytes of the file.
    fn reserve(&mut self, contents: &mut Contents, len: u64) -> io::Result<()> {
        let lacking = (len as usize).saturating_sub(contents.current().len());
        let fits = self.take_free(lacking);
        contents.reserve(fits);
        contents.modified_ms = self.now_ms;
        if fits < lacking { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Vfs for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let inode = self.write("create", path, |state, at| {
            if state.free_bytes == Some(0) && state.tree.get(at).is_err() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.add_file(at)
        })?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), inode }))
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        self.read_only("map", path, |state, at| Ok(state.tree.file(at)?.lock().map()))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read_only("read", path, |state, at| Ok(state.tree.file(at)?.lock().current().to_vec()))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsRead>> {
        let inode = self.read_only("open", path, |state, at| state.tree.file(at))?;
        let len = inode.lock().current().len() as u64;
        Ok(Arc::new(SimRead { disk: self.clone(), path: path.to_owned(), inode, len }))
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        self.read_only("read the metadata of", path, |state, at| match state.tree.get(at)? {
            Node::Dir => Ok(FileInfo { len: 0, modified_ms: 0, is_dir: true }),
            Node::File(inode) => {
                let contents = inode.lock();
                Ok(FileInfo {
                    len: contents.current().len() as u64,
                    modified_ms: contents.modified_ms,
                    is_dir: false,
                })
            }
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.read_only("list", dir, |state, at| {
            let entries = state.tree.list(at)?.map(|(path, node)| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                match node {
                    Node::Dir => DirEntry { name, is_dir: true, len: 0 },
                    Node::File(inode) => {
                        DirEntry { name, is_dir: false, len: inode.lock().current().len() as u64 }
                    }
                }
            });
            Ok(entries.collect())
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut at = PathBuf::new();
        for component in &normalise(dir) {
            at.push(component);
            let there = |state: &State, at: &Path| Ok(matches!(state.tree.get(at), Ok(Node::Dir)));
            if !self.read_only("look for directory", &at, there)? {
                // Two operations each, so that a crash can come between them.
                self.write("create directory", &at, |state, at| state.tree.add(at, Node::Dir))?;
                self.sync_dir(at.parent().unwrap_or(Path::new("")))?;
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let operation = format!("rename {} to", from.display());
        self.write(&operation, to, |state, to| state.tree.rename_file(&normalise(from), to))
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        let operation = format!("link {} as", original.display());
        self.write(&operation, link, |state, link| {
            let inode = state.tree.file(&normalise(original))?;
            state.tree.add(link, Node::File(inode))
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.write("remove", path, |state, at| state.tree.remove_file(at))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.write("truncate", path, |state, at| {
            let inode = state.tree.file(at)?;
            let mut contents = inode.lock();
            shorten(&mut contents, len, state.now_ms)
        })?;
        self.write("sync", path, |state, at| {
            state.tree.file(at)?.lock().sync();
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.write("sync directory", dir, |state, at| state.tree.sync(at))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let at = self.write("lock", path, |state, at| {
            match state.tree.file(at) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => drop(state.add_file(at)?),
                other => drop(other?),
            }
            if state.locked.insert(at.to_owned()) {
                Ok(at.to_owned())
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        })?;
        Ok(Box::new(SimLock { disk: self.clone(), path: at }))
    }
}

/// A file open for appending.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: Inode,
}

impl VfsFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let mut contents = self.inode.lock();
        if let Err(strike) = state.faults.before_write("append to", &self.path) {
            contents.append(&bytes[..strike.fault.bytes_written(bytes.len())]);
            return Err(strike.error);
        }
        state.append(&mut contents, bytes).map_err(|e| path_error("append to", &self.path, e))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.disk.write("reserve space in", &self.path, |state, _| state.reserve(&mut self.inode.lock(), len))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let mut contents = self.inode.lock();
        if let Err(strike) = state.faults.before_write("sync", &self.path) {
            if strike.fault != Fault::Crash {
                contents.sync_failed();
            }
            return Err(strike.error);
        }
        contents.sync();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.write("truncate", &self.path, |state, _| shorten(&mut self.inode.lock(), len, state.now_ms))
    }

    fn len(&self) -> u64 {
        self.inode.lock().len() as u64
    }
}

/// A file open for reading.
#[derive(Debug)]
struct SimRead {
    disk: SimDisk,
    path: PathBuf,
    inode: Inode,
    len: u64,
}

impl VfsRead for SimRead {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.disk.read_only(&format!("read {len} bytes at {offset} of"), &self.path, |_, _| {
            let contents = self.inode.lock();
            let end = offset.checked_add(len as u64).filter(|end| *end <= self.len);
            let range = end.and_then(|end| contents.current().get(offset as usize..end as usize));
            range.map(Bytes::copy_from_slice).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        })
    }
}

/// A lock, held until it is dropped.
#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl VfsLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state.lock().locked.remove(&self.path);
    }
}

/// Shortens, and refuses to lengthen.
fn shorten(contents: &mut Contents, len: u64, now_ms: i64) -> io::Result<()> {
    let now = contents.len() as u64;
    if len > now {
        let reason = format!("the file has {now} bytes, fewer than {len}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    contents.truncate(len as usize);
    contents.modified_ms = now_ms;
    Ok(())
}
