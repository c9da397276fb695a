//! The roadmap's `SchemaMapperTest`: the exact columns of a table, by metric, label layout and histogram.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, TimeUnit, TimestampMillisecondType, UInt64Type};
use tsdb_core::{Buckets, CustomBounds, Histogram, Labels, ResetHint, SampleBuffer, Series, Span, stale_nan};
use tsdb_schema::{
    Error, LABEL_KEY, LAYOUT_KEY, LabelArray, LabelLayout, LabelMapArray, SampleBatch, SchemaMapper,
};

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
    let samples = SampleBuffer {
        timestamps_ms: samples.iter().map(|s| s.0).collect(),
        values: samples.iter().map(|s| s.1).collect(),
        histograms: Vec::new(),
    };
    Series { labels: Labels::from_pairs(labels.iter().copied()).expect("valid labels"), samples }
}

fn mapper(layout: LabelLayout, promoted: &[&str]) -> SchemaMapper {
    SchemaMapper::new(layout, promoted.iter().map(ToString::to_string).collect(), false).expect("valid names")
}

fn column_names(table: &RecordBatch) -> Vec<String> {
    table.schema().fields().iter().map(|f| f.name().clone()).collect()
}

fn label_values(table: &RecordBatch, column: &str) -> Vec<String> {
    let array = table.column_by_name(column).expect("the column is there");
    let labels = LabelArray::new(column, array).expect("a label column");
    (0..table.num_rows()).map(|row| labels.value(row).to_owned()).collect()
}

/// Two series of one metric.
fn up() -> SampleBatch {
    SampleBatch::new(vec![
        series(&[("__name__", "up"), ("job", "api")], &[(1_000, 1.0), (2_000, stale_nan())]),
        series(&[("__name__", "up"), ("job", "db"), ("zone", "eu")], &[(1_000, -0.0)]),
    ])
}

#[test]
fn test_simple_metric_mapping() {
    let mapper = mapper(LabelLayout::Columns, &["__name__", "job", "zone"]);
    let table = mapper.sample_batch_to_record_batch(&up()).unwrap();
    assert_eq!(column_names(&table), ["timestamp", "value", "__name__", "job", "zone"]);
    assert_eq!(table.schema(), mapper.time_series_to_arrow_schema());

    let schema = table.schema();
    let field = |name| schema.field_with_name(name).unwrap().clone();
    assert_eq!(
        field("timestamp").data_type(),
        &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
    );
    assert!(!field("timestamp").is_nullable());
    assert_eq!(field("value").data_type(), &DataType::Float64);
    assert!(field("value").is_nullable());
    let label_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(field("job").data_type(), &label_type);
    assert_eq!(field("job").metadata()[LABEL_KEY], "job");
    assert_eq!(schema.metadata()[LAYOUT_KEY], "columns");

    assert_eq!(
        table["timestamp"].as_primitive::<TimestampMillisecondType>().values(),
        &[1_000, 2_000, 1_000]
    );
    let values = table["value"].as_primitive::<Float64Type>();
    let bits: Vec<u64> = values.values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [1.0_f64.to_bits(), stale_nan().to_bits(), (-0.0_f64).to_bits()]);
    assert_eq!(values.null_count(), 0);
    // The keys are runs over a dictionary of the distinct values.
    let jobs = table["job"].as_dictionary::<Int32Type>();
    assert_eq!(jobs.keys().values(), &[0, 0, 1]);
    assert_eq!(jobs.values().len(), 2);
    assert_eq!(label_values(&table, "zone"), ["", "", "eu"]);
    assert_eq!(table["zone"].null_count(), 2);
}

#[test]
fn test_label_mapping() {
    // Sparse columns: a column for each label, null where a row lacks it.
    let columns = mapper(LabelLayout::Columns, &["zone", "job", "__name__"]);
    let table = columns.sample_batch_to_record_batch(&up()).unwrap();
    assert_eq!(column_names(&table), ["timestamp", "value", "__name__", "job", "zone"]);

    // Map: no label has a column of its own.
    let table = mapper(LabelLayout::Map, &["job"]).sample_batch_to_record_batch(&up()).unwrap();
    assert_eq!(column_names(&table), ["timestamp", "value", "labels"]);
    let map = LabelMapArray::new(table.column_by_name("labels").unwrap()).unwrap();
    assert_eq!(map.row(0).collect::<Vec<_>>(), [("__name__", "up"), ("job", "api")]);
    assert_eq!(map.value(2, "zone").unwrap(), "eu");
    // Declared nullable: DataFusion fills it with nulls when it unites the file with one that has no map.
    assert!(table.schema().field_with_name("labels").unwrap().is_nullable());
    assert_eq!(table["labels"].null_count(), 0);
    let DataType::Map(entries, false) = table["labels"].data_type().clone() else { panic!("not a map") };
    let DataType::Struct(fields) = entries.data_type() else { panic!("not a map of pairs") };
    assert_eq!(
        (entries.name().as_str(), fields[0].name().as_str(), fields[1].name().as_str()),
        ("key_value", "key", "value")
    );

    // Hybrid: promoted labels in columns, the others in the map.
    let table =
        mapper(LabelLayout::Hybrid, &["__name__", "job"]).sample_batch_to_record_batch(&up()).unwrap();
    assert_eq!(column_names(&table), ["timestamp", "value", "__name__", "job", "labels"]);
    let map = LabelMapArray::new(table.column_by_name("labels").unwrap()).unwrap();
    assert_eq!(map.row(0).count(), 0);
    assert_eq!(map.row(2).collect::<Vec<_>>(), [("zone", "eu")]);

    // Without a map, a label that has no column is refused, not dropped.
    for mapper in [
        mapper(LabelLayout::Columns, &["__name__", "job"]),
        mapper(LabelLayout::Hybrid, &["__name__", "job"]).without_label_map(),
    ] {
        let error = mapper.sample_batch_to_record_batch(&up()).unwrap_err();
        assert!(matches!(&error, Error::NoColumn { what, .. } if what.contains("zone")), "{error}");
    }
}

#[test]
fn tables_of_different_schemas_read_as_one() {
    // A label that was in the map of an older table, has a column in a newer one, and is not in a third at all.
    let series = up().series;
    let older = mapper(LabelLayout::Hybrid, &["__name__"]);
    let newer = mapper(LabelLayout::Hybrid, &["__name__", "job", "zone"]).without_label_map();
    let other = mapper(LabelLayout::Columns, &["__name__", "pod"]);
    let pod = self::series(&[("__name__", "up"), ("pod", "p")], &[(5, 5.0)]);
    let tables = [
        older.sample_batch_to_record_batch(&SampleBatch::new(series.clone())).unwrap(),
        newer.sample_batch_to_record_batch(&SampleBatch::new(series.clone())).unwrap(),
        other.sample_batch_to_record_batch(&SampleBatch::new(vec![pod.clone()])).unwrap(),
    ];
    let read = |table: &RecordBatch| {
        let mapper = SchemaMapper::from_schema(&table.schema()).unwrap();
        mapper.record_batch_to_sample_batch(table).unwrap().series
    };
    for (table, expected) in tables.iter().zip([&series, &series, &vec![pod]]) {
        let found = read(table);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.labels, expected.labels);
            assert!(found.samples.bits_eq(&expected.samples));
        }
    }
}

#[test]
fn reserved_and_colliding_labels_come_back_under_their_true_names() {
    let labels = [
        ("Day", "1"),
        ("JOB", "2"),
        ("job", "3"),
        ("label_x", "4"),
        ("timestamp", "5"),
        ("value", "6"),
        ("x", "7"),
    ];
    let batch = SampleBatch::new(vec![series(&labels, &[(1, 1.0)])]);
    let names: Vec<&str> = labels.iter().map(|l| l.0).collect();
    let mapper = mapper(LabelLayout::Columns, &names);
    let table = mapper.sample_batch_to_record_batch(&batch).unwrap();
    assert_eq!(
        column_names(&table)[2..],
        ["label_Day", "label_JOB", "label_job_2", "label_label_x", "label_timestamp", "label_value", "x"]
    );
    let back = SchemaMapper::from_schema(&table.schema()).unwrap();
    let read = back.record_batch_to_sample_batch(&table).unwrap();
    assert_eq!(read.series[0].labels, batch.series[0].labels);
}

fn int_histogram() -> Histogram {
    Histogram {
        reset_hint: ResetHint::Reset,
        schema: 3,
        zero_threshold: 1e-128,
        sum: 12.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        buckets: Buckets::Int {
            count: (1 << 60) + 10,
            zero_count: 1,
            // Beyond 2^53: a float would lose it.
            positive: vec![(1 << 60) + 1, 2, 3],
            negative: vec![3],
        },
        custom_bounds: CustomBounds::default(),
    }
}

fn custom_float_histogram() -> Histogram {
    Histogram {
        reset_hint: ResetHint::Gauge,
        schema: -53,
        zero_threshold: 0.0,
        sum: 3.25,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        negative_spans: Vec::new(),
        buckets: Buckets::Float {
            count: 3.5,
            zero_count: 0.0,
            positive: vec![1.0, 2.0, 0.5],
            negative: Vec::new(),
        },
        custom_bounds: vec![0.1, 1.0].into(),
    }
}

#[test]
fn test_histogram_mapping() {
    let labels = Labels::from_pairs([("__name__", "latency")]).unwrap();
    let samples = SampleBuffer {
        timestamps_ms: vec![2_000],
        values: vec![7.0],
        histograms: vec![(1_000, Arc::new(int_histogram())), (3_000, Arc::new(custom_float_histogram()))],
    };
    let batch = SampleBatch::new(vec![Series { labels, samples }]);
    let mapper = SchemaMapper::new(LabelLayout::Hybrid, vec!["__name__".into()], true).unwrap();
    let table = mapper.sample_batch_to_record_batch(&batch).unwrap();
    assert_eq!(column_names(&table), ["timestamp", "value", "histogram", "__name__", "labels"]);

    // Rows by time over both kinds; each row is one of them.
    assert_eq!(
        table["timestamp"].as_primitive::<TimestampMillisecondType>().values(),
        &[1_000, 2_000, 3_000]
    );
    let valid = |column: &str| (0..3).map(|row| table[column].is_valid(row)).collect::<Vec<_>>();
    assert_eq!((valid("value"), valid("histogram")), (vec![false, true, false], vec![true, false, true]));

    let histogram = table["histogram"].as_struct();
    let names: Vec<&str> = histogram.column_names();
    assert_eq!(
        names,
        [
            "is_float",
            "reset_hint",
            "schema",
            "zero_threshold",
            "zero_count_int",
            "zero_count_float",
            "count_int",
            "count_float",
            "sum",
            "positive_spans",
            "negative_spans",
            "positive_counts_int",
            "negative_counts_int",
            "positive_counts_float",
            "negative_counts_float",
            "custom_values"
        ]
    );
    let counts = histogram.column_by_name("positive_counts_int").unwrap().as_list::<i32>();
    assert_eq!(counts.value(0).as_primitive::<UInt64Type>().values(), &[(1 << 60) + 1, 2, 3]);
    assert!(counts.is_null(1) && counts.is_null(2));
    let DataType::List(element) = counts.data_type() else { panic!("not a list") };
    assert_eq!(element.name(), "element");
    assert!(histogram.column_by_name("custom_values").unwrap().is_null(0));

    let read =
        SchemaMapper::from_schema(&table.schema()).unwrap().record_batch_to_sample_batch(&table).unwrap();
    assert_eq!(read.series.len(), 1);
    assert!(read.series[0].samples.bits_eq(&batch.series[0].samples));

    // A table without the column refuses histograms.
    let floats_only = SchemaMapper::new(LabelLayout::Map, Vec::new(), false).unwrap();
    let error = floats_only.sample_batch_to_record_batch(&batch).unwrap_err();
    assert!(
        matches!(&error, Error::NoColumn { what, series } if what.contains("histogram") && series == "latency")
    );
}

#[test]
fn ten_thousand_label_names_fit_the_layouts_and_too_many_columns_are_refused() {
    let names: Vec<String> = (0..10_000).map(|i| format!("label{i:05}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let batch = SampleBatch::new(vec![series(&pairs, &[(1, 1.0), (2, 2.0)])]);
    for layout in [LabelLayout::Columns, LabelLayout::Map, LabelLayout::Hybrid] {
        let mapper = SchemaMapper::new(layout, names.clone(), false).unwrap();
        let table = mapper.sample_batch_to_record_batch(&batch).unwrap();
        let read =
            SchemaMapper::from_schema(&table.schema()).unwrap().record_batch_to_sample_batch(&table).unwrap();
        assert_eq!(read.series[0].labels, batch.series[0].labels, "{layout}");
    }
    let too_many = (0..40_000).map(|i| i.to_string()).collect();
    let error = SchemaMapper::new(LabelLayout::Columns, too_many, false).unwrap_err();
    assert!(matches!(error, Error::TooManyColumns { found: 40_000, .. }));
}
