//! Fixed-width bit packing: up to [`GROUP_LEN`] numbers of `width` bits each, the lowest bits first.
//!
//! Number `i` takes the bits `i * width ..` of the packed bytes, bit 0 being the lowest bit of the first byte.
//! A width is 0 to 56 or 64, never between: so one unaligned 8-byte load holds any number whole, which makes
//! unpacking a loop without branches in which no number waits for the one before.

use super::reader::Reader;
use crate::Result;

/// The most samples of one group, the unit of compression.
pub(super) const GROUP_LEN: usize = 32;
/// The widest number that a shift of up to 7 leaves in one 8-byte load, if it is not a whole word.
const MAX_SHIFTED_WIDTH: u32 = 56;
/// How a width of 64 is written.
const WIDTH_CODE_64: u8 = 57;

/// The width in which numbers of `bits` significant bits are packed.
#[inline]
pub(super) fn width_for(bits: u32) -> u32 {
    if bits > MAX_SHIFTED_WIDTH { 64 } else { bits }
}

/// The six-bit code of a width.
#[inline]
pub(super) fn width_code(width: u32) -> u8 {
    if width == 64 { WIDTH_CODE_64 } else { width as u8 }
}

/// The width of a six-bit code, if it is one.
#[inline]
pub(super) fn width_of_code(code: u8) -> Option<u32> {
    match code {
        0..WIDTH_CODE_64 => Some(u32::from(code)),
        WIDTH_CODE_64 => Some(64),
        _ => None,
    }
}

/// Bytes that `count` packed numbers take.
#[inline]
pub(super) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `numbers`, each less than `2^width`, packed. Their places are used for work.
#[inline]
pub(super) fn pack(numbers: &mut [u64], mut width: u32, out: &mut Vec<u8>) {
    if width == 64 {
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
        return;
    }
    let len = packed_len(numbers.len(), width);
    // Each word below waits for the one before. Two narrow numbers make one wide one, independently of others.
    let mut count = numbers.len();
    while width <= MAX_SHIFTED_WIDTH / 2 && count > 2 {
        for pair in 0..count / 2 {
            numbers[pair] = numbers[2 * pair] | numbers[2 * pair + 1] << width;
        }
        if count % 2 == 1 {
            numbers[count / 2] = numbers[count - 1];
        }
        count = count.div_ceil(2);
        width *= 2;
    }
    // Whole words are stored, so the last one may reach past the end.
    let mut bytes = [0; GROUP_LEN * 7 + 8];
    let (mut word, mut filled, mut at) = (0_u64, 0_u32, 0_usize);
    for &number in &numbers[..count] {
        word |= number << filled;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        filled += width;
        at += (filled >> 3) as usize;
        word >>= filled & !7;
        filled &= 7;
    }
    out.extend_from_slice(&bytes[..len]);
}

/// Takes `out.len()` packed numbers from the reader.
#[inline]
pub(super) fn unpack(reader: &mut Reader<'_>, width: u32, out: &mut [u64]) -> Result<()> {
    let rest = reader.rest();
    let len = packed_len(out.len(), width);
    reader.bytes(len)?;
    if rest.len() >= len + 8 {
        unpack_padded(rest, width, out);
    } else {
        // The end of the chunk: the loads would reach past it.
        let mut padded = [0; GROUP_LEN * 8 + 8];
        padded[..len].copy_from_slice(&rest[..len]);
        unpack_padded(&padded, width, out);
    }
    Ok(())
}

/// Unpacks from bytes of which at least 8 more can be read than the numbers take.
#[inline]
fn unpack_padded(bytes: &[u8], width: u32, out: &mut [u64]) {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let mut bit = 0;
    for number in out {
        let at = bit >> 3;
        let word: [u8; 8] = bytes[at..at + 8].try_into().expect("invariant: 8 bytes were sliced");
        *number = (u64::from_le_bytes(word) >> (bit & 7)) & mask;
        bit += width as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_comes_back_with_and_without_bytes_behind() {
        for width in (0..=56).chain([64]) {
            for count in 0..=GROUP_LEN {
                let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
                let numbers: Vec<u64> = (1..=count as u64)
                    .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9) & mask)
                    .collect();
                for behind in [0, 1, 7, 8, 20] {
                    let mut bytes = vec![0xaa];
                    pack(&mut numbers.clone(), width, &mut bytes);
                    assert_eq!(bytes.len(), 1 + packed_len(count, width));
                    bytes.extend(std::iter::repeat_n(0xff, behind));
                    let mut reader = Reader::new(&bytes, 1);
                    let mut out = vec![1; count];
                    unpack(&mut reader, width, &mut out).unwrap();
                    assert_eq!((out, reader.remaining()), (numbers.clone(), behind), "width {width}");
                }
            }
        }
    }

    #[test]
    fn missing_bytes_are_an_error() {
        let mut out = [0; 9];
        assert!(unpack(&mut Reader::new(&[1, 2, 3], 0), 3, &mut out).is_err());
        assert!(unpack(&mut Reader::new(&[1, 2, 3, 4], 0), 3, &mut out).is_ok());
    }

    #[test]
    fn width_codes_come_back() {
        for bits in 0..=64 {
            let width = width_for(bits);
            assert!(width >= bits && width_of_code(width_code(width)) == Some(width));
        }
        assert!((58..64).all(|code| width_of_code(code).is_none()));
    }
}
