//! The page index of a file whose writer put its parts behind the row groups: only the parts are read.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
use bytes::Bytes;
use object_store::path::Path;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tsdb_core::{Matcher, TimeRange};
use tsdb_parquet_io::ParquetReader;
use tsdb_testkit::assert_series_eq;

use crate::common::{PATH, open, select, store};
use crate::counting::Counting;
use crate::foreign::{foreign_file, table};

/// Bytes between two parts in the spread file.
const GAP: usize = 300 * 1024;

fn file() -> Bytes {
    let rows = 4_000;
    let hosts: Vec<String> = (0..rows).map(|row| format!("host-{:02}", row / 200)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("timestamp", Arc::new(TimestampMillisecondArray::from_iter_values(0..rows))),
        ("value", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64)))),
        ("host", Arc::new(StringArray::from(hosts))),
    ];
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2_000))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    foreign_file(&[table(columns)], properties)
}

fn metadata(file: &Bytes, index: PageIndexPolicy) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(index);
    reader.parse_and_finish(file).expect("a Parquet file")
}

/// The same file with its page index in parts that lie far apart.
fn spread(file: &Bytes) -> Bytes {
    let metadata = metadata(file, PageIndexPolicy::Skip);
    let place = |at: Option<i64>, length: Option<i32>| {
        let at = usize::try_from(at.expect("a page index")).expect("an offset");
        at..at + usize::try_from(length.expect("a page index")).expect("a length")
    };
    let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let first = columns.map(|c| place(c.column_index_offset(), c.column_index_length()).start).min();
    let mut copy = file[..first.expect("columns")].to_vec();
    let mut move_to_end = |part: std::ops::Range<usize>| {
        copy.resize(copy.len() + GAP, 0);
        copy.extend_from_slice(&file[part]);
        Some(i64::try_from(copy.len()).expect("a small file"))
    };
    let mut groups = Vec::new();
    for group in metadata.row_groups() {
        let mut columns = Vec::new();
        for column in group.columns() {
            let index = place(column.column_index_offset(), column.column_index_length());
            let offsets = place(column.offset_index_offset(), column.offset_index_length());
            let start =
                |end: Option<i64>, length: usize| end.map(|end| end - i64::try_from(length).expect("small"));
            let (index_len, offsets_len) = (index.len(), offsets.len());
            let column = column
                .clone()
                .into_builder()
                .set_offset_index_offset(start(move_to_end(offsets), offsets_len))
                .set_column_index_offset(start(move_to_end(index), index_len));
            columns.push(column.build().expect("a column"));
        }
        groups.push(group.clone().into_builder().set_column_metadata(columns).build().expect("a row group"));
    }
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish().expect("memory takes any footer");
    copy.extend(footer);
    copy.into()
}

#[tokio::test]
async fn parts_far_apart_are_read_alone_and_mean_the_same() {
    let near = file();
    let far = spread(&near);
    // Two row groups of three columns, each with two parts.
    assert!(far.len() > 12 * GAP);
    let counting = Arc::new(Counting::new(store(far.clone()).await));
    let len = far.len() as u64;
    let reader =
        ParquetReader::open(counting.clone(), Path::from(PATH), Some(len)).await.expect("a foreign file");
    assert!(
        counting.bytes() < GAP,
        "{} of {} bytes for the footer and the index",
        counting.bytes(),
        far.len()
    );

    let expected = metadata(&near, PageIndexPolicy::Required);
    let found = reader.metadata().parquet();
    assert_eq!(found.column_index(), expected.column_index());
    assert_eq!(found.offset_index(), expected.offset_index());
    // The footer itself is left as it was: other parts of it are looked up by their places.
    assert_eq!(found.row_groups(), metadata(&far, PageIndexPolicy::Skip).row_groups());

    let query = [Matcher::equal("host", "host-13")];
    let range = TimeRange::new(2_650, 2_749);
    let all =
        select(&open(near).await.expect("a foreign file"), &query, range).await.expect("a foreign file");
    assert_series_eq(&select(&reader, &query, range).await.expect("a foreign file"), &all);
    assert_eq!(all[0].samples.len(), 100);
}

#[tokio::test]
async fn parts_that_overlap_or_are_cut_are_read_or_refused_without_a_panic() {
    let far = spread(&file());
    let footer_len = far[far.len() - 8..].first_chunk().map(|length| u32::from_le_bytes(*length));
    let footer_at = far.len() - 8 - usize::try_from(footer_len.expect("a trailer")).expect("a small footer");
    // Bytes all over the footer, one at a time.
    for at in (footer_at..far.len() - 8).step_by(7) {
        let mut flipped = far.to_vec();
        flipped[at] ^= 0x15;
        if let Ok(reader) = open(flipped).await {
            let _ = select(&reader, &[Matcher::equal("host", "host-13")], TimeRange::ALL).await;
        }
    }
}
