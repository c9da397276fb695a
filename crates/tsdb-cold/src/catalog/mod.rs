//! The catalog: which cold files are live.
//!
//! It is a row of immutable, numbered snapshots, `catalog/<20 digits>.json`, each put only if absent; the
//! newest is the truth. A newest snapshot that is damaged is an error, never a reason to step back: the one
//! before may name files that are gone. A store that has data files has a snapshot, for the first one is
//! committed before any file is written; so data without a catalog means that the catalog was removed.
//!
//! One writer per cold root. A writer that meets a snapshot with its own next number that it did not write
//! is fenced off.
//!
//! Neighbours: [`snapshot`] has the snapshot and its bytes, [`invariants`] what every commit must keep. This
//! module knows nothing of Parquet, but that a file may have a label bloom.

mod invariants;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use parking_lot::RwLock;
use ulid::Ulid;

use crate::{Error, Result};

pub use snapshot::{CatalogSnapshot, ColdFile, FileId};

/// Where the snapshots are, under the cold root.
pub(crate) const CATALOG_DIR: &str = "catalog";
/// Where the cold files are, under the cold root.
pub(crate) const DATA_DIR: &str = "data";
/// Snapshots that stay for people to look back at; older ones are removed after a commit.
const SNAPSHOTS_KEPT: u64 = 8;

/// The catalog of one cold root, as its one writer or a reader holds it.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: Arc<dyn ObjectStore>,
    writer: String,
    read_only: bool,
    current: RwLock<Arc<CatalogSnapshot>>,
    /// A commit has failed, and may have been done all the same.
    in_doubt: AtomicBool,
}

impl Catalog {
    /// Opens the newest snapshot; commits a first, empty one where the store is new.
    pub(crate) async fn open(store: Arc<dyn ObjectStore>) -> Result<Self> {
        let newest = newest(store.as_ref()).await?;
        let is_new = newest.number == 0;
        let catalog = Self::new(store, newest);
        if is_new {
            catalog.commit(|_| {}).await?;
        }
        Ok(catalog)
    }

    /// Opens the newest snapshot, an empty one where the store is new, and commits none ever.
    pub(crate) async fn open_read_only(store: Arc<dyn ObjectStore>) -> Result<Self> {
        let newest = newest(store.as_ref()).await?;
        Ok(Self { read_only: true, ..Self::new(store, newest) })
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// Refuses to go on when another writer has committed since. For what changes the store without a commit: a writer that
    /// was overtaken must not remove what it does not know.
    pub(crate) async fn check_not_fenced(&self) -> Result<()> {
        loop {
            let Some(number) = newest_number(self.store.as_ref(), self.snapshot().number).await? else {
                return Ok(());
            };
            // A younger snapshot may be one that this writer commits at this moment, or of which it does not know that it has.
            match load(self.store.as_ref(), number).await {
                Ok(newest) if newest.writer == self.writer => return Ok(()),
                Ok(_) => return Err(Error::Fenced { number }),
                // Removed since: so many commits were made meanwhile, by whomever.
                Err(error) if error.missing_object().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether nobody has committed since the snapshot that holds here.
    pub(crate) async fn is_newest(&self) -> Result<bool> {
        Ok(newest_number(self.store.as_ref(), self.snapshot().number).await?.is_none())
    }

    /// Commits `snapshot`, numbered after whatever is there, readable or not.
    pub(crate) async fn replace(store: Arc<dyn ObjectStore>, snapshot: CatalogSnapshot) -> Result<()> {
        let number = newest_number(store.as_ref(), 0).await?.unwrap_or(0);
        let catalog = Self::new(store, CatalogSnapshot { number, ..CatalogSnapshot::default() });
        catalog.commit(|next| *next = snapshot).await.map(drop)
    }

    fn new(store: Arc<dyn ObjectStore>, current: CatalogSnapshot) -> Self {
        let (writer, current) = (Ulid::new().to_string(), RwLock::new(Arc::new(current)));
        Self { store, writer, read_only: false, current, in_doubt: AtomicBool::new(false) }
    }

    /// Whether a commit has failed of which nobody knows that it was not done. Then no file may be taken for an orphan: the
    /// snapshot of that commit may name it. The next commit finds out.
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::SeqCst)
    }

    /// The snapshot that holds now. It stays valid as a value.
    pub(crate) fn snapshot(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.current.read())
    }

    /// Commits the current snapshot with `edit` applied, as the next number.
    ///
    /// The caller serialises its commits. After an error nothing has changed, except that after
    /// [`Error::Store`] the snapshot may still be found committed: by the next commit, which then fails, too, and leaves the
    /// current snapshot to be that one; or by the next open.
    pub(crate) async fn commit(
        &self,
        edit: impl FnOnce(&mut CatalogSnapshot),
    ) -> Result<Arc<CatalogSnapshot>> {
        self.check_writable()?;
        let current = self.snapshot();
        let mut next = CatalogSnapshot::clone(&current);
        edit(&mut next);
        next.succeed(&current, &self.writer);
        invariants::check(&current, &next)?;

        self.in_doubt.store(true, Ordering::SeqCst);
        self.put(&next).await?;
        if let Some(number) = newest_number(self.store.as_ref(), next.number).await? {
            return Err(Error::Fenced { number });
        }
        let next = self.set_current(next);
        self.prune(next.number).await;
        Ok(next)
    }

    /// Puts a snapshot if its number is free. A put that answers with an error, although it was done, is
    /// recognised by reading it back.
    async fn put(&self, next: &CatalogSnapshot) -> Result<()> {
        let path = snapshot_path(next.number);
        let bytes = next.encode()?;
        let Err(error) = self.store.put_opts(&path, bytes.clone().into(), PutMode::Create.into()).await
        else {
            return Ok(());
        };
        let Ok(found) = self.store.get(&path).await else { return Err(error.into()) };
        let found = found.bytes().await?;
        if found == bytes {
            return Ok(());
        }
        let mut found = CatalogSnapshot::decode(path.as_ref(), &found)?;
        if found.writer != self.writer {
            return Err(Error::Fenced { number: next.number });
        }
        // The commit before this one, which had said that it failed.
        tracing::warn!(
            number = found.number,
            "a catalog commit that was answered with an error was done after all"
        );
        found.share_files(&self.snapshot());
        self.set_current(found);
        Err(error.into())
    }

    fn set_current(&self, snapshot: CatalogSnapshot) -> Arc<CatalogSnapshot> {
        let snapshot = Arc::new(snapshot);
        *self.current.write() = Arc::clone(&snapshot);
        self.in_doubt.store(false, Ordering::SeqCst);
        snapshot
    }

    /// Removes snapshots that nobody needs. Their removal is housekeeping: a failure is left to the next commit.
    async fn prune(&self, newest: u64) {
        let Some(oldest_kept) = newest.checked_sub(SNAPSHOTS_KEPT) else { return };
        let numbers = match numbers(self.store.as_ref()).await {
            Ok(numbers) => numbers,
            Err(error) => return tracing::warn!(%error, "could not list old catalog snapshots"),
        };
        for number in numbers.into_iter().filter(|n| *n <= oldest_kept) {
            if let Err(error) = self.store.delete(&snapshot_path(number)).await {
                tracing::warn!(%error, number, "could not remove an old catalog snapshot");
            }
        }
    }
}

fn snapshot_path(number: u64) -> Path {
    Path::from_iter([CATALOG_DIR, &format!("{number:020}.json")])
}

/// The numbers of all snapshots, in no order. Names that are not a snapshot's are passed over.
async fn numbers(store: &dyn ObjectStore) -> Result<Vec<u64>> {
    let listed: Vec<_> = store.list(Some(&Path::from(CATALOG_DIR))).try_collect().await?;
    let number = |name: &str| name.strip_suffix(".json").filter(|n| n.len() == 20)?.parse().ok();
    Ok(listed.iter().filter_map(|meta| number(meta.location.filename()?)).collect())
}

/// The highest number above `floor`.
async fn newest_number(store: &dyn ObjectStore, floor: u64) -> Result<Option<u64>> {
    Ok(numbers(store).await?.into_iter().filter(|n| *n > floor).max())
}

/// The newest snapshot; the one before the first where the store is new.
async fn newest(store: &dyn ObjectStore) -> Result<CatalogSnapshot> {
    if let Some(number) = newest_number(store, 0).await? {
        return load(store, number).await;
    }
    match first_data_file(store).await? {
        Some(example) => Err(Error::CatalogMissing { example, catalog: CATALOG_DIR }),
        None => Ok(CatalogSnapshot::default()),
    }
}

async fn load(store: &dyn ObjectStore, number: u64) -> Result<CatalogSnapshot> {
    let path = snapshot_path(number);
    let bytes = store.get(&path).await?.bytes().await?;
    let snapshot = CatalogSnapshot::decode(path.as_ref(), &bytes)?;
    if snapshot.number != number {
        let detail = format!("it says that it is number {}", snapshot.number);
        return Err(Error::CatalogDamaged { path: path.to_string(), detail });
    }
    Ok(snapshot)
}

async fn first_data_file(store: &dyn ObjectStore) -> Result<Option<String>> {
    let mut files = store.list(Some(&Path::from(DATA_DIR)));
    Ok(files.try_next().await?.map(|meta| meta.location.to_string()))
}
