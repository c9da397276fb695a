//! Builds one Arrow table of samples and prints it: what a cold file looks like to DuckDB or pandas.

use std::error::Error;

use arrow::util::pretty::pretty_format_batches;
use tsdb_core::{Labels, SampleBuffer, Series};
use tsdb_schema::{LabelLayout, SampleBatch, SchemaMapper};

fn main() -> Result<(), Box<dyn Error>> {
    let series = |code: &str, values: [f64; 2]| -> Result<Series, tsdb_core::Error> {
        let labels =
            Labels::from_pairs([("__name__", "http_requests_total"), ("code", code), ("job", "api")])?;
        let timestamps_ms = vec![1_700_000_000_000, 1_700_000_015_000];
        let samples = SampleBuffer { timestamps_ms, values: values.to_vec(), ..SampleBuffer::default() };
        Ok(Series { labels, samples })
    };
    let batch = SampleBatch::new(vec![series("200", [1027.0, 1031.5])?, series("500", [0.0, f64::NAN])?]);

    // The metric name and `job` as columns of their own, the other labels in the map.
    let promoted = vec!["__name__".to_owned(), "job".to_owned()];
    let mapper = SchemaMapper::new(LabelLayout::Hybrid, promoted, batch.has_histograms())?;
    let table = mapper.sample_batch_to_record_batch(&batch)?;
    let printed = pretty_format_batches(&[table])?.to_string();
    assert_eq!(printed.lines().filter(|line| line.contains("http_requests_total")).count(), 4);
    println!("{printed}");
    Ok(())
}
