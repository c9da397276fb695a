//! The integer column: how a group of timestamps, decimal values or bucket counts is compressed.
//!
//! The column keeps a line, its `last` number and a `step`, and says of each group in what way its numbers
//! leave the line. Four modes, the smallest of which is taken:
//!
//! | mode | number `i` of the group | good for |
//! |---|---|---|
//! | steady | `before + step` | regular timestamps, constants, idle counters |
//! | deltas | `before + base + p[i]` | counters, random walks |
//! | exceptions | `before + step`, or `before + base + p[k]` where a bitmap says so | a gap; a gauge that seldom moves |
//! | line | `last + (i + 1) * step + base + p[i]` | jitter around a grid; noise around a level |
//!
//! `before` is the number just before, `last` the last one of the group before, `p` are bit-packed numbers of
//! one width. So a number costs what its group's spread needs, not what its own delta-of-delta would cost plus
//! a prefix; and decoding has no branch for each number.
//!
//! All arithmetic wraps at 64 bits, in both directions alike: any numbers come back exactly.

use super::pack::{GROUP_LEN, pack, packed_len, unpack, width_code, width_for, width_of_code};
use super::reader::{Reader, put_ivarint, uvarint_len};
use crate::Result;
use crate::cursor::zigzag;

/// Control byte: the mode is in the two top bits, a width code or a sub-code in the six others.
const MODE_SHIFT: u32 = 6;
const CODE_MASK: u8 = 0x3f;
/// Sub-code of steady: nothing follows.
pub(super) const STEADY: u8 = 0;
/// Sub-code of steady that is no mode: a new step follows, then the control byte proper.
const NEW_STEP: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Steady = 0,
    Deltas = 1,
    Exceptions = 2,
    Line = 3,
}

/// The state of an integer column between two groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IntColumn {
    /// The number before the next one.
    pub(super) last: i64,
    /// The steady difference of two numbers.
    pub(super) step: i64,
}

/// How a group will be written, and in how many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    mode: Mode,
    step: i64,
    base: i64,
    width: u32,
    /// Encoded bytes.
    pub(super) len: usize,
}

impl Plan {
    /// The smaller of two plans, the first if they are equal.
    #[inline]
    fn or(self, other: Self) -> Self {
        if other.len < self.len { other } else { self }
    }
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy)]
struct Spread {
    min: i64,
    max: i64,
}

impl Spread {
    const NONE: Self = Self { min: i64::MAX, max: i64::MIN };

    #[inline]
    fn include(&mut self, number: i64) {
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }

    /// The greatest less the least; exact whatever the signs.
    #[inline]
    fn range(self) -> u64 {
        self.max.wrapping_sub(self.min).cast_unsigned()
    }

    /// The plan that stores `count` numbers of this spread, and `more` bytes besides.
    #[inline]
    fn plan(self, mode: Mode, step: i64, count: usize, more: usize) -> Plan {
        let width = width_for(64 - self.range().leading_zeros());
        let len = 1 + more + uvarint_len(zigzag(self.min)) + packed_len(count, width);
        Plan { mode, step, base: self.min, width, len }
    }
}

impl IntColumn {
    /// Appends a group of 1 to [`GROUP_LEN`] numbers.
    ///
    /// `slope` has a new step looked for when the numbers leave the line: right for timestamps, whose step is
    /// not known at first and is the same ever after.
    pub(super) fn encode(&mut self, numbers: &[i64], slope: bool, out: &mut Vec<u8>) {
        let mut deltas = [0; GROUP_LEN];
        let deltas = &mut deltas[..numbers.len()];
        let plan = self.plan(numbers, slope, deltas);
        self.write(numbers, deltas, &plan, out);
    }

    /// Finds the smallest form of a group, and fills `deltas` with the differences of its numbers.
    pub(super) fn plan(&self, numbers: &[i64], slope: bool, deltas: &mut [i64]) -> Plan {
        if self.fill_deltas(numbers, deltas) {
            return Plan { mode: Mode::Steady, step: self.step, base: 0, width: 0, len: 1 };
        }
        let count = numbers.len();
        let (mut spread, mut regular) = (Spread::NONE, 0);
        for &delta in &*deltas {
            spread.include(delta);
            regular |= u8::from(delta == self.step);
        }
        if spread.min == spread.max && count > 1 {
            let step = spread.min;
            return Plan { mode: Mode::Steady, step, base: 0, width: 0, len: 2 + uvarint_len(zigzag(step)) };
        }
        let mut best = spread.plan(Mode::Deltas, self.step, count, 0);
        if self.line_range_at_least(numbers) < spread.range() {
            best = best.or(self.plan_line(numbers, 0));
        }
        if regular != 0 && best.len > count.div_ceil(8) + 2 {
            best = best.or(self.plan_exceptions(deltas, 0));
        }
        if slope && best.mode != Mode::Line {
            let step = slope_of(numbers, self.last);
            let sloped = Self { last: self.last, step };
            let more = 1 + uvarint_len(zigzag(step));
            best = best.or(sloped.plan_line(numbers, more)).or(sloped.plan_exceptions(deltas, more));
        }
        best
    }

    /// Fills `deltas`, and says whether all of them are the step.
    #[inline]
    fn fill_deltas(&self, numbers: &[i64], deltas: &mut [i64]) -> bool {
        deltas[0] = numbers[0].wrapping_sub(self.last);
        let mut differs = deltas[0] ^ self.step;
        for (pair, delta) in numbers.windows(2).zip(&mut deltas[1..]) {
            *delta = pair[1].wrapping_sub(pair[0]);
            differs |= *delta ^ self.step;
        }
        differs == 0
    }

    /// A lower bound of the range of the numbers' distances from the line: that of three of them. Saves most
    /// groups that are not near the line the way through all.
    #[inline]
    fn line_range_at_least(&self, numbers: &[i64]) -> u64 {
        let mut line = Spread::NONE;
        for at in [0, numbers.len() / 2, numbers.len() - 1] {
            line.include(
                numbers[at].wrapping_sub(self.last).wrapping_sub(self.step.wrapping_mul(at as i64 + 1)),
            );
        }
        line.range()
    }

    fn plan_line(&self, numbers: &[i64], more: usize) -> Plan {
        let mut line = Spread::NONE;
        let mut expected = self.last;
        for &number in numbers {
            expected = expected.wrapping_add(self.step);
            line.include(number.wrapping_sub(expected));
        }
        line.plan(Mode::Line, self.step, numbers.len(), more)
    }

    fn plan_exceptions(&self, deltas: &[i64], more: usize) -> Plan {
        // Without branches: exceptions come as they please.
        let (mut exceptions, mut count) = (Spread::NONE, 0);
        for &delta in deltas {
            let is_exception = delta != self.step;
            exceptions.min = exceptions.min.min(if is_exception { delta } else { i64::MAX });
            exceptions.max = exceptions.max.max(if is_exception { delta } else { i64::MIN });
            count += usize::from(is_exception);
        }
        exceptions.plan(Mode::Exceptions, self.step, count, more + deltas.len().div_ceil(8))
    }

    /// Appends a group in the form of `plan`, which was made for it together with `deltas`.
    pub(super) fn write(&mut self, numbers: &[i64], deltas: &[i64], plan: &Plan, out: &mut Vec<u8>) {
        if plan.step != self.step {
            out.push(NEW_STEP);
            put_ivarint(out, plan.step);
            self.step = plan.step;
        }
        out.push((plan.mode as u8) << MODE_SHIFT | width_code(plan.width));
        let mut packed = [0; GROUP_LEN];
        let mut count = numbers.len();
        match plan.mode {
            Mode::Steady => {}
            Mode::Deltas => {
                for (&delta, packed) in deltas.iter().zip(&mut packed) {
                    *packed = delta.wrapping_sub(plan.base).cast_unsigned();
                }
            }
            Mode::Exceptions => {
                let mut bitmap = 0_u32;
                count = 0;
                for (i, &delta) in deltas.iter().enumerate() {
                    packed[count] = delta.wrapping_sub(plan.base).cast_unsigned();
                    bitmap |= u32::from(delta != self.step) << i;
                    count += usize::from(delta != self.step);
                }
                out.extend_from_slice(&bitmap.to_le_bytes()[..numbers.len().div_ceil(8)]);
            }
            Mode::Line => {
                let mut expected = self.last.wrapping_add(plan.base);
                for (&number, packed) in numbers.iter().zip(&mut packed) {
                    expected = expected.wrapping_add(self.step);
                    *packed = number.wrapping_sub(expected).cast_unsigned();
                }
            }
        }
        if plan.mode != Mode::Steady {
            put_ivarint(out, plan.base);
            pack(&mut packed[..count], plan.width, out);
        }
        self.last = *numbers.last().expect("invariant: a group has a number");
    }

    /// Reads a group of `out.len()` numbers, 1 to [`GROUP_LEN`].
    pub(super) fn decode(&mut self, reader: &mut Reader<'_>, out: &mut [i64]) -> Result<()> {
        let control = reader.u8()?;
        self.decode_controlled(control, reader, out)
    }

    /// Reads a group whose first control byte has been read.
    #[inline]
    pub(super) fn decode_controlled(
        &mut self,
        mut control: u8,
        reader: &mut Reader<'_>,
        out: &mut [i64],
    ) -> Result<()> {
        if control == NEW_STEP {
            self.step = reader.ivarint()?;
            control = reader.u8()?;
        }
        let Some(width) = width_of_code(control & CODE_MASK) else {
            return Err(reader.corrupt(format!("unknown control byte {control:#04x}")));
        };
        let mut packed = [0; GROUP_LEN];
        match control >> MODE_SHIFT {
            0 if control == STEADY => {
                for number in out.iter_mut() {
                    self.last = self.last.wrapping_add(self.step);
                    *number = self.last;
                }
            }
            1 => {
                let base = reader.ivarint()?;
                let packed = &mut packed[..out.len()];
                unpack(reader, width, packed)?;
                for (number, delta) in out.iter_mut().zip(packed) {
                    self.last = self.last.wrapping_add(base).wrapping_add(delta.cast_signed());
                    *number = self.last;
                }
            }
            2 => self.decode_exceptions(width, reader, out)?,
            3 => {
                let base = reader.ivarint()?;
                let packed = &mut packed[..out.len()];
                unpack(reader, width, packed)?;
                let mut expected = self.last.wrapping_add(base);
                for (number, offset) in out.iter_mut().zip(packed) {
                    expected = expected.wrapping_add(self.step);
                    *number = expected.wrapping_add(offset.cast_signed());
                }
                self.last = out[out.len() - 1];
            }
            _ => return Err(reader.corrupt(format!("unknown control byte {control:#04x}"))),
        }
        Ok(())
    }

    fn decode_exceptions(&mut self, width: u32, reader: &mut Reader<'_>, out: &mut [i64]) -> Result<()> {
        let bitmap = read_bitmap(reader, out.len())?;
        let base = reader.ivarint()?;
        let mut packed = [0; GROUP_LEN];
        unpack(reader, width, &mut packed[..bitmap.count_ones() as usize])?;
        let mut next = 0;
        for (i, number) in out.iter_mut().enumerate() {
            let exception = base.wrapping_add(packed[next % GROUP_LEN].cast_signed());
            let is_exception = bitmap >> i & 1 != 0;
            self.last = self.last.wrapping_add(if is_exception { exception } else { self.step });
            next += usize::from(is_exception);
            *number = self.last;
        }
        Ok(())
    }
}

/// Reads the bitmap of a group: a bit for each number, the lowest first, no bit set past the last.
#[inline]
pub(super) fn read_bitmap(reader: &mut Reader<'_>, count: usize) -> Result<u32> {
    let bytes = reader.bytes(count.div_ceil(8))?;
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    let bitmap = u32::from_le_bytes(word);
    if count < 32 && bitmap >> count != 0 {
        return Err(reader.corrupt("a bitmap has bits past its group"));
    }
    Ok(bitmap)
}

/// The slope of the numbers, noise averaged out: between the means of their first and of their last half.
#[cold]
fn slope_of(numbers: &[i64], last: i64) -> i64 {
    let half = numbers.len() / 2;
    if half == 0 {
        return numbers[0].wrapping_sub(last);
    }
    let sum = |part: &[i64]| part.iter().map(|&number| i128::from(number)).sum::<i128>();
    let rise = sum(&numbers[numbers.len() - half..]) - sum(&numbers[..half]);
    let run = (half * (numbers.len() - half)) as i128;
    // Rounded to the nearest; a slope that does not fit is no use, and wraps harmlessly.
    ((2 * rise + run).div_euclid(2 * run)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mode in which the second of two groups is written, and the bytes it takes.
    fn second_group(numbers: impl Fn(i64) -> i64, slope: bool) -> (Mode, usize) {
        let numbers: Vec<i64> = (0..64).map(numbers).collect();
        let (first, second) = numbers.split_at(GROUP_LEN);
        let mut column = IntColumn { last: first[0], step: 0 };
        let mut out = Vec::new();
        column.encode(&first[1..], slope, &mut out);
        let mut deltas = [0; GROUP_LEN];
        let plan = column.plan(second, slope, &mut deltas);
        let start = out.len();
        let mut written = column;
        written.write(second, &deltas, &plan, &mut out);
        assert_eq!(plan.len, out.len() - start, "the plan knows its bytes");
        let mut decoded = [0; GROUP_LEN];
        column.decode(&mut Reader::new(&out, start), &mut decoded).unwrap();
        assert_eq!((&decoded[..], column), (second, written));
        (plan.mode, plan.len)
    }

    fn noise(i: i64) -> i64 {
        (i * 7919 % 101 + i * i * 31 % 57) % 16
    }

    #[test]
    fn every_shape_of_data_finds_its_mode() {
        assert_eq!(second_group(|_| 5, false), (Mode::Steady, 1));
        assert_eq!(second_group(|i| i * 15_000, true), (Mode::Steady, 1));
        // 4 bits a number, a control byte and a base.
        let (mode, len) = second_group(|i| 1_700_000_000_000 + i * 15_000 + noise(i), true);
        assert!(mode == Mode::Line && len <= 18, "{mode:?} {len}");
        assert_eq!(second_group(|i| 1_000_000 + noise(i) * 1000, false).0, Mode::Line);
        let walk: Vec<i64> = (0..64)
            .scan(0, |sum, i| {
                *sum += 1000 + noise(i);
                Some(*sum)
            })
            .collect();
        assert_eq!(second_group(|i| walk[i as usize], false).0, Mode::Deltas);
        // Regular but for a gap, and idle but for two events.
        assert_eq!(second_group(|i| i * 15_000 + i64::from(i > 50) * 600_000, true).0, Mode::Exceptions);
        assert_eq!(
            second_group(|i| i64::from(i > 40) + i64::from(i > 45) * 70_000, false).0,
            Mode::Exceptions
        );
    }

    #[test]
    fn arithmetic_wraps_the_same_way_in_both_directions() {
        let extremes = [i64::MIN, i64::MAX, 0, -1, i64::MIN + 1];
        for slope in [false, true] {
            second_group(|i| extremes[i as usize % 5], slope);
            second_group(|i| i64::MAX.wrapping_add(i.wrapping_mul(i64::MAX / 3)), slope);
        }
    }
}
