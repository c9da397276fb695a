//! The cold tier as one thing: its store, its catalog, and what is done with them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::lock::Mutex;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::RwLock;
use tsdb_core::{Block, BlockId, Matcher, TimeRange};
use tsdb_parquet_io::{ParquetConfig, ParquetReader};

use crate::catalog::{Catalog, DATA_DIR};
use crate::{
    BlockSet, BlockToParquetConverter, CatalogSnapshot, ColdBlockIndex, ColdFile, Error, Partition, Result,
    SeriesSource,
};

/// Settings of the cold tier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ColdOptions {
    /// How cold files are written. The store's promoted labels replace those given here.
    pub parquet: ParquetConfig,
    /// Most label names that become columns of their own; the others share the `labels` map.
    pub promoted_labels_max: usize,
}

impl ColdOptions {
    /// Default of [`ColdOptions::promoted_labels_max`]: footers stay small, and few stores have more names.
    pub const PROMOTED_LABELS_MAX: usize = 200;
}

impl Default for ColdOptions {
    fn default() -> Self {
        Self { parquet: ParquetConfig::default(), promoted_labels_max: Self::PROMOTED_LABELS_MAX }
    }
}

/// Counts of the live cold files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdStats {
    /// Live files.
    pub files: u64,
    /// Samples in them.
    pub samples: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// The cold tier of one store, held by its one writer.
#[derive(Debug)]
pub struct ColdTier {
    store: Arc<dyn ObjectStore>,
    catalog: Catalog,
    converter: BlockToParquetConverter,
    promoted_labels_max: usize,
    index: RwLock<Arc<ColdBlockIndex>>,
    /// Whoever changes the catalog holds this; it has the ids that the next commit may forget.
    maintenance: Mutex<Vec<BlockId>>,
}

impl ColdTier {
    /// Opens the cold tier in `store`, making a new one where there is none.
    ///
    /// # Errors
    /// [`Error::CatalogDamaged`], [`Error::CatalogMissing`] and [`Error::UnsupportedVersion`] say that the
    /// catalog cannot be used; [`Error::Store`] that it could not be read.
    pub async fn open(store: Arc<dyn ObjectStore>, options: ColdOptions) -> Result<Self> {
        let catalog = Catalog::open(Arc::clone(&store)).await?;
        let index = RwLock::new(Arc::new(ColdBlockIndex::new(&catalog.snapshot())));
        let converter = BlockToParquetConverter::new(Arc::clone(&store), options.parquet);
        let promoted_labels_max = options.promoted_labels_max;
        Ok(Self { store, catalog, converter, promoted_labels_max, index, maintenance: Mutex::default() })
    }

    /// The catalog as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.catalog.snapshot()
    }

    /// Counts of the live files.
    #[must_use]
    pub fn stats(&self) -> ColdStats {
        self.snapshot().files.iter().fold(ColdStats::default(), |sum, file| ColdStats {
            files: sum.files + 1,
            samples: sum.samples + file.samples,
            bytes: sum.bytes + file.bytes,
        })
    }

    /// The closed range of the live files' timestamps.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.index.read().time_range()
    }

    /// Converts `blocks`, partition by partition in order of time, each in one commit that also hands the
    /// blocks over. Returns the ids of the blocks handed over so far through `handed_over`, which the caller
    /// then removes from the hot tier: after each commit, also when a later partition fails.
    ///
    /// `blocks` must be all sealed blocks of their partitions, or those with the lowest sequences.
    ///
    /// # Errors
    /// As [`BlockToParquetConverter::convert`]; [`Error::Fenced`] when another writer has taken over. The
    /// partitions that were committed before stay so.
    pub async fn convert<E: From<Error>>(
        &self,
        blocks: &[&Block],
        mut handed_over: impl FnMut(&[BlockId]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut forgettable = self.maintenance.lock().await;
        let mut partitions: BTreeMap<Partition, Vec<&Block>> = BTreeMap::new();
        for block in blocks {
            partitions.entry(Partition::of(block.meta().id.window_start_ms)).or_default().push(block);
        }
        for blocks in partitions.into_values() {
            let set = BlockSet::new(blocks)?;
            self.convert_set(&set, &mut forgettable).await?;
            let ids = set.ids();
            handed_over(&ids)?;
            forgettable.extend(ids);
        }
        Ok(())
    }

    async fn convert_set(&self, set: &BlockSet<'_>, forgettable: &mut Vec<BlockId>) -> Result<()> {
        let promoted = set.promoted_labels(&self.snapshot().promoted_labels, self.promoted_labels_max);
        let file = self.converter.convert(set, &promoted).await?;
        let ids = set.ids();
        let committed = self
            .catalog
            .commit(|next| {
                let above = ids.iter().map(|id| id.sequence + 1).max().unwrap_or(0);
                next.next_sequence = next.next_sequence.max(above);
                next.promoted_labels = promoted;
                next.handed_over.retain(|id| !forgettable.contains(id));
                next.handed_over.extend(ids);
                next.files.extend(file);
            })
            .await?;
        forgettable.clear();
        *self.index.write() = Arc::new(ColdBlockIndex::new(&committed));
        Ok(())
    }

    /// Says that the hot tier holds no handed-over block any more, durably, as it does once it has opened.
    /// The next commit then forgets their ids.
    pub async fn forget_handed_over(&self) {
        self.maintenance.lock().await.extend(&self.snapshot().handed_over);
    }

    /// Removes cold files that no catalog names: what a crash between a file and its commit leaves behind.
    /// Returns how many. For the store's one writer, while it converts nothing and before it answers queries.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be listed or a file not be removed.
    pub async fn sweep_orphans(&self) -> Result<usize> {
        let _maintenance = self.maintenance.lock().await;
        let snapshot = self.snapshot();
        let live: HashSet<Path> = snapshot.files.iter().map(|f| f.path.path()).collect();
        let listed: Vec<_> = self.store.list(Some(&Path::from(DATA_DIR))).try_collect().await?;
        let mut swept = 0;
        for object in listed.into_iter().filter(|o| is_cold_file(&o.location) && !live.contains(&o.location))
        {
            self.store.delete(&object.location).await?;
            tracing::warn!(path = %object.location, "removed a cold file that no catalog names");
            swept += 1;
        }
        Ok(swept)
    }

    /// Reads all of a live file, and compares what is there with what the catalog says.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Verification`].
    pub async fn verify(&self, file: &ColdFile) -> Result<()> {
        let mut source = self.source::<Error>(&Arc::new(file.clone()), &Arc::from([]), TimeRange::ALL);
        let (mut series, mut samples) = (0, 0);
        while let Some(read) = source.series.try_next().await? {
            series += 1;
            samples += read.samples.len() as u64;
        }
        if (series, samples) == (file.series, file.samples) {
            return Ok(());
        }
        let detail = format!(
            "it holds {samples} samples of {series} series; the catalog says {} of {}",
            file.samples, file.series
        );
        Err(Error::Verification { path: file.path.path().to_string(), detail })
    }

    /// The live files that overlap `range`, each as a source of the series that match.
    pub fn sources<E>(&self, matchers: &Arc<[Matcher]>, range: TimeRange) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        let index = Arc::clone(&self.index.read());
        index.candidates(range).map(|file| self.source(file, matchers, range)).collect()
    }

    fn source<E>(
        &self,
        file: &Arc<ColdFile>,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
    ) -> SeriesSource<'static, E>
    where
        E: From<Error> + Send + 'static,
    {
        let (store, matchers, sequence) = (Arc::clone(&self.store), Arc::clone(matchers), file.max_sequence);
        let file = Arc::clone(file);
        let open = async move {
            let path = file.path.path();
            let reader = ParquetReader::open(store, path.clone(), Some(file.bytes))
                .await
                .map_err(Error::file(&path))?;
            let series = reader.select(matchers, range).map(move |s| s.map_err(Error::file(&path)));
            Ok::<_, Error>(series)
        };
        let series = stream::once(open).try_flatten().map(|series| series.map_err(E::from)).boxed();
        SeriesSource { sequence, series }
    }
}

/// Whether an object of the data directory has a name that this crate gives. Others are not ours to remove.
fn is_cold_file(location: &Path) -> bool {
    let stem = location.filename().and_then(|name| name.strip_suffix(".parquet"));
    stem.is_some_and(|stem| stem.parse::<ulid::Ulid>().is_ok())
}
