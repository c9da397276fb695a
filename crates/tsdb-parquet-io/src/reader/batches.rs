//! Record batches from the push decoder: it says which ranges it needs, the source brings them.

use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, StreamExt, try_unfold};
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};

use super::contain::contain;
use super::pages::PageChecks;
use super::source::Source;
use super::{ColdFileMetadata, ReadPlan};
use crate::{Error, Result};

/// The rows that `plan` selects, in file order; columns as `mask` says.
pub(super) fn batches(
    source: Source,
    metadata: &ColdFileMetadata,
    plan: ReadPlan,
    mask: ProjectionMask,
    batch_rows: usize,
    checks: PageChecks,
) -> BoxStream<'static, Result<RecordBatch>> {
    if plan.row_groups.is_empty() {
        return futures::stream::empty().boxed();
    }
    let decoder = contain(source.path(), || {
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(metadata.arrow.clone())
            .with_batch_size(batch_rows)
            .with_projection(mask)
            .with_row_groups(plan.row_groups);
        if let Some(selection) = plan.selection {
            // The decoder keeps columns that a predicate has decoded, and to that end widens the selection to whole
            // batches: pages that were ruled out would be read all the same. Decoding a few pages twice costs less.
            builder = builder.with_row_selection(selection).with_max_predicate_cache_size(0);
        }
        if let Some(filter) = plan.filter {
            builder = builder.with_row_filter(filter);
        }
        builder.build().map_err(|e| Error::damaged(source.path(), e))
    });
    match decoder {
        Ok(decoder) => try_unfold((source, decoder, checks), next).boxed(),
        Err(error) => futures::stream::once(async { Err(error) }).boxed(),
    }
}

type State = (Source, ParquetPushDecoder, PageChecks);

async fn next((source, mut decoder, checks): State) -> Result<Option<(RecordBatch, State)>> {
    loop {
        let step =
            contain(source.path(), || decoder.try_decode().map_err(|e| Error::decode(source.path(), e)))?;
        match step {
            DecodeResult::Data(batch) => return Ok(Some((batch, (source, decoder, checks)))),
            DecodeResult::Finished => return Ok(None),
            DecodeResult::NeedsData(ranges) => {
                let bytes = source.ranges(&ranges).await?;
                for (range, bytes) in ranges.iter().zip(&bytes) {
                    checks.check(source.path(), range.start, bytes)?;
                }
                decoder.push_ranges(ranges, bytes).map_err(|e| Error::damaged(source.path(), e))?;
            }
        }
    }
}
