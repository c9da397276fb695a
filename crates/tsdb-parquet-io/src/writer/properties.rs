//! Settings to the `parquet` crate's writer properties: what concerns the file as a whole and the nested columns, whose
//! pages it writes itself.

use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::SchemaDescriptor;
use tsdb_core::METRIC_NAME;
use tsdb_schema::SchemaMapper;

use super::codec::PageCodec;
use super::order::OrderCheck;
use super::row_group::leaves_of;
use crate::ParquetConfig;
use crate::file_meta::CREATOR;

/// Rows that the encoder takes between two looks at a page's size, if pages have that many. Each look costs every
/// column; long strings are cut by their bytes all the same.
const WRITE_BATCH_ROWS: usize = 4096;

/// The properties of a file with `config`, of which `order` tells what may be declared.
pub(super) fn writer_properties(
    config: &ParquetConfig,
    codec: &PageCodec,
    mapper: &SchemaMapper,
    descriptor: &SchemaDescriptor,
    order: &OrderCheck,
) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("{CREATOR}{}", env!("CARGO_PKG_VERSION")))
        .set_compression(codec.codec())
        .set_data_page_row_count_limit(config.page_rows)
        .set_write_batch_size(WRITE_BATCH_ROWS.min(config.page_rows))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(if order.is_sorted_by_metric() {
            metric_sorting(mapper, descriptor)
        } else {
            None
        })
        .build();
    let schema = mapper.time_series_to_arrow_schema();
    parquet::arrow::add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    properties
}

/// Sorted by the metric name's column, ascending, nulls last.
fn metric_sorting(mapper: &SchemaMapper, descriptor: &SchemaDescriptor) -> Option<Vec<SortingColumn>> {
    let (root, _) =
        mapper.time_series_to_arrow_schema().column_with_name(&mapper.label_column(METRIC_NAME)?.column)?;
    // Parquet counts leaf columns: the histogram has many.
    let column_idx = i32::try_from(leaves_of(descriptor, root).start).ok()?;
    Some(vec![SortingColumn { column_idx, descending: false, nulls_first: false }])
}
