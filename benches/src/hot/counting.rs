//! The real file system with a counter of what is waited for: fsyncs of files and of directories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tsdb_testkit::{FsStep, WatchedFs};
use tsdb_vfs::{RealFs, Vfs};

/// How many files and directories were fsynced.
#[derive(Clone, Debug, Default)]
pub(super) struct Syncs(Arc<AtomicU64>);

impl Syncs {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// [`RealFs`], whose fsyncs are counted here.
    pub(super) fn counted_fs(&self) -> Arc<dyn Vfs> {
        let syncs = self.clone();
        Arc::new(WatchedFs::new(Arc::new(RealFs), move |step| {
            if matches!(step, FsStep::Sync | FsStep::SyncDir | FsStep::Truncate) {
                syncs.0.fetch_add(1, Ordering::Relaxed);
            }
        }))
    }
}
