//! Chunks over the mixed workload: append, decode, size, memory, against two Gorilla crates in the same run.
//!
//! The crates are the fastest found on crates.io of those that keep milliseconds and doubles: `tsz` encodes
//! sample by sample into one stream, as a head needs it; `chronix-encoding` encodes whole columns at once.

use std::hint::black_box;
use std::io;

use chronix_encoding::delta::{DeltaOfDeltaDecoder, DeltaOfDeltaEncoder};
use chronix_encoding::gorilla::{GorillaDecoder, GorillaEncoder};
use tsdb_core::{
    Append, Buckets, Chunk, ChunkBuilder, ChunkEncoding, Histogram, ResetHint, SampleBuffer, SampleValue,
    Span,
};
use tsdb_workload::{Kind, Mixed, Workload};
use tsz::stream::{BufferedReader, BufferedWriter};
use tsz::{Decode, Encode};

use crate::report::{Figure, Options, Report, median_cpu_seconds};

/// What Prometheus 2.42 takes for a sample of this mix, its index aside.
const PROMETHEUS_BYTES: f64 = 3.72;
const PLACE: &str = "in process, 1 thread, CPU time, samples in memory";

/// The mixed workload and its chunks.
pub struct Floats {
    workload: Workload,
    chunks: Vec<Chunk>,
}

impl Floats {
    /// `series` series of 480 samples: two hours at 15 s, one full chunk each.
    #[must_use]
    pub fn generate(series: usize) -> Self {
        let mut floats = Self { workload: Mixed::new(series, 480).generate(), chunks: Vec::new() };
        floats.append();
        floats
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.workload.sample_count()
    }

    /// Appends every sample, series by series, and seals the chunks.
    pub fn append(&mut self) {
        self.chunks.clear();
        for i in 0..self.workload.len() {
            self.chunks.extend(pack(self.workload.timestamps(i), self.workload.values(i)));
        }
    }

    /// Appends every sample in the order of scrapes: all series at one time, then the next time.
    ///
    /// # Panics
    /// When a chunk is cut early.
    pub fn append_by_scrape(&self) {
        let mut builders: Vec<_> =
            (0..self.workload.len()).map(|_| ChunkBuilder::new(ChunkEncoding::Float)).collect();
        for at in 0..480 {
            for (i, builder) in builders.iter_mut().enumerate() {
                let appended =
                    builder.append_float(self.workload.timestamps(i)[at], self.workload.values(i)[at]);
                assert_eq!(appended, Append::Appended);
            }
        }
        black_box(builders);
    }

    /// Decodes every chunk into columns.
    ///
    /// # Panics
    /// When a chunk does not decode.
    pub fn decode(&self) {
        let mut samples = SampleBuffer::default();
        for chunk in &self.chunks {
            clear(&mut samples);
            chunk.decode_into(&mut samples).expect("invariant: the chunk was just written");
            black_box(&samples);
        }
    }

    /// Asserts that the chunks hold the workload, bit for bit.
    ///
    /// # Panics
    /// When they do not.
    pub fn verify(&self) {
        let mut samples = SampleBuffer::default();
        for (i, chunk) in self.chunks.iter().enumerate() {
            clear(&mut samples);
            chunk.decode_into(&mut samples).expect("invariant: the chunk was just written");
            assert_eq!(samples.timestamps_ms, self.workload.timestamps(i));
            let same =
                samples.values.iter().zip(self.workload.values(i)).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && samples.values.len() == samples.timestamps_ms.len());
        }
    }

    /// Bytes of all chunks, or of those of one kind, for each sample.
    #[must_use]
    pub fn bytes_per_sample(&self, kind: Option<Kind>) -> f64 {
        let chunks = self.chunks.iter().enumerate();
        let (mut bytes, mut samples) = (0, 0);
        for (_, chunk) in chunks.filter(|&(i, _)| kind.is_none_or(|kind| self.workload.kind(i) == kind)) {
            bytes += chunk.data().len();
            samples += chunk.count();
        }
        bytes as f64 / f64::from(samples)
    }
}

/// Chunks of one series' samples.
///
/// # Panics
/// When an empty builder refuses a sample.
#[must_use]
pub fn pack(timestamps_ms: &[i64], values: &[f64]) -> Vec<Chunk> {
    let mut chunks = Vec::with_capacity(1);
    let mut builder = ChunkBuilder::new(ChunkEncoding::Float);
    for (&timestamp_ms, &value) in timestamps_ms.iter().zip(values) {
        if builder.append_float(timestamp_ms, value) == Append::CutFirst {
            let full = std::mem::replace(&mut builder, ChunkBuilder::new(ChunkEncoding::Float));
            chunks.push(full.finish());
            assert_eq!(builder.append_float(timestamp_ms, value), Append::Appended);
        }
    }
    chunks.push(builder.finish());
    chunks
}

fn clear(samples: &mut SampleBuffer) {
    samples.timestamps_ms.clear();
    samples.values.clear();
    samples.histograms.clear();
}

/// The same samples in `tsz`.
#[derive(Default)]
pub struct Tsz {
    streams: Vec<Box<[u8]>>,
}

impl Tsz {
    /// Encodes every series.
    pub fn append(&mut self, floats: &Floats) {
        self.streams.clear();
        for i in 0..floats.workload.len() {
            let (timestamps, values) = (floats.workload.timestamps(i), floats.workload.values(i));
            let mut encoder = tsz::StdEncoder::new(timestamps[0].cast_unsigned(), BufferedWriter::new());
            for (&timestamp_ms, &value) in timestamps.iter().zip(values) {
                encoder.encode(tsz::DataPoint::new(timestamp_ms.cast_unsigned(), value));
            }
            self.streams.push(encoder.close());
        }
    }

    /// Decodes every stream into columns.
    pub fn decode(&self) {
        let mut samples = SampleBuffer::default();
        for stream in &self.streams {
            clear(&mut samples);
            let mut decoder = tsz::StdDecoder::new(BufferedReader::new(stream.clone()));
            while let Ok(point) = decoder.next() {
                samples.timestamps_ms.push(point.get_time().cast_signed());
                samples.values.push(point.get_value());
            }
            black_box(&samples);
        }
    }

    fn bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.len()).sum()
    }
}

/// The same samples in `chronix-encoding`: a column of timestamps and a Gorilla column for each series.
#[derive(Default)]
pub struct Chronix {
    columns: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Chronix {
    /// Encodes every series.
    ///
    /// # Panics
    /// When the encoder refuses a column.
    pub fn append(&mut self, floats: &Floats) {
        self.columns.clear();
        for i in 0..floats.workload.len() {
            let timestamps = DeltaOfDeltaEncoder::encode(floats.workload.timestamps(i));
            let values = GorillaEncoder::encode(floats.workload.values(i));
            self.columns.push((timestamps.expect("timestamps encode"), values.expect("values encode")));
        }
    }

    /// Decodes every column.
    ///
    /// # Panics
    /// When a column does not decode.
    pub fn decode(&self) {
        for (timestamps, values) in &self.columns {
            black_box(DeltaOfDeltaDecoder::decode(timestamps).expect("timestamps decode"));
            black_box(GorillaDecoder::decode(values).expect("values decode"));
        }
    }

    fn bytes(&self) -> usize {
        self.columns.iter().map(|(timestamps, values)| timestamps.len() + values.len()).sum()
    }
}

/// Native histograms as a busy service has them: 24 exponential buckets that all count.
pub struct Histograms {
    samples: Vec<(i64, SampleValue)>,
    chunks: Vec<Chunk>,
}

impl Histograms {
    /// `count` histograms of one series, 15 s apart, as integers or floats.
    #[must_use]
    pub fn generate(count: usize, is_float: bool) -> Self {
        let mut random = 1_u64;
        let mut counts = [0_u64; 24];
        let mut sum = 0.0;
        let samples = (0..count).map(|i| {
            for (at, count) in counts.iter_mut().enumerate() {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let rate = [1, 4, 16, 60, 200, 90, 30, 8][at / 3];
                let more = (random >> 40) % (2 * rate);
                *count += more;
                sum += more as f64 * 0.001 * f64::from(1 << (at / 3));
            }
            let total: u64 = counts.iter().sum();
            let buckets = if is_float {
                let positive = counts.iter().map(|&n| n as f64 / 4.0).collect();
                Buckets::Float { count: total as f64 / 4.0, zero_count: 0.0, positive, negative: Vec::new() }
            } else {
                Buckets::Int { count: total, zero_count: 0, positive: counts.to_vec(), negative: Vec::new() }
            };
            let histogram = Histogram {
                reset_hint: if i == 0 { ResetHint::Unknown } else { ResetHint::NoReset },
                schema: 3,
                zero_threshold: 1e-128,
                sum,
                positive_spans: vec![Span { offset: -12, length: 20 }, Span { offset: 3, length: 4 }],
                negative_spans: Vec::new(),
                buckets,
                custom_bounds: Histogram::stale(is_float).custom_bounds,
            };
            (1_700_000_000_000 + i as i64 * 15_000, SampleValue::Histogram(histogram.into()))
        });
        let mut made = Self { samples: samples.collect(), chunks: Vec::new() };
        made.append();
        made
    }

    /// Appends every histogram and seals the chunks.
    ///
    /// # Panics
    /// When an empty builder refuses a histogram.
    pub fn append(&mut self) {
        self.chunks.clear();
        let Some((_, first)) = self.samples.first() else { return };
        let encoding = ChunkEncoding::of(first);
        let mut builder = ChunkBuilder::new(encoding);
        for (timestamp_ms, value) in &self.samples {
            if builder.append(*timestamp_ms, value) == Append::CutFirst {
                let full = std::mem::replace(&mut builder, ChunkBuilder::new(encoding));
                self.chunks.push(full.finish());
                assert_eq!(builder.append(*timestamp_ms, value), Append::Appended);
            }
        }
        self.chunks.push(builder.finish());
    }

    /// Decodes every chunk.
    ///
    /// # Panics
    /// When a chunk does not decode.
    pub fn decode(&self) {
        let mut samples = SampleBuffer::default();
        for chunk in &self.chunks {
            clear(&mut samples);
            chunk.decode_into(&mut samples).expect("invariant: the chunk was just written");
            black_box(&samples);
        }
    }
}

/// Two buffers that interleave in runs of `run` samples, as overlapping sources do.
#[must_use]
pub fn interleaved(count: usize, run: usize) -> (SampleBuffer, SampleBuffer) {
    let mut buffers = [SampleBuffer::default(), SampleBuffer::default()];
    for i in 0..count {
        buffers[i / run % 2].push(i as i64, SampleValue::Float(i as f64));
    }
    buffers.into()
}

/// Measures every case of this module.
///
/// # Errors
/// The report cannot be written.
pub fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    run_floats(options, report)?;
    run_memory(report)?;
    run_histograms(options, report)?;
    run_merges(options, report)
}

fn run_floats(options: &Options, report: &mut Report) -> io::Result<()> {
    let mut floats = Floats::generate(options.pick(2000, 100));
    let (mut tsz, mut chronix) = (Tsz::default(), Chronix::default());
    tsz.append(&floats);
    floats.verify();
    let samples = floats.samples() as f64;
    // One owner at a time: the peers read the workload that `append` of ours borrows for itself.
    let rounds = options.rounds();
    let [ours] = median_cpu_seconds(rounds, [&mut || floats.append()]);
    let [by_scrape, with_tsz, with_chronix] = median_cpu_seconds(
        rounds,
        [&mut || floats.append_by_scrape(), &mut || tsz.append(&floats), &mut || chronix.append(&floats)],
    );
    let [decode, tsz_decode, chronix_decode] =
        median_cpu_seconds(rounds, [&mut || floats.decode(), &mut || tsz.decode(), &mut || chronix.decode()]);
    let mut rate = |case, seconds: f64, name, baseline: f64| {
        report.add(&Figure {
            case,
            figure: "throughput",
            unit: "samples/s",
            value: samples / seconds,
            baseline: Some((name, samples / baseline)),
            place: PLACE,
        })
    };
    rate("chunk/float/append", ours, "tsz, streaming", with_tsz)?;
    rate("chunk/float/append", ours, "chronix-encoding, whole columns", with_chronix)?;
    rate("chunk/float/append by scrape", by_scrape, "tsz, series by series", with_tsz)?;
    rate("chunk/float/decode", decode, "tsz", tsz_decode)?;
    rate("chunk/float/decode", decode, "chronix-encoding", chronix_decode)?;
    let mut size = |case: &str, value, baseline| {
        report.add(&Figure { case, figure: "size", unit: "B/sample", value, baseline, place: PLACE })
    };
    let all = floats.bytes_per_sample(None);
    size("chunk/float", all, Some(("Prometheus 2.42", PROMETHEUS_BYTES)))?;
    size("chunk/float", all, Some(("tsz", tsz.bytes() as f64 / samples)))?;
    size("chunk/float", all, Some(("chronix-encoding", chronix.bytes() as f64 / samples)))?;
    for kind in Kind::ALL {
        size(&format!("chunk/float/{}", kind.name()), floats.bytes_per_sample(Some(kind)), None)?;
    }
    Ok(())
}

fn run_memory(report: &mut Report) -> io::Result<()> {
    let mut add = |figure, value| {
        report.add(&Figure {
            case: "chunk/builder",
            figure,
            unit: "B",
            value: value as f64,
            baseline: None,
            place: "in process, the allocator's own bytes not counted",
        })
    };
    let mut builder = ChunkBuilder::new(ChunkEncoding::Float);
    add("size_of", size_of::<ChunkBuilder>())?;
    for i in 0..480_i64 {
        _ = builder.append_float(i * 15_000, (i * 7) as f64);
        match i + 1 {
            3 => add("heap of 3 samples", builder.heap_bytes())?,
            32 => add("heap of 32 samples", builder.heap_bytes())?,
            480 => add("heap of 480 samples", builder.heap_bytes())?,
            _ => {}
        }
    }
    Ok(())
}

fn run_histograms(options: &Options, report: &mut Report) -> io::Result<()> {
    for (case, is_float) in [("chunk/int histogram", false), ("chunk/float histogram", true)] {
        let mut histograms = Histograms::generate(options.pick(4800, 100), is_float);
        let count = histograms.samples.len() as f64;
        let [append] = median_cpu_seconds(options.rounds(), [&mut || histograms.append()]);
        let [decode] = median_cpu_seconds(options.rounds(), [&mut || histograms.decode()]);
        let bytes: usize = histograms.chunks.iter().map(|chunk| chunk.data().len()).sum();
        let mut add = |figure, unit, value| {
            report.add(&Figure { case, figure, unit, value, baseline: None, place: PLACE })
        };
        add("append", "samples/s", count / append)?;
        add("decode", "samples/s", count / decode)?;
        add("size", "B/sample", bytes as f64 / count)?;
    }
    Ok(())
}

fn run_merges(options: &Options, report: &mut Report) -> io::Result<()> {
    let count = options.pick(1_000_000, 1000);
    for (case, run) in [("merge/alternating", 1), ("merge/runs of 100", 100), ("merge/disjoint", count / 2)] {
        let (older, newer) = interleaved(count, run);
        let mut times = Vec::new();
        for _ in 0..options.rounds() {
            let (mut older, newer) = (older.clone(), newer.clone());
            times.push(crate::report::cpu_seconds(|| older.merge_newer(newer)));
        }
        times.sort_by(f64::total_cmp);
        let value = count as f64 / times[times.len() / 2];
        report.add(&Figure {
            case,
            figure: "throughput",
            unit: "samples/s",
            value,
            baseline: None,
            place: PLACE,
        })?;
    }
    Ok(())
}
