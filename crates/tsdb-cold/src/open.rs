//! Opening the files that a question is about: first their label blooms are asked, and only those that may have an answer
//! are opened.

use std::sync::Arc;
use std::time::Instant;

use object_store::ObjectStore;
use tsdb_core::Matcher;
use tsdb_parquet_io::{ParquetReader, WantedPairs};

use crate::cache::{ColdCache, Opened};
use crate::reads::ColdReads;
use crate::{ColdFile, Result};

/// Files from which on their blooms are asked. A bloom that says no saves the reads of a file's end; one that says yes was
/// one read more. The only file of a range as a rule says yes.
const FILES_MIN: usize = 2;

/// Opens the candidates of one question.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    store: Arc<dyn ObjectStore>,
    cache: ColdCache,
    wanted: Arc<WantedPairs>,
    reads: Arc<ColdReads>,
}

impl Opener {
    /// For the series that satisfy all `matchers`, in so many `candidates`.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        cache: ColdCache,
        matchers: &[Matcher],
        candidates: usize,
        reads: Arc<ColdReads>,
    ) -> Self {
        let wanted = if candidates < FILES_MIN { WantedPairs::default() } else { WantedPairs::of(matchers) };
        Self { store, cache, wanted: Arc::new(wanted), reads }
    }

    /// What is read of the files is counted there.
    pub(crate) fn reads(&self) -> &Arc<ColdReads> {
        &self.reads
    }

    /// A reader of `file`; `None` when its label bloom says that no series in it satisfies the matchers.
    pub(crate) async fn open(&self, file: &ColdFile) -> Result<Option<ParquetReader>> {
        let started = Instant::now();
        if self.is_excluded(file).await? {
            self.reads.exclude(started.elapsed());
            return Ok(None);
        }
        let Opened { reader, loaded } = self.cache.open(Arc::clone(&self.store), file).await?;
        self.reads.opened(loaded, started.elapsed());
        Ok(Some(reader))
    }

    /// Asks the bloom, which is read if it is not in memory. A file whose metadata is in memory needs none to be read: its
    /// index knows as much, and better.
    async fn is_excluded(&self, file: &ColdFile) -> Result<bool> {
        let Some(place) = file.label_bloom.filter(|_| !self.wanted.is_empty()) else { return Ok(false) };
        let path = file.path.path();
        if let Some(bloom) = self.cache.known_bloom(&path) {
            return Ok(!bloom.may_have(&self.wanted));
        }
        if self.cache.is_open(&path) {
            return Ok(false);
        }
        let (bloom, loaded) = self.cache.bloom(Arc::clone(&self.store), path, &place).await?;
        if let Some(loaded) = loaded {
            self.reads.add(loaded);
        }
        Ok(!bloom.may_have(&self.wanted))
    }
}
