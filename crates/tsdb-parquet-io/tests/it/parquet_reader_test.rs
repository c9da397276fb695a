//! The roadmap's `ParquetReaderTest`: queries, columns, and how much of a file is read for them.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMillisecondType;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tsdb_core::{MatchOp, Matcher, Series, TimeRange};
use tsdb_parquet_io::{
    BlockCache, ColdStorageReader, Error, FilterToArrowExpression, ParquetConfig, ParquetReader, ReadRequest,
};
use tsdb_testkit::assert_series_eq;

use crate::common::{PATH, metric, open, select, series, store, write};
use crate::counting::Counting;

fn config() -> ParquetConfig {
    ParquetConfig {
        promoted_labels: vec!["__name__".into(), "instance".into()],
        row_group_rows: 2000,
        page_rows: 100,
        timestamp_page_rows: 100,
        with_histograms: false,
        ..ParquetConfig::default()
    }
}

/// Three metrics of 20 series and 200 samples: six row groups of 2,000 rows.
fn three_metrics() -> Vec<Series> {
    [metric("disk", 20, 200), metric("load", 20, 200), metric("net", 20, 200)].concat()
}

fn matchers(all: &[(MatchOp, &str, &str)]) -> Vec<Matcher> {
    all.iter().map(|(op, name, value)| Matcher::new(*op, name, value).expect("a matcher")).collect()
}

#[tokio::test]
async fn test_select() {
    let all = three_metrics();
    let reader = open(write(config(), &all).unwrap().1).await.unwrap();
    for (query, range) in [
        (matchers(&[]), TimeRange::ALL),
        (matchers(&[(MatchOp::Equal, "__name__", "load")]), TimeRange::ALL),
        (matchers(&[(MatchOp::Equal, "instance", "host-00007")]), TimeRange::new(15_000, 30_000)),
        (
            matchers(&[
                (MatchOp::Regex, "instance", "host-0000[1-3]"),
                (MatchOp::NotEqual, "__name__", "net"),
            ]),
            TimeRange::ALL,
        ),
        (matchers(&[(MatchOp::Equal, "job", "api")]), TimeRange::new(0, 0)),
        (matchers(&[(MatchOp::NotEqual, "job", "api")]), TimeRange::ALL),
        (matchers(&[(MatchOp::Equal, "missing", "")]), TimeRange::new(2_000_000, 2_990_000)),
        (matchers(&[(MatchOp::Regex, "missing", ".+")]), TimeRange::ALL),
        (matchers(&[]), TimeRange::new(5, 4)),
        (matchers(&[]), TimeRange::new(i64::MIN, -1)),
    ] {
        let mut expected: Vec<Series> =
            all.iter().filter(|s| Matcher::all_match(&query, &s.labels)).cloned().collect();
        expected.iter_mut().for_each(|s| s.samples.clip(range));
        expected.retain(|s| !s.samples.is_empty());
        assert_series_eq(&select(&reader, &query, range).await.unwrap(), &expected);
    }
}

#[tokio::test]
async fn test_read_batch() {
    let reader = open(write(config(), &three_metrics()).unwrap().1).await.unwrap();
    let request = ReadRequest {
        columns: Some(vec!["instance".into(), "timestamp".into()]),
        matchers: matchers(&[(MatchOp::Equal, "__name__", "load")]).into(),
        range: TimeRange::new(0, 15_000),
        ..ReadRequest::default()
    };
    let tables: Vec<_> = reader.read_batch(request).try_collect().await.unwrap();
    let mut rows = 0;
    for table in &tables {
        let names: Vec<_> = table.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["timestamp", "instance"]);
        assert!(
            table["timestamp"]
                .as_primitive::<TimestampMillisecondType>()
                .values()
                .iter()
                .all(|ms| *ms <= 15_000)
        );
        rows += table.num_rows();
    }
    assert_eq!(rows, 20 * 2);

    let whole: Vec<_> = reader.read_batch(ReadRequest::default()).try_collect().await.unwrap();
    assert_eq!(whole.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 12_000);
    let missing = ReadRequest { columns: Some(vec!["nope".into()]), ..ReadRequest::default() };
    let error = reader.read_batch(missing).next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoColumn { column, .. } if column == "nope"));
}

#[tokio::test]
async fn test_read_schema_and_shared_metadata() {
    let file = write(config(), &three_metrics()).unwrap().1;
    let reader = open(file.clone()).await.unwrap();
    let schema = ColdStorageReader::read_schema(&reader).await.unwrap();
    assert_eq!(schema.field(0).name(), "timestamp");
    assert!(reader.metadata().memory_bytes() > 1000);
    let counting = Arc::new(Counting::new(store(file).await));
    let shared = ParquetReader::with_metadata(
        counting.clone(),
        Path::from(PATH),
        Arc::clone(reader.metadata()),
        BlockCache::new(1 << 20),
    );
    assert_eq!(counting.requests(), 0, "the footer is not read again");
    let none = matchers(&[(MatchOp::Equal, "__name__", "zzz")]);
    assert!(select(&shared, &none, TimeRange::ALL).await.unwrap().is_empty());
    assert_eq!(counting.requests(), 0, "the statistics in memory rule out every row group");
    let count = select(&shared, &[], TimeRange::ALL).await.unwrap().len();
    // Series blocks, value blocks, page tables, and the samples of all row groups.
    assert_eq!((count, counting.requests()), (60, 4));
}

/// The row groups that a query keeps, and how many rows its pages keep of them.
fn pruned(reader: &ParquetReader, query: &[Matcher], range: TimeRange) -> (Vec<usize>, usize) {
    let metadata = reader.metadata();
    let schema = metadata.mapper().time_series_to_arrow_schema();
    let (mapper, origin) = (metadata.mapper(), metadata.file_meta().origin);
    let filter = FilterToArrowExpression::new(metadata.parquet(), &schema, mapper, query, range, origin);
    let groups = filter.row_groups();
    let rows = match filter.row_selection(&groups) {
        Some(selection) => selection.row_count(),
        None => groups
            .iter()
            .map(|g| usize::try_from(metadata.parquet().row_group(*g).num_rows()).expect("few rows"))
            .sum(),
    };
    (groups, rows)
}

#[tokio::test]
async fn row_groups_and_pages_are_pruned_by_labels_and_time() {
    let reader = open(write(config(), &three_metrics()).unwrap().1).await.unwrap();
    assert_eq!(pruned(&reader, &[], TimeRange::ALL), ((0..6).collect(), 12_000));
    let load = matchers(&[(MatchOp::Equal, "__name__", "load")]);
    assert_eq!(pruned(&reader, &load, TimeRange::ALL), (vec![2, 3], 4_000));
    let prefix = matchers(&[(MatchOp::Regex, "__name__", "ne.*")]);
    assert_eq!(pruned(&reader, &prefix, TimeRange::ALL).0, [4, 5]);
    let not = matchers(&[(MatchOp::NotEqual, "__name__", "disk")]);
    assert_eq!(pruned(&reader, &not, TimeRange::ALL).0, [2, 3, 4, 5]);
    // Ten series to a group.
    let instance = matchers(&[(MatchOp::Equal, "instance", "host-00013")]);
    assert_eq!(pruned(&reader, &instance, TimeRange::ALL).0, [1, 3, 5]);
    // Pages of 100 rows: a series of 200 samples has one for its first half and one for its second.
    let (groups, rows) = pruned(&reader, &load, TimeRange::new(0, 0));
    assert_eq!((groups, rows), (vec![2, 3], 20 * 100));
    assert!(pruned(&reader, &load, TimeRange::new(-5, -1)).0.is_empty());
    let nowhere = ParquetConfig {
        label_names: Some(vec!["__name__".into(), "instance".into(), "job".into()]),
        ..config()
    };
    let nowhere = ParquetConfig {
        promoted_labels: vec!["__name__".into(), "instance".into(), "job".into()],
        ..nowhere
    };
    let reader = open(write(nowhere, &three_metrics()).unwrap().1).await.unwrap();
    let pod = matchers(&[(MatchOp::Equal, "pod", "x")]);
    assert!(pruned(&reader, &pod, TimeRange::ALL).0.is_empty(), "no column and no map can hold the label");
}

#[tokio::test]
async fn bloom_filters_rule_out_what_bounds_cannot() {
    let with_bloom = ParquetConfig { bloom_columns: vec!["instance".into(), "unknown".into()], ..config() };
    let all = three_metrics();
    let file = write(with_bloom, &all).unwrap().1;
    let reader = open(file.clone()).await.unwrap();
    let has_bloom: Vec<_> = reader.layout().row_groups[0]
        .columns
        .iter()
        .filter(|c| c.has_bloom_filter)
        .map(|c| c.path.clone())
        .collect();
    assert_eq!(has_bloom, ["instance"]);

    let counting = Arc::new(Counting::new(store(file).await));
    let reader = ParquetReader::with_metadata(
        counting.clone(),
        Path::from(PATH),
        Arc::clone(reader.metadata()),
        BlockCache::new(1 << 20),
    );
    // Within the bounds of every group, in none of them.
    let absent = matchers(&[(MatchOp::Equal, "instance", "host-00005x")]);
    assert_eq!(pruned(&reader, &absent, TimeRange::ALL).0.len(), 3);
    assert!(select(&reader, &absent, TimeRange::ALL).await.unwrap().is_empty());
    assert_eq!(counting.requests(), 1, "the bloom filters in one request, and no column");
    let present = matchers(&[(MatchOp::Equal, "instance", "host-00005")]);
    assert_eq!(select(&reader, &present, TimeRange::ALL).await.unwrap().len(), 3);
}

#[tokio::test]
async fn pages_out_of_the_time_range_are_not_read() {
    let file = write(config(), &three_metrics()).unwrap().1;
    let counting = Arc::new(Counting::new(store(file).await));
    let reader = ParquetReader::open(counting.clone(), Path::from(PATH), None).await.unwrap();
    let request =
        |range| ReadRequest { columns: Some(vec!["timestamp".into()]), range, ..ReadRequest::default() };
    let bytes_of = async |range| {
        let before = counting.bytes();
        let tables: Vec<_> = reader.read_batch(request(range)).try_collect().await.unwrap();
        let rows: usize = tables.iter().map(arrow::array::RecordBatch::num_rows).sum();
        (rows, counting.bytes() - before)
    };
    let (all_rows, all_bytes) = bytes_of(TimeRange::ALL).await;
    // Pages of 100 rows: every series of 200 samples has its first sample in a page of its first half.
    let (first_rows, first_bytes) = bytes_of(TimeRange::new(0, 0)).await;
    assert_eq!((all_rows, first_rows), (12_000, 60));
    assert!(first_bytes < all_bytes * 3 / 5, "{first_bytes} of {all_bytes} bytes were read");
}

#[tokio::test]
async fn rows_are_selected_by_their_numbers() {
    let reader = open(write(config(), &three_metrics()).unwrap().1).await.unwrap();
    let rows_of = async |request: ReadRequest| -> Vec<(String, i64)> {
        let tables: Vec<_> = reader.read_batch(request).try_collect().await.unwrap();
        let mapper = reader.metadata().mapper();
        let samples = tables.iter().flat_map(|t| mapper.record_batch_to_sample_batch(t).unwrap().series);
        samples
            .flat_map(|s| {
                s.samples.timestamps_ms.clone().into_iter().map(move |ms| (s.labels.to_string(), ms))
            })
            .collect()
    };
    let all = rows_of(ReadRequest::default()).await;
    // Over the border of two row groups, overlapping, backwards, and beyond the end.
    let rows = Some(vec![11_999..99_999, 1_990..2_005, 2_001..2_010, 0..1, 7..7]);
    let picked = rows_of(ReadRequest { rows: rows.clone(), ..ReadRequest::default() }).await;
    let numbers = (0..1).chain(1_990..2_010).chain(11_999..12_000);
    assert_eq!(picked, numbers.map(|row| all[row].clone()).collect::<Vec<_>>());
    // Together with matchers and a time range, which prune pages of their own.
    let disk = matchers(&[(MatchOp::Equal, "__name__", "disk")]);
    let range = TimeRange::new(0, 15_000);
    let picked = rows_of(ReadRequest { rows, matchers: disk.into(), range, ..ReadRequest::default() }).await;
    let expected: Vec<_> = [0, 2_000, 2_001].iter().map(|row: &usize| all[*row].clone()).collect();
    assert_eq!(picked, expected);
    let none = rows_of(ReadRequest { rows: Some(Vec::new()), ..ReadRequest::default() }).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn one_read_opens_a_file_and_one_reads_a_row_group() {
    let file = write(config(), &three_metrics()).unwrap().1;
    let size = file.len() as u64;
    let counting = Arc::new(Counting::new(store(file).await));
    let reader = ParquetReader::open(counting.clone(), Path::from(PATH), Some(size)).await.unwrap();
    assert_eq!(counting.requests(), 1);
    assert_eq!(select(&reader, &[], TimeRange::ALL).await.unwrap().len(), 60);
    // The end of the file brings the whole series index. The pages of timestamps and values of all row groups are one
    // request of the store.
    assert_eq!(counting.requests(), 1 + 1);
    // The pages of all columns, with the dictionaries between them, are one for each row group.
    let rows: Vec<_> = reader.read_batch(ReadRequest::default()).try_collect().await.unwrap();
    assert_eq!((rows.len(), counting.requests()), (6, 2 + 6));
}

#[tokio::test]
async fn memory_is_bounded_however_well_the_samples_are_compressed() {
    // Regular times and one value: a few bytes of file for each thousand samples.
    let one = |i: u32| {
        let number = format!("{i:02}");
        series(&[("__name__", "up"), ("n", &number)], (0..250_000).map(|row| (row * 15_000, 1.0)))
    };
    let all: Vec<_> = (0..24).map(one).collect();
    let (meta, file) =
        write(ParquetConfig { with_histograms: false, ..ParquetConfig::default() }, &all).unwrap();
    assert!(meta.bytes < 2 << 20, "{} bytes", meta.bytes);
    let reader = open(file).await.unwrap();
    let mut found = reader.select([].into(), TimeRange::ALL);
    let first = found.try_next().await.unwrap().unwrap();
    assert_series_eq(std::slice::from_ref(&first), &all[..1]);
    let layout = reader.layout();
    let chunks = layout.row_groups.iter().map(|group| &group.columns[..2]);
    let pages: usize = chunks.flatten().filter_map(|column| column.pages).sum();
    let decoded = reader.statistics().pages_decoded;
    assert!(decoded * 2 < pages as u64, "{decoded} pages of {pages} for the first series");
}
