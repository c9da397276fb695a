//! How a set of series ordinals is stored: one, a run, a short list, or a bitmap elsewhere.

use roaring::RoaringBitmap;

use super::format::{FORM_BITMAP, FORM_LIST, FORM_ONE, FORM_RUN, LIST_MAX};
use super::paged::TableBuilder;
use crate::cursor::{Cursor, put_varint};
use crate::{Postings, Result};

/// The postings section while it is written: roaring bitmaps back to back, one a page.
#[derive(Debug, Default)]
pub(super) struct BitmapBuilder {
    pub(super) bitmaps: Vec<u8>,
    bits: Vec<u8>,
    pub(super) table: TableBuilder,
}

impl BitmapBuilder {
    fn push(&mut self, ascending: &[u32]) -> u64 {
        let start = self.bitmaps.len();
        let mut bitmap = self.bitmap(ascending);
        bitmap.optimize();
        bitmap.serialize_into(&mut self.bitmaps).expect("invariant: a Vec takes all writes");
        self.table.push(&self.bitmaps[start..]);
        self.table.pages - 1
    }

    /// A dense set is quicker made of bits, any other of its ordinals.
    fn bitmap(&mut self, ascending: &[u32]) -> RoaringBitmap {
        let base = ascending[0] & !7;
        let span = (ascending[ascending.len() - 1] - base) as usize;
        if ascending.len() < span / 32 {
            return RoaringBitmap::from_sorted_iter(ascending.iter().copied())
                .expect("invariant: a value's series ascend");
        }
        self.bits.clear();
        self.bits.resize(span / 8 + 1, 0);
        for ordinal in ascending {
            let bit = ordinal - base;
            self.bits[bit as usize / 8] |= 1 << (bit % 8);
        }
        RoaringBitmap::from_lsb0_bytes(base, &self.bits)
    }
}

/// A stored set: its form, and the number that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredSet {
    pub(super) form: u8,
    /// [`FORM_ONE`]: the ordinal. [`FORM_BITMAP`]: the bitmap's page. Otherwise an offset into the tail.
    pub(super) payload: u64,
}

impl StoredSet {
    /// Stores a set that is not empty; runs and lists go to `tail`.
    pub(super) fn encode(ascending: &[u32], tail: &mut Vec<u8>, bitmaps: &mut BitmapBuilder) -> Self {
        let (first, last) = (ascending[0], ascending[ascending.len() - 1]);
        let offset = tail.len() as u64;
        if (last - first) as usize == ascending.len() - 1 {
            return Self::encode_run(first, ascending.len() as u32, tail);
        }
        if ascending.len() <= LIST_MAX {
            put_varint(tail, ascending.len() as u64);
            put_varint(tail, u64::from(first));
            for pair in ascending.windows(2) {
                put_varint(tail, u64::from(pair[1] - pair[0] - 1));
            }
            return Self { form: FORM_LIST, payload: offset };
        }
        Self { form: FORM_BITMAP, payload: bitmaps.push(ascending) }
    }

    /// Stores the `count` ordinals from `first` on.
    pub(super) fn encode_run(first: u32, count: u32, tail: &mut Vec<u8>) -> Self {
        if count == 1 {
            return Self { form: FORM_ONE, payload: u64::from(first) };
        }
        let payload = tail.len() as u64;
        put_varint(tail, u64::from(first));
        put_varint(tail, u64::from(count));
        Self { form: FORM_RUN, payload }
    }

    /// Reads the set of a block with `series` series. `tail` is at the start of the tail; `bitmap` finds the
    /// verified bytes of a bitmap.
    pub(super) fn decode<'a>(
        self,
        series: u32,
        tail: &Cursor<'a>,
        bitmap: impl FnOnce(u64) -> Result<Cursor<'a>>,
    ) -> Result<Ordinals> {
        match self.form {
            FORM_ONE if self.payload < u64::from(series) => Ok(Ordinals::One(self.payload as u32)),
            FORM_RUN => {
                let mut cursor = tail.at(tail.position().saturating_add(self.payload as usize))?;
                let (first, count) = (cursor.varint()?, cursor.varint()?);
                match first.checked_add(count) {
                    Some(end) if count > 0 && end <= u64::from(series) => {
                        Ok(Ordinals::Run { first: first as u32, count: count as u32 })
                    }
                    _ => Err(cursor.corrupt("a run past the last series")),
                }
            }
            FORM_LIST => {
                let cursor = tail.at(tail.position().saturating_add(self.payload as usize))?;
                decode_list(cursor, series).map(Ordinals::Many)
            }
            FORM_BITMAP => decode_bitmap(bitmap(self.payload)?, series).map(Ordinals::Many),
            _ => Err(tail.corrupt(format!("postings of form {} with {}", self.form, self.payload))),
        }
    }
}

fn decode_list(mut cursor: Cursor<'_>, series: u32) -> Result<Postings> {
    let count = cursor.varint()?;
    // Every ordinal takes a byte or more.
    if count == 0 || count > cursor.remaining() as u64 {
        return Err(cursor.corrupt(format!("a list of {count} postings")));
    }
    let mut ordinals = Vec::with_capacity(count as usize);
    let mut next = cursor.varint()?;
    loop {
        if next >= u64::from(series) {
            return Err(cursor.corrupt(format!("series {next} of {series}")));
        }
        ordinals.push(next as u32);
        if ordinals.len() as u64 == count {
            return Ok(Postings::from_sorted_vec(ordinals));
        }
        next = cursor.varint()?.saturating_add(next + 1);
    }
}

fn decode_bitmap(mut cursor: Cursor<'_>, series: u32) -> Result<Postings> {
    let mut bytes = cursor.take(cursor.remaining() as u64)?;
    let bitmap = RoaringBitmap::deserialize_from(&mut bytes)
        .map_err(|error| cursor.corrupt(format!("no roaring bitmap: {error}")))?;
    if !bytes.is_empty() || bitmap.max().is_none_or(|max| max >= series) {
        return Err(cursor.corrupt("a roaring bitmap of the wrong size"));
    }
    Ok(Postings::from_bitmap(bitmap))
}

/// A decoded set, with the frequent forms kept apart because a union takes millions of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ordinals {
    One(u32),
    Run { first: u32, count: u32 },
    Many(Postings),
}

impl Ordinals {
    pub(super) fn into_postings(self) -> Postings {
        match self {
            Self::One(ordinal) => Postings::from_range(ordinal, 1),
            Self::Run { first, count } => Postings::from_range(first, count),
            Self::Many(postings) => postings,
        }
    }
}

/// Joins the sets of many values of one label, millions perhaps, into one.
#[derive(Debug)]
pub(super) struct Union {
    series: u32,
    ones: Vec<u32>,
    rest: Postings,
}

impl Union {
    pub(super) fn new(series: u32) -> Self {
        Self { series, ones: Vec::new(), rest: Postings::new() }
    }

    #[inline]
    pub(super) fn add(&mut self, ordinals: Ordinals) {
        match ordinals {
            Ordinals::One(ordinal) => self.ones.push(ordinal),
            Ordinals::Run { first, count } if count <= 8 => self.ones.extend(first..first + count),
            Ordinals::Run { .. } => self.rest.union(&ordinals.into_postings()),
            Ordinals::Many(postings) => self.add_all(&postings),
        }
    }

    pub(super) fn add_all(&mut self, postings: &Postings) {
        if postings.len() <= LIST_MAX {
            self.ones.extend(postings);
        } else {
            self.rest.union(postings);
        }
    }

    pub(super) fn finish(self) -> Postings {
        let Self { series, ones, mut rest } = self;
        // A bitmap sorts many ordinals in one pass over them.
        let ones = if ones.len() > series as usize / 64 {
            let mut bits = vec![0_u8; (series as usize).div_ceil(8)];
            for ordinal in ones {
                bits[ordinal as usize / 8] |= 1 << (ordinal % 8);
            }
            Postings::from_bitmap(RoaringBitmap::from_lsb0_bytes(0, &bits))
        } else {
            ones.into_iter().collect()
        };
        rest.union(&ones);
        rest
    }
}
