//! The next segment, filled with zeros before it is needed.
//!
//! An fsync of a file that grows waits for the file system's journal, and so for whatever else it has to bring to the disk at
//! that time: the blocks and cold files that the same store writes. An fsync of bytes that are written over zeros has no
//! metadata to write. So once a segment has got enough to show that more comes, a thread makes the next one: a file without a
//! name that counts, all zeros. It takes its place in the log with one rename.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tsdb_vfs::{Vfs, VfsFile};

/// Name of the file in the log's directory. One that is there at opening is of no use.
pub(super) const PREPARED_NAME: &str = "next.prepared";
/// Zeros between two fsyncs, in bytes: what an fsync of the log, at most, has before it on the way to the disk.
const STEP_BYTES: u64 = 512 << 10;

/// A segment that is being prepared, or is ready.
#[derive(Debug)]
pub(super) struct Prepared {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    bytes: u64,
    stop: Arc<AtomicBool>,
    /// None once it has ended.
    thread: Option<JoinHandle<io::Result<Arc<dyn VfsFile>>>>,
    /// What it made, if it could.
    file: Option<Arc<dyn VfsFile>>,
}

impl Prepared {
    /// Begins to prepare a segment of `bytes` for the log in `dir`.
    pub(super) fn start(vfs: &Arc<dyn Vfs>, dir: &Path, bytes: u64) -> io::Result<Self> {
        let (dir, stop) = (dir.to_owned(), Arc::new(AtomicBool::new(false)));
        let thread = thread::Builder::new().name("tsdb-wal-next".into()).spawn({
            let (vfs, path, stop) = (Arc::clone(vfs), dir.join(PREPARED_NAME), Arc::clone(&stop));
            move || fill(vfs.as_ref(), &path, bytes, &stop)
        })?;
        Ok(Self { vfs: Arc::clone(vfs), dir, bytes, stop, thread: Some(thread), file: None })
    }

    /// How long it is, zeros included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is made, or could not be. Waits for nothing.
    pub(super) fn has_ended(&mut self) -> bool {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
        }
        self.thread.is_none()
    }

    /// Whether it can be placed. Waits for nothing.
    pub(super) fn is_ready(&mut self) -> bool {
        self.has_ended() && self.file.is_some()
    }

    /// Makes it the segment at `path`, with `header` at its beginning, durably.
    pub(super) fn place(mut self, header: &[u8], path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.file.as_ref().map(Arc::clone);
        let file = file.ok_or_else(|| io::Error::other("no segment was prepared"))?;
        file.append(header)?;
        file.sync()?;
        self.vfs.rename(&self.dir.join(PREPARED_NAME), path)?;
        self.file = None;
        self.vfs.sync_dir(&self.dir)?;
        Ok(file)
    }

    fn join(&mut self) {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(file))) => self.file = Some(file),
            Some(Ok(Err(error))) => tracing::debug!(%error, "the next segment of the log was not prepared"),
            // A panic is a bug; the log does without.
            Some(Err(_)) | None => {}
        }
    }
}

impl Drop for Prepared {
    /// Ends the thread, and removes what was not placed.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.join();
        if self.file.is_some() {
            // Where that fails, the next opening does it.
            let _ = self.vfs.remove_file(&self.dir.join(PREPARED_NAME));
        }
    }
}

fn fill(vfs: &dyn Vfs, path: &Path, bytes: u64, stop: &AtomicBool) -> io::Result<Arc<dyn VfsFile>> {
    // One that could not be removed; mostly there is none.
    let _ = vfs.remove_file(path);
    let file = vfs.create(path)?;
    let filled = (1..=bytes.div_ceil(STEP_BYTES)).try_for_each(|step| {
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        file.reserve(bytes.min(step * STEP_BYTES))?;
        file.sync()
    });
    match filled {
        Ok(()) => Ok(file),
        Err(error) => vfs.remove_file(path).and(Err(error)),
    }
}
