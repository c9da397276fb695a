//! Tables of other tools: what is read, and which typed error says what is wrong with the rest.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
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

#[test]
fn labels_of_every_string_type_are_read() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("m"), None].into_iter().collect();
    for jobs in [
        Arc::new(StringArray::from(vec![Some("m"), None])) as ArrayRef,
        Arc::new(LargeStringArray::from(vec![Some("m"), None])),
        Arc::new(StringViewArray::from(vec![Some("m"), None])),
        Arc::new(StringArray::from(vec![Some("m"), Some("")])),
        Arc::new(dictionary),
    ] {
        let batch =
            read(vec![("job", jobs), ("value", floats(&[1.0, 2.0])), ("timestamp", ms(&[1, 1]))]).unwrap();
        let labels: Vec<_> = batch.series.iter().map(|s| s.labels.clone()).collect();
        assert_eq!(labels, [Labels::from_pairs([("job", "m")]).unwrap(), Labels::empty()]);
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
    for (times, row) in [
        (Arc::new(TimestampMicrosecondArray::from(vec![1_000, 1_001])) as ArrayRef, 1),
        (Arc::new(TimestampSecondArray::from(vec![i64::MAX, 0])), 0),
        (Arc::new(TimestampMillisecondArray::from(vec![Some(1), None])), 1),
    ] {
        let error = read(vec![("timestamp", times), ("value", floats(&[1.0, 2.0]))]).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidValue { column, row: r, .. } if column == "timestamp" && *r == row),
            "{error}"
        );
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
    let exact = 1_u64 << 53;
    let batch =
        read(vec![("timestamp", ms(&[1])), ("value", Arc::new(UInt64Array::from(vec![exact])))]).unwrap();
    assert_eq!(batch.series[0].samples.values, [exact as f64]);
    for values in [
        Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef,
        Arc::new(Int64Array::from(vec![-(1_i64 << 53) - 1])),
    ] {
        let error = read(vec![("timestamp", ms(&[1])), ("value", values)]).unwrap_err();
        assert!(matches!(&error, Error::InvalidValue { column, row: 0, .. } if column == "value"), "{error}");
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
    let batch = read(vec![
        ("timestamp", ms(&[1, 2])),
        ("value", values),
        ("note", Arc::new(Int64Array::from(vec![7, 8]))),
    ])
    .unwrap();
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
