//! A reader of Prometheus' chunks.

use std::sync::Arc;

use tsdb_core::{Buckets, CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint, SampleValue, Span, is_stale_nan};

use super::Result;

/// The samples of a chunk of type 1 (floats), 2 (histograms) or 3 (float histograms).
pub(super) fn read(encoding: u64, data: &[u8]) -> Result<Vec<(i64, SampleValue)>> {
    let (count, rest) = data.split_first_chunk().ok_or("a chunk without a count")?;
    let count = usize::from(u16::from_be_bytes(*count));
    if !(1..=120).contains(&count) {
        return Err(format!("{count} samples in a chunk"));
    }
    match encoding {
        1 => read_floats(Bits::of(rest), count),
        2 | 3 => {
            let (flag, rest) = rest.split_first().ok_or("a chunk without a flag")?;
            read_histograms(Bits::of(rest), count, *flag, encoding == 3)
        }
        _ => Err(format!("a chunk of type {encoding}")),
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Bits<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    fn bit(&mut self) -> Result<bool> {
        let byte = self.bytes.get(self.place / 8).ok_or("a chunk ends too early")?;
        let bit = byte >> (7 - self.place % 8) & 1;
        self.place += 1;
        Ok(bit == 1)
    }

    fn bits(&mut self, count: u32) -> Result<u64> {
        (0..count).try_fold(0, |number, _| Ok(number << 1 | u64::from(self.bit()?)))
    }

    fn float(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.bits(64)?))
    }

    fn uvarint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bits(8)?;
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(number)
    }

    /// The number of ones before a zero, at most `most`.
    fn ones(&mut self, most: usize) -> Result<usize> {
        let mut ones = 0;
        while ones < most && self.bit()? {
            ones += 1;
        }
        Ok(ones)
    }

    /// A number of so many bits, of the range that is shifted up by one.
    fn shifted(&mut self, bits: u32) -> Result<i64> {
        let number = self.bits(bits)?;
        let is_negative = bits < 64 && number > 1 << (bits - 1);
        Ok(if is_negative { number.wrapping_sub(1 << bits) as i64 } else { number as i64 })
    }

    fn varbit(&mut self) -> Result<i64> {
        match [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)?] {
            0 => Ok(0),
            bits => self.shifted(bits),
        }
    }

    fn uvarbit(&mut self) -> Result<u64> {
        let bits = [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)?];
        self.bits(bits)
    }
}

#[derive(Default)]
struct Xor {
    value: u64,
    leading: u32,
    trailing: u32,
}

impl Xor {
    fn first(bits: &mut Bits<'_>) -> Result<Self> {
        Ok(Self { value: bits.bits(64)?, ..Self::default() })
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Result<()> {
        if bits.bit()? {
            if bits.bit()? {
                self.leading = bits.bits(5)? as u32;
                let length = bits.bits(6)? as u32;
                let length = if length == 0 { 64 } else { length };
                self.trailing =
                    64_u32.checked_sub(self.leading + length).ok_or("a window of over 64 bits")?;
            }
            self.value ^= bits.bits(64 - self.leading - self.trailing)? << self.trailing;
        }
        Ok(())
    }

    fn float(&self) -> f64 {
        f64::from_bits(self.value)
    }
}

fn read_floats(mut bits: Bits<'_>, count: usize) -> Result<Vec<(i64, SampleValue)>> {
    let first = bits.uvarint()?;
    let mut time = (first >> 1) as i64 ^ -((first & 1) as i64);
    let mut value = Xor::first(&mut bits)?;
    let mut samples = vec![(time, SampleValue::Float(value.float()))];
    let mut delta = 0_i64;
    for i in 1..count {
        delta = match i {
            1 => bits.uvarint()? as i64,
            _ => match bits.ones(4)? {
                0 => delta,
                ones => delta.wrapping_add(bits.shifted([14, 17, 20, 64][ones - 1])?),
            },
        };
        time = time.wrapping_add(delta);
        value.next(&mut bits)?;
        samples.push((time, SampleValue::Float(value.float())));
    }
    Ok(samples)
}

/// An integer of which deltas of deltas are read.
#[derive(Clone, Copy)]
struct Delta {
    value: i64,
    delta: i64,
}

impl Delta {
    fn next(&mut self, bits: &mut Bits<'_>) -> Result<()> {
        self.delta = self.delta.wrapping_add(bits.varbit()?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }
}

fn layout(bits: &mut Bits<'_>, is_float: bool) -> Result<Histogram> {
    let mut layout = Histogram { sum: 0.0, ..Histogram::stale(is_float) };
    layout.zero_threshold = match bits.bits(8)? {
        0 => 0.0,
        255 => bits.float()?,
        exponent => 0.5 * 2_f64.powi(exponent as i32 - 243),
    };
    layout.schema = bits.varbit()? as i32;
    layout.positive_spans = spans(bits)?;
    layout.negative_spans = spans(bits)?;
    if layout.schema == CUSTOM_BUCKETS_SCHEMA {
        let bounds = (0..bits.uvarbit()?).map(|_| match bits.uvarbit()? {
            0 => bits.float(),
            thousandths => Ok((thousandths - 1) as f64 / 1000.0),
        });
        layout.custom_bounds = bounds.collect::<Result<Vec<_>>>()?.into();
    }
    Ok(layout)
}

fn spans(bits: &mut Bits<'_>) -> Result<Vec<Span>> {
    let count = bits.uvarbit()?;
    (0..count).map(|_| Ok(Span { length: bits.uvarbit()? as u32, offset: bits.varbit()? as i32 })).collect()
}

fn read_histograms(
    mut bits: Bits<'_>,
    count: usize,
    flag: u8,
    is_float: bool,
) -> Result<Vec<(i64, SampleValue)>> {
    let layout = layout(&mut bits, is_float)?;
    let buckets = |spans: &[Span]| spans.iter().map(|span| span.length as usize).sum::<usize>();
    let (positives, negatives) = (buckets(&layout.positive_spans), buckets(&layout.negative_spans));
    let mut time = Delta { value: bits.varbit()?, delta: 0 };
    let mut values = Values::first(&mut bits, is_float, positives + negatives)?;
    let mut samples = Vec::new();
    for i in 0..count {
        if i > 0 {
            time.next(&mut bits)?;
            values.next(&mut bits)?;
        }
        let mut histogram = Histogram {
            reset_hint: match (flag, i) {
                (0xc0, _) => ResetHint::Gauge,
                (0x80, 0) => ResetHint::Reset,
                (0x00, 0) => ResetHint::Unknown,
                (0x00 | 0x40 | 0x80, _) => ResetHint::NoReset,
                _ => return Err(format!("a chunk with the flag {flag}")),
            },
            sum: values.sum(),
            buckets: values.buckets(positives),
            ..layout.clone()
        };
        if is_stale_nan(histogram.sum) {
            histogram = Histogram::stale(is_float);
        }
        samples.push((time.value, SampleValue::Histogram(Arc::new(histogram))));
        if is_stale_nan(values.sum()) {
            values.forget_buckets();
        }
    }
    Ok(samples)
}

/// The numbers of the histogram that is being read.
enum Values {
    Int { counts: [Delta; 2], sum: Xor, buckets: Vec<Delta> },
    Float { numbers: Vec<Xor> },
}

impl Values {
    fn first(bits: &mut Bits<'_>, is_float: bool, buckets: usize) -> Result<Self> {
        if is_float {
            return Ok(Self::Float {
                numbers: (0..3 + buckets).map(|_| Xor::first(bits)).collect::<Result<_>>()?,
            });
        }
        let mut count = || Ok::<_, String>(Delta { value: bits.uvarbit()? as i64, delta: 0 });
        let counts = [count()?, count()?];
        let sum = Xor::first(bits)?;
        let buckets =
            (0..buckets).map(|_| Ok(Delta { value: bits.varbit()?, delta: 0 })).collect::<Result<_>>()?;
        Ok(Self::Int { counts, sum, buckets })
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Result<()> {
        match self {
            Self::Float { numbers } => {
                numbers[..3].iter_mut().try_for_each(|number| number.next(bits))?;
                if !is_stale_nan(numbers[2].float()) {
                    numbers[3..].iter_mut().try_for_each(|number| number.next(bits))?;
                }
            }
            Self::Int { counts, sum, buckets } => {
                counts.iter_mut().try_for_each(|count| count.next(bits))?;
                sum.next(bits)?;
                if !is_stale_nan(sum.float()) {
                    buckets.iter_mut().try_for_each(|bucket| bucket.next(bits))?;
                }
            }
        }
        Ok(())
    }

    fn sum(&self) -> f64 {
        match self {
            Self::Float { numbers } => numbers[2].float(),
            Self::Int { sum, .. } => sum.float(),
        }
    }

    /// Behind a staleness marker come only others, which have none.
    fn forget_buckets(&mut self) {
        match self {
            Self::Float { numbers } => numbers.truncate(3),
            Self::Int { buckets, .. } => buckets.clear(),
        }
    }

    fn buckets(&self, positives: usize) -> Buckets {
        match self {
            Self::Float { numbers } => {
                let numbers: Vec<f64> = numbers.iter().map(Xor::float).collect();
                let (positive, negative) = numbers[3..].split_at(positives.min(numbers.len() - 3));
                let (positive, negative) = (positive.to_vec(), negative.to_vec());
                Buckets::Float { count: numbers[0], zero_count: numbers[1], positive, negative }
            }
            Self::Int { counts, buckets, .. } => {
                let (positive, negative) = buckets.split_at(positives.min(buckets.len()));
                let absolute = |buckets: &[Delta]| {
                    let mut count = 0_u64;
                    let counts = buckets.iter().map(|bucket| {
                        count = count.wrapping_add(bucket.value as u64);
                        count
                    });
                    counts.collect()
                };
                let [count, zero_count] = counts.map(|count| count.value as u64);
                Buckets::Int { count, zero_count, positive: absolute(positive), negative: absolute(negative) }
            }
        }
    }
}
