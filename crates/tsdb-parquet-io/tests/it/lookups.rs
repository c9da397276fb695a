//! Label names, label values and label sets of a file: what the oracle says, and from the index alone.

use futures::TryStreamExt;
use proptest::prelude::*;
use tsdb_core::{Labels, MatchOp, Matcher, TimeRange};
use tsdb_parquet_io::ParquetConfig;
use tsdb_testkit::Oracle;
use tsdb_testkit::strategies::{matchers_for, script, time_range};

use crate::common::{metric, open, series, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_look_up_gives_what_the_oracle_gives(
        (script, queries) in script(1..10, 0..80).prop_flat_map(|script| {
            let queries = prop::collection::vec((matchers_for(&script.series), time_range()), 1..6);
            (Just(script), queries)
        }),
        series_index in prop_oneof![4 => Just(true), 1 => Just(false)],
        row_group_rows in prop_oneof![1..40_usize, Just(1 << 20)],
        timestamp_page_rows in prop_oneof![1..10_usize, Just(4096)],
    ) {
        let mut oracle = Oracle::new();
        for (labels, timestamp_ms, value) in script.iter() {
            oracle.append(labels, timestamp_ms, value.clone());
        }
        let config = ParquetConfig {
            row_group_rows, timestamp_page_rows, series_index, with_histograms: true, ..ParquetConfig::default()
        };
        let (meta, file) = write(config, &oracle.all()).expect("sorted samples");
        // Ranges that lie within the file are the difficult ones.
        let within = TimeRange::new(meta.time_range.start_ms / 2 + 1, meta.time_range.end_ms / 2);
        let everything = [(Vec::new(), TimeRange::ALL), (Vec::new(), within), (Vec::new(), meta.time_range)];

        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let reader = open(file).await.expect("our own file");
            for (matchers, range) in queries.into_iter().chain(everything) {
                let names = oracle.label_names(&matchers, range);
                assert_eq!(reader.label_names(&matchers, range).await.unwrap(), names);
                for name in names.iter().map(String::as_str).chain(["no such label"]) {
                    let values = reader.label_values(name, &matchers, range).await.unwrap();
                    assert_eq!(values, oracle.label_values(name, &matchers, range), "{name}");
                }
                let found: Vec<Labels> =
                    reader.series_labels(matchers.clone().into(), range).try_collect().await.unwrap();
                let expected = oracle.select(&matchers, range).into_iter().map(|series| series.labels);
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
        });
    }
}

#[tokio::test]
async fn no_page_is_read_unless_the_range_lies_within_a_series() {
    let mut all = metric("m", 3_000, 40);
    all.push(series(&[("__name__", "n"), ("job", "gaps")], [(0, 1.0), (600_000, 2.0)]));
    let (_, file) = write(ParquetConfig::default(), &all).unwrap();
    let reader = open(file).await.unwrap();
    let instances = [Matcher::new(MatchOp::Regex, "instance", "host-000.*").unwrap()];
    assert_eq!(reader.label_names(&[], TimeRange::ALL).await.unwrap(), ["__name__", "instance", "job"]);
    assert_eq!(reader.label_values("instance", &instances, TimeRange::ALL).await.unwrap().len(), 100);
    let early = TimeRange::new(-5, 3);
    assert_eq!(reader.label_values("job", &[], early).await.unwrap(), ["api", "gaps"]);
    let labels: Vec<_> = reader.series_labels([].into(), early).try_collect().await.unwrap();
    assert_eq!(labels.len(), 3_001);
    assert_eq!(reader.statistics().pages_decoded, 0);

    // Between two samples of each series: timestamps tell.
    assert_eq!(reader.label_values("job", &[], TimeRange::new(20_000, 30_000)).await.unwrap(), ["api"]);
    let gap = TimeRange::new(20_000, 29_999);
    assert!(reader.label_names(&[], gap).await.unwrap().is_empty());
    assert!(reader.statistics().pages_decoded > 0);
}
