//! The bytes of a label set: lengths that are ASCII, and the strict check of bytes from outside.
//!
//! The layout is in the parent's comment. Writing and reading trust their input; [`check`] trusts nothing.

use crate::{Error, Result};

/// A length up to this is its own byte.
const SHORT_LENGTH_MAX: usize = 0x7e;
/// Marks a length in the long form.
const LONG_LENGTH: u8 = 0x7f;
/// Bytes of a long length after its mark.
const LONG_LENGTH_BYTES: usize = 5;
/// The longest name or value, in bytes.
pub(super) const STRING_BYTES_MAX: usize = u32::MAX as usize;

/// The bytes that `text` takes with its length.
pub(super) fn encoded_len(text: &str) -> usize {
    text.len() + if text.len() <= SHORT_LENGTH_MAX { 1 } else { 1 + LONG_LENGTH_BYTES }
}

/// Appends the length of `text` and `text`, which has at most [`STRING_BYTES_MAX`] bytes.
pub(super) fn write_str(out: &mut String, text: &str) {
    let length = text.len();
    debug_assert!(length <= STRING_BYTES_MAX, "the builder refuses longer strings");
    if length <= SHORT_LENGTH_MAX {
        out.push(char::from(length as u8));
    } else {
        out.push(char::from(LONG_LENGTH));
        for i in 0..LONG_LENGTH_BYTES {
            out.push(char::from((length >> (7 * i)) as u8 & 0x7f));
        }
    }
    out.push_str(text);
}

/// Splits the first string off a valid encoding that is not at its end.
#[inline]
pub(super) fn read_str(encoded: &str) -> (&str, &str) {
    let bytes = encoded.as_bytes();
    if bytes[0] == LONG_LENGTH {
        let length = long_length(bytes);
        encoded[1 + LONG_LENGTH_BYTES..].split_at(length)
    } else {
        encoded[1..].split_at(usize::from(bytes[0]))
    }
}

/// The length in the long form at the start of `bytes`.
fn long_length(bytes: &[u8]) -> usize {
    let value = bytes[1..=LONG_LENGTH_BYTES].iter().rev().fold(0u64, |sum, &b| sum << 7 | u64::from(b));
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The encoding as text, after every rule was checked.
pub(super) fn check(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|e| corrupt(e.valid_up_to(), "is not UTF-8"))?;
    let mut offset = 0;
    let mut previous = "";
    while offset < text.len() {
        let start = offset;
        let name = checked_str(text, &mut offset)?;
        if name <= previous {
            return Err(corrupt(start, "names do not ascend"));
        }
        previous = name;
        checked_str(text, &mut offset)?;
    }
    Ok(text)
}

/// The string at `offset`, which moves behind it.
fn checked_str<'a>(text: &'a str, offset: &mut usize) -> Result<&'a str> {
    let start = *offset;
    let bytes = &text.as_bytes()[start..];
    let (head, length) = match *bytes {
        [] => return Err(corrupt(start, "ends after a name")),
        [0, ..] => return Err(corrupt(start, "has an empty name or value")),
        [LONG_LENGTH, ..] => {
            if bytes.len() <= LONG_LENGTH_BYTES || bytes[..=LONG_LENGTH_BYTES].iter().any(|b| !b.is_ascii()) {
                return Err(corrupt(start, "has a broken length"));
            }
            let length = long_length(bytes);
            if length <= SHORT_LENGTH_MAX || length > STRING_BYTES_MAX {
                return Err(corrupt(start, "has a length that is not in its shortest form or above 2^32-1"));
            }
            (1 + LONG_LENGTH_BYTES, length)
        }
        [length, ..] if length < LONG_LENGTH => (1, usize::from(length)),
        _ => return Err(corrupt(start, "has a broken length")),
    };
    // Bounds and character boundaries in one: a length that ends inside a character is as wrong as one past the end.
    let end = (start + head).checked_add(length);
    let string = end.and_then(|end| text.get(start + head..end));
    *offset = end.unwrap_or(usize::MAX);
    string.ok_or_else(|| corrupt(start, "has a length that ends past the end or inside a character"))
}

fn corrupt(offset: usize, detail: &str) -> Error {
    Error::Corrupt { what: "label set", offset: offset as u64, detail: format!("the encoding {detail}") }
}
