//! Reading and writing the parts that chunk headers and columns share: varints, fixed words, and a reader that
//! knows its offset, so that every error names the byte.

use crate::cursor::{long_varint, put_varint, unzigzag, zigzag};
use crate::{Error, Result};

/// Length of `value` as a varint, 1 to 10 bytes.
#[inline]
pub(super) fn uvarint_len(value: u64) -> usize {
    // Seven bits a byte; zero takes one byte all the same.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends `value` as the varint of its zigzag form.
#[inline]
pub(super) fn put_ivarint(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Where decoding stands in a chunk's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8> {
        match self.data.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => Err(self.corrupt("the data ends early")),
        }
    }

    #[inline]
    pub(super) fn uvarint(&mut self) -> Result<u64> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let long = long_varint(first, || self.u8())?;
        long.ok_or_else(|| self.corrupt("a varint is longer than 64 bits"))
    }

    #[inline]
    pub(super) fn ivarint(&mut self) -> Result<i64> {
        self.uvarint().map(unzigzag)
    }

    pub(super) fn f64(&mut self) -> Result<f64> {
        let bytes = self.bytes(8)?;
        Ok(f64::from_le_bytes(bytes.try_into().expect("invariant: 8 bytes were taken")))
    }

    /// Takes the next `len` bytes.
    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.data[self.at..].get(..len) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => Err(self.corrupt("the data ends early")),
        }
    }

    /// All bytes from the next one to the end, none of them taken.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.data[self.at..]
    }

    #[cold]
    pub(super) fn corrupt(&self, detail: impl Into<String>) -> Error {
        Error::Corrupt { what: "chunk", offset: self.at as u64, detail: detail.into() }
    }
}
