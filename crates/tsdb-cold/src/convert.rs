//! Blocks to a cold file: the step from the hot tier's format to the open one.
//!
//! The blocks of one partition, in sequence, become one Parquet file, without what was deleted. How a file is written
//! and verified is in [`crate::write`].

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use tsdb_core::{Block, Deletes, Series, TimeRange, Tombstones};
use tsdb_parquet_io::ParquetConfig;

use crate::write::{ColdFileWriter, FilePlan};
use crate::{BlockSet, ColdFile, Error, Progress, Result, SeriesSource};

/// Turns sealed blocks into cold files.
#[derive(Debug)]
pub struct BlockToParquetConverter {
    writer: ColdFileWriter,
}

impl BlockToParquetConverter {
    /// A converter that writes to `store` with `config`, whose promoted labels it replaces by the store's.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, config: ParquetConfig) -> Self {
        Self { writer: ColdFileWriter::new(store, config) }
    }

    /// Writes a set of blocks, without what `tombstones` delete in them, into one new cold file with `promoted` as label
    /// columns; durable and verified when it returns, but part of no catalog yet. `None` when no sample is left.
    /// `now_ms` becomes a part of the file's name.
    ///
    /// # Errors
    /// [`Error::Core`] for a damaged block, [`Error::File`] or [`Error::Store`] when the file cannot be
    /// written, [`Error::Verification`] when it does not read back, [`Error::Cancelled`]. What was written is removed.
    pub async fn convert(
        &self,
        set: &BlockSet<'_>,
        promoted: &[String],
        tombstones: &Tombstones,
        now_ms: i64,
        progress: &Progress,
    ) -> Result<Option<ColdFile>> {
        let sequences = set.blocks().iter().map(|b| b.meta().id.sequence);
        let (Some(min_sequence), Some(max_sequence)) = (sequences.clone().min(), sequences.max()) else {
            return Ok(None);
        };
        let plan = FilePlan {
            partition: set.partition(),
            min_sequence,
            max_sequence,
            level: 0,
            tombstones_below: tombstones.next_number(),
            promoted: promoted.to_vec(),
            label_names: Some(set.label_names()),
            has_histograms: set.has_histograms(),
            now_ms,
        };
        let sources = set
            .blocks()
            .iter()
            .map(|block| source(block, tombstones.over(block.meta().id.sequence, block.meta().time_range)));
        let file = self.writer.write(plan, sources.collect(), progress).await?;
        if let Some(file) = &file {
            tracing::info!(path = %file.path, blocks = set.blocks().len(), samples = file.samples, bytes = file.bytes, "converted");
        }
        Ok(file)
    }
}

fn source(block: &Block, deletes: Deletes) -> SeriesSource<'_, Error> {
    let mut labels = block.labels_reader();
    let read = move |ordinal| {
        let labels = labels.labels(ordinal)?;
        let mut samples = block.samples(ordinal, TimeRange::ALL)?;
        deletes.apply(&labels, &mut samples);
        Ok(Series { labels, samples })
    };
    let series = stream::iter((0..block.meta().series).map(read)).boxed();
    SeriesSource { sequence: block.meta().id.sequence, series }
}
