//! Variable-length integers (LEB128) and a reader over a record's payload.

use tsdb_core::Error;

/// Appends `value`, seven bits a byte, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value, so that small ones of either sign are short.
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63) as u64);
}

/// Reads a payload from its start. Nothing read past the end or out of range is ever trusted.
#[derive(Debug)]
pub(super) struct PayloadReader<'a> {
    rest: &'a [u8],
}

impl<'a> PayloadReader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn bytes(&mut self, len: u64) -> Result<&'a [u8], Error> {
        let taken = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let (taken, rest) = taken.ok_or_else(|| broken("ends before its contents"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.bytes(N as u64)?;
        Ok(bytes.try_into().expect("invariant: as many bytes as were asked for"))
    }

    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken("has a number of more than 64 bits"))
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, Error> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// A payload whose checksum is right and whose contents are not: written by no version of this crate.
pub(super) fn broken(detail: &str) -> Error {
    Error::Corrupt { what: "log record", offset: 0, detail: format!("the record {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        let values = [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN, 1_700_000_000_000];
        let mut out = Vec::new();
        values.iter().for_each(|&v| put_zigzag(&mut out, v));
        values.iter().for_each(|&v| put_varint(&mut out, v as u64));
        let mut reader = PayloadReader::new(&out);
        values.iter().for_each(|&v| assert_eq!(reader.zigzag().unwrap(), v));
        values.iter().for_each(|&v| assert_eq!(reader.varint().unwrap(), v as u64));
        assert!(reader.is_at_end() && reader.varint().is_err());
    }

    #[test]
    fn a_number_that_is_too_long_is_refused() {
        assert!(PayloadReader::new(&[0xff; 11]).varint().is_err());
        assert!(
            PayloadReader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint().is_err()
        );
    }
}
