//! The two seams of the cold tier's files: whoever stores history writes and reads through these traits.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_schema::SampleBatch;

use crate::{FileMeta, ReadRequest, Result};

/// Writes one cold file, batch by batch.
pub trait ColdStorageWriter {
    /// Appends the samples of `batch`. Series come in ascending label order over all batches; a series may go
    /// on in the next batch, with later samples. An empty batch changes nothing.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`](crate::Error::OutOfOrder), [`Error::Schema`](crate::Error::Schema) for a sample
    /// without a column, and the sink's errors. After an error the file is of no use and must be dropped.
    fn write_batch(&mut self, batch: &SampleBatch) -> Result<()>;

    /// Completes the file and tells what is in it. A writer dropped without it leaves no readable file.
    ///
    /// # Errors
    /// The sink's errors.
    fn close(self) -> Result<FileMeta>
    where
        Self: Sized;

    /// Bytes of memory that the writer holds: bounded by one row group.
    fn memory_bytes(&self) -> usize;
}

/// Reads one cold file.
#[async_trait]
pub trait ColdStorageReader: Send + Sync {
    /// The columns of the file.
    ///
    /// # Errors
    /// Those of reading the footer, if it is not in memory yet.
    async fn read_schema(&self) -> Result<SchemaRef>;

    /// The rows that `request` selects, as Arrow tables in file order.
    fn read_batch(&self, request: ReadRequest) -> BoxStream<'static, Result<RecordBatch>>;

    /// The series that match all `matchers`, each once and with its samples in `range` (both ends belong to
    /// it), in label order; series without such a sample are left out.
    fn select(&self, matchers: Arc<[Matcher]>, range: TimeRange) -> BoxStream<'static, Result<Series>>;
}
