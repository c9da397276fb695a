//! A streamed write to a [`VfsStore`](super::VfsStore): parts are appended in the order they are put.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};
use tsdb_vfs::VfsFile;

use super::{VfsStore, generic};

/// Bytes after which the file is synced while it is written: one fsync never has more to bring to the disk, where it is in the
/// way of the log's, for which commits wait. Not fewer, for each makes the file system write its journal, too.
const SYNC_BYTES: usize = 32 << 20;

/// One object on its way: a file under `.tmp/` that takes its place when it is complete.
#[derive(Debug)]
pub(super) struct VfsUpload {
    store: VfsStore,
    location: Path,
    temporary: PathBuf,
    file: Arc<dyn VfsFile>,
    /// Bytes since the last sync.
    unsynced: usize,
    /// A part that failed spoils the upload: its bytes would be missing in the middle.
    failed: bool,
}

impl VfsUpload {
    pub(super) fn new(store: VfsStore, location: Path, temporary: PathBuf, file: Arc<dyn VfsFile>) -> Self {
        Self { store, location, temporary, file, unsynced: 0, failed: false }
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(SYNC_BYTES - self.unsynced));
            self.file.append(now)?;
            self.unsynced += now.len();
            if self.unsynced == SYNC_BYTES {
                self.file.sync()?;
                self.unsynced = 0;
            }
            bytes = later;
        }
        Ok(())
    }
}

#[async_trait]
impl MultipartUpload for VfsUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let appended = data.iter().try_for_each(|part| self.append(part));
        self.failed |= appended.is_err();
        Box::pin(async move { appended.map_err(generic) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.failed {
            return Err(generic(io::Error::other("a part of the upload could not be written")));
        }
        self.file.sync().map_err(generic)?;
        self.store.publish(&self.temporary, &self.location, &PutMode::Overwrite)
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.vfs.remove_file(&self.temporary).map_err(generic)
    }
}
