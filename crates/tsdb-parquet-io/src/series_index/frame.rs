//! Blocks on their way from and to the file: one ZSTD frame each, found by a reference with a checksum.

use std::fmt;
use std::io;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;
use zstd::zstd_safe::{
    self, CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, zstd_sys::ZSTD_EndDirective,
};

use super::bytes::Place;
use super::{IndexError, IndexResult};

/// ZSTD at level 3: higher levels find little more in blocks of this size.
const BLOCK_LEVEL: i32 = 3;
/// Spilled chunks are read once and soon.
const SPILL_LEVEL: i32 = 1;
/// The most raw bytes of a block: a bound on what a damaged length can make a reader allocate.
pub(super) const RAW_BYTES_MAX: u64 = 1 << 30;
/// A part of a block that is this long gets entropy tables of its own: text and random numbers spoil each other's.
const OWN_TABLES_BYTES: usize = 4 << 10;
/// The most that one ZSTD block, which takes at least four bytes, can stand for.
const ZSTD_BLOCK_BYTES: u64 = 128 << 10;

/// The place of a block in its index, counted from the first one in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u32);

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockKind {
    /// The region as a whole: its magic bytes, or the pointer to it.
    Region,
    /// What is known of all other blocks.
    Directory,
    /// Values of labels, each with its postings.
    Values,
    /// Which pairs of label and value there are, about.
    LabelBloom,
    /// Of each series its rows, times and labels.
    Series,
    /// Where the pages of a row group lie.
    Pages,
    /// What was put aside while an index was built; in no file.
    Spill,
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Region => "region",
            Self::Directory => "directory",
            Self::Values => "value block",
            Self::LabelBloom => "label bloom",
            Self::Series => "series block",
            Self::Pages => "page table",
            Self::Spill => "spilled part",
        })
    }
}

/// Where a block lies, and how to tell that it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Which block of the index.
    pub id: BlockId,
    /// What it holds.
    pub kind: BlockKind,
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Bytes in the file.
    pub stored_len: u32,
    /// Bytes after decompression.
    pub raw_len: u32,
    /// xxh3-64 (seed 0) of the stored bytes.
    pub hash: u64,
}

impl BlockRef {
    /// The block's bytes in the file.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.stored_len)
    }

    /// Whether `stored`, the bytes of this block, decompress to the same as `others`, those of another one.
    pub(crate) fn has_same_content(&self, stored: &[u8], other: &Self, others: &[u8]) -> bool {
        matches!((self.open(stored), other.open(others)), (Ok(mine), Ok(others)) if mine == others)
    }

    pub(super) fn place(&self) -> Place {
        Place { block: self.kind, offset: self.offset }
    }

    /// The raw bytes, after the stored ones were checked.
    pub(super) fn open(&self, stored: &[u8]) -> IndexResult<Vec<u8>> {
        let place = self.place();
        if stored.len() as u64 != u64::from(self.stored_len) {
            return Err(place.damaged(format!("{} bytes of {}", stored.len(), self.stored_len)));
        }
        if xxh3_64(stored) != self.hash {
            return Err(place.damaged("wrong checksum"));
        }
        decompress(stored, Some(u64::from(self.raw_len)), place)
    }
}

/// The raw bytes of a frame that states their number, which must be the expected one if there is one.
pub(super) fn decompress(stored: &[u8], expected: Option<u64>, place: Place) -> IndexResult<Vec<u8>> {
    let stated = zstd_safe::get_frame_content_size(stored).ok().flatten();
    let Some(len) = stated.filter(|&len| expected.is_none_or(|expected| len == expected)) else {
        return Err(place.damaged("no ZSTD frame of the expected length"));
    };
    if len > RAW_BYTES_MAX || len > (stored.len() as u64 / 4 + 1) * ZSTD_BLOCK_BYTES {
        return Err(place.damaged(format!("{len} bytes out of {}", stored.len())));
    }
    let raw =
        zstd::bulk::decompress(stored, len as usize).map_err(|error| place.damaged(error.to_string()))?;
    if raw.len() as u64 != len {
        return Err(place.damaged(format!("{} raw bytes of {len}", raw.len())));
    }
    Ok(raw)
}

/// Compresses blocks one after another, with one context for all of them.
pub(super) struct Compressor {
    context: CCtx<'static>,
    level: i32,
    stored: Vec<u8>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Compressor {
    pub(super) fn for_blocks() -> Self {
        Self { context: CCtx::create(), level: BLOCK_LEVEL, stored: Vec::new() }
    }

    pub(super) fn for_spill() -> Self {
        Self { context: CCtx::create(), level: SPILL_LEVEL, stored: Vec::new() }
    }

    /// One frame of `raw`, whose parts end at `cuts` (ascending): a long part is coded by itself.
    pub(super) fn compress(&mut self, raw: &[u8], cuts: &[usize]) -> IndexResult<&[u8]> {
        if raw.len() as u64 > RAW_BYTES_MAX {
            return Err(IndexError::InvalidInput(format!("a block of {} bytes", raw.len())));
        }
        let Self { context, level, stored } = self;
        let zstd = |code| io::Error::other(zstd_safe::get_error_name(code));
        context.reset(ResetDirective::SessionOnly).map_err(zstd)?;
        context.set_parameter(CParameter::CompressionLevel(*level)).map_err(zstd)?;
        context.set_pledged_src_size(Some(raw.len() as u64)).map_err(zstd)?;
        let parts = cuts.len() + 1;
        stored.clear();
        stored.reserve(zstd_safe::compress_bound(raw.len()) + 64 * parts);
        let mut out = OutBuffer::around(stored);
        let mut start = 0;
        let long = cuts.iter().copied().filter(|&cut| {
            let is_long = cut - start >= OWN_TABLES_BYTES;
            start = if is_long { cut } else { start };
            is_long
        });
        let mut from = 0;
        for (to, directive) in long
            .map(|cut| (cut, ZSTD_EndDirective::ZSTD_e_flush))
            .chain([(raw.len(), ZSTD_EndDirective::ZSTD_e_end)])
        {
            let mut input = InBuffer::around(&raw[from..to]);
            // The buffer is large enough, so that each call does all there is to do.
            let left = context.compress_stream2(&mut out, &mut input, directive).map_err(zstd)?;
            if left > 0 {
                return Err(IndexError::Io(io::Error::other("ZSTD wants more room than its bound")));
            }
            from = to;
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_whatever_its_parts() {
        let raw: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let mut compressor = Compressor::for_blocks();
        for cuts in [&[][..], &[0], &[5_000], &[10, 20, 9_000, 100_000], &[50_000, 50_001]] {
            let stored = compressor.compress(&raw, cuts).unwrap().to_vec();
            let block = BlockRef {
                id: BlockId(0),
                kind: BlockKind::Values,
                offset: 7,
                stored_len: stored.len() as u32,
                raw_len: raw.len() as u32,
                hash: xxh3_64(&stored),
            };
            assert_eq!(block.open(&stored).unwrap(), raw);
            assert!(block.open(&stored[1..]).is_err());
            assert!(BlockRef { raw_len: block.raw_len - 1, ..block }.open(&stored).is_err());
            assert!(BlockRef { hash: block.hash ^ 1, ..block }.open(&stored).is_err());
        }
        assert_eq!(compressor.compress(&[], &[]).unwrap().len(), 9);
    }
}
