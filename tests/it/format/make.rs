//! Makes the fixtures: files of every format, small, with what is odd in each of them. Their content is the same each time;
//! the names of a store's cold files are not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tsdb_core::{
    Append, BlockId, BlockWriter, Buckets, Chunk, ChunkBuilder, ChunkEncoding, CustomBounds, Histogram,
    Labels, ResetHint, SampleBuffer, SampleValue, Series, Span, TimeRange, Tombstone, parse_selector,
    stale_nan,
};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{MetricKind, MetricMetadata};
use tsdb_parquet_io::{ColdStorageWriter, ParquetConfig, ParquetWriter};
use tsdb_schema::SampleBatch;
use tsdb_testkit::Oracle;

use super::builder;
use super::content::{samples_text, series_text, tombstone_text};

/// 2026-01-01T00:00:00Z.
pub(super) const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Fills the empty directory `dir`. Returns of each fixture what was given to its writer, as text.
pub(super) fn fixtures(dir: &Path) -> Vec<(&'static str, String)> {
    let mut written = Vec::new();
    let all = chunks();
    for (name, (chunk, samples)) in
        ["chunk.float", "chunk.int-histogram", "chunk.float-histogram"].into_iter().zip(&all)
    {
        fs::write(dir.join(name), chunk.data()).unwrap();
        written.push((name, samples_text(samples)));
    }
    let (bytes, series) = block(&all);
    fs::write(dir.join("all.block"), bytes).unwrap();
    written.push(("all.block", series_text(&series)));
    fs::write(dir.join("one.tombstone"), tombstone().encode()).unwrap();
    written.push(("one.tombstone", tombstone_text(&tombstone())));
    for (name, (config, series)) in
        [("small.parquet", small_cold_file()), ("ids.parquet", cold_file_of_ids())]
    {
        fs::write(dir.join(name), write_cold_file(&series, config)).unwrap();
        written.push((name, series_text(&series)));
    }
    written.push(("metrics.metadata", metadata(dir)));
    written.push(("store", series_text(&store(&dir.join("store")).all())));
    written
}

/// Two metrics, as a store writes them.
fn metadata(dir: &Path) -> String {
    let store = tempfile::tempdir().unwrap();
    let engine = Engine::open(store.path()).unwrap();
    let about = |kind, help: &str, unit: &str| MetricMetadata { kind, help: help.into(), unit: unit.into() };
    engine
        .set_metadata([
            ("up".to_owned(), about(MetricKind::Gauge, "Whether it is.", "")),
            ("latency".to_owned(), about(MetricKind::Histogram, "Zeit für \"alles\".\n", "seconds")),
        ])
        .unwrap();
    fs::copy(store.path().join("metrics.metadata"), dir.join("metrics.metadata")).unwrap();
    super::content::metadata_text(&engine)
}

/// `bytes` of a file with this suffix, with another version and the checksums that go with it.
pub(super) fn of_version(bytes: &[u8], suffix: &str, version: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if suffix == ".json" {
        let text = String::from_utf8(bytes).unwrap();
        let at = text.find(r#""snapshot":"#).unwrap() + r#""snapshot":"#.len();
        let mut snapshot: serde_json::Value =
            serde_json::from_str(text[at..].trim_end().strip_suffix('}').unwrap()).unwrap();
        snapshot["format_version"] = version.into();
        let snapshot = snapshot.to_string();
        let checksum = xxhash_rust::xxh3::xxh3_64(snapshot.as_bytes());
        return format!("{{\"checksum\":\"{checksum:016x}\",\"snapshot\":{snapshot}}}\n").into_bytes();
    }
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let covered = match suffix {
        ".block" => 12,
        ".wal" => 48,
        _ => bytes.len() - 4,
    };
    let crc = crc32c::crc32c(&bytes[..covered]);
    bytes[covered..covered + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Values whose bits are easily lost.
fn odd_values() -> Vec<f64> {
    let payload = f64::from_bits(0x7ff8_dead_beef_0001);
    let mut values =
        vec![0.0, -0.0, 1.5, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 4.0, stale_nan(), payload];
    // Decimals, counters and noise, so that a chunk takes each of its forms.
    values.extend((0..60).map(|i| f64::from(i) / 100.0));
    values.extend((0..60).map(|i| 1e15 + f64::from(i * i)));
    values.extend((1..60_u32).map(|i| f64::from(i).sqrt() / 7.0));
    values
}

fn histogram(i: u64, is_float: bool) -> Histogram {
    let (positive, negative) = (vec![i, 2 * i + 1, 7], vec![i / 2]);
    let buckets = if is_float {
        let floats = |counts: &[u64]| counts.iter().map(|count| *count as f64 + 0.25).collect::<Vec<_>>();
        let (positive, negative) = (floats(&positive), floats(&negative));
        let count = 0.5 + positive.iter().chain(&negative).sum::<f64>();
        Buckets::Float { count, zero_count: 0.5, positive, negative }
    } else {
        // Beyond 2^53, where a float would lose the last bit.
        let zero_count = (1 << 53) + 1;
        let count = zero_count + positive.iter().chain(&negative).sum::<u64>();
        Buckets::Int { count, zero_count, positive, negative }
    };
    Histogram {
        reset_hint: if i == 0 { ResetHint::Reset } else { ResetHint::NoReset },
        schema: 3,
        zero_threshold: 1e-9,
        sum: i as f64 * 1.1,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        buckets,
        custom_bounds: CustomBounds::default(),
    }
}

/// One of schema -53.
fn custom_histogram() -> Histogram {
    Histogram {
        reset_hint: ResetHint::Gauge,
        schema: -53,
        zero_threshold: 0.0,
        sum: 12.5,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        negative_spans: Vec::new(),
        buckets: Buckets::Int { count: 6, zero_count: 0, positive: vec![1, 2, 3], negative: Vec::new() },
        custom_bounds: [0.1, 2.5].into(),
    }
}

fn chunks() -> [(Chunk, SampleBuffer); 3] {
    let float_samples = odd_values().into_iter().map(SampleValue::Float).collect();
    let histograms = |is_float| {
        let values =
            (0..20).map(|i| if i == 13 { Histogram::stale(is_float) } else { histogram(i, is_float) });
        values.map(|histogram| SampleValue::Histogram(Arc::new(histogram))).collect()
    };
    [
        (ChunkEncoding::Float, float_samples),
        (ChunkEncoding::IntHistogram, histograms(false)),
        (ChunkEncoding::FloatHistogram, histograms(true)),
    ]
    .map(|(encoding, values): (_, Vec<SampleValue>)| {
        let (mut chunk, mut samples) = (ChunkBuilder::new(encoding), SampleBuffer::default());
        for (i, value) in (0..).zip(&values) {
            // Steady, but for one that comes late.
            let timestamp_ms = START_MS + i * 15_000 + if i == 9 { 37 } else { 0 };
            assert!(matches!(chunk.append(timestamp_ms, value), Append::Appended));
            match value {
                SampleValue::Float(value) => {
                    samples.timestamps_ms.push(timestamp_ms);
                    samples.values.push(*value);
                }
                SampleValue::Histogram(histogram) => {
                    samples.histograms.push((timestamp_ms, Arc::clone(histogram)));
                }
            }
        }
        (chunk.finish(), samples)
    })
}

/// A block with each encoding, sets of series of each form, and labels of several pages.
fn block(chunks: &[(Chunk, SampleBuffer); 3]) -> (Vec<u8>, Vec<Series>) {
    let id = BlockId { sequence: 7, window_start_ms: START_MS, window_end_ms: START_MS + 2 * HOUR_MS };
    let mut writer = BlockWriter::new(Vec::new(), id).unwrap();
    let mut all: Vec<(Labels, usize)> = (0..200)
        .map(|i| {
            let (id, shard, zone) = (format!("{i:03}"), format!("s{}", i % 2), if i < 30 { "a" } else { "" });
            let pairs = [("__name__", "m"), ("id", &id), ("shard", &shard), ("zone", zone), ("größe", "µ")];
            (Labels::from_pairs(pairs).unwrap(), i % 3)
        })
        .collect();
    all.sort();
    let mut series = Vec::new();
    for (labels, kind) in all {
        // Few with all samples: a fixture is to be small.
        let is_long = labels.get("id").is_some_and(|id| id < "003");
        let (chunk, samples) = if is_long { chunks[kind].clone() } else { one_sample(kind as f64) };
        writer.add_series(&labels, &[chunk]).unwrap();
        series.push(Series { labels, samples });
    }
    (writer.finish().unwrap().1, series)
}

fn one_sample(value: f64) -> (Chunk, SampleBuffer) {
    let mut chunk = ChunkBuilder::new(ChunkEncoding::Float);
    assert!(matches!(chunk.append_float(START_MS, value), Append::Appended));
    let (timestamps_ms, values) = (vec![START_MS], vec![value]);
    (chunk.finish(), SampleBuffer { timestamps_ms, values, histograms: Vec::new() })
}

fn tombstone() -> Tombstone {
    let matchers = parse_selector(r#"{job="api",path=~"/v1/.*","größe"!="µ",zone!~"a|b"}"#).unwrap();
    Tombstone { below_sequence: 12, range: TimeRange::new(-5, START_MS), matchers }
}

fn write_cold_file(all: &[Series], config: ParquetConfig) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ParquetWriter::new(&mut file, config).unwrap();
    writer.write_batch(&SampleBatch { series: all.to_vec() }).unwrap();
    writer.close().unwrap();
    file
}

/// Floats and histograms, labels in columns and in the map, several row groups and pages, and a metadata key that nobody knows.
fn small_cold_file() -> (ParquetConfig, Vec<Series>) {
    let mut all: Vec<Series> = (0..6_u64)
        .map(|i| {
            let (name, id) = (if i < 3 { "load" } else { "disk" }, i.to_string());
            let pairs =
                [("__name__", name), ("Day", &id), ("host", "ä"), ("job", if i == 4 { "" } else { "x" })];
            let mut samples = SampleBuffer::default();
            for (at, value) in (0..).zip(odd_values()).skip(i as usize * 3).take(40) {
                let timestamp_ms = START_MS + at * 10_000;
                if (i == 1 && at >= 20) || i == 2 {
                    let histogram =
                        if i == 2 { custom_histogram() } else { histogram(at as u64, at % 2 == 0) };
                    samples.histograms.push((timestamp_ms, Arc::new(histogram)));
                } else {
                    samples.timestamps_ms.push(timestamp_ms);
                    samples.values.push(value);
                }
            }
            Series { labels: Labels::from_pairs(pairs).unwrap(), samples }
        })
        .collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let config = ParquetConfig {
        promoted_labels: vec!["__name__".into(), "Day".into(), "nowhere".into()],
        row_group_rows: 100,
        page_rows: 30,
        timestamp_page_rows: 30,
        key_values: vec![("tsdb.later".into(), "what a later version may add".into())],
        ..ParquetConfig::default()
    };
    (config, all)
}

/// A label of so many values that it has blocks of its own in the series index, and series blocks more than one.
fn cold_file_of_ids() -> (ParquetConfig, Vec<Series>) {
    let mut all: Vec<Series> = (0..1_300_u64)
        .map(|i| {
            let hash = |seed| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), seed);
            let (id, shard) =
                (format!("{:016x}{:016x}{:016x}", hash(1), hash(2), hash(3)), format!("s{}", i % 4));
            let labels = Labels::from_pairs([("__name__", "ids"), ("id", &id), ("shard", &shard)]).unwrap();
            let mut samples = SampleBuffer::default();
            samples.timestamps_ms.push(START_MS + i as i64);
            samples.values.push(i as f64 / 10.0);
            Series { labels, samples }
        })
        .collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let columns: Vec<String> = vec!["__name__".into(), "id".into(), "shard".into()];
    let config = ParquetConfig {
        promoted_labels: columns.clone(),
        label_names: Some(columns),
        with_histograms: false,
        ..ParquetConfig::default()
    };
    (config, all)
}

/// A store, and what should be in it.
struct Writing {
    engine: Engine,
    oracle: Oracle,
}

impl Writing {
    fn append(&mut self, pairs: &[(&str, &str)], timestamp_ms: i64, value: SampleValue) {
        let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
        let mut batch = self.engine.appender();
        batch.append_value(&labels, timestamp_ms, value.clone()).unwrap();
        batch.commit().unwrap();
        self.oracle.append(&labels, timestamp_ms, value);
    }

    fn float(&mut self, pairs: &[(&str, &str)], timestamp_ms: i64, value: f64) {
        self.append(pairs, timestamp_ms, SampleValue::Float(value));
    }

    fn histogram(&mut self, name: &str, timestamp_ms: i64, histogram: Histogram) {
        self.append(&[("__name__", name)], timestamp_ms, SampleValue::Histogram(Arc::new(histogram)));
    }
}

/// A store with samples in every tier, some of them replaced and some deleted, and segments of the log more than one.
fn store(dir: &Path) -> Oracle {
    let mut store = Writing { engine: Engine::open_with(builder(dir)).unwrap(), oracle: Oracle::new() };
    let (a, b) = ([("__name__", "a"), ("job", "x")], [("__name__", "b"), ("job", "y"), ("größe", "µ")]);
    for (i, value) in (0..).zip(odd_values().into_iter().take(8)) {
        store.float(&a, START_MS + i * 1_000, value);
        store.float(&b, START_MS + DAY_MS + i, value);
    }
    for i in 0..3 {
        store.histogram("h", START_MS + i as i64 * 1_000, histogram(i, false));
    }
    store.engine.flush().unwrap();
    // A second file of the first day, with a value that replaces one of the first.
    store.float(&a, START_MS + 1_000, 100.0);
    store.histogram("c", START_MS + 5_000, custom_histogram());
    store.engine.flush().unwrap();
    // A block, with a late sample.
    store.float(&a, START_MS + HOUR_MS, 1.0);
    store.float(&a, START_MS + 2_000, 200.0);
    store.histogram("d", START_MS + HOUR_MS, histogram(3, true));
    store.engine.seal().unwrap();
    // The head: replaced and deleted samples, and one that came after the delete.
    for i in 0..40 {
        let id = format!("{i:02}");
        store.float(&[("__name__", "e"), ("id", &id)], START_MS + HOUR_MS + i, i as f64);
    }
    store.float(&a, START_MS + 3_000, 300.0);
    store.histogram("h", START_MS + HOUR_MS, Histogram::stale(false));
    let deleted = parse_selector(r#"{__name__=~"a|e",id!="07"}"#).unwrap();
    let range = TimeRange::new(START_MS + 4_000, START_MS + HOUR_MS + 20);
    store.engine.delete(&deleted, range).unwrap();
    store.oracle.delete(&deleted, range);
    store.float(&a, START_MS + 4_000, 400.0);
    store.engine.close().unwrap();
    store.oracle
}
