//! Blocks: written from sealed chunks to memory, and read where a query touches them.
//!
//! Two shapes: the mixed workload, where the samples weigh, and a million series with eight labels, one of them
//! unique, where the index does.

use std::hint::black_box;
use std::io;

use bytes::Bytes;
use tsdb_core::{Block, BlockId, BlockWriter, Chunk, Labels, Matcher, TimeRange, parse_selector};
use tsdb_workload::Mixed;

use super::chunks::pack;
use crate::report::{Figure, Options, Report, median_cpu_seconds};
use crate::requests;

const SEALED: &str = "in process, 1 thread, CPU time, sealed chunks in memory to memory";
const OPEN: &str = "in process, 1 thread, CPU time, open block in memory, pages verified before";

/// The bars, and what a selector may take.
const WRITE_SAMPLES_PER_S: f64 = 100e6;
const WRITE_SERIES_PER_S: f64 = 2e6;
const INDEX_BYTES_PER_SERIES: f64 = 35.0;

/// Selectors over the million series, with the bar in milliseconds where there is one.
const SELECTORS: &[(&str, &str, Option<f64>)] = &[
    ("equality", r#"{request_id="7c9e6679-7425-40de-944b-e07fc1f90ae7"}"#, None),
    ("three equalities", r#"{job="api",handler="/api/v1/h7",pod="api-0004"}"#, None),
    ("prefix", r#"{request_id=~"7c9.*"}"#, Some(0.1)),
    ("contains", r#"{request_id=~".*7ae7.*"}"#, Some(100.0)),
    ("general regex", r#"{request_id=~".*-4.*-a[0-9].*f"}"#, Some(100.0)),
    ("narrowed, then regex", r#"{job="api",handler="/api/v1/h7",pod="api-0004",request_id=~".*7a.*"}"#, None),
];

/// Series with their chunks, in the order of their labels.
pub struct Sealed {
    series: Vec<(Labels, Vec<Chunk>)>,
    samples: usize,
    chunk_bytes: usize,
    id: BlockId,
}

impl Sealed {
    /// The mixed workload of `series` series of `samples` samples each.
    #[must_use]
    pub fn generate(series: usize, samples: usize) -> Self {
        let settings = Mixed::new(series, samples);
        let workload = settings.generate();
        let mut order: Vec<usize> = (0..workload.len()).collect();
        order.sort_by(|&a, &b| workload.labels(a).cmp(workload.labels(b)));
        let sealed =
            order.into_iter().map(|i| (copy(workload.labels(i)), workload.timestamps(i), workload.values(i)));
        Self::new(settings.start_ms, sealed.map(|(labels, times, values)| (labels, pack(times, values))))
    }

    /// The `count` series of [`requests`].
    ///
    /// # Panics
    /// Never: the labels are valid.
    #[must_use]
    pub fn unique_ids(count: usize) -> Self {
        let mut labels: Vec<Labels> = (0..count as u64).map(requests::labels).collect();
        labels.sort();
        let series = labels.iter().zip(0..).map(|(labels, i)| {
            let samples = requests::samples(i, count as u64);
            (copy(labels), pack(&samples.map(|sample| sample.0), &samples.map(|sample| sample.1)))
        });
        Self::new(Mixed::default().start_ms, series)
    }

    fn new(start_ms: i64, series: impl Iterator<Item = (Labels, Vec<Chunk>)>) -> Self {
        let series: Vec<_> = series.collect();
        let chunks = || series.iter().flat_map(|(_, chunks)| chunks);
        let id = BlockId { sequence: 1, window_start_ms: start_ms, window_end_ms: start_ms + 7_200_000 };
        let samples = chunks().map(|chunk| chunk.count() as usize).sum();
        let chunk_bytes = chunks().map(|chunk| chunk.data().len()).sum();
        Self { series, samples, chunk_bytes, id }
    }

    /// Writes the block.
    ///
    /// # Panics
    /// When the writer refuses the series.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut writer = BlockWriter::new(Vec::new(), self.id).expect("invariant: memory takes a header");
        for (labels, chunks) in &self.series {
            writer.add_series(labels, chunks).expect("invariant: series ascend");
        }
        writer.finish().expect("invariant: memory takes a block").1
    }
}

/// A copy of its own, so that label sets lie in memory in the order in which they are written, as those of a head
/// that has just collected them do not always, and as a merge of blocks does.
fn copy(labels: &Labels) -> Labels {
    Labels::from_bytes(labels.as_bytes()).expect("invariant: labels encode labels")
}

/// Measures writing and reading.
///
/// # Errors
/// The report cannot be written.
///
/// # Panics
/// When a written block does not open or answer.
pub fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    for samples in [120, 480] {
        let sealed = Sealed::generate(options.pick(20_000, 200), options.pick(samples, 20));
        write(options, report, &format!("block/write/mixed x {samples}"), &sealed)?;
    }
    let sealed = Sealed::unique_ids(options.pick(1_000_000, 2_000));
    let bytes = write(options, report, "block/write/unique ids", &sealed)?;
    let index = (bytes.len() - sealed.chunk_bytes) as f64 / sealed.series.len() as f64;
    report.add(&Figure {
        case: "block/write/unique ids",
        figure: "index",
        unit: "B/series",
        value: index,
        baseline: Some(("bar of the cold file", INDEX_BYTES_PER_SERIES)),
        place: SEALED,
    })?;
    drop(sealed);
    read(options, report, bytes)
}

fn write(options: &Options, report: &mut Report, case: &str, sealed: &Sealed) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    let [seconds] = median_cpu_seconds(options.rounds(), [&mut || bytes = sealed.write()]);
    let mut add = |figure, unit, value, baseline| {
        report.add(&Figure { case, figure, unit, value, baseline, place: SEALED })
    };
    let per_s = |count: usize| count as f64 / seconds;
    add("throughput", "samples/s", per_s(sealed.samples), Some(("the bar", WRITE_SAMPLES_PER_S)))?;
    add("series", "series/s", per_s(sealed.series.len()), Some(("the bar", WRITE_SERIES_PER_S)))?;
    add("size", "B/sample", bytes.len() as f64 / sealed.samples as f64, None)?;
    Ok(bytes.into())
}

fn read(options: &Options, report: &mut Report, bytes: Bytes) -> io::Result<()> {
    let block = Block::open(bytes.clone()).expect("invariant: a written block opens");
    let mut add = |case: &str, figure, unit, value, bar: Option<f64>| {
        report.add(&Figure {
            case,
            figure,
            unit,
            value,
            baseline: bar.map(|bar| ("the bar", bar)),
            place: OPEN,
        })
    };
    let open = || drop(black_box(Block::open(bytes.clone())));
    add("block/open", "latency", "us", 1e6 * seconds_each(options, &open), None)?;
    for &(name, selector, bar_ms) in SELECTORS {
        let matchers = parse_selector(selector).expect("invariant: the selectors are valid");
        let work = || _ = black_box(select(&block, &matchers));
        add(&format!("block/select/{name}"), "latency", "ms", 1e3 * seconds_each(options, &work), bar_ms)?;
    }
    let series = block.meta().series;
    let per_series = 1e9 / f64::from(series);
    let labels = || {
        let mut reader = block.labels_reader();
        (0..series).for_each(|i| drop(black_box(reader.labels(i).expect("invariant: undamaged"))));
    };
    add("block/read/all labels", "latency", "ns/series", per_series * seconds_each(options, &labels), None)?;
    let samples = || {
        let all = TimeRange::ALL;
        (0..series).for_each(|i| drop(black_box(block.samples(i, all).expect("invariant: undamaged"))));
    };
    add("block/read/all samples", "latency", "ns/series", per_series * seconds_each(options, &samples), None)
}

fn select(block: &Block, matchers: &[Matcher]) -> usize {
    block.select(matchers).expect("invariant: undamaged").len()
}

/// CPU seconds that `work` takes, done often enough to be measured.
fn seconds_each(options: &Options, work: &dyn Fn()) -> f64 {
    let [once] = median_cpu_seconds(1, [&mut || work()]);
    let times = (0.005 / once.max(1e-9)).clamp(1.0, 10_000.0) as u32;
    let [seconds] = median_cpu_seconds(options.rounds(), [&mut || (0..times).for_each(|_| work())]);
    seconds / f64::from(times)
}
