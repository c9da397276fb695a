//! A second decoder of chunks, written from `docs/format/chunk.md` and as slow as can be, held against the first:
//! the page is complete, and both mean the same.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tsdb_core::{
    Append, Buckets, Chunk, ChunkBuilder, ChunkEncoding, Histogram, ResetHint, SampleBuffer, SampleValue,
    Span,
};
use tsdb_testkit::strategies::{float_run, histogram_run};

struct Bytewise<'a> {
    data: &'a [u8],
}

impl Bytewise<'_> {
    fn u8(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().unwrap();
        self.data = rest;
        *first
    }

    fn f64(&mut self) -> f64 {
        f64::from_le_bytes(std::array::from_fn(|_| self.u8()))
    }

    fn uvarint(&mut self) -> u64 {
        let byte = self.u8();
        u64::from(byte & 0x7f) | if byte < 0x80 { 0 } else { self.uvarint() << 7 }
    }

    fn ivarint(&mut self) -> i64 {
        let zigzag = self.uvarint();
        if zigzag.is_multiple_of(2) { (zigzag / 2) as i64 } else { !((zigzag / 2) as i64) }
    }

    /// `count` numbers of `width` bits, bit by bit.
    fn packed(&mut self, count: usize, width: usize) -> Vec<u64> {
        let bytes: Vec<u8> = (0..(count * width).div_ceil(8)).map(|_| self.u8()).collect();
        let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
        (0..count).map(|i| (0..width).map(|b| bit(i * width + b) << b).sum()).collect()
    }

    fn bitmap(&mut self, count: usize) -> Vec<bool> {
        let bits = self.packed(count.div_ceil(8) * 8, 1);
        assert!(bits[count..].iter().all(|&bit| bit == 0));
        bits[..count].iter().map(|&bit| bit == 1).collect()
    }
}

fn width(control: u8) -> usize {
    match control & 0x3f {
        code @ 0..=56 => code.into(),
        57 => 64,
        code => panic!("width code {code}"),
    }
}

#[derive(Clone, Default)]
struct Ints {
    last: i64,
    step: i64,
}

impl Ints {
    fn group(&mut self, bytes: &mut Bytewise<'_>, count: usize) -> Vec<i64> {
        let control = bytes.u8();
        self.controlled(control, bytes, count)
    }

    fn controlled(&mut self, mut control: u8, bytes: &mut Bytewise<'_>, count: usize) -> Vec<i64> {
        if control == 1 {
            self.step = bytes.ivarint();
            control = bytes.u8();
        }
        let mut numbers = Vec::new();
        let mut before = self.last;
        let mut from = |delta: i64| {
            before = before.wrapping_add(delta);
            before
        };
        match control >> 6 {
            0 => {
                assert_eq!(control, 0);
                numbers.extend((0..count).map(|_| from(self.step)));
            }
            1 => {
                let base = bytes.ivarint();
                let packed = bytes.packed(count, width(control));
                numbers.extend(packed.into_iter().map(|p| from(base.wrapping_add(p as i64))));
            }
            2 => {
                let bitmap = bytes.bitmap(count);
                let base = bytes.ivarint();
                let mut packed =
                    bytes.packed(bitmap.iter().filter(|&&bit| bit).count(), width(control)).into_iter();
                for bit in bitmap {
                    numbers.push(from(if bit {
                        base.wrapping_add(packed.next().unwrap() as i64)
                    } else {
                        self.step
                    }));
                }
            }
            _ => {
                let base = bytes.ivarint();
                for (i, p) in (1..).zip(bytes.packed(count, width(control))) {
                    let line = self.last.wrapping_add(self.step.wrapping_mul(i));
                    numbers.push(line.wrapping_add(base).wrapping_add(p as i64));
                }
            }
        }
        self.last = *numbers.last().unwrap();
        numbers
    }
}

#[derive(Clone, Default)]
struct Floats {
    last: f64,
    kind: u8,
    step: i64,
}

impl Floats {
    fn decimal(&self) -> i64 {
        if self.kind == 0 {
            return self.last as i64;
        }
        let scaled = self.last * 10_f64.powi(self.kind.into());
        (scaled + 0.5_f64.copysign(scaled)) as i64
    }

    fn group(&mut self, bytes: &mut Bytewise<'_>, count: usize) -> Vec<f64> {
        let mut control = bytes.u8();
        if control == 2 {
            self.kind = bytes.u8();
            self.step = 0;
            control = bytes.u8();
        }
        let values = match self.kind {
            0..=18 => {
                let mut ints = Ints { last: self.decimal(), step: self.step };
                let numbers = ints.controlled(control, bytes, count);
                self.step = ints.step;
                let power: f64 = format!("1e{}", self.kind).parse().unwrap();
                numbers.into_iter().map(|m| m as f64 / power).collect()
            }
            31 => self.xors(control, bytes, count),
            kind => panic!("kind {kind}"),
        };
        self.last = values[count - 1];
        values
    }

    fn xors(&self, control: u8, bytes: &mut Bytewise<'_>, count: usize) -> Vec<f64> {
        let last = self.last.to_bits();
        let value = |p: u64, shift: u8| f64::from_bits(last ^ p << shift);
        match control >> 6 {
            0 => vec![self.last; count],
            1 => {
                let shift = bytes.u8();
                bytes.packed(count, width(control)).into_iter().map(|p| value(p, shift)).collect()
            }
            2 => {
                let shift = bytes.u8();
                let bitmap = bytes.bitmap(count);
                let mut packed =
                    bytes.packed(bitmap.iter().filter(|&&bit| bit).count(), width(control)).into_iter();
                let mut before = self.last;
                let mut next = |bit| {
                    before = if bit { value(packed.next().unwrap(), shift) } else { before };
                    before
                };
                bitmap.into_iter().map(&mut next).collect()
            }
            _ => panic!("control {control}"),
        }
    }
}

/// The sizes of a chunk's groups.
fn groups(count: usize, full: usize) -> Vec<usize> {
    let ends = [1].into_iter().chain((1..).map(|i| i * full)).scan(0, |start, end| {
        let len = count.min(end) - *start;
        *start += len;
        Some(len)
    });
    ends.take_while(|&len| len > 0).collect()
}

fn decode(encoding: ChunkEncoding, data: &[u8]) -> Vec<(i64, SampleValue)> {
    let mut bytes = Bytewise { data };
    let count = bytes.uvarint() as usize;
    let first_ms = bytes.ivarint();
    let last_ms = first_ms.wrapping_add(bytes.uvarint() as i64);
    let mut timestamps = Ints { last: first_ms, step: 0 };
    let mut samples = Vec::new();
    if encoding == ChunkEncoding::Float {
        let mut values = Floats::default();
        for (i, len) in groups(count, 32).into_iter().enumerate() {
            let times = if i == 0 { vec![first_ms] } else { timestamps.group(&mut bytes, len) };
            samples.extend(
                times.into_iter().zip(values.group(&mut bytes, len).into_iter().map(SampleValue::Float)),
            );
        }
    } else {
        let mut columns = Columns::read(&mut bytes, encoding == ChunkEncoding::FloatHistogram);
        for (i, len) in groups(count, 16).into_iter().enumerate() {
            let times = if i == 0 { vec![first_ms] } else { timestamps.group(&mut bytes, len) };
            let histograms = columns.group(&mut bytes, len);
            samples.extend(
                times.into_iter().zip(histograms.into_iter().map(|h| SampleValue::Histogram(Arc::new(h)))),
            );
        }
    }
    assert!(bytes.data.is_empty() && samples.len() == count && samples[count - 1].0 == last_ms);
    samples
}

/// All columns of a histogram chunk but its timestamps.
struct Columns {
    layout: Histogram,
    positive: usize,
    flags: Ints,
    sums: Floats,
    ints: Vec<Ints>,
    floats: Vec<Floats>,
}

impl Columns {
    fn read(bytes: &mut Bytewise<'_>, is_float: bool) -> Self {
        let mut layout = Histogram::stale(is_float);
        layout.schema = bytes.ivarint() as i32;
        layout.zero_threshold = bytes.f64();
        for spans in [&mut layout.positive_spans, &mut layout.negative_spans] {
            for _ in 0..bytes.uvarint() {
                spans.push(Span { offset: bytes.ivarint() as i32, length: bytes.uvarint() as u32 });
            }
        }
        layout.custom_bounds = (0..bytes.uvarint()).map(|_| bytes.f64()).collect();
        let buckets = |spans: &[Span]| spans.iter().map(|span| span.length as usize).sum::<usize>();
        let positive = buckets(&layout.positive_spans);
        let columns = 2 + positive + buckets(&layout.negative_spans);
        Self {
            layout,
            positive,
            flags: Ints::default(),
            sums: Floats::default(),
            ints: vec![Ints::default(); if is_float { 0 } else { columns }],
            floats: vec![Floats::default(); if is_float { columns } else { 0 }],
        }
    }

    fn group(&mut self, bytes: &mut Bytewise<'_>, len: usize) -> Vec<Histogram> {
        let flags = self.flags.group(bytes, len);
        let sums = self.sums.group(bytes, len);
        let ints: Vec<_> = self.ints.iter_mut().map(|column| column.group(bytes, len)).collect();
        let floats: Vec<_> = self.floats.iter_mut().map(|column| column.group(bytes, len)).collect();
        let row = |i: usize| {
            if flags[i] == 4 {
                return Histogram::stale(ints.is_empty());
            }
            let split = 2 + self.positive;
            let buckets = if ints.is_empty() {
                let row: Vec<f64> = floats.iter().map(|column| column[i]).collect();
                let (positive, negative) = (row[2..split].to_vec(), row[split..].to_vec());
                Buckets::Float { count: row[0], zero_count: row[1], positive, negative }
            } else {
                let row: Vec<u64> = ints.iter().map(|column| column[i] as u64).collect();
                let (positive, negative) = (row[2..split].to_vec(), row[split..].to_vec());
                Buckets::Int { count: row[0], zero_count: row[1], positive, negative }
            };
            let reset_hint = ResetHint::try_from(flags[i] as u8).unwrap();
            Histogram { reset_hint, sum: sums[i], buckets, ..self.layout.clone() }
        };
        (0..len).map(row).collect()
    }
}

fn check(samples: &[(i64, SampleValue)]) {
    let mut from = 0;
    while from < samples.len() {
        let mut builder = ChunkBuilder::new(ChunkEncoding::of(&samples[from].1));
        let taken = samples[from..]
            .iter()
            .take_while(|(t, value)| builder.append(*t, value) == Append::Appended)
            .count();
        let chunk = builder.finish();
        let decoded = decode(chunk.encoding(), chunk.data());
        assert_eq!(decoded.len(), taken);
        for (decoded, expected) in decoded.iter().zip(&samples[from..]) {
            assert!(
                decoded.0 == expected.0 && decoded.1.bits_eq(&expected.1),
                "{decoded:?}, not {expected:?}"
            );
        }
        from += taken;
    }
}

proptest! {
    #[test]
    fn the_page_describes_float_chunks(run in float_run(600)) {
        check(&run.into_iter().map(|(t, value)| (t, SampleValue::Float(value))).collect::<Vec<_>>());
    }

    #[test]
    fn the_page_describes_histogram_chunks(run in histogram_run(50), start in any::<i32>()) {
        let times = (0..).map(|i| i64::from(start) + i * 15_000);
        check(&times.zip(run.into_iter().map(|h| SampleValue::Histogram(Arc::new(h)))).collect::<Vec<_>>());
    }
}

#[test]
fn the_example_of_the_page_is_what_is_written() {
    let page = include_str!("../../../../docs/format/chunk.md");
    let example = page.rsplit("```").nth(1).unwrap();
    let words = example.lines().flat_map(|line| line.split("  ").next().unwrap().split_whitespace());
    let documented: Vec<u8> = words.map(|word| u8::from_str_radix(word, 16).unwrap()).collect();
    let mut builder = ChunkBuilder::new(ChunkEncoding::Float);
    for (timestamp_ms, value) in [(1000, 1.5), (16_000, 2.0), (31_000, 3.25)] {
        assert_eq!(builder.append_float(timestamp_ms, value), Append::Appended);
    }
    assert_eq!(builder.finish().data()[..], documented[..]);
    let mut samples = SampleBuffer::default();
    Chunk::from_data(ChunkEncoding::Float, Bytes::from(documented))
        .unwrap()
        .decode_into(&mut samples)
        .unwrap();
    assert_eq!((samples.timestamps_ms, samples.values), (vec![1000, 16_000, 31_000], vec![1.5, 2.0, 3.25]));
}

#[test]
fn groups_are_counted_from_the_start() {
    assert_eq!(groups(100, 32), [1, 31, 32, 32, 4]);
    assert_eq!((groups(1, 32), groups(32, 32)), (vec![1], vec![1, 31]));
}
