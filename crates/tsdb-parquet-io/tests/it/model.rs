//! Any samples through a file, under each layout and with pages and row groups of odd sizes: every query
//! gives what the oracle gives, bit for bit.

use futures::TryStreamExt;
use proptest::prelude::*;
use tsdb_core::{Matcher, TimeRange};
use tsdb_parquet_io::{ParquetConfig, ReadRequest, ValueEncoding};
use tsdb_schema::LabelLayout;
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range};
use tsdb_testkit::{Oracle, assert_series_eq};

use crate::common::{open, select, write};

/// A file's settings but for the labels, which depend on the samples.
#[derive(Clone, Debug)]
struct Shape {
    layout: LabelLayout,
    row_group_rows: usize,
    page_rows: usize,
    value_encoding: ValueEncoding,
    names_known: bool,
    promoted: prop::sample::Index,
    bloom: bool,
    series_index: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let layout = prop_oneof![Just(LabelLayout::Columns), Just(LabelLayout::Map), Just(LabelLayout::Hybrid)];
    let encoding = prop_oneof![
        Just(ValueEncoding::Dictionary),
        Just(ValueEncoding::Plain),
        Just(ValueEncoding::ByteStreamSplit),
        Just(ValueEncoding::Best)
    ];
    let index = prop_oneof![3 => Just(true), 1 => Just(false)];
    let sizes = (prop_oneof![1..40_usize, Just(1 << 20)], prop_oneof![1..10_usize, Just(4096)]);
    (layout, encoding, sizes, any::<bool>(), any::<prop::sample::Index>(), (any::<bool>(), index)).prop_map(
        |(
            layout,
            value_encoding,
            (row_group_rows, page_rows),
            names_known,
            promoted,
            (bloom, series_index),
        )| Shape {
            layout,
            row_group_rows,
            page_rows,
            value_encoding,
            names_known,
            promoted,
            bloom,
            series_index,
        },
    )
}

impl Shape {
    fn config(&self, mut names: Vec<String>, with_histograms: bool) -> ParquetConfig {
        names.sort();
        names.dedup();
        let promoted = match self.layout {
            LabelLayout::Hybrid => names[..self.promoted.index(names.len() + 1)].to_vec(),
            _ => names.clone(),
        };
        ParquetConfig {
            label_layout: self.layout,
            row_group_rows: self.row_group_rows,
            page_rows: self.page_rows,
            value_encoding: self.value_encoding,
            bloom_columns: if self.bloom { names.clone() } else { Vec::new() },
            label_names: self.names_known.then_some(names),
            promoted_labels: promoted,
            with_histograms,
            series_index: self.series_index,
            timestamp_page_rows: 2 * self.page_rows,
            ..ParquetConfig::default()
        }
    }
}

type Query = (Vec<Matcher>, TimeRange);

fn script_and_queries() -> impl Strategy<Value = (Script, Vec<Query>)> {
    script(1..10, 0..80).prop_flat_map(|script| {
        let queries = prop::collection::vec((matchers_for(&script.series), time_range()), 1..6);
        (Just(script), queries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_query_gives_what_the_oracle_gives((script, queries) in script_and_queries(), shape in shape()) {
        let mut oracle = Oracle::new();
        for (labels, timestamp_ms, value) in script.iter() {
            oracle.append(labels, timestamp_ms, value.clone());
        }
        let all = oracle.all();
        let names = all.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name.to_owned())).collect();
        let with_histograms = all.iter().any(|s| !s.samples.histograms.is_empty());
        let (meta, file) = write(shape.config(names, with_histograms), &all).expect("sorted samples");
        prop_assert_eq!((meta.rows, meta.series), (oracle.sample_count(), oracle.series_count()));
        prop_assert_eq!(oracle.time_range().unwrap_or(TimeRange::EMPTY), meta.time_range);

        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let reader = open(file).await.expect("our own file");
            for (matchers, range) in queries.into_iter().chain([(Vec::new(), TimeRange::ALL)]) {
                let found = select(&reader, &matchers, range).await.expect("our own file");
                assert_series_eq(&found, &oracle.select(&matchers, range));
            }
        });
    }

    #[test]
    fn a_row_selection_gives_its_rows_of_the_answer(
        (script, queries) in script_and_queries(),
        shape in shape(),
        ranges in prop::collection::vec((0..80_u64, 0..30_u64), 0..6),
    ) {
        let mut oracle = Oracle::new();
        for (labels, timestamp_ms, value) in script.iter() {
            oracle.append(labels, timestamp_ms, value.clone());
        }
        let all = oracle.all();
        let names = all.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name.to_owned())).collect();
        let (_, file) = write(shape.config(names, true), &all).expect("sorted samples");
        let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();

        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let reader = open(file).await.expect("our own file");
            for (matchers, range) in queries {
                // Row by row: a sample is in the answer if its number is selected and the query has it.
                let mut expected = Vec::new();
                let samples = all.iter().flat_map(|s| s.samples.iter().map(move |(ms, _)| (&s.labels, ms)));
                for (row, (labels, ms)) in (0..).zip(samples) {
                    let selected = ranges.iter().any(|rows| rows.contains(&row));
                    if selected && range.contains(ms) && Matcher::all_match(&matchers, labels) {
                        expected.push((labels.clone(), ms));
                    }
                }
                let request = ReadRequest {
                    matchers: matchers.into(),
                    range,
                    rows: Some(ranges.clone()),
                    batch_rows: 7,
                    ..ReadRequest::default()
                };
                let tables: Vec<_> = reader.read_batch(request).try_collect().await.expect("our own file");
                let mapper = reader.metadata().mapper();
                let mut found = Vec::new();
                for table in &tables {
                    for series in mapper.record_batch_to_sample_batch(table).expect("our own table").series {
                        found.extend(series.samples.iter().map(|(ms, _)| (series.labels.clone(), ms)));
                    }
                }
                assert_eq!(found, expected);
            }
        });
    }
}
