//! The engine: one data directory, both tiers, and the life of data between them.
//!
//! Order of opening: the lock, the catalog, then the hot tier, which needs to know the blocks that the
//! catalog has taken over and the lowest sequence that is free. Order of a hand-over: see [`Engine::flush`].

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use futures::StreamExt;
use object_store::ObjectStore;
use tsdb_cold::{ColdTier, Compacted, CompactionMode, Expired, VfsStore};
use tsdb_core::{Matcher, TimeRange};
use tsdb_hot::{HotStore, Recovery};
use tsdb_vfs::{Vfs, VfsLock};

use crate::auto_seal::AutoSeal;
use crate::background::Background;
use crate::error::{Error, Result};
use crate::metadata::MetadataStore;
use crate::query::{Query, QueryOptions};
use crate::read_ahead::read_ahead;
use crate::select::{self, SeriesStream};
use crate::store::{Flushed, Maintained, Store};
use crate::{Aggregation, Appender, BackgroundOptions, EngineBuilder, EngineStats, Scan, ScanOptions, scan};

/// The file that an open engine holds locked.
const LOCK_FILE: &str = "LOCK";
/// The directory of the cold tier.
pub(crate) const COLD_DIR: &str = "cold";

/// A hybrid time-series store, open for reading and writing, or to be read only.
///
/// Appends are synchronous; what reads or moves data is `async`, for cold data may be remote. Local files
/// are read on the calling thread. All methods take `&self`: share it in an [`Arc`].
pub struct Engine {
    // Dropped first: what works by itself ends before the rest goes.
    background: Background,
    auto_seal: AutoSeal,
    store: Arc<Store>,
    metadata: MetadataStore,
    recovery: Recovery,
    dir: PathBuf,
}

impl Engine {
    /// Opens the store in `dir`, with default settings, making a new one where there is none.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open; [`Error::Directory`] when it cannot be read or
    /// written; [`Error::Hot`] and [`Error::Cold`] when what is in it is damaged or from a newer version.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(dir).open().await
    }

    /// Opens the store in `dir` to be read only, with default settings, also while another process has it open for writing:
    /// see [`EngineBuilder::open_read_only`].
    ///
    /// # Errors
    /// As there.
    pub async fn open_read_only(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(dir).open_read_only().await
    }

    /// Settings and components for an engine in `dir`.
    #[must_use]
    pub fn builder(dir: impl Into<PathBuf>) -> EngineBuilder {
        EngineBuilder::new(dir.into())
    }

    pub(crate) async fn open_built(builder: EngineBuilder) -> Result<Self> {
        let lock = take_lock(builder.vfs.as_ref(), &builder.dir, builder.create)?;
        let store = cold_store(&builder, false)?;
        let metadata = MetadataStore::open(Arc::clone(&builder.vfs), &builder.dir, true)?;
        let EngineBuilder { dir, options, vfs, cold_store, clock, .. } = builder;
        // Into a directory of its own nobody else writes: the lock keeps them out.
        let grace_ms = if cold_store.is_some() { options.lifecycle.orphan_grace_ms } else { 0 };
        let cold =
            ColdTier::open(store, options.cold).await?.with_read_ahead(read_ahead(options.read_threads));
        cold.sweep_orphans(clock.now_ms(), grace_ms).await?;
        let catalog = cold.snapshot();
        let handed_over = |id: &_| catalog.handed_over.contains(id);
        let (hot, recovery) =
            HotStore::open(Arc::clone(&vfs), &dir, options.hot, &handed_over, cold.next_sequence())?;
        drop(catalog);
        cold.forget_handed_over().await;
        let store = Arc::new(Store::new(hot, cold, clock, options.lifecycle, Some(lock.into())));
        let background = Background::start(Arc::clone(&store), options.background)?;
        Ok(Self { background, auto_seal: AutoSeal::default(), store, metadata, recovery, dir })
    }

    /// An engine over what was found in `dir`, that changes nothing.
    pub(crate) fn read_only(
        store: Store,
        metadata: MetadataStore,
        recovery: Recovery,
        dir: PathBuf,
    ) -> Result<Self> {
        let store = Arc::new(store);
        let none = BackgroundOptions { interval: None, ..BackgroundOptions::default() };
        let background = Background::start(Arc::clone(&store), none)?;
        Ok(Self { background, auto_seal: AutoSeal::default(), store, metadata, recovery, dir })
    }

    /// Whether the engine was opened to be read only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.store.is_read_only()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// What opening found in the WAL.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// A batch to append samples to.
    #[must_use]
    pub fn appender(&self) -> Appender<'_> {
        Appender::new(self)
    }

    /// The series that match all `matchers` (an empty list selects everything), in label order, each with its
    /// samples inside `range`, over all tiers. Series without a sample in `range` are left out.
    ///
    /// What was committed before the call is in the answer, and seals and flushes meanwhile do not change it; a sample that
    /// is committed meanwhile may be in it.
    ///
    /// # Errors
    /// The stream ends at its first error: a damaged block or cold file, or a store that cannot be read.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> SeriesStream {
        self.query(matchers, range, &QueryOptions::default()).boxed()
    }

    /// As [`select`](Self::select), within limits, and with what it costs counted ([`Query::statistics`]).
    ///
    /// Whoever drops the query ends it: no more is read.
    ///
    /// # Errors
    /// As there, and [`Error::LimitExceeded`].
    pub fn query(&self, matchers: &[Matcher], range: TimeRange, options: &QueryOptions) -> Query {
        select::query(&self.store, matchers, range, options)
    }

    /// As [`query`](Self::query), as a stream of Arrow record batches: one row per sample, in the columns of a cold file, series
    /// in label order, each one's rows by time. The schema of all batches is known at once ([`Scan::schema`]); the label names
    /// are looked up for it, within the limits.
    ///
    /// # Errors
    /// As [`query`](Self::query), here or from the stream; [`Error::Schema`] when the answer has more label names than a table
    /// can have columns: then name those that are wanted ([`LabelProjection`](crate::LabelProjection)).
    pub async fn scan(&self, matchers: &[Matcher], range: TimeRange, options: &ScanOptions) -> Result<Scan> {
        scan::scan(&self.store, matchers, range, options).await
    }

    /// What the samples of the series that match come to, in windows of time and groups of series, over all tiers: the groups
    /// in label order, each as a series of which every sample is a window. Where a sample lies changes no bit of it. The
    /// semantics of windows, groups and functions are in `docs/guide/aggregation.md`.
    ///
    /// ```no_run
    /// # async fn example(engine: &tsdb_engine::Engine) -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::TryStreamExt;
    /// use tsdb_engine::tsdb_core::{TimeRange, parse_selector};
    /// use tsdb_engine::{AggregateFunction, Aggregation, QueryOptions};
    ///
    /// let sum = Aggregation::new(AggregateFunction::Sum).by(["job"]).step_ms(60_000);
    /// let matchers = parse_selector("http_requests_total")?;
    /// let mut groups = engine.aggregate(&matchers, TimeRange::ALL, &sum, &QueryOptions::default());
    /// while let Some(group) = groups.try_next().await? {
    ///     println!("{}: {:?}", group.labels, group.samples.values);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`query`](Self::query), and [`Error::InvalidStep`]. The limits on series and samples hold for what is taken in, that
    /// on windows for what it comes to.
    pub fn aggregate(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        aggregation: &Aggregation,
        options: &QueryOptions,
    ) -> Query {
        self.query(matchers, range, options).aggregated(aggregation, range)
    }

    /// Seals the head: what is in it becomes blocks, its WAL segments are dropped and its memory is freed. Appends
    /// go on meanwhile. Returns the number of blocks written.
    ///
    /// # Errors
    /// [`Error::Hot`]. Nothing is lost: what was not sealed stays in the head and in the WAL.
    pub async fn seal(&self) -> Result<u64> {
        self.check_writable()?;
        self.store.seal().await
    }

    /// Seals the head and converts every block to Parquet: afterwards all data that was there at the call is
    /// in the cold tier only, and its WAL segments and blocks are gone. Appends go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Hot`] or [`Error::Cold`]. Nothing is lost: what was not converted stays in its block.
    pub async fn flush(&self) -> Result<Flushed> {
        self.check_writable()?;
        self.store.seal().await?;
        self.store.convert(self.now_ms(), |all| all).await
    }

    /// Deletes the samples in `range`, both ends inclusive, of the series that satisfy all `matchers` (an empty list is
    /// every series), in all tiers: durable, and in no answer that begins, when this returns. A sample that is appended
    /// later is visible. The bytes of cold files go at their next compaction; until then other tools that read the files see
    /// the samples. A query that began before still has them.
    ///
    /// # Errors
    /// [`Error::Hot`], [`Error::Cold`]; then some of the samples may be deleted.
    pub async fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        self.check_writable()?;
        if range.is_empty() {
            return Ok(());
        }
        self.store.delete(matchers, range).await
    }

    /// Merges cold files until there is one for each day, or one for each
    /// [`CompactionOptions::file_bytes_max`](tsdb_cold::CompactionOptions::file_bytes_max), without samples that were
    /// replaced or deleted. Reads and appends go on meanwhile; what a query reads is removed only after it.
    ///
    /// # Errors
    /// [`Error::Cold`]. The merges that were committed stay; of the one that failed nothing does.
    pub async fn compact(&self) -> Result<Compacted> {
        self.check_writable()?;
        self.store.compact(CompactionMode::Full, self.now_ms()).await
    }

    /// One round of what the background worker does by itself: seals, converts, expires, compacts and sweeps what is due at
    /// `now_ms` (milliseconds since the Unix epoch). A step that fails does not keep the others from being taken.
    ///
    /// # Errors
    /// The first one of a step.
    pub async fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        self.check_writable()?;
        self.store.maintain(now_ms).await
    }

    /// Converts the blocks that are due at `now_ms`: a step of [`maintain`](Self::maintain).
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn convert_due(&self, now_ms: i64) -> Result<Flushed> {
        self.check_writable()?;
        self.store.convert_due(now_ms).await
    }

    /// Merges the cold files for which that is worth it at `now_ms`: a step of [`maintain`](Self::maintain).
    ///
    /// # Errors
    /// As [`compact`](Self::compact).
    pub async fn compact_due(&self, now_ms: i64) -> Result<Compacted> {
        self.check_writable()?;
        self.store.compact(CompactionMode::Due, now_ms).await
    }

    /// Drops the days that are over the retention at `now_ms`: a step of [`maintain`](Self::maintain). Gives what has expired
    /// in the cold tier, and the number of blocks that have.
    ///
    /// # Errors
    /// [`Error::Hot`], [`Error::Cold`].
    pub async fn expire(&self, now_ms: i64) -> Result<(Expired, u64)> {
        self.check_writable()?;
        self.store.expire(now_ms).await
    }

    /// Removes cold files that no catalog names and that are old enough at `now_ms`: a step of
    /// [`maintain`](Self::maintain). Gives how many.
    ///
    /// # Errors
    /// [`Error::Cold`].
    pub async fn sweep(&self, now_ms: i64) -> Result<u64> {
        self.check_writable()?;
        self.store.sweep(now_ms).await
    }

    /// Counts over all tiers.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let hot = self.hot().stats();
        let time_range = hot.time_range.hull(self.cold().time_range());
        let (cold, cache) = (self.cold().stats(), self.cold().cache_stats());
        EngineStats { time_range, hot, cold, cache, background: self.background.stats() }
    }

    /// Makes everything that was appended durable, says so in the WAL, so that any damage to it is found by the next
    /// opening, and closes the store. Dropping the engine instead loses nothing that
    /// [`WalSync`](crate::WalSync) promises, but cannot report an error; and damage to the last write can then not be
    /// told from one that a crash tore. An engine that only reads has nothing to make durable.
    ///
    /// # Errors
    /// [`Error::Hot`] when the last sync of the WAL fails.
    pub async fn close(mut self) -> Result<()> {
        let mut background = self.background.take();
        // On a thread that may wait.
        let stopped = tokio::task::spawn_blocking(move || background.stop()).await;
        stopped.map_err(|e| Error::Runtime(e.to_string()))?;
        let _no_seal_under_way = self.store.sealing.lock().await;
        Ok(self.hot().close()?)
    }

    pub(crate) fn metadata_store(&self) -> &MetadataStore {
        &self.metadata
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn hot(&self) -> &HotStore {
        &self.store.hot
    }

    pub(crate) fn cold(&self) -> &ColdTier {
        &self.store.cold
    }

    fn now_ms(&self) -> i64 {
        self.store.clock.now_ms()
    }

    /// Has the head sealed when it is over its limits and nobody is at it. Does not wait for that.
    pub(crate) fn seal_if_needed(&self) {
        if !self.hot().needs_seal() {
            return;
        }
        if let Ok(sealing) = Arc::clone(&self.store.sealing).try_lock_owned() {
            self.auto_seal.start(Arc::clone(&self.store.hot), sealing);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Refuses a directory that is no store.
pub(crate) fn check_store(vfs: &dyn Vfs, dir: &std::path::Path) -> Result<()> {
    match vfs.metadata(&dir.join(LOCK_FILE)) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::NoStore { dir: dir.to_owned() }),
        Err(source) => Err(Error::Directory { dir: dir.to_owned(), source }),
    }
}

pub(crate) fn take_lock(vfs: &dyn Vfs, dir: &std::path::Path, create: bool) -> Result<Box<dyn VfsLock>> {
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    let lock_path = dir.join(LOCK_FILE);
    if !create {
        check_store(vfs, dir)?;
    }
    vfs.create_dir_all(dir).map_err(failed)?;
    match vfs.lock(&lock_path) {
        Ok(lock) => Ok(lock),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(Error::InUse { dir: dir.to_owned() }),
        Err(e) => Err(failed(e)),
    }
}

/// The cold store that was asked for, or the one of the data directory, put in order after a crash: `all` of it, or as much
/// as the tier needs that it is opened for.
pub(crate) fn cold_store(builder: &EngineBuilder, all: bool) -> Result<Arc<dyn ObjectStore>> {
    if let Some(store) = &builder.cold_store {
        return Ok(Arc::clone(store));
    }
    let store = VfsStore::new(Arc::clone(&builder.vfs), builder.dir.join(COLD_DIR));
    let recovered = if all { store.recover() } else { store.recover_for_tier() };
    recovered.map_err(tsdb_cold::Error::from)?;
    Ok(Arc::new(store))
}
