//! A metrics file in a hundred lines, on tsdb-core alone: write series of floats and native histograms to one block
//! in memory, find them again by selectors, read a time range, and see what damage looks like.

use std::error::Error;
use std::f64::consts::TAU;

use tsdb_core::{
    Append, Block, BlockId, BlockWriter, Buckets, Candidates, Chunk, ChunkBuilder, ChunkEncoding,
    CustomBounds, Histogram, Labels, MatchOp, Matcher, ResetHint, SampleValue, Span, TimeRange,
    parse_selector, stale_nan,
};

const START_MS: i64 = 1_700_006_400_000;
const STEP_MS: i64 = 15_000;
const STEPS: i64 = 240;

fn main() -> Result<(), Box<dyn Error>> {
    // Series in label order, which a block asks for: label sets sort as Prometheus sorts them.
    let mut series = Vec::new();
    for pod in 0..20 {
        let pod_name = format!("api-{pod:02}");
        let up = Labels::from_pairs([("__name__", "up"), ("job", "api"), ("pod", &pod_name)])?;
        series.push((
            up,
            chunks((0..STEPS).map(|i| SampleValue::Float(((i + pod) as f64 / 40.0 * TAU).sin()))),
        ));
    }
    // The last sample of one series says that it has ended.
    let ended = Labels::from_pairs([("__name__", "up"), ("job", "batch")])?;
    series.push((ended, chunks([1.0, stale_nan()].into_iter().map(SampleValue::Float))));
    let latency = Labels::from_pairs([("__name__", "request.latency"), ("job", "api")])?;
    series.push((latency, chunks((1..=STEPS as u64).map(|i| SampleValue::Histogram(histogram(i).into())))));
    series.sort_by(|a, b| a.0.cmp(&b.0));

    let id = BlockId { sequence: 1, window_start_ms: START_MS, window_end_ms: START_MS + 7_200_000 };
    let mut writer = BlockWriter::new(Vec::new(), id)?;
    for (labels, chunks) in &series {
        writer.add_series(labels, chunks)?;
    }
    let (meta, bytes) = writer.finish()?;
    println!("{}: {} series, {} samples, {} bytes", meta.id, meta.series, meta.samples, bytes.len());
    assert_eq!((meta.series, meta.samples), (22, 21 * STEPS as u64 + 2));

    // Selectors find series.
    let block = Block::open(bytes.clone().into())?;
    let count = |selector: &str| -> Result<usize, Box<dyn Error>> {
        Ok(block.select(&parse_selector(selector)?)?.iter().count())
    };
    assert_eq!(count(r#"up{job="api"}"#)?, 20);
    assert_eq!(count(r#"up{pod=~"api-0[0-4]|api-19"}"#)?, 6);
    assert_eq!(count(r#"{job="api", pod=""}"#)?, 1); // a missing label is the empty value
    assert_eq!(count(r#"{"request.latency"}"#)?, 1);
    assert_eq!(count("{}")?, 22);

    // Samples come back bit for bit.
    let batch =
        block.select(&parse_selector(r#"up{job="batch"}"#)?)?.iter().next().ok_or("no such series")?;
    let last = block.samples(batch, TimeRange::ALL)?.iter().last().ok_or("no sample")?;
    assert!(last.1.bits_eq(&SampleValue::Float(stale_nan())));
    let latency =
        block.select(&parse_selector(r#"{"request.latency"}"#)?)?.iter().next().ok_or("no such series")?;
    let minute = TimeRange::new(START_MS, START_MS + 60_000);
    for (i, (_, value)) in (1..).zip(block.samples(latency, minute)?.iter()) {
        assert!(value.bits_eq(&SampleValue::Histogram(histogram(i).into())));
    }

    // An index of your own asks a matcher what it has to look at.
    let matcher = Matcher::new(MatchOp::Regex, "pod", r"api-1\d+(-canary)?")?;
    assert_eq!(matcher.candidates(), Candidates::Prefix("api-1"));

    // A selector that is wrong says where; a block that is damaged says so.
    println!("{}", parse_selector("up{job 'api'}").err().ok_or("that should not parse")?);
    let mut damaged = bytes;
    damaged[100] ^= 1;
    let found = Block::open(damaged.into()).and_then(|block| block.verify());
    println!("{}", found.err().ok_or("the damage was not seen")?);
    Ok(())
}

/// The chunks of a series with a sample each step.
fn chunks(values: impl Iterator<Item = SampleValue>) -> Vec<Chunk> {
    let mut done = Vec::new();
    let mut open: Option<ChunkBuilder> = None;
    for (step, value) in (0..).zip(values) {
        let timestamp_ms = START_MS + step * STEP_MS;
        let builder = open.get_or_insert_with(|| ChunkBuilder::new(ChunkEncoding::of(&value)));
        if builder.append(timestamp_ms, &value) == Append::CutFirst {
            let mut next = ChunkBuilder::new(ChunkEncoding::of(&value));
            assert_eq!(next.append(timestamp_ms, &value), Append::Appended);
            done.extend(open.replace(next).map(ChunkBuilder::finish));
        }
    }
    done.extend(open.map(ChunkBuilder::finish));
    done
}

/// A native histogram of `n` observations in two buckets.
fn histogram(n: u64) -> Histogram {
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 3,
        zero_threshold: 1e-128,
        sum: n as f64 * 1.25,
        positive_spans: vec![Span { offset: 2, length: 2 }],
        negative_spans: Vec::new(),
        buckets: Buckets::Int {
            count: n,
            zero_count: 0,
            positive: vec![n / 2, n - n / 2],
            negative: Vec::new(),
        },
        custom_bounds: CustomBounds::default(),
    }
}
