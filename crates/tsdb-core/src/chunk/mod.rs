//! Chunks: compressed runs of one series' samples.
//!
//! A chunk holds samples of one kind ([`ChunkEncoding`]): floats, or native histograms of one bucket layout. It
//! is compressed in **groups**: a [`ChunkBuilder`] keeps the newest samples raw and, when a group is full,
//! compresses it column by column: timestamps and counts by an integer column (`ints`), values by a
//! float column (`floats`). That is Gorilla's delta-of-delta and XOR with the per-sample prefixes traded for one
//! control byte a group, which is smaller, and free of branches in both directions. `docs/format/chunk.md` has
//! the bytes, `docs/decisions/0003-chunk-format.md` the figures.
//!
//! Invariants: timestamps ascend strictly within a chunk; a chunk has at least one sample; every legal sample
//! comes back bit for bit; decoding any bytes at all ends in samples or an error, with memory bounded by the
//! input's length.
//!
//! Chunks have no checksum: what stores them has. They know nothing of labels, blocks or the head.

mod builder;
mod float;
mod floats;
mod histogram;
mod ints;
mod iter;
mod layout;
mod pack;
mod reader;
mod sealed;

pub use builder::{Append, ChunkBuilder};
pub use iter::ChunkIter;
pub use sealed::Chunk;

use crate::{Error, Result, SampleValue};

/// A builder has its chunk cut at this many samples: a two-hour window at one sample in 15 s.
pub const MAX_CHUNK_SAMPLES: u32 = 480;

/// How a chunk's samples are encoded. The number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChunkEncoding {
    /// `f64` samples.
    Float = 1,
    /// Native histograms with integer counts.
    IntHistogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
}

impl ChunkEncoding {
    /// The encoding that takes `value`.
    #[must_use]
    pub fn of(value: &SampleValue) -> Self {
        match value {
            SampleValue::Float(_) => Self::Float,
            SampleValue::Histogram(histogram) if histogram.is_float() => Self::FloatHistogram,
            SampleValue::Histogram(_) => Self::IntHistogram,
        }
    }
}

impl TryFrom<u8> for ChunkEncoding {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Self::Float),
            2 => Ok(Self::IntHistogram),
            3 => Ok(Self::FloatHistogram),
            _ => Err(Error::UnsupportedVersion {
                what: "chunk encoding",
                found: u32::from(byte),
                oldest: Self::Float as u32,
                newest: Self::FloatHistogram as u32,
            }),
        }
    }
}
