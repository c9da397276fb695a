//! Files of other tools, here made with the plain Arrow writer: queried like ours, or refused with a reason.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::array::{ListBuilder, MapBuilder, StringBuilder};
use bytes::Bytes;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tsdb_core::{Labels, MatchOp, Matcher, Series, TimeRange};
use tsdb_parquet_io::{Error, Origin, ParquetConfig, ReadRequest};
use tsdb_testkit::assert_series_eq;

use crate::common::{metric, open, select, series, write};

pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("columns of one length")
}

pub(crate) fn foreign_file(tables: &[RecordBatch], properties: WriterProperties) -> Bytes {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, tables[0].schema(), Some(properties)).expect("a schema");
    tables.iter().for_each(|table| writer.write(table).expect("a table"));
    writer.close().expect("memory takes any file");
    file.into()
}

fn plain() -> WriterProperties {
    WriterProperties::builder().build()
}

/// Sorted by time, not by series; names in several string types.
fn by_time() -> RecordBatch {
    let rows = 60;
    let hosts: Vec<Option<String>> = (0..rows).map(|i| (i % 3 != 0).then(|| format!("h{}", i % 3))).collect();
    let jobs: Vec<&str> = (0..rows).map(|i| if i % 2 == 0 { "api" } else { "db" }).collect();
    table(vec![
        ("host", Arc::new(StringArray::from(hosts))),
        (
            "timestamp",
            Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|i| i / 6 * 1_000_000))),
        ),
        ("job", Arc::new(StringViewArray::from(jobs.clone()))),
        ("job2", Arc::new(LargeStringArray::from(jobs))),
        ("value", Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64)))),
        ("note", Arc::new(Int32Array::from_iter_values((0..60).map(|i: i32| i)))),
    ])
}

#[tokio::test]
async fn rows_in_any_order_are_grouped_and_sorted() {
    for (properties, row_group) in [
        (plain(), 100),
        (WriterProperties::builder().set_max_row_group_row_count(Some(7)).build(), 7),
        (WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build(), 100),
        (
            WriterProperties::builder()
                .set_statistics_enabled(EnabledStatistics::Page)
                .set_data_page_row_count_limit(4)
                .set_write_batch_size(2)
                .build(),
            100,
        ),
    ] {
        let reader = open(foreign_file(&[by_time()], properties)).await.expect("a foreign file");
        assert_eq!(reader.file_meta().origin, Origin::Foreign);
        let mut expected: Vec<Series> = Vec::new();
        for i in 0..60_u32 {
            let host = if i % 3 == 0 { String::new() } else { format!("h{}", i % 3) };
            let job = if i % 2 == 0 { "api" } else { "db" };
            let labels =
                Labels::from_pairs([("host", host.as_str()), ("job", job), ("job2", job)]).expect("labels");
            let at = expected.iter().position(|s| s.labels == labels).unwrap_or_else(|| {
                expected.push(Series { labels, samples: Default::default() });
                expected.len() - 1
            });
            expected[at].samples.timestamps_ms.push(i64::from(i / 6) * 1_000);
            expected[at].samples.values.push(f64::from(i));
        }
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));

        for (op, name, value) in [
            (MatchOp::Equal, "job", "api"),
            (MatchOp::Equal, "host", ""),
            (MatchOp::NotEqual, "host", "h1"),
            (MatchOp::Regex, "job2", "d.*"),
            (MatchOp::Equal, "missing", ""),
            (MatchOp::Equal, "missing", "x"),
        ] {
            let matcher = Matcher::new(op, name, value).expect("a matcher");
            let range = TimeRange::new(1_000, 7_000);
            let mut matching: Vec<Series> =
                expected.iter().filter(|s| matcher.matches_labels(&s.labels)).cloned().collect();
            matching.iter_mut().for_each(|s| s.samples.clip(range));
            let found = select(&reader, std::slice::from_ref(&matcher), range).await.expect("a foreign file");
            assert_series_eq(&found, &matching);
            assert!(row_group == 7 || row_group == 100);
        }
        assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.expect("a foreign file"), &expected);
    }
}

#[tokio::test]
async fn of_two_samples_with_one_timestamp_the_later_row_wins() {
    let rows = |ms: &[i64], values: &[f64]| {
        table(vec![
            ("timestamp", Arc::new(TimestampMillisecondArray::from(ms.to_vec()))),
            ("value", Arc::new(Float64Array::from(values.to_vec()))),
        ])
    };
    let file = foreign_file(&[rows(&[5, 1, 5], &[1.0, 2.0, 3.0]), rows(&[1], &[4.0])], plain());
    let found = select(&open(file).await.expect("a file"), &[], TimeRange::ALL).await.expect("a file");
    assert_series_eq(&found, &[series(&[], [(1, 4.0), (5, 3.0)])]);
}

#[tokio::test]
async fn two_samples_that_an_ignored_column_may_tell_apart_are_refused() {
    let rows = |ms: &[i64], values: &[f64], shards: &[i32]| {
        table(vec![
            ("host", Arc::new(StringArray::from(vec!["h"; ms.len()]))),
            ("timestamp", Arc::new(TimestampMillisecondArray::from(ms.to_vec()))),
            ("value", Arc::new(Float64Array::from(values.to_vec()))),
            ("shard", Arc::new(Int32Array::from(shards.to_vec()))),
            ("load", Arc::new(Float64Array::from(vec![0.5; ms.len()]))),
        ])
    };
    // In one batch or in two, next to each other or far apart.
    for tables in [
        vec![rows(&[1, 1], &[1.0, 2.0], &[1, 2])],
        vec![rows(&[1, 2, 3], &[1.0; 3], &[1; 3]), rows(&[4, 3, 5], &[1.0, 2.0, 1.0], &[2; 3])],
        vec![rows(&[5, 4, 3, 2, 1, 5], &[1.0, 1.0, 1.0, 1.0, 1.0, 2.0], &[1; 6])],
    ] {
        let reader = open(foreign_file(&tables, plain())).await.expect("a foreign file");
        let error = select(&reader, &[], TimeRange::ALL).await.expect_err("two values");
        let Error::Ambiguous { series, timestamp_ms, ignored, .. } = &error else { panic!("{error}") };
        assert_eq!((series.as_str(), ignored.join(" ")), (r#"{host="h"}"#, "shard load".to_owned()));
        assert!([1, 3, 5].contains(timestamp_ms), "{error}");
        assert!(error.to_string().contains("column(s) shard, load"), "{error}");
        // Rows that the query passes over are not looked at.
        select(&reader, &[Matcher::equal("host", "other")], TimeRange::ALL).await.expect("no row");
    }
    // One sample written twice is one sample; so is a NaN.
    let file = foreign_file(&[rows(&[2, 1, 2, 1], &[f64::NAN, 1.0, f64::NAN, 1.0], &[1, 1, 2, 2])], plain());
    let found = select(&open(file).await.expect("a file"), &[], TimeRange::ALL).await.expect("a file");
    assert_series_eq(&found, &[series(&[("host", "h")], [(1, 1.0), (2, f64::NAN)])]);
}

#[tokio::test]
async fn our_file_shuffled_by_a_tool_that_copies_the_metadata_is_foreign() {
    let config = ParquetConfig { promoted_labels: vec!["__name__".into()], ..ParquetConfig::default() };
    let all = metric("up", 3, 10);
    let (_, ours) = write(config, &all).expect("fits");
    let reader = open(ours).await.expect("our own file");
    let tables: Vec<RecordBatch> =
        reader.read_batch(ReadRequest::default()).try_collect().await.expect("our own file");
    // The rows backwards, with all the pairs that the footer had.
    let rows = u32::try_from(tables[0].num_rows()).expect("few rows");
    let backwards = arrow::array::UInt32Array::from_iter_values((0..rows).rev());
    let shuffled = arrow::compute::take_record_batch(&tables[0], &backwards).expect("a table");
    let pairs = reader.metadata().parquet().file_metadata().key_value_metadata().expect("pairs");
    let pairs: Vec<KeyValue> = pairs.iter().filter(|pair| pair.key.starts_with("tsdb.")).cloned().collect();
    let copy =
        foreign_file(&[shuffled], WriterProperties::builder().set_key_value_metadata(Some(pairs)).build());

    let reader = open(copy).await.expect("a foreign file");
    assert_eq!(reader.file_meta().origin, Origin::Foreign);
    assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.expect("a foreign file"), &all);
    let one = [Matcher::equal("instance", "host-00001")];
    assert_series_eq(&select(&reader, &one, TimeRange::ALL).await.expect("a foreign file"), &all[1..2]);
}

#[tokio::test]
async fn files_that_hold_no_samples_say_why() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    for (columns, part) in [
        (vec![("value", values.clone())], "timestamp"),
        (vec![("timestamp", times.clone())], "value"),
        (vec![("timestamp", words.clone()), ("value", values.clone())], "timestamp"),
        (vec![("timestamp", times), ("value", words)], "value"),
    ] {
        let error = open(foreign_file(&[table(columns)], plain())).await.expect_err("no samples");
        assert!(matches!(&error, Error::NotSamples { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    // A cell that no sample can hold is met by the row filter or by the last step, with one kind of error.
    let between: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500, 7_000_000]));
    let two: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let file = foreign_file(&[table(vec![("timestamp", between), ("value", two)])], plain());
    let reader = open(file).await.expect("a schema that can hold samples");
    for range in [TimeRange::ALL, TimeRange::new(0, 5_000)] {
        let error = select(&reader, &[], range).await.expect_err("1.5 ms");
        assert!(matches!(&error, Error::NotSamples { .. }), "{error}");
    }
}

/// A map column with these entries in each row.
fn map(rows: &[&[(&str, &str)]]) -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (name, value) in *row {
            map.keys().append_value(name);
            map.values().append_value(value);
        }
        map.append(true).expect("as many names as values");
    }
    Arc::new(map.finish())
}

#[tokio::test]
async fn a_label_may_be_in_its_column_in_one_row_and_in_the_map_in_another() {
    // As a tool leaves it that joins files from before and after a label was promoted.
    let table = table(vec![
        ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3, 4]))),
        ("value", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0]))),
        ("pod", Arc::new(StringArray::from(vec![Some("x"), None, None, None]))),
        ("labels", map(&[&[], &[("pod", "x")], &[("pod", "y")], &[("zone", "z")]])),
    ]);
    for properties in [
        plain(),
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(1))
            .set_bloom_filter_enabled(true)
            .build(),
    ] {
        let reader =
            open(foreign_file(std::slice::from_ref(&table), properties)).await.expect("a foreign file");
        let all = select(&reader, &[], TimeRange::ALL).await.expect("a foreign file");
        assert_eq!(all.len(), 3);
        for (op, name, value) in [
            (MatchOp::Equal, "pod", "x"),
            (MatchOp::Equal, "pod", ""),
            (MatchOp::NotEqual, "pod", "x"),
            (MatchOp::Regex, "pod", "x|y"),
            (MatchOp::Regex, "pod", ".+"),
            (MatchOp::NotRegex, "pod", "y"),
            (MatchOp::Equal, "zone", "z"),
        ] {
            let matcher = Matcher::new(op, name, value).expect("a matcher");
            let expected: Vec<Series> =
                all.iter().filter(|series| matcher.matches_labels(&series.labels)).cloned().collect();
            let found = select(&reader, std::slice::from_ref(&matcher), TimeRange::ALL).await;
            assert_series_eq(&found.expect("a foreign file"), &expected);
        }
    }
}

#[tokio::test]
async fn a_label_of_two_values_is_refused_by_every_query_that_asks_for_it() {
    let table = table(vec![
        ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![1, 2]))),
        ("value", Arc::new(Float64Array::from(vec![1.0, 2.0]))),
        ("zone", Arc::new(StringArray::from(vec![None, Some("a")]))),
        ("labels", map(&[&[("pod", "x"), ("pod", "y")], &[("zone", "b")]])),
    ]);
    let reader = open(foreign_file(&[table], plain())).await.expect("a foreign file");
    for (op, name, value) in [
        (MatchOp::Equal, "pod", "x"),
        (MatchOp::Equal, "pod", "y"),
        (MatchOp::Equal, "zone", "a"),
        (MatchOp::Equal, "zone", "b"),
        (MatchOp::NotEqual, "absent", "x"),
    ] {
        let matcher = Matcher::new(op, name, value).expect("a matcher");
        let error = select(&reader, &[matcher], TimeRange::ALL).await.expect_err("two values");
        assert!(matches!(&error, Error::NotSamples { .. }), "{error}");
        assert!(error.to_string().contains("has two values in one row"), "{error}");
    }
}

#[tokio::test]
async fn labels_in_a_shape_that_is_not_read_are_refused_and_not_left_out() {
    let mut names = ListBuilder::new(StringBuilder::new());
    names.append_value([Some("pod")]);
    let table = table(vec![
        ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![1]))),
        ("value", Arc::new(Float64Array::from(vec![1.0]))),
        ("labels", Arc::new(names.finish())),
    ]);
    let error = match open(foreign_file(&[table], plain())).await {
        Ok(reader) => select(&reader, &[], TimeRange::ALL).await.map(drop).expect_err("labels in a list"),
        Err(error) => error,
    };
    assert!(error.to_string().contains("labels") && error.to_string().contains("map of text"), "{error}");
}

#[tokio::test]
async fn rows_that_descend_in_time_are_read_as_quickly_as_others() {
    // Quadratic work would not end in the time of a test.
    let rows = 200_000_i64;
    let table = table(vec![
        ("timestamp", Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).rev()))),
        ("value", Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64)))),
    ]);
    let reader = open(foreign_file(&[table], plain())).await.expect("a foreign file");
    let found = select(&reader, &[], TimeRange::ALL).await.expect("a foreign file");
    assert_eq!(found.len(), 1);
    assert!(found[0].samples.timestamps_ms.iter().copied().eq(0..rows));
    assert!(found[0].samples.values.iter().zip((0..rows).rev()).all(|(&value, i)| value == i as f64));
}
