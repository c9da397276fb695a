//! Native histograms of other tools' tables: number and list types of theirs, exactly or refused with the field.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, NullArray, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, UInt64Type};
use tsdb_core::{Buckets, Histogram, Labels, ResetHint, SampleBuffer, Series, Span};
use tsdb_schema::{Error, LabelLayout, SampleBatch, SchemaMapper};

fn batch() -> SampleBatch {
    let histogram = Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 3,
        zero_threshold: 0.5,
        sum: 12.5,
        positive_spans: vec![Span { offset: -2, length: 2 }],
        negative_spans: Vec::new(),
        buckets: Buckets::Int { count: 4, zero_count: 1, positive: vec![1, 2], negative: Vec::new() },
        custom_bounds: Vec::new().into(),
    };
    let samples = SampleBuffer {
        timestamps_ms: Vec::new(),
        values: Vec::new(),
        histograms: vec![(1_000, Arc::new(histogram.clone())), (2_000, Arc::new(histogram))],
    };
    SampleBatch::new(vec![Series {
        labels: Labels::from_pairs([("__name__", "latency")]).expect("labels"),
        samples,
    }])
}

/// The table of [`batch`] with the fields of its histograms changed.
fn changed(change: impl Fn(&str, &ArrayRef) -> ArrayRef) -> RecordBatch {
    let mapper = SchemaMapper::new(LabelLayout::Columns, vec!["__name__".into()], true).expect("a schema");
    let table = mapper.sample_batch_to_record_batch(&batch()).expect("a table");
    let histogram = table["histogram"].as_struct();
    let columns: Vec<ArrayRef> = histogram
        .column_names()
        .into_iter()
        .zip(histogram.columns())
        .map(|(name, column)| change(name, column))
        .collect();
    let fields: Fields = histogram
        .column_names()
        .into_iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
        .collect();
    let histogram: ArrayRef = Arc::new(StructArray::new(fields, columns, histogram.nulls().cloned()));
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| {
        let column = if field.name() == "histogram" { &histogram } else { &table[field.name().as_str()] };
        (field.name().clone(), column.clone(), true)
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).expect("columns of one length")
}

fn read(table: &RecordBatch) -> Result<SampleBatch, Error> {
    SchemaMapper::from_schema(&table.schema())?.record_batch_to_sample_batch(table)
}

/// `list` with its elements as `element`.
fn relist(list: &ListArray, elements: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", elements.data_type().clone(), true));
    Arc::new(ListArray::new(field, list.offsets().clone(), elements, list.nulls().cloned()))
}

#[test]
fn numbers_and_lists_of_other_types_are_read_where_they_are_exact() {
    for number in [DataType::Float64, DataType::Float32, DataType::Int16, DataType::Decimal128(20, 0)] {
        let large =
            |element: &DataType| DataType::LargeList(Arc::new(Field::new("item", element.clone(), true)));
        let table = changed(|name, column| match (name, column.data_type()) {
            // Null in all rows: a tool that infers types from values finds none.
            (_, _) if column.null_count() == column.len() => Arc::new(NullArray::new(column.len())),
            ("negative_spans", _) => {
                let list = column.as_list::<i32>();
                relist(list, Arc::new(NullArray::new(0)))
            }
            (_, DataType::UInt64 | DataType::Int32 | DataType::UInt8) => cast(column, &number).unwrap(),
            (_, DataType::List(element)) if *element.data_type() == DataType::UInt64 => {
                cast(column, &large(&number)).unwrap()
            }
            _ => column.clone(),
        });
        let found = read(&table).unwrap();
        assert!(found.series[0].samples.bits_eq(&batch().series[0].samples), "{number}");
    }
}

#[test]
fn numbers_that_are_not_exact_are_refused_with_field_series_and_time() {
    let refused = |field: &str, detail: &str, change: &dyn Fn(&ArrayRef) -> ArrayRef| {
        let table = changed(|name, column| if name == field { change(column) } else { column.clone() });
        let error = read(&table).unwrap_err();
        let message = error.to_string();
        let path = format!("histogram.{field}");
        assert!(matches!(&error, Error::InvalidValue { column, .. } if *column == path), "{message}");
        assert!(message.contains("latency at 2000 ms") && message.contains(detail), "{message}");
    };
    for (second, shown) in [(4.5, "4.5"), (-1.0, "-1"), (f64::NAN, "NaN"), (1e30, "1e30")] {
        refused("count_int", shown, &|_| Arc::new(Float64Array::from(vec![4.0, second])));
    }
    refused("schema", "3.5", &|_| Arc::new(Float64Array::from(vec![3.0, 3.5])));
    refused("count_int", "null", &|_| Arc::new(Float64Array::from(vec![Some(4.0), None])));
    refused("sum", "9007199254740993", &|_| Arc::new(arrow::array::Int64Array::from(vec![1, (1 << 53) + 1])));
    let elements = |elements: Vec<Option<f64>>| {
        move |column: &ArrayRef| {
            relist(column.as_list::<i32>(), Arc::new(Float64Array::from(elements.clone())) as ArrayRef)
        }
    };
    refused("positive_counts_int", "2.5", &elements(vec![Some(1.0), Some(2.0), Some(1.0), Some(2.5)]));
    refused("positive_counts_int", "null", &elements(vec![Some(1.0), Some(2.0), Some(1.0), None]));
    refused("positive_spans", "4294967296", &|column| {
        let list = column.as_list::<i32>();
        let lengths: ArrayRef = Arc::new(arrow::array::UInt64Array::from(vec![2, 1 << 32]));
        let spans = list.values().as_struct();
        let fields =
            vec![Field::new("offset", DataType::Int32, true), Field::new("length", DataType::UInt64, true)];
        relist(list, Arc::new(StructArray::new(fields.into(), vec![spans.column(0).clone(), lengths], None)))
    });
}

#[test]
fn fields_of_other_types_are_refused_by_name() {
    for (field, wrong) in
        [("count_int", DataType::Utf8), ("is_float", DataType::UInt8), ("schema", DataType::Boolean)]
    {
        let table = changed(|name, column| {
            if name == field { arrow::array::new_null_array(&wrong, column.len()) } else { column.clone() }
        });
        let error = read(&table).unwrap_err();
        let path = format!("histogram.{field}");
        assert!(matches!(&error, Error::WrongType { column, .. } if *column == path), "{error}");
    }
    // What is told apart by null in one form is not looked at in the other.
    let table = changed(|name, column| match name {
        "count_float" => Arc::new(Float64Array::from(vec![f64::NAN; column.len()])),
        _ => column.clone(),
    });
    assert_eq!(table["histogram"].as_struct()["count_float"].as_primitive::<Float64Type>().null_count(), 0);
    let counts = table["histogram"].as_struct()["count_int"].as_primitive::<UInt64Type>();
    assert_eq!((counts.values().as_ref(), read(&table).unwrap().rows()), (&[4, 4][..], 2));
}
