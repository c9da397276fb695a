//! The one way to a file's bytes: ranges from an object store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{Error, Result};

/// A file in an object store.
#[derive(Clone)]
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

impl Source {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path }
    }

    /// The path, for errors.
    pub(super) fn path(&self) -> &str {
        self.path.as_ref()
    }

    /// The length of the file in bytes; the store is asked only if it is not `known`.
    pub(super) async fn len_or(&self, known: Option<u64>) -> Result<u64> {
        match known {
            Some(len) => Ok(len),
            None => Ok(self.store.head(&self.path).await.map_err(Error::store(self.path()))?.size),
        }
    }

    /// The bytes of `range`.
    pub(super) async fn range(&self, range: Range<u64>) -> Result<Bytes> {
        let mut all = self.ranges(std::slice::from_ref(&range)).await?;
        all.pop().ok_or_else(|| self.short())
    }

    /// The bytes of each range. The store coalesces neighbours where that pays.
    pub(super) async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(backwards) = ranges.iter().find(|r| r.start > r.end) {
            return Err(Error::damaged(self.path(), format!("its footer names the bytes {backwards:?}")));
        }
        let bytes = self.store.get_ranges(&self.path, ranges).await.map_err(Error::store(self.path()))?;
        let complete = bytes.len() == ranges.len()
            && bytes.iter().zip(ranges).all(|(b, r)| b.len() as u64 == r.end - r.start);
        if complete { Ok(bytes) } else { Err(self.short()) }
    }

    fn short(&self) -> Error {
        Error::damaged(self.path(), "the store returned fewer bytes than the file should have")
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.path)
    }
}
