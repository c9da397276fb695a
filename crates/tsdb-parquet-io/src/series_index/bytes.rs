//! Numbers in bytes: varints, and columns of numbers as byte planes.
//!
//! A column is what a series' entry is found in by arithmetic:
//!
//! ```text
//! column := min varint, width u8 (0..=8), width planes of n bytes each
//! ```
//!
//! Number `i` is `min + plane[0][i] + (plane[1][i] << 8) + ...`: the lowest bytes of all numbers come first, then the
//! next ones. A plane that hardly changes costs nothing after compression, whatever the others hold.
//!
//! Nothing here trusts a number: lengths are checked against the bytes that are there before anything is taken.

use super::{BlockKind, IndexError, IndexResult};
use crate::varint::read_varint;
pub(super) use crate::varint::{put_varint, unzigzag, zigzag};

/// What is being read and where it lies in the file, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: BlockKind,
    /// Bytes from the start of the file.
    pub(super) offset: u64,
}

impl Place {
    #[cold]
    pub(super) fn damaged(self, detail: impl Into<String>) -> IndexError {
        IndexError::Damaged { block: self.block, offset: self.offset, detail: detail.into() }
    }
}

/// A reader over the raw bytes of one block.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) place: Place,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(place: Place, bytes: &'a [u8]) -> Self {
        Self { place, bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[cold]
    pub(super) fn damaged(&self, detail: impl Into<String>) -> IndexError {
        self.place.damaged(format!("raw byte {}: {}", self.at, detail.into()))
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: u64) -> IndexResult<&'a [u8]> {
        if len > self.remaining() as u64 {
            return Err(self.damaged(format!("{len} bytes wanted, {} are there", self.remaining())));
        }
        let taken = &self.bytes[self.at..self.at + len as usize];
        self.at += len as usize;
        Ok(taken)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> IndexResult<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u32(&mut self) -> IndexResult<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// A LEB128 varint of at most 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> IndexResult<u64> {
        let value = read_varint(|| self.u8())?;
        value.ok_or_else(|| self.damaged("a varint of more than 64 bits"))
    }

    /// A varint that must fit in 32 bits.
    #[inline]
    pub(super) fn varint_u32(&mut self) -> IndexResult<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.damaged(format!("{value} where 32 bits are allowed")))
    }

    /// A varint that counts things of at least `bytes_each` bytes that are still to come.
    pub(super) fn count(&mut self, what: &str, bytes_each: usize) -> IndexResult<usize> {
        let count = self.varint()?;
        if count > (self.remaining() / bytes_each) as u64 {
            return Err(self.damaged(format!("{count} {what} in {} bytes", self.remaining())));
        }
        Ok(count as usize)
    }

    /// A column of `len` numbers.
    pub(super) fn column(&mut self, len: usize) -> IndexResult<Column> {
        let min = self.varint()?;
        let width = self.u8()?;
        if width > 8 {
            return Err(self.damaged(format!("a column of {width} bytes a number")));
        }
        let at = self.at;
        self.take((len as u64).saturating_mul(u64::from(width)))?;
        Ok(Column { min, width, at, len })
    }

    /// Refuses bytes that nothing has asked for.
    pub(super) fn finish(&self) -> IndexResult<()> {
        if self.remaining() > 0 {
            return Err(self.damaged(format!("{} bytes too many", self.remaining())));
        }
        Ok(())
    }
}

/// Where the numbers of a column lie in the raw bytes of its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    min: u64,
    width: u8,
    at: usize,
    len: usize,
}

impl Column {
    /// The number at `index`, which is below the column's length; `raw` are the bytes that the column was read from.
    #[inline]
    pub(super) fn get(&self, raw: &[u8], index: usize) -> u64 {
        debug_assert!(index < self.len);
        let mut offset = 0;
        for plane in 0..usize::from(self.width) {
            offset |= u64::from(raw[self.at + plane * self.len + index]) << (8 * plane);
        }
        self.min.wrapping_add(offset)
    }

    /// All numbers.
    pub(super) fn to_vec(self, raw: &[u8]) -> Vec<u64> {
        let mut numbers = vec![0; self.len];
        for plane in 0..usize::from(self.width) {
            let bytes = &raw[self.at + plane * self.len..][..self.len];
            for (number, byte) in numbers.iter_mut().zip(bytes) {
                *number |= u64::from(*byte) << (8 * plane);
            }
        }
        numbers.iter_mut().for_each(|number| *number = number.wrapping_add(self.min));
        numbers
    }

    /// Whether every number is zero, as can be told without looking at them.
    pub(super) fn is_zero(&self) -> bool {
        self.width == 0 && self.min == 0
    }
}

/// Appends a column.
pub(super) fn put_column(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u64> + Clone) {
    let (min, max) = numbers.clone().fold((u64::MAX, 0), |(min, max), n| (n.min(min), n.max(max)));
    let min = min.min(max);
    let width = (64 - (max - min).leading_zeros()).div_ceil(8);
    put_varint(out, min);
    out.push(width as u8);
    out.reserve(width as usize * numbers.len());
    for plane in 0..width {
        out.extend(numbers.clone().map(|number| ((number - min) >> (8 * plane)) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { block: BlockKind::Series, offset: 100 };

    #[test]
    fn varints_read_back_and_end_at_64_bits() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut cursor = Cursor::new(PLACE, &bytes);
            assert_eq!((cursor.varint().unwrap(), cursor.remaining()), (value, 0));
            assert!(Cursor::new(PLACE, &bytes[..bytes.len() - 1]).varint().is_err());
        }
        let too_long = [&[0xff; 9][..], &[2]].concat();
        assert!(Cursor::new(PLACE, &too_long).varint().is_err());
        assert!([i64::MIN, -1, 0, 1, i64::MAX].iter().all(|&value| unzigzag(zigzag(value)) == value));
    }

    #[test]
    fn columns_of_every_width_read_back() {
        for bits in 0..=64_u32 {
            for len in [0_u64, 1, 2, 7, 65] {
                let mask = if bits == 0 { 0 } else { u64::MAX >> (64 - bits) };
                let numbers: Vec<u64> =
                    (0..len).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
                let mut bytes = vec![9];
                put_column(&mut bytes, numbers.iter().copied());
                let mut cursor = Cursor::new(PLACE, &bytes);
                cursor.u8().unwrap();
                let column = cursor.column(numbers.len()).unwrap();
                cursor.finish().unwrap();
                assert_eq!((0..numbers.len()).map(|i| column.get(&bytes, i)).collect::<Vec<_>>(), numbers);
                assert_eq!(column.to_vec(&bytes), numbers);
            }
        }
    }

    #[test]
    fn lengths_past_the_end_are_refused() {
        let bytes = [0, 8, 1, 2, 3];
        assert!(Cursor::new(PLACE, &bytes).column(1).is_err());
        assert!(Cursor::new(PLACE, &bytes).column(usize::MAX).is_err());
        assert!(Cursor::new(PLACE, &[0, 9, 0, 0]).column(0).is_err());
        assert!(Cursor::new(PLACE, &[3, 0, 0]).count("things", 1).is_err());
        let error = Cursor::new(PLACE, &bytes).take(6).unwrap_err();
        assert!(matches!(error, IndexError::Damaged { offset: 100, .. }), "{error}");
    }
}
