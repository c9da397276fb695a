//! A label's column, from runs: a series' rows repeat one value, so what is written for them is one entry.

use std::collections::HashMap;

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, ChunkBuilder, PageBounds, put_levels};
use super::codec::PageCodec;
use super::encoding::{HybridEncoder, bit_width};
use crate::Result;

/// Most runs of a page whose bounds nobody asks for: what passing it over or decoding it costs follows its runs.
const PAGE_RUNS: usize = 8 * 1024;
/// Longest bound in statistics. Longer values are cut, which keeps the bounds true and the footer small.
const BOUND_BYTES: usize = 64;

/// One label of a row group's rows.
#[derive(Debug, Default)]
pub(super) struct LabelColumn {
    /// The distinct values in order of first use, plain-encoded: a length of 32 bits, then the bytes.
    dictionary: Vec<u8>,
    /// Where each distinct value's bytes begin in `dictionary`.
    starts: Vec<usize>,
    reference_of: HashMap<Box<str>, u32>,
    /// Runs of rows with one value, or `None` without the label.
    runs: Vec<(Option<u32>, u64)>,
}

impl LabelColumn {
    /// Adds rows with `value`.
    pub(super) fn push(&mut self, value: Option<&str>, rows: u64) {
        if let Some((last, count)) = self.runs.last_mut()
            && last.map(|reference| value_at(&self.dictionary, &self.starts, reference))
                == value.map(str::as_bytes)
        {
            *count += rows;
            return;
        }
        let reference = value.map(|value| self.reference(value));
        self.runs.push((reference, rows));
    }

    fn reference(&mut self, value: &str) -> u32 {
        if let Some(&reference) = self.reference_of.get(value) {
            return reference;
        }
        let reference = self.starts.len() as u32;
        self.dictionary.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.starts.push(self.dictionary.len());
        self.dictionary.extend_from_slice(value.as_bytes());
        self.reference_of.insert(value.into(), reference);
        reference
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        // The table has the strings once more, each with its place and some room.
        2 * self.dictionary.capacity() + 40 * self.starts.capacity() + self.runs.capacity() * 16
    }

    /// The column chunk of all rows. With `page_bounds`, each page's smallest and largest value go to the column index.
    pub(super) fn to_chunk(
        &self,
        column: ColumnDescPtr,
        codec: &mut PageCodec,
        page_rows: usize,
        page_bounds: bool,
        bloom_false_positives: Option<f64>,
    ) -> Result<Chunk> {
        let mut chunk = ChunkBuilder::new(column, codec, page_bounds);
        let values = self.starts.len() as u32;
        if values > 0 {
            chunk.dictionary(&self.dictionary, values, false)?;
        }
        let mut body = Vec::new();
        let mut nulls = 0;
        // Pages that can be told apart by their bounds are worth their rows' headers, others are not.
        for page in self.pages(if page_bounds { page_rows } else { usize::MAX }) {
            body.clear();
            put_levels(page.iter().map(|(reference, rows)| (reference.is_some(), *rows)), &mut body);
            let (rows, page_nulls) = page.iter().fold((0, 0), |(all, nulls), (reference, rows)| {
                (all + rows, nulls + if reference.is_none() { *rows } else { 0 })
            });
            nulls += page_nulls;
            let encoding = if values == 0 { Encoding::PLAIN } else { self.encode(&page, &mut body) };
            let min_max =
                page_bounds.then(|| self.min_max(page.iter().filter_map(|(reference, _)| *reference)));
            let min_max = min_max.flatten().map(|bounds| (bounds.min, bounds.max));
            chunk.data(&body, encoding, &PageBounds { min_max, nulls: page_nulls, rows })?;
        }
        let bloom_filter = bloom_false_positives.map(|share| self.bloom_filter(share)).transpose()?;
        chunk.finish(self.statistics(nulls), bloom_filter)
    }

    /// Appends the references of a page.
    fn encode(&self, page: &[(Option<u32>, u64)], body: &mut Vec<u8>) -> Encoding {
        let width = bit_width(self.starts.len() as u32 - 1).max(1);
        body.push(width);
        let mut references = HybridEncoder::new(width, body);
        for &(reference, rows) in page {
            if let Some(reference) = reference {
                references.push(reference, rows);
            }
        }
        references.finish();
        Encoding::RLE_DICTIONARY
    }

    /// Cuts the runs into pages.
    fn pages(&self, page_rows: usize) -> impl Iterator<Item = Vec<(Option<u32>, u64)>> {
        let mut runs = self.runs.iter().copied();
        let mut rest = runs.next();
        std::iter::from_fn(move || {
            let mut page = Vec::new();
            let mut room = page_rows as u64;
            while room > 0
                && page.len() < PAGE_RUNS
                && let Some((reference, rows)) = rest
            {
                let taken = rows.min(room);
                page.push((reference, taken));
                room -= taken;
                rest = if taken == rows { runs.next() } else { Some((reference, rows - taken)) };
            }
            (!page.is_empty()).then_some(page)
        })
    }

    fn value(&self, reference: u32) -> &[u8] {
        value_at(&self.dictionary, &self.starts, reference)
    }

    fn min_max(&self, references: impl Iterator<Item = u32>) -> Option<TextBounds> {
        let (min, max) = references.map(|reference| self.value(reference)).fold(None, |bounds, value| {
            let (min, max) = bounds.unwrap_or((value, value));
            Some((value.min(min), value.max(max)))
        })?;
        TextBounds::cut(min, max)
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let bounds = self.min_max(0..self.starts.len() as u32);
        let (min_is_exact, max_is_exact) =
            bounds.as_ref().map_or((true, true), |bounds| (bounds.min_is_exact, bounds.max_is_exact));
        let (min, max) =
            bounds.map_or((None, None), |b| (Some(ByteArray::from(b.min)), Some(ByteArray::from(b.max))));
        Statistics::ByteArray(
            ValueStatistics::new(min, max, None, Some(nulls), false)
                .with_min_is_exact(min_is_exact)
                .with_max_is_exact(max_is_exact),
        )
    }

    fn bloom_filter(&self, false_positives: f64) -> Result<Sbbf> {
        let mut filter = Sbbf::new_with_ndv_fpp(self.starts.len().max(1) as u64, false_positives)?;
        for reference in 0..self.starts.len() as u32 {
            filter.insert(self.value(reference));
        }
        Ok(filter)
    }
}

/// The bytes of a distinct value; it ends where the next one's length begins.
fn value_at<'a>(dictionary: &'a [u8], starts: &[usize], reference: u32) -> &'a [u8] {
    let start = starts[reference as usize];
    let end = starts.get(reference as usize + 1).map_or(dictionary.len(), |next| next - 4);
    &dictionary[start..end]
}

/// Bounds of some text, cut to a bounded length.
#[derive(Debug, PartialEq, Eq)]
struct TextBounds {
    min: Vec<u8>,
    min_is_exact: bool,
    max: Vec<u8>,
    max_is_exact: bool,
}

impl TextBounds {
    /// The bounds, cut at a character; `None` where no cut bound lies above `max`.
    fn cut(min: &[u8], max: &[u8]) -> Option<Self> {
        let max_is_exact = max.len() <= BOUND_BYTES;
        let max = if max_is_exact { max.to_vec() } else { incremented(cut(max))? };
        Some(Self { min: cut(min).to_vec(), min_is_exact: min.len() <= BOUND_BYTES, max, max_is_exact })
    }
}

/// The first characters of valid UTF-8.
fn cut(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(BOUND_BYTES);
    while text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    &text[..end]
}

/// The least text of at most as many characters that is above all text that begins with `text`.
fn incremented(text: &[u8]) -> Option<Vec<u8>> {
    let mut chars: Vec<char> = std::str::from_utf8(text).ok()?.chars().collect();
    while let Some(last) = chars.pop() {
        // Between the two halves of the range lie the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_run() {
        let mut column = LabelColumn::default();
        for (value, rows) in
            [(Some("a"), 3), (Some("a"), 2), (None, 1), (None, 1), (Some("b"), 1), (Some("a"), 4)]
        {
            column.push(value, rows);
        }
        assert_eq!(column.runs, [(Some(0), 5), (None, 2), (Some(1), 1), (Some(0), 4)]);
        assert_eq!(column.dictionary, b"\x01\0\0\0a\x01\0\0\0b");
        assert_eq!((column.value(0), column.value(1)), (&b"a"[..], &b"b"[..]));
    }

    #[test]
    fn pages_cut_runs_and_lose_none() {
        let mut column = LabelColumn::default();
        column.push(Some("a"), 11);
        column.push(None, 20);
        let pages: Vec<_> = column.pages(10).collect();
        assert_eq!(pages[0], [(Some(0), 10)]);
        assert_eq!(pages[1], [(Some(0), 1), (None, 9)]);
        assert_eq!(pages[3], [(None, 1)]);
        assert_eq!(pages.len(), 4);
        for instance in 0..3 * PAGE_RUNS {
            column.push(Some(["a", "b"][instance % 2]), 2);
        }
        assert_eq!(column.pages(usize::MAX).count(), 4);
    }

    #[test]
    fn long_bounds_are_cut_and_stay_bounds() {
        let long = "é".repeat(100);
        let bounds = TextBounds::cut(long.as_bytes(), long.as_bytes()).unwrap();
        assert_eq!((bounds.min.len(), bounds.min_is_exact, bounds.max_is_exact), (64, false, false));
        assert!(bounds.min.as_slice() < long.as_bytes() && bounds.max.as_slice() > long.as_bytes());
        assert!(std::str::from_utf8(&bounds.max).is_ok());
        let highest = "\u{10ffff}".repeat(40);
        assert_eq!(TextBounds::cut(b"a", highest.as_bytes()), None);
        assert_eq!(incremented("a\u{d7ff}".as_bytes()), Some("a\u{e000}".into()));
        let exact = TextBounds::cut(b"a", b"b").unwrap();
        assert!(exact.min_is_exact && exact.max_is_exact && exact.max == b"b");
    }
}
