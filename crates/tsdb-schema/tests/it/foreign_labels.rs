//! Labels of other tools' tables: the shapes that a map comes back in, labels named twice, the role of each column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, Int64Array, LargeListBuilder, ListBuilder, MapBuilder,
    NullArray, RecordBatch, StringArray, StringBuilder, StringDictionaryBuilder, StringViewBuilder,
    StructBuilder,
};
use arrow::datatypes::{DataType, Field, Int8Type};
use tsdb_core::Labels;
use tsdb_schema::{ColumnRole, Error, LabelLayout, LabelMapArray, SampleBatch, SchemaMapper};

type Rows<'a> = &'a [Option<&'a [(&'a str, &'a str)]>];

const ROWS: Rows<'static> = &[Some(&[("pod", "x"), ("zone", "eu")]), Some(&[]), None, Some(&[("pod", "y")])];

fn map(rows: Rows<'_>) -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringDictionaryBuilder::<Int8Type>::new());
    for row in rows {
        for (name, value) in row.unwrap_or_default() {
            map.keys().append_value(name);
            map.values().append_value(value);
        }
        map.append(row.is_some()).expect("as many names as values");
    }
    Arc::new(map.finish())
}

/// As older Polars writes it.
fn structs(rows: Rows<'_>) -> ArrayRef {
    let parts =
        vec![Field::new("key", DataType::Utf8View, true), Field::new("value", DataType::Utf8View, true)];
    let mut list = LargeListBuilder::new(StructBuilder::from_fields(parts, 0));
    for row in rows {
        for (name, value) in row.unwrap_or_default() {
            let pair = list.values();
            pair.field_builder::<StringViewBuilder>(0).expect("keys").append_value(name);
            pair.field_builder::<StringViewBuilder>(1).expect("values").append_value(value);
            pair.append(true);
        }
        list.append(row.is_some());
    }
    Arc::new(list.finish())
}

/// As pandas writes it.
fn lists(rows: Rows<'_>) -> ArrayRef {
    let mut list = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for row in rows {
        for (name, value) in row.unwrap_or_default() {
            list.values().append_value([Some(name), Some(value)]);
        }
        list.append(row.is_some());
    }
    Arc::new(list.finish())
}

fn read(pods: Option<ArrayRef>, labels: ArrayRef) -> Result<SampleBatch, Error> {
    let rows = labels.len();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("timestamp", Arc::new(Int64Array::from_iter_values((0..).take(rows)))),
        ("value", Arc::new(Float64Array::from(vec![1.0; rows]))),
        ("labels", labels),
    ];
    columns.extend(pods.map(|pods| ("pod", pods)));
    let table = RecordBatch::try_from_iter(columns).expect("columns of one length");
    SchemaMapper::from_schema(&table.schema())?.record_batch_to_sample_batch(&table)
}

fn labels(batch: &SampleBatch) -> Vec<String> {
    batch.series.iter().map(|series| series.labels.to_string()).collect()
}

#[test]
fn a_map_is_read_in_every_shape_that_tools_write() {
    for shape in [map, structs, lists] {
        for from in 0..ROWS.len() {
            // A slice has offsets that do not begin with 0.
            let array = shape(ROWS).slice(from, ROWS.len() - from);
            let column = LabelMapArray::new(&array).unwrap();
            let found: Vec<Vec<_>> = (0..array.len()).map(|row| column.row(row).collect()).collect();
            let expected: Vec<Vec<_>> =
                ROWS[from..].iter().map(|row| row.unwrap_or_default().to_vec()).collect();
            assert_eq!(found, expected, "{}", array.data_type());
        }
        let batch = read(None, shape(ROWS)).unwrap();
        assert_eq!(labels(&batch), [r#"{pod="x", zone="eu"}"#, "{}", r#"{pod="y"}"#]);
    }
    // A tool that has seen empty maps only knows no type for what they would hold.
    let mut untyped = ListBuilder::new(ListBuilder::new(arrow::array::NullBuilder::new()));
    untyped.append(true);
    for labels in [Arc::new(untyped.finish()) as ArrayRef, Arc::new(NullArray::new(1)), lists(&[Some(&[])])] {
        assert!(read(None, labels).unwrap().series[0].labels.is_empty());
    }
}

#[test]
fn pairs_that_are_none_are_refused() {
    let mut three = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    three.values().append_value([Some("a"), Some("b"), Some("c")]);
    three.append(true);
    let error = read(None, Arc::new(three.finish())).unwrap_err();
    assert!(error.to_string().contains("not a name and a value"), "{error}");

    let parts = vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Utf8, true)];
    let mut null = ListBuilder::new(StructBuilder::from_fields(parts, 0));
    null.values().field_builder::<StringBuilder>(0).unwrap().append_value("behind a null");
    null.values().field_builder::<StringBuilder>(1).unwrap().append_null();
    null.values().append(false);
    null.append(true);
    let pairs: ArrayRef = Arc::new(null.finish());
    assert!(read(None, pairs).unwrap().series[0].labels.is_empty());

    for labels in [
        Arc::new(ListBuilder::new(StringBuilder::new()).finish()) as ArrayRef,
        Arc::new(ListBuilder::new(arrow::array::Int64Builder::new()).finish()),
    ] {
        let error = read(None, labels).unwrap_err();
        assert!(matches!(&error, Error::WrongType { column, .. } if column == "labels"), "{error}");
    }
}

#[test]
fn a_label_named_twice_is_one_value_or_an_error() {
    type Row = &'static [(&'static str, &'static str)];
    let columns: [(Option<&str>, Row, Option<&str>); 7] = [
        (None, &[("pod", "x"), ("pod", "x")], Some("x")),
        (None, &[("pod", ""), ("pod", "x")], Some("x")),
        (Some("x"), &[("pod", "x")], Some("x")),
        (Some("x"), &[("pod", "")], Some("x")),
        (Some(""), &[("pod", "x")], Some("x")),
        (None, &[("pod", "x"), ("pod", "y")], None),
        (Some("x"), &[("pod", "y")], None),
    ];
    for (in_column, row, expected) in columns {
        for shape in [map, structs, lists] {
            let labels = shape(&[Some(row)]);
            let column = LabelMapArray::new(&labels).unwrap();
            let pods: ArrayRef = Arc::new(StringArray::from(vec![in_column]));
            let value = column.value_beside(0, "pod", in_column.unwrap_or_default());
            match (expected, read(Some(pods), labels.clone())) {
                (Some(pod), Ok(batch)) => {
                    assert_eq!(batch.series[0].labels, Labels::from_pairs([("pod", pod)]).unwrap());
                    assert_eq!(value.unwrap(), pod);
                }
                (None, Err(error)) => {
                    assert!(matches!(value, Err(Error::InvalidValue { .. })));
                    let message = error.to_string();
                    assert!(message.contains("the row at 0 ms") && message.contains("\"pod\""), "{message}");
                }
                (_, found) => panic!("{in_column:?}, {row:?}: {found:?}"),
            }
        }
    }
}

#[test]
fn each_column_has_a_role() {
    let text = DataType::Utf8;
    let pair = DataType::Struct(
        vec![Field::new("key", text.clone(), false), Field::new("value", DataType::Binary, true)].into(),
    );
    let list = |of| DataType::List(Arc::new(Field::new("element", of, true)));
    for (name, data_type, role) in [
        ("timestamp", DataType::Int64, Ok(ColumnRole::Timestamp)),
        ("value", DataType::Int8, Ok(ColumnRole::Value)),
        ("value", DataType::Boolean, Err(())),
        ("value", DataType::Decimal128(5, 2), Err(())),
        ("histogram", tsdb_schema::histogram_type(), Ok(ColumnRole::Histogram)),
        ("histogram", pair.clone(), Err(())),
        ("labels", list(pair.clone()), Ok(ColumnRole::LabelMap)),
        ("labels", list(list(text.clone())), Ok(ColumnRole::LabelMap)),
        ("labels", list(text.clone()), Err(())),
        ("labels", pair, Err(())),
        ("labels", text.clone(), Ok(ColumnRole::Label("labels".into()))),
        ("job", text, Ok(ColumnRole::Label("job".into()))),
        ("job", DataType::BinaryView, Ok(ColumnRole::Label("job".into()))),
        ("id", DataType::FixedSizeBinary(16), Ok(ColumnRole::Ignored)),
        ("shard", DataType::Int64, Ok(ColumnRole::Ignored)),
        ("tags", list(DataType::Utf8), Ok(ColumnRole::Ignored)),
    ] {
        let found = ColumnRole::of(&Field::new(name, data_type.clone(), true));
        assert_eq!(found.map_err(drop), role, "{name} {data_type}");
    }
    let id: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[7_u8; 16]].into_iter()).unwrap());
    let table = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("value", Arc::new(Float64Array::from(vec![1.0]))),
        ("id", id),
    ]);
    let mapper = SchemaMapper::from_schema(&table.unwrap().schema()).unwrap();
    assert_eq!((mapper.ignored_columns(), mapper.layout()), (&["id".to_owned()][..], LabelLayout::Columns));
}
