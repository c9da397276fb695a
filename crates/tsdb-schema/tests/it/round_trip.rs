//! Any batch of samples comes back bit for bit, under each layout, with and without promoted labels.

use proptest::prelude::*;
use tsdb_schema::{LabelLayout, SampleBatch, SchemaMapper};
use tsdb_testkit::strategies::script;
use tsdb_testkit::{Oracle, assert_series_eq};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_batch_comes_back_bit_for_bit(script in script(1..8, 0..60), promote in any::<prop::sample::Index>()) {
        let mut oracle = Oracle::new();
        for (labels, timestamp_ms, value) in script.iter() {
            oracle.append(labels, timestamp_ms, value.clone());
        }
        let batch = SampleBatch::new(oracle.all());
        let mut names: Vec<String> =
            batch.series.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name.to_owned())).collect();
        names.sort();
        names.dedup();
        let some = promote.index(names.len() + 1);

        for (layout, promoted) in [
            (LabelLayout::Columns, names.clone()),
            (LabelLayout::Map, Vec::new()),
            (LabelLayout::Hybrid, names[..some].to_vec()),
            (LabelLayout::Hybrid, names.clone()),
        ] {
            let mapper = SchemaMapper::new(layout, promoted, batch.has_histograms()).expect("valid names");
            let table = mapper.sample_batch_to_record_batch(&batch).expect("every sample has a place");
            prop_assert_eq!(table.num_rows(), batch.rows());
            // Through the very mapper and through one that only sees the schema.
            let from_schema = SchemaMapper::from_schema(&table.schema()).expect("our own schema");
            prop_assert_eq!(from_schema.layout(), layout);
            for reader in [mapper, from_schema] {
                let read = reader.record_batch_to_sample_batch(&table).expect("our own table");
                assert_series_eq(&read.series, &batch.series);
            }
            // A slice of the table is a table like any other.
            let middle = table.num_rows() / 2;
            let reader = SchemaMapper::from_schema(&table.schema()).expect("our own schema");
            let head = reader.record_batch_to_sample_batch(&table.slice(0, middle)).expect("a slice");
            let tail = reader.record_batch_to_sample_batch(&table.slice(middle, table.num_rows() - middle)).expect("a slice");
            prop_assert_eq!(head.rows() + tail.rows(), batch.rows());
        }
    }
}
