//! The cold tier as one thing: its store, its catalog, and what is done with them.

mod convert;
mod lookup;
mod maintain;

use std::sync::Arc;

use futures::lock::Mutex;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parking_lot::RwLock;
use tsdb_core::{BlockId, Deletes, Matcher, TimeRange, Tombstone, Tombstones};
use tsdb_parquet_io::{ParquetConfig, ParquetReader, ReadAhead};

use crate::cache::{CacheStats, ColdCache};
use crate::catalog::Catalog;
use crate::open::Opener;
use crate::read::file_source;
use crate::reads::ColdReads;
use crate::write::{ColdFileWriter, verify_bytes};
use crate::{
    BlockToParquetConverter, CatalogSnapshot, ColdBlockIndex, ColdFile, CompactionOptions, Error, Result,
    SeriesSource, Unconverted, tombstones,
};

pub use maintain::{Compacted, Expired};

/// Settings of the cold tier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ColdOptions {
    /// How cold files are written. The store's promoted labels replace those given here.
    pub parquet: ParquetConfig,
    /// Most label names that become columns of their own; the others share the `labels` map.
    pub promoted_labels_max: usize,
    /// When files are merged, and into how large ones.
    pub compaction: CompactionOptions,
    /// Most bytes of memory for what queries keep of files: half for blocks of their series indexes, three eighths for
    /// their metadata, one eighth for their label blooms. What of one file is larger than the share of its kind is read anew
    /// by each query.
    pub cache_bytes: u64,
}

impl ColdOptions {
    /// Default of [`ColdOptions::promoted_labels_max`]: footers stay small, and few stores have more names.
    pub const PROMOTED_LABELS_MAX: usize = 200;
    /// Default of [`ColdOptions::cache_bytes`]: 64 MiB, the metadata of some hundred files and the index of a day's million
    /// series in good part.
    pub const CACHE_BYTES: u64 = 64 << 20;
}

impl Default for ColdOptions {
    fn default() -> Self {
        Self {
            parquet: ParquetConfig::default(),
            promoted_labels_max: Self::PROMOTED_LABELS_MAX,
            compaction: CompactionOptions::default(),
            cache_bytes: Self::CACHE_BYTES,
        }
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
    /// Deletes that are not applied to all bytes yet.
    pub tombstones: u64,
}

/// The cold tier of one store, held by its one writer.
///
/// Whatever changes the files (conversion, compaction, expiry, sweeps) goes one at a time. Reads and deletes do not wait
/// for it.
#[derive(Debug)]
pub struct ColdTier {
    store: Arc<dyn ObjectStore>,
    catalog: Catalog,
    converter: BlockToParquetConverter,
    writer: ColdFileWriter,
    options: ColdOptions,
    cache: ColdCache,
    ahead: ReadAhead,
    live: RwLock<Arc<Live>>,
    /// Whoever changes the catalog holds this.
    work: Mutex<Work>,
    /// Whoever adds or removes a tombstone holds this. Taken after `work`.
    deleting: Mutex<()>,
}

/// What a query sees.
#[derive(Clone, Debug)]
struct Live {
    index: Arc<ColdBlockIndex>,
    tombstones: Tombstones,
}

/// What is left to do after commits.
#[derive(Debug, Default)]
struct Work {
    /// Ids that the next commit may forget.
    forgettable: Vec<BlockId>,
    /// Files that are live no more, and that queries may still read.
    retired: Vec<Arc<ColdFile>>,
}

impl ColdTier {
    /// Opens the cold tier in `store`, making a new one where there is none.
    ///
    /// # Errors
    /// [`Error::CatalogDamaged`], [`Error::CatalogMissing`], [`Error::TombstoneDamaged`] and
    /// [`Error::UnsupportedVersion`] say what cannot be used; [`Error::Store`] that it could not be read.
    pub async fn open(store: Arc<dyn ObjectStore>, options: ColdOptions) -> Result<Self> {
        Self::with(Catalog::open(Arc::clone(&store)).await?, store, options).await
    }

    /// Opens the cold tier in `store` to be read only: as it is now, whether someone else writes to it or not. Nothing is
    /// written. What is committed later is not seen; [`is_current`](Self::is_current) tells. Every call that writes fails
    /// with [`Error::ReadOnly`].
    ///
    /// Files that a writer elsewhere merges or expires are removed without regard to who reads here.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); also, as [`Error::Store`], that something was removed meanwhile: then open again.
    pub async fn open_read_only(store: Arc<dyn ObjectStore>, options: ColdOptions) -> Result<Self> {
        Self::with(Catalog::open_read_only(Arc::clone(&store)).await?, store, options).await
    }

    /// The tier with threads that decode ahead what queries read much of. Conversion and compaction keep to their own thread.
    #[must_use]
    pub fn with_read_ahead(self, ahead: ReadAhead) -> Self {
        Self { ahead, ..self }
    }

    /// Whether the store still has the catalog snapshot and the tombstones that this tier has.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be listed.
    pub async fn is_current(&self) -> Result<bool> {
        let numbers = tombstones::numbers(self.store.as_ref()).await?;
        let known = self.live();
        Ok(self.catalog.is_newest().await? && known.tombstones.iter().map(|(number, _)| number).eq(numbers))
    }

    async fn with(catalog: Catalog, store: Arc<dyn ObjectStore>, options: ColdOptions) -> Result<Self> {
        let snapshot = catalog.snapshot();
        let tombstones = tombstones::load(store.as_ref(), snapshot.files.iter().map(Arc::as_ref)).await?;
        let live = Live { index: Arc::new(ColdBlockIndex::new(&snapshot)), tombstones };
        Ok(Self {
            converter: BlockToParquetConverter::new(Arc::clone(&store), options.parquet.clone()),
            writer: ColdFileWriter::new(Arc::clone(&store), options.parquet.clone()),
            store,
            catalog,
            cache: ColdCache::new(options.cache_bytes),
            ahead: ReadAhead::default(),
            options,
            live: RwLock::new(Arc::new(live)),
            work: Mutex::default(),
            deleting: Mutex::default(),
        })
    }

    /// The catalog as it is now. Whoever holds it keeps the bytes of its files from being removed.
    #[must_use]
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.catalog.snapshot()
    }

    /// A sequence above all that this tier has seen, in files and in deletes.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.snapshot().next_sequence.max(self.live().tombstones.sequence_max())
    }

    /// Counts of the live files.
    #[must_use]
    pub fn stats(&self) -> ColdStats {
        let tombstones = self.live().tombstones.iter().count() as u64;
        let none = ColdStats { tombstones, ..Default::default() };
        self.snapshot().files.iter().fold(none, |sum, file| ColdStats {
            files: sum.files + 1,
            samples: sum.samples + file.samples,
            bytes: sum.bytes + file.bytes,
            ..sum
        })
    }

    /// What is kept of the files in memory.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// The closed range of the live files' timestamps.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.live().index.time_range()
    }

    /// Deletes the samples that `tombstone` says, in the live files and in what is converted later: durable, and invisible
    /// to every query that begins, when this returns. The bytes go at the next compaction. `elsewhere` says what may still
    /// be converted; where neither it nor a file is concerned, nothing is written.
    ///
    /// Whoever numbers the sequences must see to it that no source of [`Tombstone::below_sequence`] or above comes into this
    /// tier while this runs, or call it again with a higher one.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another writer has taken over.
    /// [`Error::Core`] for matchers that no selector can say. [`Error::Store`]; then the delete may still be found done by the
    /// next open.
    pub async fn delete(&self, tombstone: Tombstone, elsewhere: &Unconverted) -> Result<()> {
        self.catalog.check_writable()?;
        // What is written must be read again.
        Tombstone::decode(&tombstone.encode())?;
        let _one_at_a_time = self.deleting.lock().await;
        let live = self.live();
        let mut files = live.index.candidates(tombstone.range);
        let concerns = |(sequence, range): &(u64, TimeRange)| tombstone.concerns(*sequence, *range);
        if !files.any(|f| tombstone.concerns(f.min_sequence, f.time_range()))
            && !elsewhere.sources.iter().any(concerns)
        {
            return Ok(());
        }
        self.catalog.check_not_fenced().await?;
        let number = tombstones::put(self.store.as_ref(), live.tombstones.next_number(), &tombstone).await?;
        self.publish(|live| live.tombstones.insert(number, tombstone));
        Ok(())
    }

    /// Reads all of a live file, and compares what is there with what the catalog says.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Verification`].
    pub async fn verify(&self, file: &Arc<ColdFile>) -> Result<()> {
        let path = file.path.path();
        verify_bytes(self.store.as_ref(), &path, file.bytes, &file.checksum).await?;
        // Not from the cache: what is stored is asked for.
        let opened = ParquetReader::open(Arc::clone(&self.store), path.clone(), Some(file.bytes)).await;
        let reader = opened.map_err(Error::file(&path))?;
        if reader.file_meta().label_bloom != file.label_bloom {
            let detail =
                "the catalog has another place or checksum of its label bloom than it has".to_owned();
            return Err(Error::Verification { path: path.to_string(), detail });
        }
        let mut source = file_source(reader, file, Deletes::default(), Arc::from([]), TimeRange::ALL);
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
        Err(Error::Verification { path: path.to_string(), detail })
    }

    /// The deletes that are not applied to all bytes yet. They hold for what is yet to be converted, too.
    #[must_use]
    pub fn tombstones(&self) -> Tombstones {
        self.live().tombstones.clone()
    }

    /// What queries see now: files and deletes of one moment.
    #[must_use]
    pub fn view(&self) -> ColdView {
        let (store, cache, ahead) = (Arc::clone(&self.store), self.cache.clone(), self.ahead.clone());
        ColdView { store, live: self.live(), cache, ahead }
    }

    /// [`ColdView::sources`] of now.
    pub fn sources<E>(&self, matchers: &Arc<[Matcher]>, range: TimeRange) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        self.view().sources(matchers, range)
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Changes what queries that begin from now on see, in one step.
    fn publish(&self, change: impl FnOnce(&mut Live)) {
        let mut live = self.live.write();
        let mut next = Live::clone(&live);
        change(&mut next);
        *live = Arc::new(next);
    }
}

/// The cold tier at one moment. The files' bytes stay as long as it, or a source of it, does.
#[derive(Clone, Debug)]
pub struct ColdView {
    store: Arc<dyn ObjectStore>,
    live: Arc<Live>,
    cache: ColdCache,
    ahead: ReadAhead,
}

impl ColdView {
    /// The deletes that are not applied to all bytes yet.
    #[must_use]
    pub fn tombstones(&self) -> &Tombstones {
        &self.live.tombstones
    }

    /// The live files that overlap `range`, each as a source of the series that match. What is deleted is left out.
    pub fn sources<E>(&self, matchers: &Arc<[Matcher]>, range: TimeRange) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        self.sources_counted(matchers, range, &Arc::default())
    }

    /// As [`sources`](Self::sources), with what is read counted in `reads`.
    pub fn sources_counted<E>(
        &self,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        reads: &Arc<ColdReads>,
    ) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        let opener = self.opener(matchers, range, reads);
        let source = |file: &Arc<ColdFile>| {
            self.source(file, file.deletes(&self.live.tombstones), matchers, range, &opener)
        };
        let sources: Vec<_> = self.live.index.candidates(range).map(source).collect();
        reads.consider(&self.cache, self.live.index.len(), sources.len());
        sources
    }

    /// Opens the candidates of `range` for `matchers`.
    fn opener(&self, matchers: &[Matcher], range: TimeRange, reads: &Arc<ColdReads>) -> Opener {
        let candidates = self.live.index.candidates(range).count();
        let (store, cache) = (Arc::clone(&self.store), self.cache.clone());
        Opener::new(store, cache, matchers, candidates, Arc::clone(reads))
    }

    fn source<E>(
        &self,
        file: &Arc<ColdFile>,
        deletes: Deletes,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        opener: &Opener,
    ) -> SeriesSource<'static, E>
    where
        E: From<Error> + Send + 'static,
    {
        let ahead = self.ahead.clone();
        let (matchers, sequence) = (Arc::clone(matchers), file.max_sequence);
        let (file, opener) = (Arc::clone(file), opener.clone());
        let open = async move {
            let Some(reader) = opener.open(&file).await? else { return Ok(stream::empty().boxed()) };
            let reader = reader.with_read_ahead(ahead);
            let series = file_source(reader.clone(), &file, deletes, matchers, range).series;
            Ok::<_, Error>(opener.reads().counted(&reader, series))
        };
        let series = stream::once(open).try_flatten().map(|series| series.map_err(E::from)).boxed();
        SeriesSource { sequence, series }
    }
}
