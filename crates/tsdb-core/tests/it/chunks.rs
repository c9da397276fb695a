//! Chunks: exact round trips, cuts, seeks, snapshots, and what damage does.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tsdb_core::{
    Append, Chunk, ChunkBuilder, ChunkEncoding, Error, Histogram, MAX_CHUNK_SAMPLES, SampleBuffer,
    SampleValue, stale_nan,
};
use tsdb_testkit::strategies::{float_run, float_value, histogram_run};

const ENCODINGS: [ChunkEncoding; 3] =
    [ChunkEncoding::Float, ChunkEncoding::IntHistogram, ChunkEncoding::FloatHistogram];
/// The most bytes that one byte of a chunk may decode to: a group of 32 floats from two bytes, or 16 counts
/// from one.
const MAX_EXPANSION: usize = 32 * 16;

type Samples = Vec<(i64, SampleValue)>;

/// Chunks of the samples, cut where the builder says.
fn chunks_of(samples: &Samples) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut builder: Option<ChunkBuilder> = None;
    for (timestamp_ms, value) in samples {
        let current = builder.get_or_insert_with(|| ChunkBuilder::new(ChunkEncoding::of(value)));
        if current.append(*timestamp_ms, value) == Append::CutFirst {
            let mut next = ChunkBuilder::new(ChunkEncoding::of(value));
            assert_eq!(
                next.append(*timestamp_ms, value),
                Append::Appended,
                "an empty builder takes its kind"
            );
            chunks.extend(builder.replace(next).map(ChunkBuilder::finish));
        }
    }
    chunks.extend(builder.map(ChunkBuilder::finish));
    chunks
}

/// Asserts that the chunks hold exactly the samples, decoded whole and one by one.
fn check(chunks: &[Chunk], samples: &[(i64, SampleValue)]) {
    let mut rest = samples;
    for chunk in chunks {
        let (expected, later) = rest.split_at(chunk.count() as usize);
        rest = later;
        let chunk = Chunk::from_data(chunk.encoding(), chunk.data().clone()).unwrap();
        assert_eq!(chunk.time_range().start_ms, expected[0].0);
        assert_eq!(chunk.time_range().end_ms, expected[expected.len() - 1].0);
        let mut decoded = SampleBuffer::default();
        chunk.decode_into(&mut decoded).unwrap();
        assert_eq!(decoded.len(), expected.len());
        for ((whole, single), expected) in decoded.iter().zip(chunk.iter()).zip(expected) {
            let single = single.unwrap();
            assert_eq!((whole.0, single.0), (expected.0, expected.0));
            assert!(whole.1.bits_eq(&expected.1), "{:?}, not {:?}", whole.1, expected.1);
            assert!(single.1.bits_eq(&expected.1), "{:?}, not {:?}", single.1, expected.1);
        }
        assert_eq!(chunk.iter().count(), expected.len());
    }
    assert!(rest.is_empty());
}

fn floats(samples: impl IntoIterator<Item = (i64, f64)>) -> Samples {
    samples.into_iter().map(|(timestamp_ms, value)| (timestamp_ms, SampleValue::Float(value))).collect()
}

fn histograms(samples: impl IntoIterator<Item = Histogram>, start_ms: i64, step_ms: i64) -> Samples {
    let times = (0..).map_while(|i: i64| start_ms.checked_add(i.checked_mul(step_ms)?));
    times.zip(samples).map(|(t, h)| (t, SampleValue::Histogram(Arc::new(h)))).collect()
}

/// Runs of each way that values behave: the round trip must hold in all modes of the columns and across them.
fn behaviours() -> impl Strategy<Value = Vec<f64>> {
    let run = (0..9_u8, float_value(), vec(any::<u32>(), 0..90)).prop_map(|(behaviour, start, noise)| {
        let mut value = start;
        let mut values = Vec::with_capacity(noise.len());
        for random in noise {
            let small = f64::from(random % 1000);
            value = match behaviour {
                0 => value,
                1 => value.trunc() + small,
                2 => ((value * 100.0).round() + small - 500.0) / 100.0,
                3 => (if random % 7 == 0 { value + small } else { value }).trunc(),
                4 => f64::from(random) / f64::from(u32::MAX),
                5 => 50.0 + small / 1000.0,
                6 => value + 3.0,
                7 => f64::from_bits(u64::from(random) << 32 | u64::from(random.rotate_left(7))),
                _ => f64::from_bits(0x7ff0_0000_0000_0000 | u64::from(random % 3)),
            };
            values.push(value);
        }
        values
    });
    vec(run, 1..8).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn floats_come_back_bit_for_bit(run in float_run(700)) {
        let samples = floats(run);
        check(&chunks_of(&samples), &samples);
    }

    #[test]
    fn values_of_every_behaviour_come_back(values in behaviours(), start in any::<i32>(), jitter in 0..20_i64) {
        let times = (0..).map(|i: i64| i64::from(start) + i * 15_000 + (i * 7919) % (jitter + 1));
        let samples = floats(times.zip(values));
        check(&chunks_of(&samples), &samples);
    }

    #[test]
    fn histograms_come_back_bit_for_bit(run in histogram_run(60), start in any::<i64>(), step in 1..i64::MAX / 64) {
        let samples = histograms(run, start, step);
        check(&chunks_of(&samples), &samples);
    }

    #[test]
    fn snapshots_of_a_growing_chunk_hold_what_was_appended(run in float_run(100), hists in histogram_run(50)) {
        for samples in [floats(run), histograms(hists, 0, 10)] {
            let mut builder: Option<ChunkBuilder> = None;
            let mut from = 0;
            for (i, (timestamp_ms, value)) in samples.iter().enumerate() {
                let current = builder.get_or_insert_with(|| ChunkBuilder::new(ChunkEncoding::of(value)));
                if current.append(*timestamp_ms, value) == Append::CutFirst {
                    let mut next = ChunkBuilder::new(ChunkEncoding::of(value));
                    prop_assert_eq!(next.append(*timestamp_ms, value), Append::Appended);
                    builder = Some(next);
                    from = i;
                }
                let current = builder.as_ref().unwrap();
                prop_assert_eq!(current.count() as usize, i + 1 - from);
                prop_assert_eq!(current.first_timestamp_ms(), Some(samples[from].0));
                prop_assert_eq!(current.last_timestamp_ms(), Some(*timestamp_ms));
                prop_assert!(current.last().is_some_and(|last| last.1.bits_eq(value)));
                check(&[current.snapshot()], &samples[from..=i]);
            }
        }
    }

    #[test]
    fn seeking_finds_the_first_sample_at_or_after(run in float_run(200), hists in histogram_run(40),
                                                  targets in vec((any::<prop::sample::Index>(), -1..=1_i64), 1..6)) {
        for samples in [floats(run), histograms(hists, -500, 50)] {
            for chunk in chunks_of(&samples) {
                let all: Vec<i64> = chunk.iter().map(|sample| sample.unwrap().0).collect();
                let mut iter = chunk.iter();
                let mut position = 0;
                for (index, off) in &targets {
                    let target = index.get(&all).saturating_add(*off);
                    iter.seek(target);
                    position = position.max(all.partition_point(|&t| t < target));
                    let found = iter.next().map(|sample| sample.unwrap().0);
                    prop_assert_eq!(found, all.get(position).copied(), "from {} to {}", position, target);
                    position += usize::from(found.is_some());
                }
            }
        }
    }
}

#[test]
fn extremes_come_back() {
    let extremes = [
        vec![(i64::MIN, 0.0)],
        vec![(i64::MAX, stale_nan())],
        vec![(i64::MIN, -0.0), (i64::MAX, f64::MAX)],
        vec![(i64::MIN, 1.0), (0, 1.0), (i64::MAX, 1.0)],
        vec![
            (i64::MIN, f64::MIN_POSITIVE),
            (i64::MIN + 1, 5e-324),
            (i64::MAX - 1, f64::NAN),
            (i64::MAX, f64::INFINITY),
        ],
        vec![
            (0, 9_223_372_036_854_775_807.0),
            (1, -9_223_372_036_854_775_808.0),
            (2, 9_007_199_254_740_993.0),
        ],
        vec![(0, 1e18), (1, 1e-18), (2, 0.1), (3, 0.3), (4, 1.0 / 3.0), (5, -0.0), (6, 0.0)],
    ];
    for samples in extremes.map(floats) {
        check(&chunks_of(&samples), &samples);
    }
}

#[test]
fn any_value_may_follow_any_other_at_the_edge_of_a_group() {
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        20.25,
        0.1,
        1.0 / 3.0,
        1e300,
        5e-324,
        1e18,
        9_007_199_254_740_993.0,
        f64::NAN,
        stale_nan(),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::from_bits(u64::MAX),
    ];
    for a in values {
        for b in values {
            // The first group has 1 and 31 samples, the next ones 32.
            for edge in [1, 2, 31, 32, 33, 64] {
                let samples = floats((0..100).map(|i| (i * 10, if (edge..90).contains(&i) { b } else { a })));
                check(&chunks_of(&samples), &samples);
                let rising = floats((0..100).map(|i| (i * 10, if i < edge { a } else { b + i as f64 })));
                check(&chunks_of(&rising), &rising);
            }
        }
    }
}

#[test]
fn a_float_chunk_is_cut_at_its_limit() {
    let samples = floats((0..i64::from(MAX_CHUNK_SAMPLES) + 1).map(|i| (i, i as f64)));
    let chunks = chunks_of(&samples);
    assert_eq!(chunks.iter().map(Chunk::count).collect::<Vec<_>>(), [MAX_CHUNK_SAMPLES, 1]);
    check(&chunks, &samples);
}

#[test]
fn a_chunk_takes_only_its_own_kind() {
    let float = SampleValue::Float(1.0);
    let stale = |is_float| SampleValue::Histogram(Arc::new(Histogram::stale(is_float)));
    let values = [
        (ChunkEncoding::Float, float),
        (ChunkEncoding::IntHistogram, stale(false)),
        (ChunkEncoding::FloatHistogram, stale(true)),
    ];
    for (encoding, _) in &values {
        for (kind, value) in &values {
            let mut builder = ChunkBuilder::new(*encoding);
            let expected = if kind == encoding { Append::Appended } else { Append::CutFirst };
            assert_eq!(builder.append(0, value), expected);
            assert_eq!((builder.count(), builder.encoding()), (u32::from(kind == encoding), *encoding));
        }
    }
    assert_eq!(ChunkBuilder::new(ChunkEncoding::IntHistogram).append_float(0, 1.0), Append::CutFirst);
}

#[test]
fn a_histogram_chunk_is_cut_where_the_layout_changes_and_when_it_is_large() {
    let wide = |seed: u64, buckets: u32| Histogram {
        positive_spans: vec![tsdb_core::Span { offset: 0, length: buckets }],
        sum: 1.5,
        buckets: tsdb_core::Buckets::Int {
            count: (0..u64::from(buckets)).map(|i| i.wrapping_mul(seed) >> 8 & 0xffff).sum(),
            zero_count: 0,
            positive: (0..u64::from(buckets)).map(|i| i.wrapping_mul(seed) >> 8 & 0xffff).collect(),
            negative: Vec::new(),
        },
        ..Histogram::stale(false)
    };
    let small = histograms([wide(7, 2), Histogram::stale(false), wide(9, 2), wide(9, 3), wide(7, 3)], 0, 1);
    assert_eq!(chunks_of(&small).iter().map(Chunk::count).collect::<Vec<_>>(), [3, 2]);
    check(&chunks_of(&small), &small);
    let large = histograms((1..200).map(|i| wide(i * 7919, 300)), 0, 1);
    assert!(
        chunks_of(&large).iter().all(|chunk| chunk.data().len() < 64 * 1024) && chunks_of(&large).len() > 3
    );
    check(&chunks_of(&large), &large);
    let steady = histograms((1..200).map(|_| wide(7, 16_000)), 0, 1);
    assert!(chunks_of(&steady).len() > 1, "a few bytes a histogram, but a million numbers in memory");
    check(&chunks_of(&steady), &steady);
}

#[test]
fn decoding_appends_after_what_is_there_and_nothing_on_error() {
    let samples = floats((0..40).map(|i| (i * 10, i as f64)));
    let chunk = &chunks_of(&samples)[0];
    let mut buffer = SampleBuffer::default();
    buffer.push(-1, SampleValue::Float(9.0));
    chunk.decode_into(&mut buffer).unwrap();
    assert_eq!((buffer.len(), buffer.values[0], buffer.values[40]), (41, 9.0, 39.0));
    assert!(matches!(chunk.decode_into(&mut buffer), Err(Error::InvalidInput(_))));
    let cut = Chunk::from_data(ChunkEncoding::Float, chunk.data().slice(..chunk.data().len() - 1)).unwrap();
    let mut buffer = SampleBuffer::default();
    assert!(cut.decode_into(&mut buffer).is_err() && buffer.is_empty());
    let yielded: Vec<_> = cut.iter().collect();
    assert!(
        yielded.iter().filter(|sample| sample.is_err()).count() == 1 && yielded[yielded.len() - 1].is_err()
    );
}

#[test]
fn a_builder_starts_tiny() {
    assert!(size_of::<ChunkBuilder>() <= 48, "{}", size_of::<ChunkBuilder>());
    let mut builder = ChunkBuilder::new(ChunkEncoding::Float);
    assert_eq!(builder.heap_bytes(), 0);
    for i in 0..3 {
        assert_eq!(builder.append_float(i * 15_000, 0.5), Append::Appended);
    }
    assert!(builder.heap_bytes() <= 64, "{}", builder.heap_bytes());
    for i in 3..i64::from(MAX_CHUNK_SAMPLES) {
        assert_eq!(builder.append_float(i * 15_000, 0.5), Append::Appended);
    }
    assert!(builder.heap_bytes() <= 1024, "{}", builder.heap_bytes());
}

#[test]
fn the_size_stays_what_the_format_promises() {
    let regular = |value: fn(i64) -> f64| {
        let samples = floats((0..480).map(|i| (1_700_000_000_000 + i * 15_000, value(i))));
        chunks_of(&samples)[0].data().len()
    };
    assert!(regular(|_| 107_374_182_400.0) <= 64);
    assert!(regular(|i| (i * 40) as f64) <= 64);
    assert!(regular(|i| 20.0 + (i * i % 100) as f64 / 100.0) < 480 * 11 / 10);
}

/// Decodes what may be no chunk: whatever comes out, it is bounded and in order.
fn decode_hostile(encoding: ChunkEncoding, data: &[u8]) {
    let Ok(chunk) = Chunk::from_data(encoding, Bytes::copy_from_slice(data)) else { return };
    let mut samples = SampleBuffer::default();
    let whole = chunk.decode_into(&mut samples);
    let cells: usize = samples.histograms.iter().map(|(_, histogram)| histogram.positive_spans.len()).sum();
    assert!(samples.len() <= data.len() * MAX_EXPANSION && cells <= 1 << 20);
    if whole.is_ok() {
        assert_eq!(samples.len(), chunk.count() as usize);
        assert_eq!(samples.time_range(), chunk.time_range());
        let times: Vec<i64> = samples.iter().map(|sample| sample.0).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
    } else {
        assert!(samples.is_empty());
    }
    assert_eq!(chunk.iter().all(|sample| sample.is_ok()), whole.is_ok());
}

/// One small chunk of each kind and behaviour.
fn specimens() -> Vec<Chunk> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut specimens = Vec::new();
    for _ in 0..6 {
        let values = behaviours().new_tree(&mut runner).unwrap().current();
        specimens.extend(chunks_of(&floats((0..50_i64).map(|i| i * 15_000 + i % 3).zip(values))));
        let run = histogram_run(24).new_tree(&mut runner).unwrap().current();
        specimens.extend(chunks_of(&histograms(run, 1_700_000_000_000, 15_000)));
    }
    specimens
}

#[test]
fn every_bit_flip_and_every_truncation_is_survived() {
    for chunk in specimens() {
        let mut data = chunk.data().to_vec();
        for at in 0..data.len() {
            for flip in [1, 0x10, 0x80, 0xff] {
                data[at] ^= flip;
                ENCODINGS.into_iter().for_each(|encoding| decode_hostile(encoding, &data));
                data[at] ^= flip;
            }
            let truncated = Chunk::from_data(chunk.encoding(), chunk.data().slice(..at));
            assert!(
                truncated.is_err() || truncated.unwrap().decode_into(&mut SampleBuffer::default()).is_err()
            );
        }
        data.push(0);
        let longer = Chunk::from_data(chunk.encoding(), data.into()).unwrap();
        assert!(longer.decode_into(&mut SampleBuffer::default()).is_err(), "bytes behind the last sample");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_survived(encoding in prop::sample::select(&ENCODINGS[..]), count in 1..300_u16,
                                 data in vec(prop_oneof![Just(0), Just(1), Just(2), any::<u8>()], 0..400)) {
        decode_hostile(encoding, &data);
        // A plausible header, so that the groups are reached.
        let mut plausible = vec![count as u8 | 0x80, (count >> 7) as u8, 0x80, 0x01, 0xff, 0xff, 0x7f];
        plausible.extend(data);
        decode_hostile(encoding, &plausible);
    }

    #[test]
    fn mutated_chunks_are_survived(pick in any::<prop::sample::Index>(),
                                   edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..12)) {
        thread_local!(static SPECIMENS: Vec<Chunk> = specimens());
        SPECIMENS.with(|specimens| {
            let chunk = pick.get(specimens);
            let mut data = chunk.data().to_vec();
            for (at, byte, edit) in edits {
                let at = at.index(data.len());
                match edit {
                    0 => data[at] = byte,
                    1 => data.insert(at, byte),
                    _ if data.len() > 1 => _ = data.remove(at),
                    _ => {}
                }
            }
            decode_hostile(chunk.encoding(), &data);
        });
    }
}

#[test]
fn encodings_are_numbered_as_stored() {
    for (byte, encoding) in (1..).zip(ENCODINGS) {
        assert_eq!(encoding as u8, byte);
        assert_eq!(ChunkEncoding::try_from(byte).unwrap(), encoding);
    }
    for byte in [0, 4, 255] {
        assert!(matches!(ChunkEncoding::try_from(byte), Err(Error::UnsupportedVersion { .. })));
    }
}
