//! A streamed write to a [`VfsStore`](super::VfsStore): parts are appended in the order they are put.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};
use tsdb_vfs::VfsFile;

use super::{VfsStore, generic};

/// One object on its way: a file under `.tmp/` that takes its place when it is complete.
#[derive(Debug)]
pub(super) struct VfsUpload {
    store: VfsStore,
    location: Path,
    temporary: PathBuf,
    file: Arc<dyn VfsFile>,
    /// A part that failed spoils the upload: its bytes would be missing in the middle.
    failed: bool,
}

impl VfsUpload {
    pub(super) fn new(store: VfsStore, location: Path, temporary: PathBuf, file: Arc<dyn VfsFile>) -> Self {
        Self { store, location, temporary, file, failed: false }
    }
}

#[async_trait]
impl MultipartUpload for VfsUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let appended = data.iter().try_for_each(|part| self.file.append(part));
        self.failed |= appended.is_err();
        Box::pin(async move { appended.map_err(generic) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.failed {
            return Err(generic(std::io::Error::other("a part of the upload could not be written")));
        }
        self.file.sync().map_err(generic)?;
        self.store.publish(&self.temporary, &self.location, &PutMode::Overwrite)
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.vfs.remove_file(&self.temporary).map_err(generic)
    }
}
