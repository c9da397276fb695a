//! Tables of other tools: what is read, and which typed error says what is wrong with the rest.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, DictionaryArray, Float32Array, Float64Array, Int8Array,
    Int64Array, LargeBinaryArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    UInt64Array,
};
use arrow::datatypes::{Int8Type, Schema};
use tsdb_core::Labels;
use tsdb_schema::{Error, LabelLayout, SampleBatch, SchemaMapper};

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("columns of one length")
}

fn read(columns: Vec<(&str, ArrayRef)>) -> Result<SampleBatch, Error> {
    let table = table(columns);
    SchemaMapper::from_schema(&table.schema())?.record_batch_to_sample_batch(&table)
}

fn ms(times: &[i64]) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(times.to_vec()))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Checks that `found` is an invalid value of `column`, and that its message has all `parts`.
fn invalid(found: Result<SampleBatch, Error>, column: &str, parts: &[&str]) {
    let error = found.expect_err(column);
    let message = error.to_string();
    assert!(matches!(&error, Error::InvalidValue { column: found, .. } if found == column), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn labels_of_every_text_type_are_read() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("m"), None].into_iter().collect();
    for jobs in [
        Arc::new(StringArray::from(vec![Some("m"), None])) as ArrayRef,
        Arc::new(LargeStringArray::from(vec![Some("m"), None])),
        Arc::new(StringViewArray::from(vec![Some("m"), None])),
        Arc::new(StringArray::from(vec![Some("m"), Some("")])),
        Arc::new(dictionary),
        // As writers leave strings that mark them as nothing but bytes.
        Arc::new(BinaryArray::from(vec![Some(b"m".as_slice()), None])),
        Arc::new(LargeBinaryArray::from(vec![Some(b"m".as_slice()), None])),
        Arc::new(BinaryViewArray::from(vec![Some(b"m".as_slice()), None])),
        Arc::new(DictionaryArray::new(
            Int8Array::from(vec![Some(0), None]),
            Arc::new(BinaryArray::from(vec![b"m".as_slice()])),
        )),
    ] {
        let batch =
            read(vec![("job", jobs), ("value", floats(&[1.0, 2.0])), ("timestamp", ms(&[1, 1]))]).unwrap();
        let labels: Vec<_> = batch.series.iter().map(|s| s.labels.clone()).collect();
        assert_eq!(labels, [Labels::from_pairs([("job", "m")]).unwrap(), Labels::empty()]);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_and_no_missing_label() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![b"m".as_slice(), b"\xff"]));
    let dictionary = DictionaryArray::new(Int8Array::from(vec![0, 1]), bytes.clone());
    for jobs in [bytes, Arc::new(dictionary)] {
        let found = read(vec![("job", jobs), ("value", floats(&[1.0, 2.0])), ("timestamp", ms(&[1, 1]))]);
        invalid(found, "job", &["not UTF-8"]);
    }
}

#[test]
fn timestamps_of_every_unit_are_read_exactly_or_refused() {
    for times in [
        Arc::new(TimestampSecondArray::from(vec![-1, 2])) as ArrayRef,
        Arc::new(TimestampMillisecondArray::from(vec![-1_000, 2_000]).with_timezone("Europe/Berlin")),
        Arc::new(TimestampMicrosecondArray::from(vec![-1_000_000, 2_000_000])),
        Arc::new(TimestampNanosecondArray::from(vec![-1_000_000_000, 2_000_000_000])),
        Arc::new(Int64Array::from(vec![-1_000, 2_000])),
    ] {
        let batch = read(vec![("timestamp", times), ("value", floats(&[1.0, 2.0]))]).unwrap();
        assert_eq!(batch.series[0].samples.timestamps_ms, [-1_000, 2_000]);
    }
    for (times, part) in [
        (Arc::new(TimestampMicrosecondArray::from(vec![1_000, 1_001])) as ArrayRef, "1001 is a time between"),
        (Arc::new(TimestampSecondArray::from(vec![i64::MAX, 0])), "9223372036854775807 is a time beyond"),
        (Arc::new(TimestampMillisecondArray::from(vec![Some(1), None])), "a timestamp is null"),
    ] {
        let found = read(vec![("timestamp", times), ("value", floats(&[1.0, 2.0]))]);
        invalid(found, "timestamp", &[part]);
    }
}

#[test]
fn values_of_every_number_type_are_read_exactly_or_refused() {
    for values in [
        Arc::new(Float32Array::from(vec![1.5, 2.0])) as ArrayRef,
        Arc::new(Float64Array::from(vec![1.5, 2.0])),
    ] {
        let batch = read(vec![("timestamp", ms(&[1, 2])), ("value", values)]).unwrap();
        assert_eq!(batch.series[0].samples.values, [1.5, 2.0]);
    }
    // Beyond 2^53 every second integer is a float, and so on.
    for exact in [1_u64 << 53, (1 << 53) + 2, 1 << 63, u64::MAX - 2047] {
        let batch =
            read(vec![("timestamp", ms(&[1])), ("value", Arc::new(UInt64Array::from(vec![exact])))]).unwrap();
        assert_eq!(batch.series[0].samples.values, [exact as f64]);
    }
    let batch =
        read(vec![("timestamp", ms(&[1])), ("value", Arc::new(Int64Array::from(vec![i64::MIN])))]).unwrap();
    assert_eq!(batch.series[0].samples.values, [i64::MIN as f64]);
    for (values, shown) in [
        (Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef, "18446744073709551615"),
        (Arc::new(UInt64Array::from(vec![(1 << 53) + 1])), "9007199254740993"),
        (Arc::new(Int64Array::from(vec![-(1_i64 << 53) - 1])), "-9007199254740993"),
        (Arc::new(Int64Array::from(vec![i64::MAX])), "9223372036854775807"),
    ] {
        let found = read(vec![("timestamp", ms(&[5])), ("value", values)]);
        invalid(found, "value", &["{} at 5 ms", shown, "Float64"]);
    }
}

#[test]
fn rows_out_of_time_order_become_runs_and_none_is_lost() {
    let batch =
        read(vec![("timestamp", ms(&[3, 1, 2, 2])), ("value", floats(&[30.0, 10.0, 20.0, 21.0]))]).unwrap();
    let runs: Vec<_> = batch.series.iter().map(|s| s.samples.timestamps_ms.clone()).collect();
    assert_eq!(runs, [vec![3], vec![1, 2], vec![2]]);
    assert_eq!(batch.series[2].samples.values, [21.0]);
}

#[test]
fn a_null_value_is_no_sample_and_other_columns_are_left_alone() {
    let values = Arc::new(Float64Array::from(vec![Some(1.0), None]));
    let table = table(vec![
        ("timestamp", ms(&[1, 2])),
        ("value", values),
        ("note", Arc::new(Int64Array::from(vec![7, 8]))),
    ]);
    let mapper = SchemaMapper::from_schema(&table.schema()).unwrap();
    assert_eq!(mapper.ignored_columns(), ["note"]);
    let batch = mapper.record_batch_to_sample_batch(&table).unwrap();
    assert_eq!(batch.rows(), 1);
    assert!(batch.series[0].labels.is_empty());
}

#[test]
fn tables_that_hold_no_samples_say_why() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let missing = |column: &str, columns| match read(columns) {
        Err(Error::MissingColumn { column: found }) => assert_eq!(found, column),
        other => panic!("{other:?}"),
    };
    missing("timestamp", vec![("value", floats(&[1.0]))]);
    missing("value", vec![("timestamp", ms(&[1]))]);
    let wrong = |column: &str, columns| match read(columns) {
        Err(Error::WrongType { column: found, .. }) => assert_eq!(found, column),
        other => panic!("{other:?}"),
    };
    wrong("timestamp", vec![("timestamp", strings.clone()), ("value", floats(&[1.0]))]);
    wrong("value", vec![("timestamp", ms(&[1])), ("value", strings)]);
    let field = |name| arrow::datatypes::Field::new(name, floats(&[]).data_type().clone(), true);
    let twice = Schema::new(vec![field("value"), field("value")]);
    assert!(
        matches!(SchemaMapper::from_schema(&twice), Err(Error::RepeatedColumn { column }) if column == "value")
    );
    assert!(matches!(SchemaMapper::from_schema(&Schema::empty()), Err(Error::MissingColumn { .. })));
}

#[test]
fn the_layout_of_a_foreign_table_follows_from_its_columns() {
    let table = table(vec![
        ("timestamp", ms(&[1])),
        ("value", floats(&[1.0])),
        ("job", Arc::new(StringArray::from(vec!["x"]))),
    ]);
    let mapper = SchemaMapper::from_schema(&table.schema()).unwrap();
    assert_eq!((mapper.layout(), mapper.has_label_map()), (LabelLayout::Columns, false));
    assert_eq!(mapper.label_column("job").unwrap().column, "job");
}
