//! What a query reads of cold files, counted while it does.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt};
use tsdb_parquet_io::{ParquetReader, ReadStatistics};

use crate::cache::{CacheStats, ColdCache};

/// Counters of the sources of one query. They may be read while it runs.
#[derive(Debug, Default)]
pub struct ColdReads {
    considered: AtomicU64,
    pruned: AtomicU64,
    excluded: AtomicU64,
    opened: AtomicU64,
    metadata_misses: AtomicU64,
    range_reads: AtomicU64,
    bytes_read: AtomicU64,
    pages_decoded: AtomicU64,
    opening_nanos: AtomicU64,
    index_blocks: OnceLock<IndexBlocks>,
}

/// The cache of index blocks, which has no counts of single queries: its own at the start and at the end of one.
#[derive(Debug)]
struct IndexBlocks {
    cache: ColdCache,
    at_start: CacheStats,
    at_end: OnceLock<CacheStats>,
}

/// What a query has read of cold files so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdReadStats {
    /// Live files.
    pub files_considered: u64,
    /// Those of them that lie outside the range of time: nothing was read of them.
    pub files_pruned: u64,
    /// Those of the others whose label bloom has no value that a matcher asks for: nothing else was read of them.
    pub files_pruned_by_labels: u64,
    /// Files whose metadata was looked at.
    pub files_opened: u64,
    /// Opened files whose metadata was in the cache, or being loaded for another query.
    pub metadata_hits: u64,
    /// Opened files whose metadata was loaded.
    pub metadata_misses: u64,
    /// Blocks of series indexes that were in the cache. Those of other queries at the same time are counted in.
    pub index_block_hits: u64,
    /// Blocks of series indexes that were not, likewise.
    pub index_block_misses: u64,
    /// Stretches of bytes that the store was asked for.
    pub range_reads: u64,
    /// Bytes of these.
    pub bytes_read: u64,
    /// Pages of timestamps and values that were decoded.
    pub pages_decoded: u64,
    /// Time until the metadata was there, of all opened files together, with that of asking label blooms.
    pub opening: Duration,
}

impl ColdReads {
    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ColdReadStats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (files_opened, metadata_misses) = (value(&self.opened), value(&self.metadata_misses));
        let (index_block_hits, index_block_misses) = self.index_blocks.get().map_or((0, 0), |blocks| {
            let now = blocks.at_end.get().copied().unwrap_or_else(|| blocks.cache.stats());
            let since = |count: fn(&CacheStats) -> u64| count(&now) - count(&blocks.at_start);
            (since(|stats| stats.block_hits), since(|stats| stats.block_misses))
        });
        ColdReadStats {
            files_considered: value(&self.considered),
            files_pruned: value(&self.pruned),
            files_pruned_by_labels: value(&self.excluded),
            files_opened,
            metadata_hits: files_opened.saturating_sub(metadata_misses),
            metadata_misses,
            index_block_hits,
            index_block_misses,
            range_reads: value(&self.range_reads),
            bytes_read: value(&self.bytes_read),
            pages_decoded: value(&self.pages_decoded),
            opening: Duration::from_nanos(value(&self.opening_nanos)),
        }
    }

    /// Says that the query has ended: what others read from now on is not counted any more.
    pub fn end(&self) {
        if let Some(blocks) = self.index_blocks.get() {
            blocks.at_end.get_or_init(|| blocks.cache.stats());
        }
    }

    /// Counts the files that there are, and those of them that are read; once, for a query that looks at them again.
    pub(crate) fn consider(&self, cache: &ColdCache, files: usize, candidates: usize) {
        let blocks = IndexBlocks { cache: cache.clone(), at_start: cache.stats(), at_end: OnceLock::new() };
        if self.index_blocks.set(blocks).is_ok() {
            self.considered.fetch_add(files as u64, Ordering::Relaxed);
            self.pruned.fetch_add((files - candidates) as u64, Ordering::Relaxed);
        }
    }

    /// Counts a file that is in no store, which `reader` has been opened for, and gives `stream`, which reads it, with what it
    /// reads counted.
    pub fn count_file<'a, T: 'a>(
        self: &Arc<Self>,
        reader: &ParquetReader,
        stream: BoxStream<'a, T>,
    ) -> BoxStream<'a, T> {
        self.considered.fetch_add(1, Ordering::Relaxed);
        self.opened(Some(reader.statistics()), Duration::ZERO);
        self.counted(reader, stream)
    }

    /// `stream`, with what `reader` reads for it counted.
    pub(crate) fn counted<'a, T: 'a>(
        self: &Arc<Self>,
        reader: &ParquetReader,
        stream: BoxStream<'a, T>,
    ) -> BoxStream<'a, T> {
        let (counted, reader) = (reader.statistics(), reader.clone());
        Counted { stream, counted, reader, reads: Arc::clone(self) }.boxed()
    }

    /// Counts a file that was opened, with what was read for its metadata, if that had to be loaded.
    pub(crate) fn opened(&self, loaded: Option<ReadStatistics>, took: Duration) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.add_opening(took);
        if let Some(loaded) = loaded {
            self.metadata_misses.fetch_add(1, Ordering::Relaxed);
            self.add(loaded);
        }
    }

    /// Counts a file that was not opened because of its label bloom.
    pub(crate) fn exclude(&self, took: Duration) {
        self.excluded.fetch_add(1, Ordering::Relaxed);
        self.add_opening(took);
    }

    /// Counts what was read.
    pub(crate) fn add(&self, read: ReadStatistics) {
        self.add_since(ReadStatistics::default(), read);
    }

    fn add_opening(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.opening_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn add_since(&self, before: ReadStatistics, after: ReadStatistics) {
        self.range_reads.fetch_add(after.range_reads - before.range_reads, Ordering::Relaxed);
        self.bytes_read.fetch_add(after.bytes_read - before.bytes_read, Ordering::Relaxed);
        self.pages_decoded.fetch_add(after.pages_decoded - before.pages_decoded, Ordering::Relaxed);
    }
}

/// A stream over a file, with what its reader reads counted after each poll.
struct Counted<'a, T> {
    stream: BoxStream<'a, T>,
    reader: ParquetReader,
    counted: ReadStatistics,
    reads: Arc<ColdReads>,
}

impl<T> Stream for Counted<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.stream.poll_next_unpin(context);
        let now = self.reader.statistics();
        self.reads.add_since(self.counted, now);
        self.counted = now;
        polled
    }
}
