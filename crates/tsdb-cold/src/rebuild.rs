//! The catalog made anew from the cold files themselves: each says in its footer which sequences it was made of.
//!
//! Files that compaction had replaced may still lie there. They are known by their sequences, which the file of a higher
//! level contains. What had expired and was not removed yet comes back, and expires again.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tsdb_core::BlockId;
use tsdb_parquet_io::{FileMeta, ParquetReader};

use crate::catalog::{Catalog, CatalogSnapshot, DATA_DIR};
use crate::write::{checksum, key};
use crate::{ColdFile, Error, FileId, Partition, Result};

/// Where files that cannot be read are kept, under the cold root.
const DAMAGED_DIR: &str = "damaged";

/// What [`rebuild_catalog`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Files that the new catalog lists.
    pub files: u64,
    /// Samples in them.
    pub samples: u64,
    /// Files whose samples are in a file that the catalog lists. The next open removes them.
    pub replaced: Vec<FileId>,
    /// Files of ours that cannot be read, each with what is wrong. They are not in the catalog; they were moved under
    /// `damaged/`, from where nothing is ever removed.
    pub damaged: Vec<Error>,
}

/// Lists all cold files of `store` in a new catalog snapshot, whatever the state of the old ones. `blocks` are those that
/// the hot tier holds: the ones whose samples are in the files are handed over. No tier may be open on the store.
///
/// # Errors
/// [`Error::Store`]; [`Error::Invariant`] when two files hold samples of one partition and their sequences interleave. No
/// snapshot was committed then.
pub async fn rebuild_catalog(store: Arc<dyn ObjectStore>, blocks: &[BlockId]) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    let mut partitions: BTreeMap<Partition, Vec<ColdFile>> = BTreeMap::new();
    let mut promoted: Vec<String> = Vec::new();
    let mut damaged = Vec::new();
    let objects: Vec<ObjectMeta> = store.list(Some(&Path::from(DATA_DIR))).try_collect().await?;
    for object in objects {
        let Some(id) = FileId::of_object(&object.location) else { continue };
        match describe(&store, id, object.size).await {
            Ok((file, labels)) => {
                partitions.entry(file.partition).or_default().push(file);
                let new: Vec<String> = labels.into_iter().filter(|l| !promoted.contains(l)).collect();
                promoted.extend(new);
            }
            Err(error) if is_of_the_store(&error) => return Err(error),
            Err(error) => {
                damaged.push(object.location);
                rebuilt.damaged.push(error);
            }
        }
    }
    let mut files = Vec::new();
    for (_, found) in partitions {
        let (live, replaced) = split_replaced(found);
        rebuilt.replaced.extend(replaced);
        files.extend(live.into_iter().map(Arc::new));
    }
    rebuilt.files = files.len() as u64;
    rebuilt.samples = files.iter().map(|file| file.samples).sum();
    let holds = |id: &&BlockId| {
        let partition = Partition::of(id.window_start_ms);
        let takes = |f: &Arc<ColdFile>| f.partition == partition && id.sequence <= f.max_sequence;
        files.iter().any(takes)
    };
    let handed_over = blocks.iter().filter(holds).copied().collect();
    let snapshot = CatalogSnapshot { promoted_labels: promoted, files, handed_over, ..Default::default() };
    // Before the commit: after it, they would be orphans.
    for location in damaged {
        let kept = Path::from(format!("{DAMAGED_DIR}/{location}"));
        store.rename(&location, &kept).await?;
    }
    Catalog::replace(store, snapshot).await?;
    Ok(rebuilt)
}

/// Whether it is not the file that is at fault.
fn is_of_the_store(error: &Error) -> bool {
    match error {
        Error::Store(_) => true,
        Error::File { source, .. } => matches!(**source, tsdb_parquet_io::Error::Store { .. }),
        _ => false,
    }
}

/// What the catalog says of a file, from the file, and the labels that have columns in it.
async fn describe(store: &Arc<dyn ObjectStore>, path: FileId, bytes: u64) -> Result<(ColdFile, Vec<String>)> {
    let location = path.path();
    let bad = |detail: String| Error::Verification { path: location.to_string(), detail };
    let reader = ParquetReader::open(Arc::clone(store), location.clone(), Some(bytes))
        .await
        .map_err(Error::file(&location))?;
    let meta = reader.file_meta();
    let number =
        |key: &str| number(meta, key).ok_or_else(|| bad(format!("its metadata has no number {key}")));
    let partition = path.partition().ok_or_else(|| bad("its path names no day".to_owned()))?;
    if meta.time_range.is_empty() || !partition.time_range().covers(meta.time_range) {
        return Err(bad(format!("its samples do not lie in {partition}")));
    }
    let mut labels = reader.metadata().mapper().label_columns().iter().map(|c| c.label.clone()).collect();
    if reader.metadata().mapper().layout() != tsdb_schema::LabelLayout::Hybrid {
        labels = Vec::new();
    }
    let file = ColdFile {
        bytes,
        partition,
        min_time_ms: meta.time_range.start_ms,
        max_time_ms: meta.time_range.end_ms,
        min_sequence: number(key::MIN_SEQUENCE)?,
        max_sequence: number(key::MAX_SEQUENCE)?,
        level: u32::try_from(number(key::LEVEL)?).map_err(|e| bad(e.to_string()))?,
        tombstones_below: number(key::TOMBSTONES_BELOW)?,
        series: meta.series,
        samples: meta.rows,
        checksum: checksum(store.as_ref(), &location, bytes).await?,
        label_bloom: meta.label_bloom,
        path,
    };
    Ok((file, labels))
}

fn number(meta: &FileMeta, key: &str) -> Option<u64> {
    meta.key_values.iter().find(|(name, _)| name == key)?.1.parse().ok()
}

/// Parts the files of a partition into those that count and those whose sequences one of them contains.
fn split_replaced(mut files: Vec<ColdFile>) -> (Vec<ColdFile>, Vec<FileId>) {
    // Whoever may replace another comes first: the higher level; of one level the wider range, then the newer file.
    files.sort_by_key(|f| {
        let width = f.max_sequence - f.min_sequence.min(f.max_sequence);
        std::cmp::Reverse((f.level, width, f.path.clone()))
    });
    let (mut live, mut replaced): (Vec<ColdFile>, Vec<FileId>) = Default::default();
    for file in files {
        let contains =
            |by: &ColdFile| by.min_sequence <= file.min_sequence && file.max_sequence <= by.max_sequence;
        if live.iter().any(contains) { replaced.push(file.path) } else { live.push(file) }
    }
    (live, replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(u32, u64, u64)], live: &[usize]) {
        let file = |(n, &(level, min_sequence, max_sequence)): (usize, &(u32, u64, u64))| ColdFile {
            path: FileId::new(Partition::of(0), n as i64),
            bytes: n as u64,
            partition: Partition::of(0),
            min_time_ms: 0,
            max_time_ms: 0,
            min_sequence,
            max_sequence,
            level,
            tombstones_below: 0,
            series: 1,
            samples: 1,
            checksum: String::new(),
            label_bloom: None,
        };
        let (kept, replaced) = split_replaced(files.iter().enumerate().map(file).collect());
        let mut kept: Vec<usize> = kept.iter().map(|f| f.bytes as usize).collect();
        kept.sort_unstable();
        assert_eq!((kept.as_slice(), replaced.len()), (live, files.len() - live.len()), "{files:?}");
    }

    #[test]
    fn a_file_is_replaced_by_one_that_contains_its_sequences() {
        check(&[], &[]);
        check(&[(0, 1, 2), (0, 3, 3), (1, 1, 3), (0, 4, 4)], &[2, 3]);
        check(&[(2, 1, 9), (1, 1, 4), (0, 5, 9)], &[0]);
        // A conversion that was not committed, and the one that took its place.
        check(&[(0, 1, 2), (0, 1, 3)], &[1]);
        check(&[(0, 1, 2), (0, 1, 2)], &[1]);
        // A file alone, rewritten for its deletes.
        check(&[(0, 1, 2), (1, 1, 2)], &[1]);
    }
}
