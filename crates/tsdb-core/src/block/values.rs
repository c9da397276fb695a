//! Pages of one label's values, sorted, each value with the series that have it.
//!
//! What all values of a page share is written once, before them; what follows it lies back to back, with the
//! lengths in a column. Ids of one length, the usual case of many values, so cost their own bytes and no more, and
//! any value is found by arithmetic. The sets of series lie in columns too, so that one value's set is read
//! without the others'.

use std::cmp::Ordering;

use super::format::VALUES_PER_PAGE;
use super::ordinals::StoredSet;
use crate::Result;
use crate::cursor::{Column, Cursor, put_column, put_varint};

/// One page while it is written.
#[derive(Debug, Default)]
pub(super) struct ValuePageBuilder {
    /// The page's values, back to back.
    pub(super) text: Vec<u8>,
    lengths: Vec<u64>,
    forms: Vec<u64>,
    payloads: Vec<u64>,
    /// Runs and lists of the page's sets.
    pub(super) tail: Vec<u8>,
}

impl ValuePageBuilder {
    /// Adds the set and the length of a value; its bytes go to `text`.
    pub(super) fn push(&mut self, len: u32, set: StoredSet) {
        self.lengths.push(u64::from(len));
        self.forms.push(u64::from(set.form));
        self.payloads.push(set.payload);
    }

    /// Writes the page to `out` and empties it. The values ascend.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { text, lengths, forms, payloads, tail } = self;
        let (Some(&first), Some(&last)) = (lengths.first(), lengths.last()) else { return };
        // Values between the first and the last share what these two do. No character is cut in two.
        let mut shared = shared_prefix(&text[..first as usize], &text[text.len() - last as usize..]);
        while text.get(shared).is_some_and(|byte| byte & 0xc0 == 0x80) {
            shared -= 1;
        }
        out.push(lengths.len() as u8);
        put_varint(out, shared as u64);
        out.extend_from_slice(&text[..shared]);
        lengths.iter_mut().for_each(|length| *length -= shared as u64);
        put_column(out, lengths);
        let mut rest = &text[..];
        for &length in &*lengths {
            let (value, after) = rest.split_at(shared + length as usize);
            out.extend_from_slice(&value[shared..]);
            rest = after;
        }
        put_column(out, forms);
        put_column(out, payloads);
        out.extend_from_slice(tail);
        for column in [lengths, forms, payloads] {
            column.clear();
        }
        text.clear();
        tail.clear();
    }
}

/// Length of the longest common prefix.
#[inline]
pub(super) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut shared = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differing = u64::from_le_bytes(a.try_into().expect("invariant: 8 bytes"))
            ^ u64::from_le_bytes(b.try_into().expect("invariant: 8 bytes"));
        if differing != 0 {
            return shared + differing.trailing_zeros() as usize / 8;
        }
        shared += 8;
    }
    shared + a[shared..].iter().zip(&b[shared..]).take_while(|(a, b)| a == b).count()
}

/// One page of values.
#[derive(Debug)]
pub(super) struct ValuePage<'a> {
    count: usize,
    prefix: &'a str,
    /// Lengths of what follows the prefix.
    lengths: Column<'a>,
    suffixes: &'a [u8],
    /// Behind the suffixes, where the sets begin.
    sets: Cursor<'a>,
}

impl<'a> ValuePage<'a> {
    /// Reads the strings' part of the page.
    pub(super) fn new(mut cursor: Cursor<'a>) -> Result<Self> {
        let count = usize::from(cursor.u8()?);
        if !(1..=VALUES_PER_PAGE).contains(&count) {
            return Err(cursor.corrupt(format!("a page of {count} values")));
        }
        let prefix_len = cursor.varint()?;
        let prefix = utf8(cursor.take(prefix_len)?, &cursor)?;
        let lengths = cursor.column(count as u64)?;
        let suffixes = cursor.take(lengths.sum(count))?;
        Ok(Self { count, prefix, lengths, suffixes, sets: cursor })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How the page's first value compares with `target`.
    pub(super) fn compare_first(&self, target: &[u8]) -> Ordering {
        let (head, rest) = target.split_at(target.len().min(self.prefix.len()));
        let first = self.suffixes.get(..self.lengths.get(0) as usize).unwrap_or_default();
        self.prefix.as_bytes().cmp(head).then_with(|| first.cmp(rest))
    }

    /// Leaves in `value` the value at `index`.
    pub(super) fn value(&self, index: usize, value: &mut String) -> Result<()> {
        if index >= self.count {
            return Err(self.sets.corrupt(format!("value {index} of {}", self.count)));
        }
        let start = self.lengths.sum(index);
        let end = start.saturating_add(self.lengths.get(index));
        let suffix = utf8(self.suffix(start, end)?, &self.sets)?;
        value.clear();
        value.push_str(self.prefix);
        value.push_str(suffix);
        Ok(())
    }

    fn suffix(&self, start: u64, end: u64) -> Result<&'a [u8]> {
        let suffix = self.suffixes.get(start as usize..end as usize);
        suffix.ok_or_else(|| self.sets.corrupt(format!("a value from {start} to {end}")))
    }

    /// The index of `target` in the page.
    pub(super) fn find(&self, target: &[u8]) -> Result<Option<usize>> {
        let Some(target) = target.strip_prefix(self.prefix.as_bytes()) else { return Ok(None) };
        let mut start = 0_u64;
        for index in 0..self.count {
            let end = start.saturating_add(self.lengths.get(index));
            match self.suffix(start, end)?.cmp(target) {
                Ordering::Less => start = end,
                Ordering::Equal => return Ok(Some(index)),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// Calls `each(index, value)` until it returns false; whether it never did. `buffer` is for the value, and
    /// is reused from page to page.
    #[inline]
    pub(super) fn for_each(
        &self,
        buffer: &mut String,
        mut each: impl FnMut(usize, &str) -> Result<bool>,
    ) -> Result<bool> {
        buffer.clear();
        buffer.push_str(self.prefix);
        // Checking the page's text at once is much cheaper than checking every value.
        let text = utf8(self.suffixes, &self.sets)?;
        let mut start = 0_u64;
        for index in 0..self.count {
            let end = start.saturating_add(self.lengths.get(index));
            let suffix = text.get(start as usize..end as usize);
            let suffix = suffix.ok_or_else(|| self.sets.corrupt(format!("a value from {start} to {end}")))?;
            buffer.truncate(self.prefix.len());
            buffer.push_str(suffix);
            start = end;
            if !each(index, buffer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The sets of the page's values.
    pub(super) fn sets(&self) -> Result<ValueSets<'a>> {
        let mut cursor = self.sets.clone();
        let forms = cursor.column(self.count as u64)?;
        let payloads = cursor.column(self.count as u64)?;
        Ok(ValueSets { forms, payloads, tail: cursor })
    }
}

fn utf8<'a>(bytes: &'a [u8], page: &Cursor<'_>) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| page.corrupt("label values that are not UTF-8"))
}

/// The sets of a page's values.
#[derive(Debug)]
pub(super) struct ValueSets<'a> {
    forms: Column<'a>,
    payloads: Column<'a>,
    pub(super) tail: Cursor<'a>,
}

impl ValueSets<'_> {
    /// The set of the value at `index`, which is below the page's count.
    #[inline]
    pub(super) fn get(&self, index: usize) -> StoredSet {
        StoredSet { form: self.forms.get(index).min(255) as u8, payload: self.payloads.get(index) }
    }
}
