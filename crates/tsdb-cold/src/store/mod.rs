//! The cold store on a local disk: [`object_store::ObjectStore`] over a [`Vfs`].
//!
//! Why not the crate's own `LocalFileSystem`: version 0.13 never fsyncs, so a committed file could be gone
//! after a power loss; and everything local must go through the one seam that tests can break.
//!
//! Every write is durable when it returns: the bytes go to a file under `.tmp/`, are fsynced, and are then
//! linked (`Create`) or renamed (`Overwrite`) to their place, whose directory is fsynced. So an object is
//! there as a whole or not at all. `.tmp/` is never listed.
//!
//! The calls are `async` because the trait's are; they do their work at once, on the calling thread: local
//! reads come from the page cache in microseconds, less than a hop to another thread takes.

mod upload;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tsdb_vfs::{Vfs, VfsFile, VfsRead};

use upload::VfsUpload;

use crate::catalog::CATALOG_DIR;
use crate::tombstones::TOMBSTONES_DIR;

/// The directory, under the root, of files that are being written.
const TEMPORARY: &str = ".tmp";
const STORE: &str = "VfsStore";

/// An object store in a directory of a [`Vfs`].
#[derive(Clone)]
pub struct VfsStore {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    next_temporary: Arc<AtomicU64>,
    /// Objects that are in their place, but whose directory could not be synced: a power loss may take them
    /// back. They are not shown, or someone would take such an object for proof that its put was done.
    suspect: Arc<Mutex<HashSet<Path>>>,
    /// The objects that were read last, the newest at the end, if they are kept.
    kept: Option<Arc<Mutex<VecDeque<Kept>>>>,
}

/// An object that was opened to be read.
#[derive(Clone, Debug)]
struct Kept {
    meta: ObjectMeta,
    file: Arc<dyn VfsRead>,
}

impl VfsStore {
    /// Objects whose handles [`keeping_handles`](Self::keeping_handles) keeps: well below the 1024 files that a process may
    /// have open as a rule.
    pub const HANDLES_KEPT: usize = 256;

    /// The store in the directory `root`, which is made when the first object is written.
    #[must_use]
    pub fn new(vfs: Arc<dyn Vfs>, root: impl Into<PathBuf>) -> Self {
        Self {
            vfs,
            root: root.into(),
            next_temporary: Arc::new(AtomicU64::new(0)),
            suspect: Arc::new(Mutex::new(HashSet::new())),
            kept: None,
        }
    }

    /// Keeps the handles of the [`HANDLES_KEPT`](Self::HANDLES_KEPT) objects that were read last, so that they can be read on
    /// when someone else has removed them. For a reader beside a writer, of objects that never change.
    #[must_use]
    pub fn keeping_handles(mut self) -> Self {
        self.kept = Some(Arc::default());
        self
    }

    /// Opens an object, or takes it from those that are kept.
    fn open(&self, location: &Path) -> Result<Kept> {
        self.refuse_suspect(location)?;
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock();
            if let Some(place) = kept.iter().rposition(|one| one.meta.location == *location)
                && let Some(one) = kept.remove(place)
            {
                kept.push_back(one.clone());
                return Ok(one);
            }
        }
        let meta = self.meta_on_disk(location)?;
        let file = self.vfs.open(&self.file_path(location)).map_err(|e| at(location, e))?;
        let one = Kept { meta, file };
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock();
            if kept.len() >= Self::HANDLES_KEPT {
                kept.pop_front();
            }
            kept.push_back(one.clone());
        }
        Ok(one)
    }

    /// Makes the store fit to be trusted after a crash or an error: what writes have left half-done is removed,
    /// and every directory is synced, so that each object that can be seen is durable. For the only writer,
    /// before it reads anything that it acts on.
    ///
    /// # Errors
    /// [`object_store::Error::Generic`] with the path when a file cannot be removed or a directory not synced.
    pub fn recover(&self) -> Result<()> {
        self.recover_in(vec![Path::default()])
    }

    /// As [`recover`](Self::recover), as much of it as a [`ColdTier`](crate::ColdTier) needs: it acts on the catalog and the
    /// tombstones that it sees. A cold file counts only when the catalog names it, and was durable before that; so the
    /// directories of cold files, one a day, are not synced.
    ///
    /// # Errors
    /// As [`recover`](Self::recover).
    pub fn recover_for_tier(&self) -> Result<()> {
        self.recover_in([CATALOG_DIR, TOMBSTONES_DIR].map(Path::from).into())
    }

    fn recover_in(&self, mut pending: Vec<Path>) -> Result<()> {
        self.remove_temporary()?;
        while let Some(dir) = pending.pop() {
            match self.vfs.sync_dir(&self.file_path(&dir)) {
                Ok(()) => pending.extend(self.list_dir(&dir)?.common_prefixes),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(generic(e)),
            }
        }
        Ok(())
    }

    fn remove_temporary(&self) -> Result<()> {
        let dir = self.root.join(TEMPORARY);
        let entries = match self.vfs.list(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(generic(e)),
        };
        for entry in &entries {
            self.vfs.remove_file(&dir.join(&entry.name)).map_err(generic)?;
        }
        if !entries.is_empty() {
            self.vfs.sync_dir(&dir).map_err(generic)?;
        }
        Ok(())
    }

    fn file_path(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.root.clone(), |path, part| path.join(part.as_ref()))
    }

    fn create_temporary(&self) -> Result<(PathBuf, Arc<dyn VfsFile>)> {
        let dir = self.root.join(TEMPORARY);
        self.vfs.create_dir_all(&dir).map_err(generic)?;
        loop {
            let path = dir.join(self.next_temporary.fetch_add(1, Ordering::Relaxed).to_string());
            match self.vfs.create(&path) {
                Ok(file) => return Ok((path, file)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(generic(e)),
            }
        }
    }

    /// Makes the complete, synced file `temporary` the object at `location`, durably.
    fn publish(&self, temporary: &FsPath, location: &Path, mode: &PutMode) -> Result<PutResult> {
        let target = self.file_path(location);
        let dir = target.parent().unwrap_or(&self.root);
        self.vfs.create_dir_all(dir).map_err(generic)?;
        match mode {
            PutMode::Create => self.vfs.hard_link(temporary, &target).map_err(|e| at(location, e))?,
            PutMode::Overwrite => self.vfs.rename(temporary, &target).map_err(|e| at(location, e))?,
            PutMode::Update(_) => return Err(not_implemented("conditional update")),
        }
        if let Err(error) = self.vfs.sync_dir(dir) {
            self.suspect.lock().insert(location.clone());
            return Err(generic(error));
        }
        self.suspect.lock().remove(location);
        if *mode == PutMode::Create {
            self.vfs.remove_file(temporary).map_err(generic)?;
        }
        Ok(PutResult { e_tag: None, version: None })
    }

    fn meta(&self, location: &Path) -> Result<ObjectMeta> {
        if self.kept.is_some() {
            return self.open(location).map(|one| one.meta);
        }
        self.refuse_suspect(location)?;
        self.meta_on_disk(location)
    }

    fn meta_on_disk(&self, location: &Path) -> Result<ObjectMeta> {
        let info = self.vfs.metadata(&self.file_path(location)).map_err(|e| at(location, e))?;
        if info.is_dir {
            let detail = "it is a directory, the beginning of other paths";
            return Err(at(location, io::Error::new(io::ErrorKind::NotFound, detail)));
        }
        let modified =
            SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(info.modified_ms).unwrap_or(0));
        Ok(ObjectMeta {
            location: location.clone(),
            last_modified: modified.into(),
            size: info.len,
            e_tag: None,
            version: None,
        })
    }

    fn refuse_suspect(&self, location: &Path) -> Result<()> {
        if self.suspect.lock().contains(location) {
            let detail =
                format!("{location} was written, but its directory could not be synced: open the store anew");
            return Err(generic(io::Error::other(detail)));
        }
        Ok(())
    }

    fn read_range(&self, location: &Path, range: &Range<u64>) -> Result<Bytes> {
        let mut bytes = self.read_ranges(location, std::slice::from_ref(range))?;
        Ok(bytes.pop().unwrap_or_default())
    }

    fn read_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let file = match self.kept {
            Some(_) => self.open(location)?.file,
            None => {
                self.refuse_suspect(location)?;
                self.vfs.open(&self.file_path(location)).map_err(|e| at(location, e))?
            }
        };
        let read = |range: &Range<u64>| {
            let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| {
                at(location, io::Error::new(io::ErrorKind::InvalidInput, "a range longer than memory"))
            })?;
            file.read_at(range.start, len).map_err(|e| at(location, e))
        };
        ranges.iter().map(read).collect()
    }

    /// The entries of the directory `prefix`: objects, and the paths of the directories in it.
    fn list_dir(&self, prefix: &Path) -> Result<ListResult> {
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        use io::ErrorKind::{NotADirectory, NotFound};
        let entries = match self.vfs.list(&self.file_path(prefix)) {
            Ok(entries) => entries,
            Err(e) if matches!(e.kind(), NotFound | NotADirectory) => return Ok(result),
            Err(e) => return Err(at(prefix, e)),
        };
        for entry in entries {
            if prefix.is_root() && entry.name == TEMPORARY {
                continue;
            }
            let location = child(prefix, &entry.name)?;
            if entry.is_dir {
                result.common_prefixes.push(location);
            } else if !self.suspect.lock().contains(&location) {
                match self.meta_on_disk(&location) {
                    Ok(meta) => result.objects.push(meta),
                    // Removed since the directory was read.
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(result)
    }

    fn list_all(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let mut pending = vec![prefix.clone()];
        let mut objects = Vec::new();
        while let Some(dir) = pending.pop() {
            let listed = self.list_dir(&dir)?;
            objects.extend(listed.objects);
            pending.extend(listed.common_prefixes);
        }
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    fn delete_one(&self, location: &Path) -> Result<()> {
        let path = self.file_path(location);
        self.vfs.remove_file(&path).map_err(|e| at(location, e))?;
        self.vfs.sync_dir(path.parent().unwrap_or(&self.root)).map_err(generic)
    }
}

impl fmt::Debug for VfsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(STORE).field("root", &self.root).finish_non_exhaustive()
    }
}

impl fmt::Display for VfsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for VfsStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (temporary, file) = self.create_temporary()?;
        for part in &payload {
            file.append(part).map_err(generic)?;
        }
        file.sync().map_err(generic)?;
        let published = self.publish(&temporary, location, &options.mode);
        if published.is_err() {
            // The error that matters is the first one; what stays behind is removed at the next open.
            let _ = self.vfs.remove_file(&temporary);
        }
        published
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (temporary, file) = self.create_temporary()?;
        Ok(Box::new(VfsUpload::new(self.clone(), location.clone(), temporary, file)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let meta = self.meta(location)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|e| generic(io::Error::other(e)))?,
            None => 0..meta.size,
        };
        let bytes = if options.head { Bytes::new() } else { self.read_range(location, &range)? };
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: object_store::Attributes::new() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read_ranges(location, ranges)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let location = location?;
                store.delete_one(&location)?;
                Ok(location)
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.list_all(prefix.unwrap_or(&Path::default())) {
            Ok(objects) => stream::iter(objects.into_iter().map(Ok)).boxed(),
            Err(e) => stream::once(async move { Err(e) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.list_dir(prefix.unwrap_or(&Path::default()))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        let size = self.meta(from)?.size;
        let bytes = self.read_range(from, &(0..size))?;
        self.put_opts(to, bytes.into(), mode.into()).await.map(|_| ())
    }
}

/// The path of a directory's entry. Names on the disk are percent-encoded already, as the paths that made them.
fn child(prefix: &Path, name: &str) -> Result<Path> {
    let path = if prefix.is_root() { name.to_owned() } else { format!("{prefix}/{name}") };
    Ok(Path::parse(path)?)
}

/// An error of the disk as one of the store, its kind kept where the trait knows it.
fn at(location: &Path, source: io::Error) -> object_store::Error {
    let path = location.to_string();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            object_store::Error::NotFound { path, source: source.into() }
        }
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source: source.into() },
        io::ErrorKind::PermissionDenied => {
            object_store::Error::PermissionDenied { path, source: source.into() }
        }
        _ => generic(source),
    }
}

fn generic(source: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: source.into() }
}

fn not_implemented(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}
