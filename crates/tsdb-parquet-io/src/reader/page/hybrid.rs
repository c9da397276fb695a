//! Parquet's hybrid of run-length encoding and bit-packing, read run by run.

use std::ops::Range;

use super::{Number, PageResult};

/// Calls `run` with each run or packed group of the first `len` numbers in `bytes`.
pub(super) fn for_each_run(bytes: &[u8], width: u8, len: usize, mut run: impl FnMut(Run)) -> PageResult<()> {
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
            let at = bytes.len() - rest.len();
            let packed = count.checked_mul(u64::from(width)).and_then(|bytes| usize::try_from(bytes).ok());
            let (_, after) = packed.and_then(|bytes| rest.split_at_checked(bytes)).ok_or_else(cut_off)?;
            rest = after;
            let count = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(8).min(left);
            if count == 0 {
                return Err("a packed group of no rows".into());
            }
            run(Run::Packed(at, count));
            left -= count;
        }
    }
    Ok(())
}

/// References of a page, of which any part can be taken.
#[derive(Debug)]
pub(super) struct References {
    /// The page's body.
    body: Vec<u8>,
    width: u8,
    runs: Vec<RunAt>,
}

/// A run in a body.
#[derive(Clone, Copy, Debug)]
struct RunAt {
    /// The place of its first number among all.
    first: usize,
    content: Content,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Repeated(u32),
    /// Packed numbers from this byte of the body on.
    Packed(usize),
}

impl References {
    /// The first `len` references in `body`, whose width is at byte `at`.
    pub(super) fn new(body: Vec<u8>, at: usize, len: usize) -> PageResult<Self> {
        let (&width, packed) = body[at..].split_first().ok_or("a page without its bit width")?;
        let (mut runs, mut first) = (Vec::new(), 0);
        for_each_run(packed, width, len, |run| {
            let (content, count) = match run {
                Run::Repeated(number, count) => (Content::Repeated(number), count),
                Run::Packed(packed_at, count) => (Content::Packed(at + 1 + packed_at), count),
            };
            runs.push(RunAt { first, content });
            first += count;
        })?;
        Ok(Self { width, runs, body })
    }

    /// Appends what the references at `range`, which are there, refer to. One beyond the dictionary is an error, and then what
    /// was appended means nothing.
    pub(super) fn take<N: Number>(
        &self,
        range: Range<usize>,
        dictionary: &[u64],
        out: &mut Vec<N>,
    ) -> PageResult<()> {
        out.reserve(range.len());
        let mut beyond = None;
        let mut look_up = |reference: usize| match dictionary.get(reference) {
            Some(&number) => N::from_bits(number),
            None => {
                beyond = Some(reference);
                N::from_bits(0)
            }
        };
        let mut unpacked = Vec::new();
        let mut at = range.start;
        let mut run = self.runs.partition_point(|run| run.first <= at).saturating_sub(1);
        while at < range.end {
            let RunAt { first, content } = self.runs[run];
            let end = self.runs.get(run + 1).map_or(range.end, |next| next.first.min(range.end));
            let in_run = at - first..end - first;
            match content {
                Content::Repeated(number) => {
                    out.extend(std::iter::repeat_n(look_up(number as usize), in_run.len()));
                }
                // Whole bytes, as a rule: looked up in passing.
                Content::Packed(byte) => match self.width {
                    8 => out.extend(self.body[byte..][in_run].iter().map(|&r| look_up(usize::from(r)))),
                    16 => {
                        let pairs = &self.body[byte..].as_chunks::<2>().0[in_run];
                        out.extend(pairs.iter().map(|&pair| look_up(usize::from(u16::from_le_bytes(pair)))));
                    }
                    _ => {
                        unpacked.clear();
                        unpack(&self.body[byte..], self.width, in_run, &mut unpacked);
                        out.extend(unpacked.iter().map(|&reference| look_up(reference as usize)));
                    }
                },
            }
            (at, run) = (end, run + 1);
        }
        match beyond {
            None => Ok(()),
            Some(reference) => {
                Err(format!("reference {reference} into a dictionary of {}", dictionary.len()))
            }
        }
    }
}

/// A run of one number, or numbers packed one after the other from a byte on; and how many.
pub(super) enum Run {
    Repeated(u32, usize),
    Packed(usize, usize),
}

/// Appends the numbers at `range` of those that are packed into `width` bits each, lowest bits first.
pub(super) fn unpack(packed: &[u8], width: u8, range: Range<usize>, out: &mut Vec<u32>) {
    match width {
        0 => out.extend(range.map(|_| 0)),
        _ => {
            let mask = u64::MAX >> (64 - u32::from(width));
            out.extend(range.map(|index| {
                let bit = index * usize::from(width);
                let from = &packed[bit / 8..];
                // At most 32 bits behind at most 7 fit the word.
                let word = match from.first_chunk::<8>() {
                    Some(word) => u64::from_le_bytes(*word),
                    None => {
                        let mut word = [0; 8];
                        word[..from.len()].copy_from_slice(from);
                        u64::from_le_bytes(word)
                    }
                };
                ((word >> (bit % 8)) & mask) as u32
            }));
        }
    }
}
