//! The lock of the data directory is held as long as anything of the engine works on it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tsdb_core::Labels;
use tsdb_engine::{Engine, Error};
use tsdb_vfs::{DirEntry, FileInfo, RealFs, Vfs, VfsFile, VfsLock, VfsRead};

/// The real file system, on which no block takes its place before `gate` is let go.
#[derive(Debug, Default)]
struct GatedFs {
    gate: Gate,
}

/// A door that is closed first.
#[derive(Debug, Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

impl Vfs for GatedFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        RealFs.create(path)
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
        if to.extension().is_some_and(|extension| extension == "block") {
            self.gate.pass();
        }
        RealFs.rename(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        RealFs.hard_link(original, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        RealFs.truncate(path, len)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealFs.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        RealFs.lock(path)
    }
}

/// A flush that was given up goes on writing blocks and dropping the log: nobody else may open the directory meanwhile.
#[tokio::test]
async fn a_seal_that_nobody_waits_for_keeps_others_out_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(GatedFs::default());
    let engine = Engine::builder(dir.path()).vfs(Arc::<GatedFs>::clone(&vfs)).open().await.unwrap();
    let mut batch = engine.appender();
    batch.append(&Labels::from_pairs([("__name__", "m")]).unwrap(), 1_767_225_600_000, 1.0).unwrap();
    batch.commit().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), engine.flush()).await.is_err());
    drop(engine);
    let second = Engine::open(dir.path()).await;
    vfs.gate.open();
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    let reopened = loop {
        match Engine::open(dir.path()).await {
            Err(Error::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(reopened.count_series().await.unwrap(), 1);
    assert_eq!(reopened.stats().hot.blocks.count, 1);
    reopened.close().await.unwrap();
}
