//! The roadmap's `ParquetIOTest`: what goes in comes out, and compression makes files smaller.

use std::sync::Arc;

use tsdb_core::{Buckets, CustomBounds, Histogram, ResetHint, Span, TimeRange, stale_nan};
use tsdb_parquet_io::{ColdStorageWriter, Compression, ParquetConfig, ParquetWriter};
use tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_testkit::assert_series_eq;

use crate::common::{metric, open, select, series, write};

#[tokio::test]
async fn test_round_trip() {
    let odd = [
        f64::from_bits(0x7ff8_dead_beef_0001),
        stale_nan(),
        -0.0,
        f64::INFINITY,
        f64::MIN_POSITIVE / 2.0,
        0.0,
    ];
    let mut histograms = series(&[("__name__", "latency"), ("zone", "eu")], [(5, 1.0)]);
    let int = Histogram {
        reset_hint: ResetHint::NoReset,
        schema: 0,
        zero_threshold: 0.001,
        sum: -1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: Vec::new(),
        buckets: Buckets::Int {
            count: u64::MAX,
            zero_count: u64::MAX - 3,
            positive: vec![1, 2],
            negative: Vec::new(),
        },
        custom_bounds: CustomBounds::default(),
    };
    histograms.samples.histograms = vec![(4, Arc::new(int.clone())), (6, Arc::new(int))];
    let all = [
        vec![series(&[], [(-62_135_596_800_000, 1.0), (253_402_300_799_999, 2.0)])],
        vec![histograms],
        vec![series(&[("__name__", "odd"), ("größe", "\u{0}\n\"{}")], (0..).zip(odd))],
        metric("up", 50, 200),
    ]
    .concat();

    for label_layout in [LabelLayout::Map, LabelLayout::Hybrid, LabelLayout::Columns] {
        for page_rows in [7, 4096] {
            let mut config =
                ParquetConfig { label_layout, page_rows, row_group_rows: 3000, ..ParquetConfig::default() };
            match label_layout {
                LabelLayout::Columns => {
                    let names = ["__name__", "größe", "instance", "job", "zone"].map(ToOwned::to_owned);
                    config.label_names = Some(names.into());
                }
                _ => config.promoted_labels = vec!["__name__".into(), "instance".into()],
            }
            let (meta, file) = write(config, &all).unwrap();
            assert_eq!((meta.rows, meta.series), (10_011, 53));
            let reader = open(file).await.unwrap();
            assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.unwrap(), &all);
        }
    }
}

#[tokio::test]
async fn a_series_may_be_written_over_many_batches() {
    let all = metric("up", 3, 1000);
    let mut writer =
        ParquetWriter::new(Vec::new(), ParquetConfig { row_group_rows: 333, ..Default::default() }).unwrap();
    for one in &all {
        for from in (0..1000).step_by(70) {
            let mut part = one.clone();
            let range = from..(from + 70).min(1000);
            part.samples.timestamps_ms = one.samples.timestamps_ms[range.clone()].to_vec();
            part.samples.values = one.samples.values[range].to_vec();
            writer.write_batch(&SampleBatch::new(vec![part])).unwrap();
            writer.write_batch(&SampleBatch::default()).unwrap();
        }
    }
    let (meta, file) = writer.finish().unwrap();
    assert_eq!((meta.rows, meta.series), (3000, 3));
    assert_series_eq(&select(&open(file).await.unwrap(), &[], TimeRange::ALL).await.unwrap(), &all);
}

#[tokio::test]
async fn test_compression() {
    let all = metric("up", 100, 500);
    let file =
        |compression| write(ParquetConfig { compression, ..ParquetConfig::default() }, &all).unwrap().1;
    let plain = file(Compression::None);
    for compression in [
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd(1),
        Compression::Zstd(3),
        Compression::Zstd(19),
    ] {
        let small = file(compression);
        assert!(small.len() < plain.len(), "{compression:?}: {} bytes, {} without", small.len(), plain.len());
        assert_series_eq(&select(&open(small).await.unwrap(), &[], TimeRange::ALL).await.unwrap(), &all);
    }
    assert_series_eq(&select(&open(plain).await.unwrap(), &[], TimeRange::ALL).await.unwrap(), &all);
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let file = || write(ParquetConfig::default(), &metric("up", 20, 100)).unwrap().1;
    assert_eq!(file(), file());
}
