//! DELTA_BINARY_PACKED: each number by its difference to the one before. So they are decoded from the first one on, but no
//! further than rows are wanted, and kept for those who come later.

use std::ops::Range;
use std::sync::Mutex;

use super::PageResult;
use super::numbers::Number;
use crate::varint::{read_varint, unzigzag};

/// The numbers of a page.
#[derive(Debug)]
pub(super) struct Deltas {
    body: Vec<u8>,
    len: usize,
    /// Numbers in a block, and in each of its parts.
    block: usize,
    miniblock: usize,
    decoded: Mutex<Decoded>,
}

/// The numbers so far: whole blocks behind the first one.
#[derive(Debug)]
struct Decoded {
    numbers: Vec<u64>,
    last: i64,
    /// Where the next block begins.
    at: usize,
}

impl Deltas {
    /// The `len` numbers that begin at a place of `body`.
    pub(super) fn new(body: Vec<u8>, at: usize, len: usize) -> PageResult<Self> {
        let mut reader = Varints { rest: &body[at..] };
        let (block, miniblocks, total) = (reader.usize()?, reader.usize()?, reader.usize()?);
        let last = reader.zigzag()?;
        if total != len
            || miniblocks == 0
            || block == 0
            || block / miniblocks % 32 != 0
            || block % miniblocks != 0
            || block > 1 << 16
        {
            return Err(format!(
                "{total} differences in blocks of {block} and {miniblocks} parts, where {len} should be"
            ));
        }
        // A block takes a byte, and one for the width of each part: no room is made for what cannot be there.
        if len.saturating_sub(1).div_ceil(block) > reader.rest.len() / (1 + miniblocks) {
            return Err(format!("{len} numbers in {} bytes of differences", reader.rest.len()));
        }
        let at = body.len() - reader.rest.len();
        let numbers = if len == 0 { Vec::new() } else { vec![last.cast_unsigned()] };
        let decoded = Mutex::new(Decoded { numbers, last, at });
        Ok(Self { body, len, block, miniblock: block / miniblocks, decoded })
    }

    /// Appends the numbers at `places`, which are there, to `out`.
    pub(super) fn take<N: Number>(&self, places: Range<usize>, out: &mut Vec<N>) -> PageResult<()> {
        let mut decoded = self.decoded.lock().map_err(|_| "a thread that decoded the page panicked")?;
        while decoded.numbers.len() < places.end {
            let before = decoded.numbers.len();
            if let Err(error) = self.decode_block(&mut decoded) {
                decoded.numbers.truncate(before);
                return Err(error);
            }
        }
        out.extend(decoded.numbers[places].iter().map(|&number| N::from_bits(number)));
        Ok(())
    }

    fn decode_block(&self, decoded: &mut Decoded) -> PageResult<()> {
        let Decoded { numbers: out, last, at } = decoded;
        let (mut reader, mut before) = (Varints { rest: &self.body[*at..] }, *last);
        let end = self.len.min(out.len() + self.block);
        out.reserve(end - out.len());
        let min = reader.zigzag()?;
        for &width in reader.take(self.block / self.miniblock)? {
            let count = self.miniblock.min(end - out.len());
            if count == 0 {
                break;
            }
            if width > 64 {
                return Err(format!("differences of {width} bits"));
            }
            let packed = reader.take(usize::from(width) * self.miniblock / 8)?;
            let mut next = |difference: u64| {
                before = before.wrapping_add(min).wrapping_add(difference.cast_signed());
                before.cast_unsigned()
            };
            match width {
                0 => out.extend((0..count).map(|_| next(0))),
                8 => out.extend(packed[..count].iter().map(|&byte| next(u64::from(byte)))),
                16 => {
                    let pairs = &packed.as_chunks::<2>().0[..count];
                    out.extend(pairs.iter().map(|&pair| next(u64::from(u16::from_le_bytes(pair)))));
                }
                _ => out.extend((0..count).map(|index| next(number_at(packed, width, index)))),
            }
        }
        (*last, *at) = (before, self.body.len() - reader.rest.len());
        Ok(())
    }
}

/// The number at `index` of a packed part.
#[inline]
fn number_at(packed: &[u8], width: u8, index: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = index * usize::from(width);
    // At most 56 bits behind at most 7 fit a word.
    if width <= 56
        && let Some(word) = packed.get(bit / 8..).and_then(|from| from.first_chunk::<8>())
    {
        return (u64::from_le_bytes(*word) >> (bit % 8)) & (u64::MAX >> (64 - u32::from(width)));
    }
    let mut word = [0; 16];
    match packed.get(bit / 8..bit / 8 + 16) {
        Some(from) => word.copy_from_slice(from),
        None => {
            let from = &packed[bit / 8..];
            word[..from.len()].copy_from_slice(from);
        }
    }
    (u128::from_le_bytes(word) >> (bit % 8)) as u64 & (u64::MAX >> (64 - u32::from(width)))
}

struct Varints<'a> {
    rest: &'a [u8],
}

impl<'a> Varints<'a> {
    fn take(&mut self, len: usize) -> PageResult<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("differences that are cut off")?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> PageResult<u64> {
        let value = read_varint(|| PageResult::Ok(self.take(1)?[0]))?;
        Ok(value.ok_or("a difference of more than 64 bits")?)
    }

    fn usize(&mut self) -> PageResult<usize> {
        usize::try_from(self.varint()?).map_err(|e| e.to_string())
    }

    fn zigzag(&mut self) -> PageResult<i64> {
        self.varint().map(unzigzag)
    }
}
