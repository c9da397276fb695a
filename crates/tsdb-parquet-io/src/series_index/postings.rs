//! Sets of series ordinals as they lie in a value block, and the union of many of them.
//!
//! ```text
//! first ordinal                           in a column beside the others'
//! tail, empty for a set of one, else:
//!   0, length-1 varint, (gap-1 varint, length-1 varint)*     runs; the first begins at the first ordinal
//!   1, roaring bitmap                                        portable serialisation, to the tail's end
//! ```
//!
//! Of the two forms the shorter one is stored, runs where they are equally long.

use roaring::RoaringBitmap;
use tsdb_core::Postings;

use super::IndexResult;
use super::bytes::{Cursor, put_varint};

const FORM_RUNS: u8 = 0;
const FORM_BITMAP: u8 = 1;
/// Runs that take no more bytes than this are not compared with a bitmap, which could hardly be shorter.
const RUNS_ALONE_BYTES: usize = 64;
/// Ordinals that a union gathers before it sorts them into its bitmap: a bound on its memory.
const ONES_MAX: usize = 1 << 16;

/// Consecutive ordinals: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrdinalRun {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl OrdinalRun {
    /// The ordinal behind the last one.
    fn end(self) -> u32 {
        self.first + self.count
    }
}

/// Takes the runs of one set in ascending order and encodes them; reused from set to set.
#[derive(Debug, Default)]
pub(super) struct SetEncoder {
    /// The run that may still grow.
    open: Option<OrdinalRun>,
    first: u32,
    count: u32,
    /// Ordinals up to here are in `runs`.
    end: u32,
    runs: Vec<u8>,
    /// The same as a bitmap, once there are many runs.
    bitmap: Option<RoaringBitmap>,
}

impl SetEncoder {
    /// Adds a run that begins at or behind the end of the one before.
    pub(super) fn push(&mut self, run: OrdinalRun) {
        self.count += run.count;
        match &mut self.open {
            Some(open) if open.end() == run.first => open.count += run.count,
            Some(open) => {
                let closed = std::mem::replace(open, run);
                self.close(closed);
            }
            None => {
                self.first = run.first;
                self.end = run.first;
                self.open = Some(run);
            }
        }
    }

    fn close(&mut self, run: OrdinalRun) {
        if !self.runs.is_empty() {
            put_varint(&mut self.runs, u64::from(run.first - self.end - 1));
        }
        put_varint(&mut self.runs, u64::from(run.count - 1));
        self.end = run.end();
        if let Some(bitmap) = &mut self.bitmap {
            bitmap.insert_range(run.first..=run.end() - 1);
        } else if self.runs.len() > RUNS_ALONE_BYTES {
            self.bitmap = Some(bitmap_of(self.first, &self.runs));
        }
    }

    /// Ordinals so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Ends the set: appends its tail and returns its first ordinal, `None` for the empty set. Then the next one can
    /// begin.
    pub(super) fn finish(&mut self, tail: &mut Vec<u8>) -> Option<u32> {
        let open = self.open.take()?;
        if self.count > 1 {
            self.close(open);
            let bitmap = self.bitmap.take().map(|mut bitmap| {
                bitmap.optimize();
                bitmap
            });
            match bitmap.filter(|bitmap| bitmap.serialized_size() < self.runs.len()) {
                Some(bitmap) => {
                    tail.push(FORM_BITMAP);
                    bitmap.serialize_into(tail).expect("invariant: a Vec takes all writes");
                }
                None => {
                    tail.push(FORM_RUNS);
                    tail.extend_from_slice(&self.runs);
                }
            }
        }
        self.clear();
        Some(self.first)
    }

    /// Forgets the set.
    pub(super) fn clear(&mut self) {
        self.open = None;
        self.bitmap = None;
        self.runs.clear();
        self.count = 0;
    }
}

/// The bitmap of runs that were encoded here.
fn bitmap_of(first: u32, runs: &[u8]) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    let mut numbers = runs
        .split_inclusive(|byte| *byte < 0x80)
        .map(|varint| varint.iter().rev().fold(0_u32, |number, byte| number << 7 | u32::from(byte & 0x7f)));
    let mut at = first;
    while let Some(length) = numbers.next() {
        bitmap.insert_range(at..=at + length);
        // The end of the runs where there is no gap behind this one.
        at = numbers.next().map_or(at, |gap| at + length + 1 + gap + 1);
    }
    bitmap
}

/// Joins the sets of many values, millions perhaps, into one.
#[derive(Debug, Default)]
pub(super) struct Union {
    ones: Vec<u32>,
    rest: RoaringBitmap,
}

impl Union {
    #[inline]
    pub(super) fn one(&mut self, ordinal: u32) {
        self.ones.push(ordinal);
        if self.ones.len() >= ONES_MAX {
            self.settle();
        }
    }

    fn run(&mut self, run: OrdinalRun) {
        if run.count <= 8 {
            (run.first..run.end()).for_each(|ordinal| self.one(ordinal));
        } else {
            self.rest.insert_range(run.first..=run.end() - 1);
        }
    }

    /// Adds the set with this first ordinal and tail, of an index with `series` series.
    pub(super) fn set(&mut self, first: u32, tail: Cursor<'_>, series: u32) -> IndexResult<()> {
        if first >= series {
            return Err(tail.damaged(format!("series {first} of {series}")));
        }
        decode(first, tail, series, self)
    }

    fn settle(&mut self) {
        self.ones.sort_unstable();
        self.ones.dedup();
        if self.rest.is_empty() {
            let ones = self.ones.iter().copied();
            self.rest = RoaringBitmap::from_sorted_iter(ones).expect("invariant: sorted and unique");
        } else {
            self.rest.extend(self.ones.iter().copied());
        }
        self.ones.clear();
    }

    pub(super) fn finish(mut self) -> Postings {
        if self.rest.is_empty() && self.ones.len() < ONES_MAX {
            return self.ones.into_iter().collect();
        }
        self.settle();
        Postings::from(self.rest)
    }
}

fn decode(first: u32, mut tail: Cursor<'_>, series: u32, union: &mut Union) -> IndexResult<()> {
    if tail.remaining() == 0 {
        union.one(first);
        return Ok(());
    }
    match tail.u8()? {
        FORM_RUNS => decode_runs(first, tail, series, union),
        FORM_BITMAP => {
            let mut bytes = tail.take(tail.remaining() as u64)?;
            let bitmap = RoaringBitmap::deserialize_from(&mut bytes)
                .map_err(|error| tail.damaged(format!("no roaring bitmap: {error}")))?;
            if !bytes.is_empty()
                || bitmap.min() != Some(first)
                || bitmap.max().is_none_or(|last| last >= series)
            {
                return Err(tail.damaged("a roaring bitmap that does not fit its place"));
            }
            union.rest |= bitmap;
            Ok(())
        }
        form => Err(tail.damaged(format!("postings of form {form}"))),
    }
}

fn decode_runs(first: u32, mut tail: Cursor<'_>, series: u32, union: &mut Union) -> IndexResult<()> {
    let mut first = u64::from(first);
    loop {
        let last = tail.varint()?.saturating_add(first);
        if last >= u64::from(series) {
            return Err(tail.damaged(format!("a run up to series {last} of {series}")));
        }
        union.run(OrdinalRun { first: first as u32, count: (last - first) as u32 + 1 });
        if tail.remaining() == 0 {
            return Ok(());
        }
        first = tail.varint()?.saturating_add(last + 2);
        if first >= u64::from(series) {
            return Err(tail.damaged(format!("a run from series {first} of {series}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::BlockKind;
    use super::super::bytes::Place;
    use super::*;

    const PLACE: Place = Place { block: BlockKind::Values, offset: 0 };

    fn runs() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let short = vec((0..4_u32, 1..4_u32), 1..40);
        let many = (1..3_u32, 100..20_000_usize)
            .prop_map(|(gap, runs)| (0..runs as u32).map(|run| (gap + run % 3, 1 + run * run % 2)).collect());
        let long = vec((0..300_000_u32, 1..200_000_u32), 1..80);
        prop_oneof![4 => short, 1 => many, 2 => long]
    }

    proptest! {
        #[test]
        fn any_set_reads_back_and_no_ordinal_is_beyond_the_last(sets in vec(runs(), 1..4)) {
            let mut encoder = SetEncoder::default();
            for runs in sets {
                let (mut at, mut expected) = (0, RoaringBitmap::new());
                for (gap, count) in runs {
                    encoder.push(OrdinalRun { first: at + gap, count });
                    expected.insert_range(at + gap..at + gap + count);
                    at += gap + count;
                }
                let mut tail = Vec::new();
                prop_assert_eq!(u64::from(encoder.count()), expected.len());
                let first = encoder.finish(&mut tail).unwrap();
                let mut union = Union::default();
                union.set(first, Cursor::new(PLACE, &tail), at).unwrap();
                prop_assert_eq!(union.finish(), Postings::from(expected));
                prop_assert!(Union::default().set(first, Cursor::new(PLACE, &tail), at - 1).is_err());
            }
            prop_assert_eq!(encoder.finish(&mut Vec::new()), None);
        }

        #[test]
        fn any_tail_is_a_set_or_an_error(first in 0..200_000_u32, tail in vec(any::<u8>(), 0..80), form in 0..3_u8) {
            let tail: Vec<u8> = std::iter::once(form).chain(tail).collect();
            let mut union = Union::default();
            if union.set(first, Cursor::new(PLACE, &tail), 100_000).is_ok() {
                prop_assert!(union.finish().iter().all(|ordinal| ordinal < 100_000));
            }
        }

        #[test]
        fn a_union_is_the_union(sets in vec(proptest::collection::btree_set(0..300_u32, 1..60), 0..20)) {
            let mut union = Union::default();
            for set in &sets {
                let mut encoder = SetEncoder::default();
                set.iter().for_each(|&first| encoder.push(OrdinalRun { first, count: 1 }));
                let mut tail = Vec::new();
                let first = encoder.finish(&mut tail).unwrap();
                union.set(first, Cursor::new(PLACE, &tail), 300).unwrap();
            }
            let expected: BTreeSet<u32> = sets.into_iter().flatten().collect();
            prop_assert_eq!(union.finish(), expected.into_iter().collect());
        }
    }
}
