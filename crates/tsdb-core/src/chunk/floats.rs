//! The float column: how a group of values is compressed.
//!
//! Measured values are mostly decimals: counts, seconds with two digits, bytes. The XOR of two such doubles is
//! nearly all mantissa, the difference of the two decimals a small number. So the column finds the least
//! exponent `e` for which every value of the group is an integer divided by `10^e` - **bit for bit**, which the
//! encoder checks with the very division that the decoder does - and hands the integers to an
//! [`IntColumn`]. What is no decimal (ratios, NaN payloads, -0.0) is XORed with the value before
//! the group and stored in the window of bits in which the group's values differ, as Gorilla does; repeated
//! values are left out by a bitmap when that is smaller.
//!
//! Every value comes back bit for bit.

use super::ints::{IntColumn, STEADY, read_bitmap};
use super::pack::{GROUP_LEN, pack, packed_len, unpack, width_code, width_for, width_of_code};
use super::reader::Reader;
use crate::Result;

/// Sub-code of steady that is no mode: a new kind follows, then the control byte proper.
const NEW_KIND: u8 = 2;
/// The kind of columns that hold XORs; smaller numbers are decimal exponents.
const XOR: u8 = 0x1f;
/// Control bytes of XOR groups: a window for every value, or for the changed ones of a bitmap. The six low
/// bits are the width code.
const XOR_ALL: u8 = 0x40;
const XOR_CHANGED: u8 = 0x80;
const MODE_MASK: u8 = 0xc0;
const CODE_MASK: u8 = 0x3f;

/// Powers of ten by exponent. All are exact, so dividing by one rounds once, correctly.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
/// A decimal group of more bytes a value than this is compared with its XOR form.
const LONG_DECIMAL_LEN: usize = 4;

/// The state of a float column between two groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct FloatColumn {
    /// Bits of the value before the next one.
    last: u64,
    /// The steady difference, in units of the exponent.
    step: i64,
    /// [`XOR`] or a decimal exponent.
    kind: u8,
}

impl Default for FloatColumn {
    /// Before the first value: +0.0, a decimal without digits behind the point.
    fn default() -> Self {
        Self { last: 0, step: 0, kind: 0 }
    }
}

impl FloatColumn {
    /// Appends a group of 1 to [`GROUP_LEN`] values.
    pub(super) fn encode(&mut self, values: &[f64], out: &mut Vec<u8>) {
        if self.step == 0 && values.iter().all(|value| value.to_bits() == self.last) {
            out.push(STEADY);
            return;
        }
        let mut numbers = [0; GROUP_LEN];
        let numbers = &mut numbers[..values.len()];
        match fit_decimals(values, numbers) {
            Some(exponent) => self.encode_decimals(values, numbers, exponent, out),
            None => self.encode_xor(values, &Window::of(values, self.last), out),
        }
        self.last = values[values.len() - 1].to_bits();
    }

    /// The value before the next one.
    pub(super) fn last(&self) -> f64 {
        f64::from_bits(self.last)
    }

    fn encode_decimals(&mut self, values: &[f64], numbers: &[i64], exponent: u8, out: &mut Vec<u8>) {
        let mut ints = self.ints(exponent);
        let mut deltas = [0; GROUP_LEN];
        let deltas = &mut deltas[..numbers.len()];
        let plan = ints.plan(numbers, false, deltas);
        if plan.len > LONG_DECIMAL_LEN * values.len() {
            let window = Window::of(values, self.last);
            if window.len(values.len()) < plan.len {
                return self.encode_xor(values, &window, out);
            }
        }
        self.set_kind(exponent, out);
        ints.write(numbers, deltas, &plan, out);
        self.step = ints.step;
    }

    fn encode_xor(&mut self, values: &[f64], window: &Window, out: &mut Vec<u8>) {
        self.set_kind(XOR, out);
        let mut packed = [0; GROUP_LEN];
        let mut count = 0;
        let (all, width) = (window.all_len(values.len()), window.width());
        if all <= window.changed_len(values.len()) {
            out.extend_from_slice(&[XOR_ALL | width_code(width), window.shift]);
            for value in values {
                packed[count] = (value.to_bits() ^ self.last) >> window.shift;
                count += 1;
            }
        } else {
            let mut bitmap = 0_u32;
            let mut before = self.last;
            for (i, value) in values.iter().enumerate() {
                if value.to_bits() != before {
                    before = value.to_bits();
                    bitmap |= 1 << i;
                    packed[count] = (before ^ self.last) >> window.shift;
                    count += 1;
                }
            }
            out.extend_from_slice(&[XOR_CHANGED | width_code(width), window.shift]);
            out.extend_from_slice(&bitmap.to_le_bytes()[..values.len().div_ceil(8)]);
        }
        pack(&mut packed[..count], width, out);
    }

    /// The integer column that goes on from the last value, in units of `exponent`.
    #[inline]
    fn ints(&self, exponent: u8) -> IntColumn {
        let step = if exponent == self.kind { self.step } else { 0 };
        IntColumn { last: to_decimal(f64::from_bits(self.last), exponent), step }
    }

    fn set_kind(&mut self, kind: u8, out: &mut Vec<u8>) {
        if kind != self.kind {
            out.extend_from_slice(&[NEW_KIND, kind]);
            self.kind = kind;
            self.step = 0;
        }
    }

    /// Reads a group of `out.len()` values, 1 to [`GROUP_LEN`].
    pub(super) fn decode(&mut self, reader: &mut Reader<'_>, out: &mut [f64]) -> Result<()> {
        let mut control = reader.u8()?;
        if control == NEW_KIND {
            self.kind = reader.u8()?;
            self.step = 0;
            if self.kind != XOR && usize::from(self.kind) >= POWERS.len() {
                return Err(reader.corrupt(format!("unknown kind {} of values", self.kind)));
            }
            control = reader.u8()?;
        }
        if control == STEADY && self.step == 0 {
            if self.kind != XOR {
                // The value before need not be a decimal: the kind may be new.
                self.last = from_decimal(to_decimal(self.last(), self.kind), self.kind).to_bits();
            }
            out.fill(self.last());
            return Ok(());
        }
        if self.kind == XOR {
            self.decode_xor(control, reader, out)?;
        } else {
            self.decode_decimals(control, reader, out)?;
        }
        self.last = out[out.len() - 1].to_bits();
        Ok(())
    }

    fn decode_decimals(&mut self, control: u8, reader: &mut Reader<'_>, out: &mut [f64]) -> Result<()> {
        let mut ints = self.ints(self.kind);
        let mut numbers = [0; GROUP_LEN];
        let numbers = &mut numbers[..out.len()];
        ints.decode_controlled(control, reader, numbers)?;
        self.step = ints.step;
        if self.kind == 0 {
            for (value, &number) in out.iter_mut().zip(&*numbers) {
                *value = number as f64;
            }
        } else {
            let power = POWERS[usize::from(self.kind)];
            for (value, &number) in out.iter_mut().zip(&*numbers) {
                *value = number as f64 / power;
            }
        }
        Ok(())
    }

    fn decode_xor(&mut self, control: u8, reader: &mut Reader<'_>, out: &mut [f64]) -> Result<()> {
        let shift = reader.u8()?;
        let (Some(width), 0..=63) = (width_of_code(control & CODE_MASK), shift) else {
            return Err(reader.corrupt(format!("impossible window {control:#04x} {shift}")));
        };
        let mut packed = [0; GROUP_LEN];
        match control & MODE_MASK {
            XOR_ALL => {
                let packed = &mut packed[..out.len()];
                unpack(reader, width, packed)?;
                for (value, &xor) in out.iter_mut().zip(&*packed) {
                    *value = f64::from_bits(self.last ^ (xor << shift));
                }
            }
            XOR_CHANGED => {
                let bitmap = read_bitmap(reader, out.len())?;
                unpack(reader, width, &mut packed[..bitmap.count_ones() as usize])?;
                let (mut xor, mut next) = (0, 0);
                for (i, value) in out.iter_mut().enumerate() {
                    let changed = bitmap >> i & 1 != 0;
                    xor = if changed { packed[next % GROUP_LEN] } else { xor };
                    next += usize::from(changed);
                    *value = f64::from_bits(self.last ^ (xor << shift));
                }
            }
            _ => return Err(reader.corrupt(format!("unknown control byte {control:#04x}"))),
        }
        Ok(())
    }
}

/// The bits in which the values of a group differ from the value before it.
struct Window {
    /// Bits that differ anywhere, shifted down.
    bits: u64,
    shift: u8,
    /// Values that differ from the one just before them.
    changed: usize,
}

impl Window {
    fn of(values: &[f64], last: u64) -> Self {
        let (mut bits, mut changed, mut before) = (0, 0, last);
        for value in values {
            let value = value.to_bits();
            bits |= value ^ last;
            changed += usize::from(value != before);
            before = value;
        }
        let shift = bits.trailing_zeros() & 63;
        Self { bits: bits >> shift, shift: shift as u8, changed }
    }

    fn width(&self) -> u32 {
        width_for(64 - self.bits.leading_zeros())
    }

    fn all_len(&self, count: usize) -> usize {
        2 + packed_len(count, self.width())
    }

    fn changed_len(&self, count: usize) -> usize {
        2 + count.div_ceil(8) + packed_len(self.changed, self.width())
    }

    fn len(&self, count: usize) -> usize {
        self.all_len(count).min(self.changed_len(count))
    }
}

/// Finds the least exponent with which every value is a decimal, and writes the integers to `numbers`.
fn fit_decimals(values: &[f64], numbers: &mut [i64]) -> Option<u8> {
    let mut exponent = 0;
    while !fill_small_decimals(values, exponent, numbers) {
        let Some(misfit) = fill_decimals(values, exponent, numbers) else { return Some(exponent) };
        // More digits never unfit a value that fits, short of the 64 bits: the exponent only grows.
        exponent = (exponent + 1..POWERS.len() as u8).find(|&exponent| is_decimal(misfit, exponent))?;
    }
    Some(exponent)
}

/// Writes the values as integers of `exponent` if all are and none exceeds 2^51: the common case, without a
/// branch or a conversion, so that it runs as vectors.
#[inline]
fn fill_small_decimals(values: &[f64], exponent: u8, numbers: &mut [i64]) -> bool {
    // Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits of the mantissa.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    let power = POWERS[usize::from(exponent)];
    let (mut differs, mut outside) = (0, 0);
    for (&value, number) in values.iter().zip(numbers) {
        let scaled = if exponent == 0 { value } else { value * power };
        let shifted = scaled + SHIFTER;
        let rounded = shifted - SHIFTER;
        let back = if exponent == 0 { rounded } else { rounded / power };
        differs |= back.to_bits() ^ value.to_bits();
        // A number of 2^51 or more, an infinity or a NaN leaves the exponent of the shifter.
        outside |= (shifted.to_bits() ^ SHIFTER.to_bits()) >> 52;
        *number = shifted.to_bits().wrapping_sub(SHIFTER.to_bits()).cast_signed();
    }
    differs == 0 && outside == 0
}

/// Writes the values as integers of `exponent`, and returns the first that is none.
#[cold]
fn fill_decimals(values: &[f64], exponent: u8, numbers: &mut [i64]) -> Option<f64> {
    for (&value, number) in values.iter().zip(numbers) {
        *number = to_decimal(value, exponent);
        if from_decimal(*number, exponent).to_bits() != value.to_bits() {
            return Some(value);
        }
    }
    None
}

fn is_decimal(value: f64, exponent: u8) -> bool {
    from_decimal(to_decimal(value, exponent), exponent).to_bits() == value.to_bits()
}

/// The integer nearest to `value * 10^exponent`, saturated; 0 for a NaN. The decoder predicts with it, so it
/// must be the same everywhere: one multiplication and one addition, each rounded once.
#[inline]
fn to_decimal(value: f64, exponent: u8) -> i64 {
    if exponent == 0 {
        return value as i64;
    }
    let scaled = value * POWERS[usize::from(exponent)];
    (scaled + 0.5_f64.copysign(scaled)) as i64
}

#[inline]
fn from_decimal(number: i64, exponent: u8) -> f64 {
    if exponent == 0 { number as f64 } else { number as f64 / POWERS[usize::from(exponent)] }
}
