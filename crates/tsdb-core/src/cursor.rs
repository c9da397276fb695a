//! Reading and writing numbers: fixed little-endian, varints, and bit-packed columns.
//!
//! A [`Cursor`] knows where its bytes lie in what is decoded, so that every error names the place. Nothing here
//! trusts a number: lengths are checked against the bytes that are there before anything is taken.

use crate::{Error, Result};

/// A reader over a part of a block or another encoded thing.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
    /// Offset of `bytes` in the whole.
    base: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8], base: u64) -> Self {
        Self { what, bytes, at: 0, base }
    }

    /// A cursor over the same bytes, at `at` of them.
    #[inline]
    pub(crate) fn at(&self, at: usize) -> Result<Self> {
        if at > self.bytes.len() {
            return Err(self.corrupt(format!("a place {at} past its {} bytes", self.bytes.len())));
        }
        Ok(Self { at, ..self.clone() })
    }

    /// A cursor over only the next `len` bytes, which this one skips.
    #[inline]
    pub(crate) fn sub(&mut self, len: u64) -> Result<Self> {
        let base = self.base + self.at as u64;
        Ok(Self { what: self.what, bytes: self.take(len)?, at: 0, base })
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the cursor's place.
    #[cold]
    pub(crate) fn corrupt(&self, detail: impl Into<String>) -> Error {
        Error::Corrupt { what: self.what, offset: self.base + self.at as u64, detail: detail.into() }
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let remaining = self.remaining();
        if len > remaining as u64 {
            return Err(self.corrupt(format!("{len} bytes wanted, {remaining} are there")));
        }
        let taken = &self.bytes[self.at..self.at + len as usize];
        self.at += len as usize;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("invariant: 4 bytes")))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("invariant: 8 bytes")))
    }

    /// A LEB128 varint.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let long = long_varint(first, || self.u8())?;
        long.ok_or_else(|| self.corrupt("a varint of more than 64 bits"))
    }

    /// A varint that must fit in 32 bits.
    #[inline]
    pub(crate) fn varint_u32(&mut self) -> Result<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.corrupt(format!("{value} where 32 bits are allowed")))
    }

    /// A bit-packed column of `len` numbers.
    #[inline]
    pub(crate) fn column(&mut self, len: u64) -> Result<Column<'a>> {
        let min = self.varint()?;
        let width = self.u8()?;
        if width > 64 {
            return Err(self.corrupt(format!("a column of {width} bits a number")));
        }
        let bits = len.checked_mul(u64::from(width)).ok_or_else(|| self.corrupt("a column too long"))?;
        Ok(Column { min, width: u32::from(width), packed: self.take(bits.div_ceil(8))? })
    }
}

/// Numbers as offsets from their minimum, each in the same number of bits (none, when all are equal).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    min: u64,
    width: u32,
    packed: &'a [u8],
}

impl Column<'_> {
    /// The number at `index`, which is below the column's length.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> u64 {
        if self.width == 0 {
            return self.min;
        }
        let bit = index * self.width as usize;
        let (byte, shift) = (bit / 8, bit as u32 % 8);
        let offset = match self.packed.get(byte..byte + 8) {
            Some(word) if self.width <= 57 => {
                u64::from_le_bytes(word.try_into().expect("invariant: 8 bytes")) >> shift
            }
            _ => self.get_slowly(byte, shift),
        };
        self.min.wrapping_add(offset & (u64::MAX >> (64 - self.width)))
    }

    /// Near the column's end, or with numbers that can span nine bytes.
    #[cold]
    fn get_slowly(&self, byte: usize, shift: u32) -> u64 {
        let mut word = [0; 16];
        // A damaged page can ask past the end: it gets zeros, never a panic.
        let tail = self.packed.get(byte..).unwrap_or_default();
        let len = tail.len().min(9);
        word[..len].copy_from_slice(&tail[..len]);
        (u128::from_le_bytes(word) >> shift) as u64
    }

    /// The sum of the first `count` numbers.
    #[inline]
    pub(crate) fn sum(&self, count: usize) -> u64 {
        if self.width == 0 {
            return self.min.wrapping_mul(count as u64);
        }
        (0..count).fold(0, |sum: u64, index| sum.wrapping_add(self.get(index)))
    }
}

/// The value of a LEB128 varint whose `first` byte is not its last; `None` if it has more than 64 bits.
#[inline]
pub(crate) fn long_varint(first: u8, mut next: impl FnMut() -> Result<u8>) -> Result<Option<u64>> {
    let mut value = u64::from(first & 0x7f);
    for shift in (7..64).step_by(7) {
        let byte = next()?;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Appends a LEB128 varint: seven bits a byte, the lowest first, the top bit set on all but the last.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed to unsigned so that small magnitudes stay small: 0, -1, 1, -2 ... become 0, 1, 2, 3 ...
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a column: minimum, width, packed offsets from the minimum.
pub(crate) fn put_column(out: &mut Vec<u8>, numbers: &[u64]) {
    let (min, max) = numbers.iter().fold((u64::MAX, 0), |(min, max), &n| (n.min(min), n.max(max)));
    let min = if numbers.is_empty() { 0 } else { min };
    let width = 64 - max.saturating_sub(min).leading_zeros();
    put_varint(out, min);
    out.push(width as u8);
    if width == 0 {
        return;
    }
    let (mut word, mut filled) = (0_u64, 0);
    for &number in numbers {
        let offset = number - min;
        word |= offset << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            word = if filled == 0 { 0 } else { offset >> (width - filled) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_back_and_end_at_64_bits() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut cursor = Cursor::new("test", &bytes, 0);
            assert_eq!((cursor.varint().unwrap(), cursor.remaining()), (value, 0));
            assert!(Cursor::new("test", &bytes[..bytes.len() - 1], 0).varint().is_err());
        }
        let too_long = [&[0xff; 9][..], &[2]].concat();
        assert!(Cursor::new("test", &too_long, 0).varint().is_err());
        assert!([i64::MIN, -1, 0, 1, i64::MAX].iter().all(|&value| unzigzag(zigzag(value)) == value));
    }

    #[test]
    fn columns_of_every_width_read_back() {
        for width in 0..=64_u32 {
            for len in [0_usize, 1, 2, 7, 63, 64, 65] {
                let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
                let numbers: Vec<u64> =
                    (0..len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
                let mut bytes = vec![];
                put_column(&mut bytes, &numbers);
                let mut cursor = Cursor::new("test", &bytes, 0);
                let column = cursor.column(len as u64).unwrap();
                assert_eq!(cursor.remaining(), 0);
                assert_eq!((0..len).map(|i| column.get(i)).collect::<Vec<_>>(), numbers);
                assert_eq!(column.sum(len), numbers.iter().fold(0, |sum: u64, n| sum.wrapping_add(*n)));
            }
        }
    }

    #[test]
    fn lengths_past_the_end_are_refused() {
        let bytes = [0, 64, 1, 2, 3];
        assert!(Cursor::new("test", &bytes, 0).column(1).is_err());
        assert!(Cursor::new("test", &bytes, 0).column(u64::MAX).is_err());
        assert!(Cursor::new("test", &[0, 65, 0, 0], 0).column(0).is_err());
        let error = Cursor::new("test", &bytes, 100).at(3).unwrap().take(3).unwrap_err();
        assert!(matches!(error, Error::Corrupt { offset: 103, .. }), "{error}");
    }
}
