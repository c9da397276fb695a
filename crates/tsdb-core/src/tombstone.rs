//! Deletes of what lies in immutable sources.
//!
//! A delete removes samples from memory on the spot; for everything older it leaves a tombstone. Sources (generations,
//! blocks, cold files) carry sequences, and a tombstone hides matching samples of those below its own, so that a sample
//! appended after the delete is visible. `docs/format/tombstone.md` describes the bytes.

use crate::cursor::Cursor;
use crate::{Error, Labels, Matcher, Result, SampleBuffer, TimeRange, parse_selector, write_selector};

/// First bytes of an encoded tombstone.
const MAGIC: [u8; 8] = *b"TSDBTOMB";
/// The format version that is written, and the only one that is read.
const VERSION: u32 = 0;
/// What errors call it.
const WHAT: &str = "tombstone";

/// A delete of past samples: those of matching series, in a time range, in sources below a sequence.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// Samples of sources with a lower sequence are deleted; those of this sequence and above are not.
    pub below_sequence: u64,
    /// Which samples, by timestamp; both ends inclusive.
    pub range: TimeRange,
    /// Which series: those that satisfy all of them. An empty list is every series.
    pub matchers: Vec<Matcher>,
}

impl Tombstone {
    /// Whether a source may have samples that this deletes.
    #[must_use]
    pub fn concerns(&self, sequence: u64, time_range: TimeRange) -> bool {
        sequence < self.below_sequence && self.range.overlaps(time_range)
    }

    /// Removes from the samples of a series, of a source that this [concerns](Self::concerns), those that are deleted.
    pub fn apply(&self, labels: &Labels, samples: &mut SampleBuffer) {
        if samples.time_range().overlaps(self.range) && Matcher::all_match(&self.matchers, labels) {
            samples.remove(self.range);
        }
    }

    /// The tombstone as bytes, which [`Tombstone::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let selector = write_selector(&self.matchers);
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.below_sequence.to_le_bytes());
        out.extend_from_slice(&self.range.start_ms.to_le_bytes());
        out.extend_from_slice(&self.range.end_ms.to_le_bytes());
        out.extend_from_slice(&(selector.len() as u32).to_le_bytes());
        out.extend_from_slice(selector.as_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads a tombstone.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::UnsupportedVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (covered, crc) = bytes.split_at(bytes.len().saturating_sub(4));
        let mut cursor = Cursor::new(WHAT, covered, 0);
        if cursor.take(MAGIC.len() as u64)? != MAGIC {
            return Err(Error::Corrupt { what: WHAT, offset: 0, detail: "wrong magic".into() });
        }
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(Error::UnsupportedVersion {
                what: WHAT,
                found: version,
                oldest: VERSION,
                newest: VERSION,
            });
        }
        if crc32c::crc32c(covered).to_le_bytes() != crc {
            return Err(cursor.corrupt("wrong checksum"));
        }
        let below_sequence = cursor.u64()?;
        let range = TimeRange::new(cursor.u64()? as i64, cursor.u64()? as i64);
        let length = cursor.u32()?;
        let selector = std::str::from_utf8(cursor.take(length.into())?)
            .map_err(|_| cursor.corrupt("a selector that is not UTF-8"))?;
        if cursor.remaining() > 0 {
            return Err(cursor.corrupt("bytes behind the selector"));
        }
        Ok(Self { below_sequence, range, matchers: parse_selector(selector)? })
    }
}
