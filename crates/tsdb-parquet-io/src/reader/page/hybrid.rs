//! Parquet's hybrid of run-length encoding and bit-packing, read run by run.

use super::PageResult;

/// Calls `run` with each run or packed group of the first `len` numbers in `bytes`.
pub(super) fn for_each_run(
    bytes: &[u8],
    width: u8,
    len: usize,
    mut run: impl FnMut(Run<'_>),
) -> PageResult<()> {
    if width > 32 {
        return Err(format!("references of {width} bits"));
    }
    let cut_off = || "levels or references that are cut off".to_owned();
    let mut rest = bytes;
    let mut left = len;
    while left > 0 {
        let mut header = 0_u64;
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or_else(cut_off)?;
            rest = after;
            header |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 35 {
                return Err("a run of more than 32 bits".into());
            }
        }
        let count = header >> 1;
        if header & 1 == 0 {
            let (number, after) =
                rest.split_at_checked(usize::from(width).div_ceil(8)).ok_or_else(cut_off)?;
            rest = after;
            let mut bytes = [0; 4];
            bytes[..number.len()].copy_from_slice(number);
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(left);
            if count == 0 {
                return Err("a run of no rows".into());
            }
            run(Run::Repeated(u32::from_le_bytes(bytes), count));
            left -= count;
        } else {
            let packed = count.checked_mul(u64::from(width)).and_then(|bytes| usize::try_from(bytes).ok());
            let (packed, after) =
                packed.and_then(|bytes| rest.split_at_checked(bytes)).ok_or_else(cut_off)?;
            rest = after;
            let count = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(8).min(left);
            if count == 0 {
                return Err("a packed group of no rows".into());
            }
            run(Run::Packed(packed, count));
            left -= count;
        }
    }
    Ok(())
}

/// A run of one number, or numbers packed one after the other.
pub(super) enum Run<'a> {
    Repeated(u32, usize),
    Packed(&'a [u8], usize),
}

/// Appends `count` numbers of `width` bits each, lowest bits first.
pub(super) fn unpack(packed: &[u8], width: u8, count: usize, out: &mut Vec<u32>) {
    match width {
        0 => out.extend(std::iter::repeat_n(0, count)),
        8 => out.extend(packed[..count].iter().map(|&byte| u32::from(byte))),
        16 => out.extend(
            packed.as_chunks::<2>().0[..count].iter().map(|&pair| u32::from(u16::from_le_bytes(pair))),
        ),
        _ => {
            let mask = u64::MAX >> (64 - u32::from(width));
            for index in 0..count {
                let bit = index * usize::from(width);
                let mut word = [0; 8];
                let from = &packed[bit / 8..packed.len().min(bit / 8 + 8)];
                word[..from.len()].copy_from_slice(from);
                // At most 32 bits behind at most 7 fit the word.
                out.push(((u64::from_le_bytes(word) >> (bit % 8)) & mask) as u32);
            }
        }
    }
}
