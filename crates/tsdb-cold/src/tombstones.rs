//! Tombstones of the cold tier: objects beside the catalog, `tombstones/<number, 20 digits>.tombstone`, whose bytes are
//! described in `docs/format/tombstone.md`.
//!
//! A tombstone deletes in every source below its sequence: in the files that are there, and in blocks that are converted
//! later. A file that was written after a tombstone was published has it applied, and says so: it names the number below
//! which that is so. Therefore numbers are never given twice while a file remembers them.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tsdb_core::{Deletes, Tombstone, Tombstones};

use crate::{ColdFile, Error, Result};

/// Where the tombstones are, under the cold root.
pub(crate) const TOMBSTONES_DIR: &str = "tombstones";

impl ColdFile {
    /// The tombstones that delete samples which may still be in the file.
    pub(crate) fn deletes(&self, tombstones: &Tombstones) -> Deletes {
        tombstones.over_since(self.tombstones_below, self.max_sequence, self.time_range())
    }
}

/// All tombstones of the store, numbered on after those that `files` remember.
pub(crate) async fn load<'a>(
    store: &dyn ObjectStore,
    files: impl Iterator<Item = &'a ColdFile>,
) -> Result<Tombstones> {
    let mut tombstones = Tombstones::default();
    for number in numbers(store).await? {
        let path = path(number);
        let bytes = store.get(&path).await?.bytes().await?;
        let wrong = |source| match source {
            // Of another version is not damaged, and nobody should remove it.
            tsdb_core::Error::UnsupportedVersion { found, oldest, newest, .. } => {
                Error::UnsupportedVersion { what: format!("tombstone {path}"), found, oldest, newest }
            }
            source => Error::TombstoneDamaged { path: path.to_string(), source },
        };
        tombstones.insert(number, Tombstone::decode(&bytes).map_err(wrong)?);
    }
    files.for_each(|file| tombstones.skip_to(file.tombstones_below));
    Ok(tombstones)
}

/// The numbers of all tombstones, ascending. Names that are not a tombstone's are passed over.
pub(crate) async fn numbers(store: &dyn ObjectStore) -> Result<Vec<u64>> {
    let listed: Vec<_> = store.list(Some(&Path::from(TOMBSTONES_DIR))).try_collect().await?;
    let number = |name: &str| name.strip_suffix(".tombstone").filter(|n| n.len() == 20)?.parse().ok();
    let mut numbers: Vec<u64> = listed.iter().filter_map(|meta| number(meta.location.filename()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Puts a tombstone under the first free number from `number` on, which it returns; durable when it does.
pub(crate) async fn put(store: &dyn ObjectStore, mut number: u64, tombstone: &Tombstone) -> Result<u64> {
    let bytes = bytes::Bytes::from(tombstone.encode());
    loop {
        let path = path(number);
        let Err(error) = store.put_opts(&path, bytes.clone().into(), PutMode::Create.into()).await else {
            return Ok(number);
        };
        // A put that answers with an error, although it was done, is recognised by reading it back.
        let Ok(found) = store.get(&path).await else { return Err(error.into()) };
        if found.bytes().await? == bytes {
            return Ok(number);
        }
        // Left by a delete that failed.
        number += 1;
    }
}

/// Removes a tombstone's object. One that is gone is no error.
pub(crate) async fn remove(store: &dyn ObjectStore, number: u64) -> Result<()> {
    match store.delete(&path(number)).await {
        Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

fn path(number: u64) -> Path {
    Path::from_iter([TOMBSTONES_DIR, &format!("{number:020}.tombstone")])
}
