//! Value blocks: the sorted distinct values of labels, each with the series that have it.
//!
//! ```text
//! raw     := section*                          by label; a label with many values has blocks of one section
//! section := label varint, first value number varint, entries varint
//!            column shared                     bytes that a value has in common with the one before
//!            column own                        bytes that follow them
//!            column tail                       bytes of the set's tail, 0 for a set of one
//!            own bytes of all values
//!            column first                      the first ordinal of each set
//!            tails of all sets                 see `postings`
//! ```
//!
//! The values of a label are numbered from 1 in the order of their bytes. Number 0 is the empty value, which no label
//! has: its set, where it is stored, are the series that *have* the label. The values of a label whose sets take much room
//! and whose texts take little are stored once more without their sets. A decoded block holds its values in full,
//! one after another, so that looking one up is a binary search over slices.

use super::bytes::{Column, Cursor, Place, put_column, put_varint};
use super::postings::{OrdinalRun, SetEncoder, Union};
use super::{BlockId, BlockKind, Directory, IndexResult};

/// Raw bytes at which a value block is closed.
pub(super) const VALUE_BLOCK_BYTES: usize = 64 << 10;
/// Bytes of full values at which it is closed, however little of them is stored.
const VALUE_BLOCK_TEXT_BYTES: usize = 256 << 10;
/// By how much the full values may exceed the raw block: a bound on what a damaged one can make a reader allocate.
const TEXT_BEYOND_RAW_BYTES_MAX: usize = 1 << 20;
/// What an entry takes beyond its bytes, about.
const ENTRY_BYTES: usize = 6;

/// A section while it is gathered; reused from section to section.
#[derive(Debug, Default)]
pub(super) struct SectionBuilder {
    shared: Vec<u32>,
    own: Vec<u32>,
    tail: Vec<u32>,
    first: Vec<u32>,
    own_bytes: Vec<u8>,
    tails: Vec<u8>,
    last: Vec<u8>,
    text_bytes: usize,
}

impl SectionBuilder {
    /// Adds a value above the one before, with its set, which is not empty.
    pub(super) fn push(&mut self, value: &[u8], set: &mut SetEncoder) {
        let shared = shared_prefix(&self.last, value);
        let tails = self.tails.len();
        let first = set.finish(&mut self.tails).expect("invariant: every value has a series");
        self.shared.push(shared as u32);
        self.own.push((value.len() - shared) as u32);
        self.tail.push((self.tails.len() - tails) as u32);
        self.first.push(first);
        self.own_bytes.extend_from_slice(&value[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&value[shared..]);
        self.text_bytes += value.len();
    }

    /// Adds a value above the one before, without a set.
    pub(super) fn push_text(&mut self, value: &[u8], set: &mut SetEncoder) {
        set.push(OrdinalRun { first: 0, count: 1 });
        self.push(value, set);
    }

    /// Takes back all entries but the first ones.
    pub(super) fn truncate(&mut self, entries: usize) {
        for column in [&mut self.shared, &mut self.own, &mut self.tail, &mut self.first] {
            column.truncate(entries);
        }
        let sum = |column: &[u32]| column.iter().map(|&bytes| bytes as usize).sum();
        self.own_bytes.truncate(sum(&self.own));
        self.tails.truncate(sum(&self.tail));
    }

    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether the first entry is the empty value.
    pub(super) fn begins_with_empty(&self) -> bool {
        self.own.first() == Some(&0)
    }

    /// Bytes of all values in full.
    pub(super) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The value that was pushed last.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// Bytes that the section will take, about.
    pub(super) fn bytes(&self) -> usize {
        self.own_bytes.len() + self.tails.len() + self.len() * ENTRY_BYTES
    }

    /// Whether the section fills a block.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= VALUE_BLOCK_BYTES || self.text_bytes >= VALUE_BLOCK_TEXT_BYTES
    }

    /// Appends the section and begins the next one. `cuts` gets the places where its parts end.
    pub(super) fn finish(&mut self, label: u32, first_value: u32, out: &mut Vec<u8>, cuts: &mut Vec<usize>) {
        let numbers = |numbers: &[u32]| numbers.iter().map(|&n| u64::from(n)).collect::<Vec<_>>().into_iter();
        put_varint(out, u64::from(label));
        put_varint(out, u64::from(first_value));
        put_varint(out, self.len() as u64);
        put_column(out, numbers(&self.shared));
        put_column(out, numbers(&self.own));
        put_column(out, numbers(&self.tail));
        cuts.push(out.len());
        out.extend_from_slice(&self.own_bytes);
        cuts.push(out.len());
        put_column(out, numbers(&self.first));
        cuts.push(out.len());
        out.extend_from_slice(&self.tails);
        self.clear();
    }

    /// Forgets the section.
    pub(super) fn clear(&mut self) {
        for column in [&mut self.shared, &mut self.own, &mut self.tail, &mut self.first] {
            column.clear();
        }
        self.own_bytes.clear();
        self.tails.clear();
        self.last.clear();
        self.text_bytes = 0;
    }
}

pub(super) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b).count() * 8;
    words + a[words..].iter().zip(&b[words..]).take_while(|(a, b)| a == b).count()
}

/// A decoded value block.
#[derive(Clone, Debug)]
pub struct ValueBlock {
    id: BlockId,
    place: Place,
    series: u32,
    raw: Vec<u8>,
    sections: Vec<Section>,
    /// All values, one after another.
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Section {
    label: u32,
    first_value: u32,
    /// The first entry among those of all sections.
    start: usize,
    entries: usize,
    firsts: Column,
    /// Where each tail ends in the raw bytes, after where the first begins; empty if there are none.
    tail_ends: Vec<u32>,
}

impl ValueBlock {
    /// Checks and decodes the stored bytes of the value block `id`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`](super::IndexError::Damaged) when they are not what was written.
    pub fn decode(stored: &[u8], id: BlockId, directory: &Directory) -> IndexResult<Self> {
        let block = directory.expect_block(id, BlockKind::Values)?;
        let raw = block.open(stored)?;
        Self::from_raw(raw, id, block.place(), directory.series())
    }

    pub(super) fn from_raw(raw: Vec<u8>, id: BlockId, place: Place, series: u32) -> IndexResult<Self> {
        let mut cursor = Cursor::new(place, &raw);
        let mut decoding = Decoding { raw: &raw, series, ..Decoding::default() };
        while cursor.remaining() > 0 {
            decoding.section(&mut cursor)?;
        }
        let Decoding { sections, text, ends, .. } = decoding;
        let text = String::from_utf8(text).map_err(|_| place.damaged("values that are not UTF-8"))?;
        if !ends.iter().all(|&end| text.is_char_boundary(end as usize)) {
            return Err(place.damaged("values that end inside a character"));
        }
        Ok(Self { id, place, series, sections, text, ends, raw })
    }

    /// Which block of the index this is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// Bytes that the decoded block takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let tails = |section: &Section| section.tail_ends.capacity() * size_of::<u32>();
        self.raw.capacity()
            + self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.sections.iter().map(|section| size_of::<Section>() + tails(section)).sum::<usize>()
    }

    /// The values of `label`; damage when the block, in which the directory has placed them, has none.
    pub(super) fn values(&self, label: u32) -> IndexResult<Values<'_>> {
        match self.sections.binary_search_by_key(&label, |section| section.label) {
            Ok(section) => Ok(Values { block: self, section: &self.sections[section] }),
            Err(_) => Err(self.place.damaged(format!("label {label} is missing"))),
        }
    }
}

/// What has been decoded of a block.
#[derive(Default)]
struct Decoding<'a> {
    raw: &'a [u8],
    series: u32,
    sections: Vec<Section>,
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Decoding<'_> {
    fn section(&mut self, cursor: &mut Cursor<'_>) -> IndexResult<()> {
        let (label, first_value) = (cursor.varint_u32()?, cursor.varint_u32()?);
        if self.sections.last().is_some_and(|last| last.label >= label) {
            return Err(cursor.damaged("labels that do not ascend"));
        }
        // All but the empty value, the first one, have a byte of their own.
        let entries = cursor.varint()?;
        if entries == 0 || entries - 1 > cursor.remaining() as u64 || u32::MAX - first_value < entries as u32
        {
            return Err(cursor.damaged(format!("{entries} values")));
        }
        let entries = entries as usize;
        let (shared, own, tail) = (cursor.column(entries)?, cursor.column(entries)?, cursor.column(entries)?);
        let start = self.ends.len();
        self.values(cursor, &shared.to_vec(self.raw), &own.to_vec(self.raw))?;
        let firsts = cursor.column(entries)?;
        if let Some(first) =
            firsts.to_vec(self.raw).into_iter().find(|&first| first >= u64::from(self.series))
        {
            return Err(cursor.damaged(format!("series {first} of {}", self.series)));
        }
        let mut tail_ends = Vec::new();
        if !tail.is_zero() {
            tail_ends.reserve_exact(entries + 1);
            tail_ends.push(cursor.position() as u32);
            for len in tail.to_vec(self.raw) {
                cursor.take(len)?;
                tail_ends.push(cursor.position() as u32);
            }
        }
        self.sections.push(Section { label, first_value, start, entries, firsts, tail_ends });
        Ok(())
    }

    fn values(&mut self, cursor: &mut Cursor<'_>, shared: &[u64], own: &[u64]) -> IndexResult<()> {
        let mut previous = self.text.len()..self.text.len();
        for (entry, (&shared, &own)) in shared.iter().zip(own).enumerate() {
            let own = cursor.take(own)?;
            if shared > previous.len() as u64 {
                return Err(cursor.damaged(format!("{shared} bytes shared with {}", previous.len())));
            }
            let shared = previous.start..previous.start + shared as usize;
            let next = (shared.end < previous.end).then(|| self.text[shared.end]);
            if entry > 0 && own.first().copied() <= next {
                return Err(cursor.damaged("values that do not ascend"));
            }
            let start = self.text.len();
            if start + shared.len() + own.len() > self.raw.len() + TEXT_BEYOND_RAW_BYTES_MAX {
                return Err(cursor.damaged("values that are longer than a block's may be"));
            }
            self.text.extend_from_within(shared);
            self.text.extend_from_slice(own);
            previous = start..self.text.len();
            self.ends.push(previous.end as u32);
        }
        Ok(())
    }
}

/// The values of one label in one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    block: &'a ValueBlock,
    section: &'a Section,
}

impl<'a> Values<'a> {
    pub(super) fn len(self) -> usize {
        self.section.entries
    }

    /// The value at `entry`, which is below [`Values::len`].
    #[inline]
    pub(super) fn value(self, entry: usize) -> &'a str {
        let entry = self.section.start + entry;
        let start = entry.checked_sub(1).map_or(0, |before| self.block.ends[before] as usize);
        &self.block.text[start..self.block.ends[entry] as usize]
    }

    /// These values, whose first is the empty one; damage when it is not.
    pub(super) fn having(self) -> IndexResult<Self> {
        match self.section.first_value {
            0 => Ok(self),
            other => Err(self.block.place.damaged(format!("value {other} where value 0 belongs"))),
        }
    }

    /// The value with this number; damage when it is not here, where the directory has placed it.
    pub(super) fn numbered(self, number: u32) -> IndexResult<&'a str> {
        let entry = number.checked_sub(self.section.first_value).filter(|&e| (e as usize) < self.len());
        let entry = entry.ok_or_else(|| self.block.place.damaged(format!("value {number} is missing")))?;
        Ok(self.value(entry as usize))
    }

    /// The first entry whose value is at or above `value`.
    pub(super) fn lower_bound(self, value: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.value(middle).as_bytes() < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The entry with this very value.
    pub(super) fn find(self, value: &str) -> Option<usize> {
        let entry = self.lower_bound(value.as_bytes());
        (entry < self.len() && self.value(entry) == value).then_some(entry)
    }

    /// Adds the series that have the value at `entry`.
    #[inline]
    pub(super) fn add_series(self, entry: usize, union: &mut Union) -> IndexResult<()> {
        let Section { firsts, tail_ends, .. } = self.section;
        let block = self.block;
        let first = firsts.get(&block.raw, entry) as u32;
        match tail_ends.get(entry..entry + 2) {
            Some(&[start, end]) if start < end => {
                let tail = Cursor::new(block.place, &block.raw[start as usize..end as usize]);
                union.set(first, tail, block.series)
            }
            _ => {
                union.one(first);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { block: BlockKind::Values, offset: 0 };
    const SERIES: u32 = 1000;

    fn sections() -> impl Strategy<Value = BTreeMap<u32, BTreeMap<String, Vec<u32>>>> {
        let value = prop_oneof!["[ab]{0,6}", "é?日?x{0,9}", "[a-f0-9]{32}"];
        let series = btree_set(0..SERIES, 1..5).prop_map(|series| series.into_iter().collect());
        btree_map(0..9_u32, btree_map(value, series, 1..40), 0..4)
    }

    fn encode(sections: &BTreeMap<u32, BTreeMap<String, Vec<u32>>>) -> Vec<u8> {
        let (mut raw, mut section, mut set) = (Vec::new(), SectionBuilder::default(), SetEncoder::default());
        for (&label, values) in sections {
            for (value, series) in values {
                series.iter().for_each(|&first| set.push(OrdinalRun { first, count: 1 }));
                section.push(value.as_bytes(), &mut set);
            }
            section.finish(label, 7, &mut raw, &mut Vec::new());
        }
        raw
    }

    /// Touches everything in a block that decodes.
    fn walk(block: &ValueBlock) {
        for section in &block.sections {
            let values = block.values(section.label).unwrap();
            let mut union = Union::default();
            for entry in 0..values.len() {
                assert_eq!(values.find(values.value(entry)), Some(entry));
                let _ = values.add_series(entry, &mut union);
            }
            assert!(union.finish().iter().all(|series| series < SERIES));
        }
    }

    proptest! {
        #[test]
        fn sections_read_back(sections in sections()) {
            let block = ValueBlock::from_raw(encode(&sections), BlockId(3), PLACE, SERIES).unwrap();
            walk(&block);
            prop_assert_eq!(block.sections.len(), sections.len());
            for (&label, expected) in &sections {
                let values = block.values(label).unwrap();
                prop_assert_eq!(values.len(), expected.len());
                for (entry, (value, series)) in expected.iter().enumerate() {
                    prop_assert_eq!(values.value(entry), value);
                    prop_assert_eq!(values.numbered(7 + entry as u32).unwrap(), value);
                    let mut union = Union::default();
                    values.add_series(entry, &mut union).unwrap();
                    prop_assert_eq!(&union.finish().iter().collect::<Vec<_>>(), series);
                }
                prop_assert!(values.numbered(6).is_err() && values.numbered(7 + values.len() as u32).is_err());
                prop_assert_eq!(values.find("missing"), None);
            }
            prop_assert!(block.values(99).is_err());
        }

        #[test]
        fn damaged_raw_bytes_are_refused_or_harmless(
            sections in sections(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut raw = encode(&sections);
            prop_assume!(!raw.is_empty());
            for (at, byte) in damage {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            let cut = raw[..cut.index(raw.len())].to_vec();
            for raw in [raw, cut] {
                if let Ok(block) = ValueBlock::from_raw(raw, BlockId(0), PLACE, SERIES) {
                    walk(&block);
                }
            }
        }
    }

    #[test]
    fn values_cannot_grow_out_of_a_small_block() {
        let (mut raw, n) = (vec![0, 1], 60_000_u32);
        put_varint(&mut raw, u64::from(n));
        put_column(&mut raw, (0..n).map(u64::from));
        put_column(&mut raw, (0..n).map(|_| 1));
        put_column(&mut raw, (0..n).map(|_| 0));
        raw.extend((0..n).map(|_| b'a'));
        put_column(&mut raw, (0..n).map(|_| 0));
        let error = ValueBlock::from_raw(raw, BlockId(0), PLACE, SERIES).unwrap_err().to_string();
        assert!(error.contains("longer than a block's may be"), "{error}");
    }
}
