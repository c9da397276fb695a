//! Uses `tsdb-schema` alone: a table of another tool, read as samples, and written in our columns.

use std::error::Error;
use std::sync::Arc;

use tsdb_schema::arrow::array::{
    Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampSecondArray,
};
use tsdb_schema::tsdb_core::Labels;
use tsdb_schema::{LabelLayout, SampleBatch, SchemaMapper};

fn main() -> Result<(), Box<dyn Error>> {
    // A table as a script might make it: seconds, plain strings, sorted by time.
    let columns: [(&str, ArrayRef); 4] = [
        ("timestamp", Arc::new(TimestampSecondArray::from(vec![60, 60, 120, 120]))),
        ("host", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("a"), None]))),
        ("Value", Arc::new(StringArray::from(vec!["x"; 4]))),
        ("value", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, f64::NAN]))),
    ];
    let foreign =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))?;
    let samples = SchemaMapper::from_schema(&foreign.schema())?.record_batch_to_sample_batch(&foreign)?;
    assert_eq!(samples.rows(), 4);
    assert_eq!(samples.series[0].labels, Labels::from_pairs([("host", "a"), ("Value", "x")])?);
    assert_eq!(samples.series[0].samples.timestamps_ms, [60_000]);

    // The same samples sorted by series, in our columns. A label named like a column gets a prefix.
    let mut series = samples.series;
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let sorted = SampleBatch::new(series);
    let mapper = SchemaMapper::new(LabelLayout::Columns, vec!["host".into(), "Value".into()], false)?;
    let ours = mapper.sample_batch_to_record_batch(&sorted)?;
    assert!(ours.column_by_name("label_Value").is_some());
    assert_eq!(ours["host"].null_count(), 1);

    // And back, bit for bit.
    let back = SchemaMapper::from_schema(&ours.schema())?.record_batch_to_sample_batch(&ours)?;
    let nan =
        back.series.iter().flat_map(|s| &s.samples.values).find(|v| v.is_nan()).ok_or("the NaN is gone")?;
    assert_eq!(nan.to_bits(), f64::NAN.to_bits());
    println!("{} samples of {} series went through Arrow and back", back.rows(), back.series.len());
    Ok(())
}
