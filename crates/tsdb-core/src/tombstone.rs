//! Deletes of what lies in immutable sources: one ([`Tombstone`]), those of a store ([`Tombstones`]), those over one
//! source ([`Deletes`]).
//!
//! A delete removes samples from memory on the spot; for everything older it leaves a tombstone. Sources (generations,
//! blocks, cold files) carry sequences, and a tombstone hides matching samples of those below its own, so that a sample
//! appended after the delete is visible. `docs/format/tombstone.md` describes the bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::{Error, Labels, Matcher, Result, SampleBuffer, TimeRange, parse_selector, write_selector};

/// First bytes of an encoded tombstone.
const MAGIC: [u8; 8] = *b"TSDBTOMB";
/// The format version that is written.
const CURRENT_VERSION: u32 = 1;
/// The oldest version that is read.
const OLDEST_READABLE_VERSION: u32 = 1;
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
        out.extend_from_slice(&CURRENT_VERSION.to_le_bytes());
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
        if crc32c::crc32c(covered).to_le_bytes() != crc {
            return Err(cursor.corrupt("wrong checksum"));
        }
        let (found, oldest, newest) = (cursor.u32()?, OLDEST_READABLE_VERSION, CURRENT_VERSION);
        if !(oldest..=newest).contains(&found) {
            return Err(Error::UnsupportedVersion { what: WHAT, found, oldest, newest });
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

/// The tombstones of a store, by number. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    by_number: Arc<BTreeMap<u64, Arc<Tombstone>>>,
    next_number: u64,
}

impl Tombstones {
    /// The number for the next one: above all that are and were here.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Says that the numbers below this one were used.
    pub fn skip_to(&mut self, number: u64) {
        self.next_number = self.next_number.max(number);
    }

    /// The highest sequence that a tombstone is below; 0 without one.
    #[must_use]
    pub fn sequence_max(&self) -> u64 {
        self.by_number.values().map(|tombstone| tombstone.below_sequence).max().unwrap_or(0)
    }

    /// Adds one.
    pub fn insert(&mut self, number: u64, tombstone: Tombstone) {
        Arc::make_mut(&mut self.by_number).insert(number, Arc::new(tombstone));
        self.skip_to(number + 1);
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Tombstone)> {
        self.by_number.iter().map(|(&number, tombstone)| (number, tombstone.as_ref()))
    }

    /// Takes out those that are not needed any more. Gives their numbers.
    pub fn retire(&mut self, is_needed: impl Fn(u64, &Tombstone) -> bool) -> Vec<u64> {
        let retired: Vec<u64> = self
            .iter()
            .filter(|(number, tombstone)| !is_needed(*number, tombstone))
            .map(|(number, _)| number)
            .collect();
        if !retired.is_empty() {
            Arc::make_mut(&mut self.by_number).retain(|number, _| !retired.contains(number));
        }
        retired
    }

    /// Those that concern a source.
    #[must_use]
    pub fn over(&self, sequence: u64, time_range: TimeRange) -> Deletes {
        self.over_since(0, sequence, time_range)
    }

    /// Those from `number` on that concern a source: the others have been applied to it.
    #[must_use]
    pub fn over_since(&self, number: u64, sequence: u64, time_range: TimeRange) -> Deletes {
        let over = self.by_number.range(number..).map(|(_, tombstone)| tombstone);
        Deletes(over.filter(|tombstone| tombstone.concerns(sequence, time_range)).cloned().collect())
    }
}

/// The tombstones over one source.
#[derive(Clone, Debug, Default)]
pub struct Deletes(Vec<Arc<Tombstone>>);

impl Deletes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another list of tombstones.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Removes what is deleted from the samples of a series of the source.
    pub fn apply(&self, labels: &Labels, samples: &mut SampleBuffer) {
        self.0.iter().for_each(|tombstone| tombstone.apply(labels, samples));
    }

    /// Whether a sample of the source is deleted.
    #[must_use]
    pub fn cover(&self, labels: &Labels, timestamp_ms: i64) -> bool {
        let matches = |tombstone: &Tombstone| Matcher::all_match(&tombstone.matchers, labels);
        self.0.iter().any(|tombstone| tombstone.range.contains(timestamp_ms) && matches(tombstone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(below_sequence: u64, start_ms: i64, end_ms: i64) -> Tombstone {
        Tombstone { below_sequence, range: TimeRange::new(start_ms, end_ms), matchers: Vec::new() }
    }

    #[test]
    fn a_source_is_concerned_by_later_tombstones_that_were_not_applied_to_it() {
        let mut tombstones = Tombstones::default();
        tombstones.insert(3, tombstone(10, 0, 100));
        tombstones.insert(5, tombstone(20, 50, 60));
        let over = |number, sequence, range: (i64, i64)| {
            tombstones.over_since(number, sequence, TimeRange::new(range.0, range.1)).0.len()
        };
        assert_eq!((over(0, 9, (0, 100)), over(0, 10, (0, 100)), over(0, 20, (0, 100))), (2, 1, 0));
        assert_eq!((over(4, 9, (0, 100)), over(6, 9, (0, 100)), over(0, 9, (61, 100))), (1, 0, 1));
        assert_eq!((tombstones.next_number(), tombstones.sequence_max()), (6, 20));
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let mut tombstones = Tombstones::default();
        tombstones.insert(0, tombstone(1, 0, 1));
        assert_eq!(tombstones.retire(|_, _| false), [0]);
        assert_eq!((tombstones.iter().count(), tombstones.next_number()), (0, 1));
        tombstones.skip_to(9);
        tombstones.skip_to(4);
        assert_eq!(tombstones.next_number(), 9);
    }
}
