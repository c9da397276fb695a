//! What is in a file of ours, as text that does not change with the code: all numbers and bits are spelt out here.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStore;
use tsdb_cold::{ColdOptions, ColdTier, VfsStore};
use tsdb_core::{
    Block, Buckets, Chunk, ChunkEncoding, Histogram, Labels, Matcher, SampleBuffer, Series, TimeRange,
    Tombstone, write_selector,
};
use tsdb_engine::blocking::Engine;
use tsdb_parquet_io::{FileMeta, IndexPointer, ParquetReader, SERIES_INDEX_KEY, WantedPairs};
use tsdb_vfs::RealFs;

/// Texts beyond this are told by their checksum: a fixture's content is to be read by people where it can be.
const TEXT_BYTES_MAX: usize = 32 << 10;

/// What is in a fixture: a file, or the directory of a store.
pub(super) fn of(path: &Path) -> String {
    if path.is_dir() {
        return store(path);
    }
    let bytes = Bytes::from(fs::read(path).unwrap());
    match extension(path) {
        "float" => chunk(ChunkEncoding::Float, bytes),
        "int-histogram" => chunk(ChunkEncoding::IntHistogram, bytes),
        "float-histogram" => chunk(ChunkEncoding::FloatHistogram, bytes),
        "block" => block(bytes),
        "metadata" => metadata(path),
        "tombstone" => tombstone_text(&Tombstone::decode(&bytes).unwrap()),
        "parquet" => run(cold_file(path)),
        _ => panic!("{} has no test", path.display()),
    }
}

/// The formats that a file is of, each with its version.
pub(super) fn versions_of(path: &Path) -> Vec<(&'static str, u32)> {
    let bytes = fs::read(path).unwrap();
    let at_8 = || u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    match extension(path) {
        "block" => vec![("block", at_8())],
        "tombstone" => vec![("tombstone", at_8())],
        "wal" => vec![("log segment", at_8())],
        "metadata" => vec![("metadata of metrics", at_8())],
        "json" => {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            vec![("catalog snapshot", value["snapshot"]["format_version"].as_u64().unwrap() as u32)]
        }
        "parquet" => run(versions_of_cold_file(path)),
        _ => Vec::new(),
    }
}

/// What a store makes of the file.
fn metadata(path: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(path, dir.path().join("metrics.metadata")).unwrap();
    metadata_text(&Engine::open(dir.path()).unwrap())
}

pub(super) fn metadata_text(engine: &Engine) -> String {
    let metrics = engine.metadata();
    let sorted: std::collections::BTreeMap<_, _> = metrics.iter().collect();
    let line = |(metric, about): (&String, &tsdb_engine::MetricMetadata)| {
        format!("{metric:?} {} {:?} {:?}\n", about.kind.as_str(), about.help, about.unit)
    };
    sorted.into_iter().map(line).collect()
}

async fn versions_of_cold_file(path: &Path) -> Vec<(&'static str, u32)> {
    let reader = open(path).await;
    let pairs = reader.layout().key_values;
    let value = |key: &str| &pairs.iter().find(|(name, _)| name == key).unwrap().1;
    let place = reader.file_meta().label_bloom.unwrap();
    let file = fs::read(path).unwrap();
    // One ZSTD frame, whose raw bytes begin with the version.
    let frame = &file[place.offset as usize..place.offset as usize + place.bytes as usize];
    let raw = zstd::decode_all(frame).unwrap();
    vec![
        ("cold file", value("tsdb.format_version").parse().unwrap()),
        ("series index", IndexPointer::parse(value(SERIES_INDEX_KEY)).unwrap().version),
        ("label bloom", u32::from_le_bytes(raw[..4].try_into().unwrap())),
    ]
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn chunk(encoding: ChunkEncoding, bytes: Bytes) -> String {
    let chunk = Chunk::from_data(encoding, bytes).unwrap();
    let mut samples = SampleBuffer::default();
    chunk.decode_into(&mut samples).unwrap();
    samples_text(&samples)
}

fn block(bytes: Bytes) -> String {
    let block = Block::open(bytes).unwrap();
    block.verify().unwrap();
    let meta = block.meta();
    let mut text = format!(
        "block {} from {} to {}, {} chunks\nhas {:?}\n",
        meta.id,
        meta.time_range.start_ms,
        meta.time_range.end_ms,
        meta.chunks,
        block.label_names().unwrap()
    );
    let series = (0..meta.series).map(|ordinal| Series {
        labels: block.labels(ordinal).unwrap(),
        samples: block.samples(ordinal, TimeRange::ALL).unwrap(),
    });
    text += &series_text(&series.collect::<Vec<_>>());
    text
}

pub(super) fn tombstone_text(tombstone: &Tombstone) -> String {
    let (range, selector) = (tombstone.range, write_selector(&tombstone.matchers));
    format!("below {} from {} to {} {selector}\n", tombstone.below_sequence, range.start_ms, range.end_ms)
}

async fn open(path: &Path) -> ParquetReader {
    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    ParquetReader::open(local(dir), object_store::path::Path::from(name), None).await.unwrap()
}

fn local(dir: &Path) -> Arc<dyn ObjectStore> {
    Arc::new(VfsStore::new(Arc::new(RealFs), dir))
}

async fn cold_file(path: &Path) -> String {
    let reader = open(path).await;
    let found = reader.verify().await.unwrap();
    assert!(found.is_sound() && found.index_blocks > 0, "{found:?}");
    let FileMeta { rows, series, time_range, ref key_values, label_bloom, .. } = *reader.file_meta();
    let mut text = format!(
        "{rows} rows of {series} series from {} to {}\npairs {key_values:?}\n",
        time_range.start_ms, time_range.end_ms
    );
    let all: Vec<Series> = reader.select([].into(), TimeRange::ALL).try_collect().await.unwrap();
    text += &series_text(&all);

    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let place = label_bloom.unwrap();
    let bloom = ParquetReader::label_bloom(local(dir), object_store::path::Path::from(name), &place).await;
    let (bloom, _) = bloom.unwrap();
    let may_have = |name: &str, value: &str| bloom.may_have(&WantedPairs::of(&[Matcher::equal(name, value)]));
    assert!(all.iter().all(|series| series.labels.iter().all(|(name, value)| may_have(name, value))));
    let absent = (0..1_000).filter(|i| may_have("absent", &i.to_string()));
    writeln!(text, "label bloom: of absent may have {:?}", absent.collect::<Vec<_>>()).unwrap();
    text
}

/// What both tiers answer, and what the catalog says.
fn store(dir: &Path) -> String {
    let engine = Engine::open_read_only(dir).unwrap();
    assert!(engine.verify().unwrap().damaged.is_empty());
    let stats = engine.stats();
    let mut text =
        format!("{} samples in the head, {} in blocks\n", stats.hot.head.samples, stats.hot.blocks.samples);
    let all: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    text += &series_text(&all);
    let tier = run(ColdTier::open_read_only(local(&dir.join("cold")), ColdOptions::default())).unwrap();
    let snapshot = tier.snapshot();
    writeln!(
        text,
        "catalog {} after {}, next sequence {}",
        snapshot.number, snapshot.predecessor, snapshot.next_sequence
    )
    .unwrap();
    writeln!(text, "promoted {:?}", snapshot.promoted_labels).unwrap();
    for file in &snapshot.files {
        writeln!(
            text,
            "file of {}: {} bytes, {} to {}, sequences {} to {}, level {}, tombstones below {}, {} samples of {} series, checksum {}, {:?}",
            file.partition,
            file.bytes,
            file.min_time_ms,
            file.max_time_ms,
            file.min_sequence,
            file.max_sequence,
            file.level,
            file.tombstones_below,
            file.samples,
            file.series,
            file.checksum,
            file.label_bloom.map(|place| (place.offset, place.bytes, place.checksum)),
        )
        .unwrap();
    }
    let handed_over = snapshot.handed_over.iter().map(ToString::to_string).collect::<Vec<_>>();
    writeln!(text, "handed over {handed_over:?}").unwrap();
    for (number, deleted) in tier.tombstones().iter() {
        write!(text, "tombstone {number}: {}", tombstone_text(deleted)).unwrap();
    }
    text
}

/// Series with their samples, or, where that is long, how many there are and the checksum of the text.
pub(super) fn series_text(all: &[Series]) -> String {
    let mut text = String::new();
    for Series { labels, samples } in all {
        writeln!(text, "{}", labels_text(labels)).unwrap();
        text += &samples_text(samples);
    }
    if text.len() > TEXT_BYTES_MAX {
        let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        text = format!("{} series, xxh3-64 of their text {hash:016x}\n", all.len());
    }
    text
}

fn labels_text(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name:?}={value:?}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn samples_text(samples: &SampleBuffer) -> String {
    let mut text = String::new();
    for (timestamp, value) in samples.timestamps_ms.iter().zip(&samples.values) {
        writeln!(text, "  {timestamp} {}", bits(*value)).unwrap();
    }
    for (timestamp, histogram) in &samples.histograms {
        writeln!(text, "  {timestamp} {}", histogram_text(histogram)).unwrap();
    }
    text
}

fn bits(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}

fn histogram_text(histogram: &Histogram) -> String {
    let all = |values: &[f64]| values.iter().map(|value| bits(*value)).collect::<Vec<_>>().join(",");
    let spans = |spans: &[tsdb_core::Span]| {
        spans.iter().map(|span| format!("{}+{}", span.offset, span.length)).collect::<Vec<_>>().join(",")
    };
    let counts = match &histogram.buckets {
        Buckets::Int { count, zero_count, positive, negative } => {
            format!("int {count} zero {zero_count} {positive:?} {negative:?}")
        }
        Buckets::Float { count, zero_count, positive, negative } => format!(
            "float {} zero {} [{}] [{}]",
            bits(*count),
            bits(*zero_count),
            all(positive),
            all(negative)
        ),
    };
    format!(
        "hint {} schema {} threshold {} sum {} spans {} / {} {counts} bounds [{}]",
        histogram.reset_hint as u8,
        histogram.schema,
        bits(histogram.zero_threshold),
        bits(histogram.sum),
        spans(&histogram.positive_spans),
        spans(&histogram.negative_spans),
        all(&histogram.custom_bounds)
    )
}
