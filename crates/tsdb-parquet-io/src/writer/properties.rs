//! Settings to the `parquet` crate's writer properties.

use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tsdb_core::METRIC_NAME;
use tsdb_schema::{HISTOGRAM_COLUMN, SchemaMapper, TIMESTAMP_COLUMN, VALUE_COLUMN};

use super::order::OrderCheck;
use crate::file_meta::CREATOR;
use crate::{Compression, Error, ParquetConfig, Result, ValueEncoding};

/// Rows that the encoder takes between two looks at a page's size, if pages have that many. Each look costs every
/// column; long strings are cut by their bytes all the same.
const WRITE_BATCH_ROWS: usize = 4096;

/// The properties of a file with `config`, of which `order` tells what may be declared.
pub(super) fn writer_properties(
    config: &ParquetConfig,
    mapper: &SchemaMapper,
    order: &OrderCheck,
) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("{CREATOR}{}", env!("CARGO_PKG_VERSION")))
        .set_compression(codec(config.compression)?)
        .set_max_row_group_row_count(Some(config.row_group_rows))
        .set_max_row_group_bytes(Some(config.row_group_bytes))
        .set_data_page_row_count_limit(config.page_rows)
        .set_write_batch_size(WRITE_BATCH_ROWS.min(config.page_rows))
        // Page statistics cost index bytes for each page and column; only the columns below prune by them.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(path(TIMESTAMP_COLUMN), EnabledStatistics::Page)
        .set_column_statistics_enabled(path(VALUE_COLUMN), EnabledStatistics::Page)
        .set_column_dictionary_enabled(path(TIMESTAMP_COLUMN), false)
        .set_column_encoding(path(TIMESTAMP_COLUMN), Encoding::DELTA_BINARY_PACKED);
    builder = value_encoding(builder, config.value_encoding);
    for label in mapper.label_columns() {
        let column = path(&label.column);
        builder =
            builder.set_column_dictionary_page_size_limit(column.clone(), config.label_dictionary_bytes);
        if label.label == METRIC_NAME {
            builder = builder.set_column_statistics_enabled(column.clone(), EnabledStatistics::Page);
        }
        if config.bloom_columns.contains(&label.label) {
            builder = builder
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_fpp(column, config.bloom_false_positives);
        }
    }
    if order.is_sorted_by_metric() {
        builder = builder.set_sorting_columns(metric_sorting(mapper));
    }
    Ok(builder.build())
}

fn value_encoding(builder: WriterPropertiesBuilder, encoding: ValueEncoding) -> WriterPropertiesBuilder {
    let column = path(VALUE_COLUMN);
    match encoding {
        ValueEncoding::Dictionary => builder.set_column_dictionary_enabled(column, true),
        ValueEncoding::Plain => builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::PLAIN),
        ValueEncoding::ByteStreamSplit => builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT),
    }
}

/// Sorted by the metric name's column, ascending, nulls last.
fn metric_sorting(mapper: &SchemaMapper) -> Option<Vec<SortingColumn>> {
    let metric = &mapper.label_column(METRIC_NAME)?.column;
    let schema = mapper.time_series_to_arrow_schema();
    // Parquet counts leaf columns: the histogram struct has many, every column before a label has one.
    let mut leaf = 0;
    for field in schema.fields() {
        if field.name() == metric {
            return Some(vec![SortingColumn { column_idx: leaf, descending: false, nulls_first: false }]);
        }
        leaf += if field.name() == HISTOGRAM_COLUMN { leaves_of(field.data_type()) } else { 1 };
    }
    None
}

fn leaves_of(data_type: &arrow::datatypes::DataType) -> i32 {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|f| leaves_of(f.data_type())).sum(),
        DataType::List(element) => leaves_of(element.data_type()),
        _ => 1,
    }
}

fn codec(compression: Compression) -> Result<Codec> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd(level) => Codec::ZSTD(
            ZstdLevel::try_new(level)
                .map_err(|e| Error::InvalidConfig(format!("ZSTD level {level}: {e}")))?,
        ),
    })
}

fn path(column: &str) -> ColumnPath {
    ColumnPath::new(vec![column.to_owned()])
}
