//! Blocks: what goes in comes out bit for bit, selection is that of looking at every series, and damage is an
//! error.

/// Every byte flipped, every cut, and mutated blocks with their checksums made right again.
mod damage;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tsdb_core::{
    Append, Block, BlockId, BlockMeta, BlockWriter, Chunk, ChunkBuilder, ChunkEncoding, Error, Histogram,
    Labels, Matcher, SampleBuffer, SampleValue, TimeRange, parse_selector,
};
use tsdb_testkit::{Oracle, strategies};

const ID: BlockId =
    BlockId { sequence: 7, window_start_ms: 1_700_000_000_000, window_end_ms: 1_700_007_200_000 };

type Samples = BTreeMap<i64, SampleValue>;
type Input = BTreeMap<Labels, Samples>;

/// Chunks of samples, cut at most every `cut` samples.
fn chunks(samples: &Samples, cut: u32) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut builder: Option<ChunkBuilder> = None;
    for (&timestamp_ms, value) in samples {
        let taken = builder.as_mut().is_some_and(|builder| {
            builder.count() < cut && builder.append(timestamp_ms, value) == Append::Appended
        });
        if !taken {
            chunks.extend(builder.take().map(ChunkBuilder::finish));
            let mut fresh = ChunkBuilder::new(ChunkEncoding::of(value));
            assert_eq!(fresh.append(timestamp_ms, value), Append::Appended);
            builder = Some(fresh);
        }
    }
    chunks.extend(builder.map(ChunkBuilder::finish));
    chunks
}

fn write(input: &Input, cut: u32) -> (BlockMeta, Bytes) {
    let mut writer = BlockWriter::new(Vec::new(), ID).unwrap();
    for (labels, samples) in input {
        writer.add_series(labels, &chunks(samples, cut)).unwrap();
    }
    let (meta, bytes) = writer.finish().unwrap();
    (meta, bytes.into())
}

fn input_of(script: &strategies::Script) -> Input {
    let mut input = Input::new();
    for (labels, timestamp_ms, value) in script.iter() {
        input.entry(labels.clone()).or_default().insert(timestamp_ms, value.clone());
    }
    input
}

fn buffer<'a>(samples: impl IntoIterator<Item = (&'a i64, &'a SampleValue)>) -> SampleBuffer {
    let mut buffer = SampleBuffer::default();
    for (&timestamp_ms, value) in samples {
        buffer.push(timestamp_ms, value.clone());
    }
    buffer
}

/// The first difference in bits. Of a stale histogram only the marker is kept, so the kind of its counts does
/// not matter.
fn difference(read: &SampleBuffer, expected: &SampleBuffer) -> Option<String> {
    let same_value = |a: &SampleValue, b: &SampleValue| match (a, b) {
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) if a.is_stale() => b.is_stale(),
        _ => a.bits_eq(b),
    };
    if read.len() != expected.len() {
        return Some(format!("{} samples for {}", read.len(), expected.len()));
    }
    let mut pairs = read.iter().zip(expected.iter());
    let differing = pairs.find(|(a, b)| a.0 != b.0 || !same_value(&a.1, &b.1));
    differing.map(|(a, b)| format!("{a:?} for {b:?}"))
}

/// Everything in the block is what went in.
fn check_all(block: &Block, input: &Input) {
    let meta = block.meta();
    assert_eq!(meta.series as usize, input.len());
    assert_eq!(meta.samples, input.values().map(|samples| samples.len() as u64).sum());
    let mut chunk_count = 0;
    for (ordinal, (labels, samples)) in input.iter().enumerate() {
        let ordinal = ordinal as u32;
        assert_eq!(block.labels(ordinal).unwrap(), *labels);
        assert_eq!(difference(&block.samples(ordinal, TimeRange::ALL).unwrap(), &buffer(samples)), None);
        let chunks = block.chunks(ordinal).unwrap();
        chunk_count += chunks.len() as u64;
        assert_eq!(chunks.iter().map(|chunk| chunk.count as usize).sum::<usize>(), samples.len());
        assert_eq!(chunks[0].time_range.start_ms, *samples.keys().next().unwrap());
        assert_eq!(chunks.last().unwrap().time_range.end_ms, *samples.keys().next_back().unwrap());
    }
    assert_eq!(meta.chunks, chunk_count);
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in input.keys().flat_map(Labels::iter) {
        names.entry(name).or_default().push(value);
    }
    assert_eq!(block.label_names().unwrap(), names.keys().copied().collect::<Vec<_>>());
    for (name, mut values) in names {
        values.sort_unstable();
        values.dedup();
        assert_eq!(block.label_values(name).unwrap(), values, "values of {name}");
    }
    assert!(block.label_values("no such label").unwrap().is_empty());
}

/// Selection gives the series that match when each is looked at.
fn check_select(block: &Block, input: &Input, matchers: &[Matcher]) {
    let found: Vec<u32> = block.select(matchers).unwrap().iter().collect();
    let expected: Vec<u32> = input
        .keys()
        .zip(0..)
        .filter(|(labels, _)| Matcher::all_match(matchers, labels))
        .map(|(_, ordinal)| ordinal)
        .collect();
    assert_eq!(found, expected, "{matchers:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_samples_come_back_bit_for_bit(
        script in strategies::script(1..24, 1..200),
        cut in 1..200_u32,
        range in strategies::time_range(),
    ) {
        let input = input_of(&script);
        let (meta, bytes) = write(&input, cut);
        let block = Block::open(bytes).unwrap();
        prop_assert_eq!(&meta, block.meta());
        block.verify().unwrap();
        check_all(&block, &input);
        let mut values = input.values().flat_map(BTreeMap::values);
        let has_histograms = values.any(|value| matches!(value, SampleValue::Histogram(_)));
        prop_assert_eq!(block.has_histograms().unwrap(), has_histograms);
        for (ordinal, samples) in input.values().enumerate() {
            let expected = buffer(samples.iter().filter(|(timestamp_ms, _)| range.contains(**timestamp_ms)));
            prop_assert_eq!(difference(&block.samples(ordinal as u32, range).unwrap(), &expected), None);
        }
    }

    #[test]
    fn selection_is_looking_at_every_series(
        (script, matchers) in strategies::script(1..150, 150..300).prop_flat_map(|script| {
            let matchers = proptest::collection::vec(strategies::matchers_for(&script.series), 1..8);
            (Just(script), matchers)
        })
    ) {
        let input = input_of(&script);
        let block = Block::open(write(&input, 120).1).unwrap();
        let mut oracle = Oracle::new();
        script.iter().for_each(|(labels, timestamp_ms, value)| oracle.append(labels, timestamp_ms, value.clone()));
        for matchers in matchers {
            check_select(&block, &input, &matchers);
            let found: Vec<Labels> =
                block.select(&matchers).unwrap().iter().map(|ordinal| block.labels(ordinal).unwrap()).collect();
            let expected = oracle.select(&matchers, TimeRange::ALL);
            prop_assert_eq!(found, expected.into_iter().map(|series| series.labels).collect::<Vec<_>>());
        }
    }
}

/// Series enough for many pages, lists, runs and bitmaps; label names that not all have; one to five chunks.
fn many_series(count: u32) -> Input {
    let mut input = Input::new();
    for i in 0..count {
        let mixed = i.wrapping_mul(2_654_435_761);
        let mut pairs = vec![
            ("__name__", format!("metric_{}", i % 7)),
            ("job", format!("job-{}", mixed >> 8 & 3)),
            ("request_id", format!("{mixed:08x}-{i}")),
            ("pod", format!("a-rather-long-name-of-a-deployment-{}", mixed % 500)),
        ];
        if i % 3 == 0 {
            pairs.push(("Zone", format!("zone {}", i % 11)));
        }
        if i % 97 == 0 {
            pairs.push(("rare", format!("só {i}")));
        }
        let step = 1_000 + i64::from(mixed % 50);
        let samples = (0..1 + i64::from(i % 9))
            .map(|n| (ID.window_start_ms + n * step, SampleValue::Float(f64::from(i) / 3.0 + n as f64)))
            .collect();
        input.insert(Labels::from_pairs(pairs).unwrap(), samples);
    }
    input
}

#[test]
fn a_block_of_many_pages() {
    let input = many_series(2_500);
    let (_, bytes) = write(&input, 2);
    let block = Block::open(bytes).unwrap();
    block.verify().unwrap();
    assert!(!block.has_histograms().unwrap());
    check_all(&block, &input);
    let mut selected = 0;
    for selector in [
        "{}",
        "metric_3",
        r#"{job="job-2"}"#,
        r#"metric_3{job="job-2",Zone=""}"#,
        r#"{Zone!=""}"#,
        r#"{Zone="",rare!=""}"#,
        r#"{request_id=~"00.*"}"#,
        r#"{request_id=~"00.*|ff.*"}"#,
        r#"{request_id=~".*-4[0-9]9"}"#,
        r#"{request_id!~"[0-9a]+-.*"}"#,
        r#"{request_id=~"[^0]+"}"#,
        r#"{pod=~"a-rather-long-name-of-a-deployment-4.+",job!~"job-[01]"}"#,
        r#"{pod=~"a-rather-long-name-of-a-deployment-.*"}"#,
        r#"{pod=~"b.*"}"#,
        r#"{pod=~"Z.*"}"#,
        r#"{rare=~"só .*"}"#,
        r#"{rare!~"só 97|só 194|"}"#,
        r#"{absent="x"}"#,
        r#"{absent=""}"#,
    ] {
        let matchers = parse_selector(selector).unwrap();
        check_select(&block, &input, &matchers);
        selected += usize::from(!block.select(&matchers).unwrap().is_empty());
    }
    assert_eq!(selected, 16, "the selectors that find something");
    for value in block.label_values("request_id").unwrap() {
        assert_eq!(block.select(&[Matcher::equal("request_id", &value)]).unwrap().len(), 1);
        assert!(block.select(&[Matcher::equal("request_id", &value[1..])]).unwrap().is_empty());
    }
}

#[test]
fn blocks_of_no_series_and_of_the_empty_label_set() {
    let (meta, bytes) = write(&Input::new(), 1);
    let block = Block::open(bytes).unwrap();
    block.verify().unwrap();
    assert_eq!((meta.series, meta.samples, meta.time_range), (0, 0, TimeRange::EMPTY));
    assert!(block.select(&[]).unwrap().is_empty() && block.label_names().unwrap().is_empty());
    assert!(matches!(block.labels(0), Err(Error::InvalidInput(_))));

    let input = Input::from([(Labels::empty(), Samples::from([(i64::MIN, SampleValue::Float(-0.0))]))]);
    let block = Block::open(write(&input, 1).1).unwrap();
    block.verify().unwrap();
    check_all(&block, &input);
    check_select(&block, &input, &[Matcher::equal("a", "")]);
}

#[test]
fn the_ends_of_time_and_huge_values() {
    let value = "ü".repeat(20_000);
    let histogram = SampleValue::Histogram(Arc::new(Histogram::stale(false)));
    let samples = Samples::from([
        (i64::MIN, SampleValue::Float(f64::from_bits(0x7ff0_0000_0000_0002))),
        (-1, SampleValue::Float(f64::NEG_INFINITY)),
        (0, histogram),
        (i64::MAX, SampleValue::Float(f64::MIN_POSITIVE)),
    ]);
    let input: Input = (0..70)
        .map(|i| {
            let value = if i == 35 { value.clone() } else { format!("{value}{i}") };
            (Labels::from_pairs([("l", &value)]).unwrap(), samples.clone())
        })
        .collect();
    for cut in [1, 100] {
        let (meta, bytes) = write(&input, cut);
        assert_eq!(meta.time_range, TimeRange::ALL);
        let block = Block::open(bytes).unwrap();
        block.verify().unwrap();
        check_all(&block, &input);
        check_select(&block, &input, &[Matcher::equal("l", &value)]);
    }
}

#[test]
fn the_writer_refuses_what_is_no_block() {
    let chunk = |timestamps: &[i64]| {
        let samples =
            timestamps.iter().map(|&timestamp_ms| (timestamp_ms, SampleValue::Float(1.0))).collect();
        chunks(&samples, 100).remove(0)
    };
    let (a, b) = (Labels::from_pairs([("l", "a")]).unwrap(), Labels::from_pairs([("l", "b")]).unwrap());
    let good = [chunk(&[1, 2])];
    let overlapping = [chunk(&[1, 3]), chunk(&[3, 4])];
    let unordered = [chunk(&[5]), chunk(&[1])];
    for (labels, chunks) in [(&a, &good[..]), (&b, &good), (&b, &[]), (&b, &overlapping), (&b, &unordered)] {
        let mut writer = BlockWriter::new(Vec::new(), ID).unwrap();
        writer.add_series(&a, &good).unwrap();
        let added = writer.add_series(labels, chunks);
        assert_eq!(added.is_ok(), std::ptr::eq(labels, &b) && std::ptr::eq(chunks, &good[..]), "{added:?}");
        assert!(added.is_ok() || matches!(added, Err(Error::InvalidInput(_))));
    }
    let mut writer = BlockWriter::new(Vec::new(), ID).unwrap();
    writer.add_series(&b, &good).unwrap();
    assert!(matches!(writer.add_series(&a, &good), Err(Error::InvalidInput(_))));
    assert!(matches!(writer.add_series(&Labels::empty(), &good), Err(Error::InvalidInput(_))));
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_is_an_error_wherever_it_fails() {
    let input = many_series(700);
    let len = write(&input, 1).1.len();
    for room in (0..len).step_by(len / 20).chain([len - 1]) {
        let written = BlockWriter::new(Full(room), ID).and_then(|mut writer| {
            input.iter().try_for_each(|(labels, samples)| writer.add_series(labels, &chunks(samples, 1)))?;
            writer.finish()
        });
        assert!(
            matches!(written.err(), Some(Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull)
        );
    }
}

#[test]
fn values_that_come_again_after_being_taken_for_unique() {
    const IDS: u32 = 34_000;
    let chunk = chunks(&Samples::from([(0, SampleValue::Float(1.0))]), 1);
    let mut writer = BlockWriter::new(Vec::new(), ID).unwrap();
    for (a, ids) in [("0", 0..IDS), ("1", 0..2_000), ("2", 1_000..1_500)] {
        for id in ids {
            let labels = Labels::from_pairs([("a", a), ("id", &format!("{id:06}"))]).unwrap();
            writer.add_series(&labels, &chunk).unwrap();
        }
    }
    let block = Block::open(writer.finish().unwrap().1.into()).unwrap();
    block.verify().unwrap();
    assert_eq!(block.label_values("id").unwrap().len(), IDS as usize);
    for (id, expected) in [("000999", 2), ("001000", 3), ("001500", 2), ("002000", 1), ("033999", 1)] {
        let found = block.select(&[Matcher::equal("id", id)]).unwrap();
        assert_eq!(found.len(), expected, "{id}");
        let labels = |ordinal| block.labels(ordinal).unwrap();
        assert!(found.iter().all(|ordinal| labels(ordinal).get("id") == Some(id)));
    }
}

#[test]
fn the_same_series_give_the_same_bytes() {
    let input = many_series(500);
    assert_eq!(write(&input, 3).1, write(&input, 3).1);
}
