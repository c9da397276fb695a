//! The label bloom by itself: one range of a file of which nothing else was read.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::source::Source;
use super::{ParquetReader, ReadStatistics};
use crate::series_index::{LabelBloom, LabelBloomPlace};
use crate::{Error, Result};

impl ParquetReader {
    /// Reads the label bloom of the file at `path`, whose place is known from when the file was written or opened:
    /// [`FileMeta::label_bloom`](crate::FileMeta::label_bloom). Returns what was read for it, too.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::UnsupportedVersion`]; [`Error::Store`] when the file cannot be read.
    pub async fn label_bloom(
        store: Arc<dyn ObjectStore>,
        path: Path,
        place: &LabelBloomPlace,
    ) -> Result<(LabelBloom, ReadStatistics)> {
        let source = Source::new(store, path);
        let stored = source.range(place.offset..place.offset.saturating_add(u64::from(place.bytes))).await?;
        let bloom = LabelBloom::decode(&stored, place).map_err(Error::index(source.path()))?;
        Ok((bloom, source.statistics()))
    }
}
