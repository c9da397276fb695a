//! The header of a page, in Thrift's compact protocol: as much of it as pages of ours need.

use super::PageResult;
use crate::varint::{read_varint, unzigzag};

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Parquet's number for the page's type: 0 data, 2 dictionary.
    pub(super) page_type: i64,
    /// Bytes of the body, decompressed.
    pub(super) body_bytes: usize,
    /// Bytes of the body as they lie behind the header.
    pub(super) compressed_bytes: usize,
    /// Values, nulls included.
    pub(super) values: usize,
    /// Parquet's number for the encoding of the values.
    pub(super) encoding: i64,
}

/// Structs deeper than this are not ours.
const DEPTH_MAX: usize = 8;

impl PageHeader {
    /// Splits a page into its header and its body.
    pub(super) fn parse(bytes: &[u8]) -> PageResult<(Self, &[u8])> {
        let mut reader = Reader { rest: bytes };
        let mut header = Self::default();
        reader.fields(0, &mut |reader, id, kind| {
            match (id, kind) {
                (1, I32) => header.page_type = reader.zigzag()?,
                (2, I32) => header.body_bytes = reader.size()?,
                (3, I32) => header.compressed_bytes = reader.size()?,
                // The header of a data page, or of a dictionary page: both begin with values and encoding.
                (5 | 7, STRUCT) => reader.fields(1, &mut |reader, id, kind| {
                    match (id, kind) {
                        (1, I32) => header.values = reader.size()?,
                        (2, I32) => header.encoding = reader.zigzag()?,
                        _ => reader.skip(kind, 2)?,
                    }
                    Ok(())
                })?,
                _ => reader.skip(kind, 1)?,
            }
            Ok(())
        })?;
        Ok((header, reader.rest))
    }
}

const BOOL_TRUE: u8 = 1;
const BOOL_FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> PageResult<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("a page header that is cut off")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> PageResult<u8> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> PageResult<u64> {
        let value = read_varint(|| self.byte())?;
        Ok(value.ok_or("a number of more than 64 bits in a page header")?)
    }

    fn zigzag(&mut self) -> PageResult<i64> {
        self.varint().map(unzigzag)
    }

    fn size(&mut self) -> PageResult<usize> {
        let size = self.zigzag()?;
        usize::try_from(size).map_err(|_| format!("a size of {size} in a page header"))
    }

    /// Calls `field` with the number and type of each field of a struct; it takes the field's value.
    fn fields(
        &mut self,
        depth: usize,
        field: &mut dyn FnMut(&mut Self, i64, u8) -> PageResult<()>,
    ) -> PageResult<()> {
        if depth > DEPTH_MAX {
            return Err("a page header of many levels".into());
        }
        let mut id = 0_i64;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match i64::from(byte >> 4) {
                0 => self.zigzag()?,
                delta => id.saturating_add(delta),
            };
            field(self, id, byte & 0xf)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> PageResult<()> {
        match kind {
            BOOL_TRUE | BOOL_FALSE => {}
            BYTE => _ = self.byte()?,
            I16 | I32 | I64 => _ = self.varint()?,
            DOUBLE => _ = self.take(8)?,
            BINARY => {
                let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                self.take(len)?;
            }
            LIST => {
                let head = self.byte()?;
                let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // An element takes a byte or more, but for booleans in lists, which take one too.
                if len > self.rest.len() as u64 || depth > DEPTH_MAX {
                    return Err("a list in a page header that is cut off".into());
                }
                for _ in 0..len {
                    match head & 0xf {
                        BOOL_TRUE | BOOL_FALSE => _ = self.byte()?,
                        element => self.skip(element, depth + 1)?,
                    }
                }
            }
            STRUCT => self.fields(depth, &mut |reader, _, kind| reader.skip(kind, depth + 1))?,
            other => return Err(format!("a field of type {other} in a page header")),
        }
        Ok(())
    }
}
