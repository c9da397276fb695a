//! The wire format of Protocol Buffers, read in place: a message is a slice, and its fields come one after another.
//!
//! ```text
//! message := field*
//! field   := key value            key = number << 3 | type, as a varint
//! value   := varint               type 0: 7 bits a byte, the lowest first, at most ten bytes
//!          | 8 bytes              type 1, little-endian
//!          | length byte*         type 2: a string, a message, or numbers without keys (packed)
//!          | 4 bytes              type 5, little-endian
//! ```
//!
//! No message is built: whoever reads takes from each field what it wants and skips the rest. Nothing is allocated, and nothing
//! is read twice unless the reader does so. Groups (types 3 and 4), which no message of ours has ever had, are refused.

/// Why a body is not what it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    reason: &'static str,
}

impl Malformed {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

pub(super) type Read<T> = Result<T, Malformed>;

/// The value of a field, not yet interpreted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What is still to come, as bytes.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field: its number and value. `None` at the end of the message.
    #[inline]
    pub(super) fn next(&mut self) -> Read<Option<(u32, Value<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0 && key <= u64::from(u32::MAX));
        let number = number.ok_or(Malformed::new("a field number is out of range"))?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(*self.rest.split_off(..8).and_then(<[u8]>::first_chunk).ok_or(CUT_SHORT)?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| CUT_SHORT)?;
                Value::Bytes(self.rest.split_off(..length).ok_or(CUT_SHORT)?)
            }
            5 => {
                self.rest.split_off(..4).ok_or(CUT_SHORT)?;
                Value::Fixed32
            }
            _ => return Err(Malformed::new("a field has a type that Protocol Buffers do not use any more")),
        };
        Ok(Some((number, value)))
    }
}

const CUT_SHORT: Malformed = Malformed::new("the message ends in the middle of a field");
const WRONG_TYPE: Malformed =
    Malformed::new("a field has not the type that the message's definition gives it");

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Read<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn text(self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::new("a string is not UTF-8"))
    }

    pub(super) fn varint(self) -> Read<u64> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn int64(self) -> Read<i64> {
        self.varint().map(|value| value as i64)
    }

    pub(super) fn uint32(self) -> Read<u32> {
        self.varint().map(|value| value as u32)
    }

    /// The type `sint32`.
    pub(super) fn zigzag32(self) -> Read<i32> {
        self.uint32().map(|value| (value >> 1) as i32 ^ -((value & 1) as i32))
    }

    pub(super) fn double(self) -> Read<f64> {
        if let Self::Fixed64(bytes) = self { Ok(f64::from_le_bytes(bytes)) } else { Err(WRONG_TYPE) }
    }

    /// Gives each number of a repeated field of varints, packed or not, to `with`.
    pub(super) fn each_varint(self, mut with: impl FnMut(u64)) -> Read<()> {
        match self {
            Self::Varint(value) => with(value),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    with(varint(&mut packed)?);
                }
            }
            _ => return Err(WRONG_TYPE),
        }
        Ok(())
    }

    /// As [`each_varint`](Self::each_varint), of doubles.
    pub(super) fn each_double(self, mut with: impl FnMut(f64)) -> Read<()> {
        match self {
            Self::Fixed64(bytes) => with(f64::from_le_bytes(bytes)),
            Self::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(CUT_SHORT);
                }
                doubles.iter().for_each(|&bytes| with(f64::from_le_bytes(bytes)));
            }
            _ => return Err(WRONG_TYPE),
        }
        Ok(())
    }
}

/// The type `sint64`.
pub(super) fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
fn varint(rest: &mut &[u8]) -> Read<u64> {
    // Most are of one byte: keys, lengths, references.
    if let Some((&byte, after)) = rest.split_first()
        && byte < 0x80
    {
        *rest = after;
        return Ok(u64::from(byte));
    }
    long_varint(rest)
}

fn long_varint(rest: &mut &[u8]) -> Read<u64> {
    let mut value = 0_u64;
    for (i, &byte) in rest.iter().enumerate().take(10) {
        // The tenth byte has room for one bit.
        if i == 9 && byte > 1 {
            return Err(Malformed::new("a number has more than 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < 10 { CUT_SHORT } else { Malformed::new("a number has more than ten bytes") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expected: Read<&[(u32, Value<'_>)]>) {
        let mut fields = Fields::new(message);
        let mut found = Vec::new();
        let read = loop {
            match fields.next() {
                Ok(Some(field)) => found.push(field),
                Ok(None) => break Ok(found.as_slice()),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(read, expected, "{message:x?}");
    }

    #[test]
    fn fields_of_each_type() {
        check(&[], Ok(&[]));
        check(&[0x08, 0x96, 0x01], Ok(&[(1, Value::Varint(150))]));
        check(&[0x09, 1, 2, 3, 4, 5, 6, 7, 8], Ok(&[(1, Value::Fixed64([1, 2, 3, 4, 5, 6, 7, 8]))]));
        check(&[0x12, 2, 7, 8, 0x1a, 0], Ok(&[(2, Value::Bytes(&[7, 8])), (3, Value::Bytes(&[]))]));
        check(&[0x15, 1, 2, 3, 4], Ok(&[(2, Value::Fixed32)]));
        check(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], Ok(&[(1, Value::Varint(u64::MAX))]));
    }

    #[test]
    fn malformed_fields() {
        for cut in [&[0x08][..], &[0x08, 0x80], &[0x09, 1, 2], &[0x12, 2, 7], &[0x12], &[0x15, 1], &[0x80]] {
            check(cut, Err(CUT_SHORT));
        }
        for (message, reason) in [
            (&[0x00, 0][..], "a field number is out of range"),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], "a field number is out of range"),
            (&[0x0b], "a field has a type that Protocol Buffers do not use any more"),
            (&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], "a number has more than 64 bits"),
            (&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 129, 1], "a number has more than 64 bits"),
        ] {
            check(message, Err(Malformed::new(reason)));
        }
    }

    #[test]
    fn numbers_with_signs() {
        let zigzag = |value| (zigzag64(value), Value::Varint(value).zigzag32().unwrap());
        assert_eq!([0, 1, 2, 3].map(zigzag), [(0, 0), (-1, -1), (1, 1), (-2, -2)]);
        assert_eq!(zigzag64(u64::MAX), i64::MIN);
        assert_eq!(Value::Varint(u64::MAX).int64(), Ok(-1));
    }
}
