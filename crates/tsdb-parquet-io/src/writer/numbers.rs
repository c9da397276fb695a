//! The `timestamp` and `value` columns: the encoding of each chunk is chosen by trying the candidates on a part of
//! it, compressed as it will be.
//!
//! No encoding is right for all: gauges of few digits want a dictionary, counters and full-precision floats
//! byte-stream-split, sparse bits plain; regular timestamps want differences, those that many series share want
//! byte-stream-split, of whose streams the compressor finds the repeats.
//!
//! Numbers are handled as their 64 bits: every NaN keeps its payload, and -0.0 is not 0.0.

mod bounds;
mod dictionary;

use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, ChunkBuilder, PageBounds, put_levels};
use super::codec::PageCodec;
use super::encoding::{HybridEncoder, bit_width, byte_stream_split, delta_binary_packed, plain};
use crate::Result;
pub(super) use bounds::Bounds;
use dictionary::Dictionary;

/// One part in this many is tried, at least one and at most [`SAMPLED_PARTS_MAX`].
const SAMPLED_EVERY: usize = 8;
const SAMPLED_PARTS_MAX: usize = 4;
/// Rows of a part, if a page has not more: fewer would not show that values come again.
const SAMPLED_ROWS: usize = 8 * 1024;

/// How the numbers of a chunk may be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    Plain,
    ByteStreamSplit,
    Delta,
    Dictionary,
}

/// The numbers of a column chunk.
pub(super) struct Numbers<'a> {
    /// The numbers that are there, as bits, in row order.
    pub(super) bits: &'a [u64],
    /// Runs of rows that have a number or have none; `None` for a column that has one in every row.
    pub(super) levels: Option<&'a [(bool, u64)]>,
    /// The order in which they are compared.
    pub(super) bounds: Bounds,
    pub(super) page_rows: PageRows,
}

/// How many rows a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRows {
    /// At most so many.
    pub(super) most: usize,
    /// Not fewer than so many because of their bytes.
    pub(super) least: usize,
    /// Compressed bytes above which it is given fewer.
    pub(super) bytes: usize,
}

impl PageRows {
    /// The rows of a page of so many bytes a number.
    fn at(self, bytes_per_number: f64) -> usize {
        let mut rows = self.most;
        while rows as f64 * bytes_per_number > self.bytes as f64 && rows / 2 >= self.least {
            rows /= 2;
        }
        rows
    }
}

impl Numbers<'_> {
    /// The column chunk in the best of `candidates`, of which there is one at least.
    pub(super) fn to_chunk(
        &self,
        column: ColumnDescPtr,
        codec: &mut PageCodec,
        candidates: &[Candidate],
    ) -> Result<Chunk> {
        let (encoder, bytes_per_number) = self.choose(codec, candidates)?;
        let page_rows = self.page_rows.at(bytes_per_number);
        let mut chunk = ChunkBuilder::new(column, codec, true);
        if let Encoder::Dictionary { dictionary, .. } = &encoder {
            let mut page = Vec::new();
            plain(&dictionary.values, &mut page);
            // The order of the bits is not always Parquet's order of the numbers.
            chunk.dictionary(&page, dictionary.values.len() as u32, false)?;
        }
        let mut body = Vec::new();
        let mut at = 0;
        let mut nulls = 0;
        for page in self.pages(page_rows) {
            body.clear();
            if self.levels.is_some() {
                put_levels(page.levels.iter().copied(), &mut body);
            }
            let end = at + page.numbers;
            encoder.encode(self.bits, at..end, &mut body);
            let page_nulls = page.rows - page.numbers as u64;
            let min_max = self.bounds.plain_min_max(&self.bits[at..end]);
            let bounds = PageBounds { min_max, nulls: page_nulls, rows: page.rows };
            chunk.data(&body, encoder.encoding(), &bounds)?;
            at = end;
            nulls += page_nulls;
        }
        chunk.finish(self.bounds.statistics(self.bits, nulls), None)
    }

    /// The candidate that makes the sampled parts, with its share of a dictionary, smallest; and the bytes that it takes
    /// for a number.
    fn choose(&self, codec: &mut PageCodec, candidates: &[Candidate]) -> Result<(Encoder, f64)> {
        let parts = self.sampled_parts();
        let sampled: usize = parts.iter().map(ExactSizeIterator::len).sum();
        let mut best: Option<(usize, Encoder)> = None;
        let mut page = Vec::new();
        let mut compressed = Vec::new();
        for &candidate in candidates {
            let only = candidates.len() == 1;
            for encoder in Encoder::of(candidate, self.bits, (!only).then_some(&parts[..])) {
                let mut bytes = 0;
                if let Encoder::Dictionary { dictionary, .. } = &encoder {
                    page.clear();
                    plain(&dictionary.values, &mut page);
                    codec.compress(&page, &mut compressed)?;
                    bytes += compressed.len() * sampled / self.bits.len().max(1);
                }
                for range in &parts {
                    page.clear();
                    encoder.encode(self.bits, range.clone(), &mut page);
                    codec.compress(&page, &mut compressed)?;
                    bytes += compressed.len();
                }
                if best.as_ref().is_none_or(|(least, _)| bytes < *least) {
                    best = Some((bytes, encoder));
                }
            }
        }
        let (bytes, encoder) = best.unwrap_or((0, Encoder::Plain));
        Ok((encoder, bytes as f64 / sampled.max(1) as f64))
    }

    /// Places of the parts to try, evenly spread.
    fn sampled_parts(&self) -> Vec<std::ops::Range<usize>> {
        let len = self.bits.len();
        let rows = self.page_rows.most.max(SAMPLED_ROWS);
        let part = rows.min(len);
        let count = (len / rows / SAMPLED_EVERY).clamp(1, SAMPLED_PARTS_MAX);
        let at = |index: usize| (len - part) * (2 * index + 1) / (2 * count);
        (0..count).map(|index| at(index)..at(index) + part).collect()
    }

    /// Cuts the rows into pages.
    fn pages(&self, page_rows: usize) -> impl Iterator<Item = PageContent> {
        let whole = [(true, self.bits.len() as u64)];
        let mut runs = self.levels.map_or(whole.to_vec(), <[_]>::to_vec).into_iter().peekable();
        let page_rows = page_rows as u64;
        std::iter::from_fn(move || {
            let mut page = PageContent { levels: Vec::new(), rows: 0, numbers: 0 };
            while page.rows < page_rows
                && let Some((has_value, rest)) = runs.peek_mut()
            {
                let rows = (*rest).min(page_rows - page.rows);
                page.levels.push((*has_value, rows));
                page.rows += rows;
                page.numbers += if *has_value { rows as usize } else { 0 };
                *rest -= rows;
                if *rest == 0 {
                    runs.next();
                }
            }
            (page.rows > 0).then_some(page)
        })
    }
}

/// The rows of one page.
struct PageContent {
    levels: Vec<(bool, u64)>,
    rows: u64,
    /// Rows with a number.
    numbers: usize,
}

/// An encoding, ready for any part of the chunk.
enum Encoder {
    Plain,
    ByteStreamSplit,
    Delta,
    Dictionary {
        dictionary: std::rc::Rc<Dictionary>,
        /// Bits of a reference.
        width: u8,
    },
}

impl Encoder {
    /// The encoders that `candidate` means for these numbers: none where the `sampled` parts say that it is hopeless.
    fn of(candidate: Candidate, bits: &[u64], sampled: Option<&[std::ops::Range<usize>]>) -> Vec<Self> {
        match candidate {
            Candidate::Plain => vec![Self::Plain],
            Candidate::ByteStreamSplit => vec![Self::ByteStreamSplit],
            Candidate::Delta => vec![Self::Delta],
            Candidate::Dictionary => {
                if sampled
                    .is_some_and(|parts| parts.iter().any(|p| Dictionary::is_hopeless(&bits[p.clone()])))
                {
                    return Vec::new();
                }
                let limit = if sampled.is_some() { Dictionary::MAX_VALUES } else { usize::MAX };
                let Some(dictionary) = Dictionary::build(bits, limit).map(std::rc::Rc::new) else {
                    return Vec::new();
                };
                // The compressor finds no repeats among references that begin within a byte.
                let least = bit_width(dictionary.values.len().saturating_sub(1) as u32).max(1);
                let mut widths = vec![least, least.next_multiple_of(8)];
                widths.dedup();
                widths
                    .into_iter()
                    .map(|width| Self::Dictionary { dictionary: dictionary.clone(), width })
                    .collect()
            }
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Plain => Encoding::PLAIN,
            Self::ByteStreamSplit => Encoding::BYTE_STREAM_SPLIT,
            Self::Delta => Encoding::DELTA_BINARY_PACKED,
            Self::Dictionary { .. } => Encoding::RLE_DICTIONARY,
        }
    }

    /// Appends the numbers at `range` to `body`.
    fn encode(&self, bits: &[u64], range: std::ops::Range<usize>, body: &mut Vec<u8>) {
        match self {
            Self::Plain => plain(&bits[range], body),
            Self::ByteStreamSplit => byte_stream_split(&bits[range], body),
            Self::Delta => {
                let signed: Vec<i64> = bits[range].iter().map(|bits| bits.cast_signed()).collect();
                delta_binary_packed(&signed, body);
            }
            Self::Dictionary { dictionary, width } => {
                body.push(*width);
                let mut references = HybridEncoder::new(*width, body);
                dictionary.references[range].iter().for_each(|&reference| references.push(reference, 1));
                references.finish();
            }
        }
    }
}
