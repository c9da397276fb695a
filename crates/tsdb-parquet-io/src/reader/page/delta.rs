//! DELTA_BINARY_PACKED: each number by its difference to the one before. So they are decoded from the first one on, but no
//! further than rows are wanted, and kept for those who come later.

use std::ops::Range;
use std::sync::Mutex;

use super::PageResult;
use super::numbers::Number;
use super::packed::{GROUP, unpack};
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
    last: u64,
    /// Where the next block begins.
    at: usize,
}

impl Deltas {
    /// The `len` numbers that begin at a place of `body`.
    pub(super) fn new(body: Vec<u8>, at: usize, len: usize) -> PageResult<Self> {
        let mut reader = Varints { rest: &body[at..] };
        let (block, miniblocks, total) = (reader.usize()?, reader.usize()?, reader.usize()?);
        let last = reader.zigzag()?.cast_unsigned();
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
        let numbers = if len == 0 { Vec::new() } else { vec![last] };
        let decoded = Mutex::new(Decoded { numbers, last, at });
        Ok(Self { body, len, block, miniblock: block / miniblocks, decoded })
    }

    /// Appends the numbers at `places`, which are there, to `out`.
    pub(super) fn take<N: Number>(&self, places: Range<usize>, out: &mut Vec<N>) -> PageResult<()> {
        let mut decoded = self.decoded.lock().map_err(|_| "a thread that decoded the page panicked")?;
        let missing = places.end.saturating_sub(decoded.numbers.len());
        decoded.numbers.reserve(missing.next_multiple_of(self.block));
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
        let min = reader.zigzag()?.cast_unsigned();
        for &width in reader.take(self.block / self.miniblock)? {
            let count = self.miniblock.min(end - out.len());
            if count == 0 {
                break;
            }
            if width > 64 {
                return Err(format!("differences of {width} bits"));
            }
            let mut rest = reader.take(usize::from(width) * self.miniblock / 8)?;
            for done in (0..count).step_by(GROUP) {
                let (group, others) = rest.split_at(usize::from(width) * GROUP / 8);
                let mut numbers = unpack(group, width);
                for number in &mut numbers {
                    before = before.wrapping_add(min).wrapping_add(*number);
                    *number = before;
                }
                out.extend_from_slice(&numbers[..GROUP.min(count - done)]);
                rest = others;
            }
        }
        (*last, *at) = (before, self.body.len() - reader.rest.len());
        Ok(())
    }
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
