//! A page of timestamps or values, from which rows are taken by their numbers.

use std::ops::Range;
use std::sync::Arc;

use super::delta::Deltas;
use super::hybrid::{References, Run, for_each_run, unpack};
use super::{PAGE_BYTES_MAX, PageResult, RawPage, split};

/// Parquet's numbers for page types and encodings.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const PLAIN: i64 = 0;
const DELTA_BINARY_PACKED: i64 = 5;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

/// What the 64 bits of a number are taken for.
pub(in crate::reader) trait Number: Copy {
    fn from_bits(bits: u64) -> Self;
}

impl Number for u64 {
    fn from_bits(bits: u64) -> Self {
        bits
    }
}

impl Number for i64 {
    fn from_bits(bits: u64) -> Self {
        bits.cast_signed()
    }
}

impl Number for f64 {
    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

/// A data page of 64-bit numbers.
#[derive(Debug)]
pub(in crate::reader) struct NumberPage {
    /// Runs of rows that have a number or have none; empty where each has one.
    nulls: Vec<LevelRun>,
    rows: usize,
    numbers: Numbers,
}

/// Consecutive rows that all have a number, or all have none.
#[derive(Clone, Copy, Debug)]
struct LevelRun {
    first_row: usize,
    /// How many rows before have a number.
    first_number: usize,
    has_number: bool,
}

#[derive(Debug)]
enum Numbers {
    /// Eight bytes a number, behind the levels.
    Plain {
        body: Vec<u8>,
        at: usize,
    },
    /// A byte of each number, then the next one of each.
    Split {
        body: Vec<u8>,
        at: usize,
        len: usize,
    },
    Deltas(Deltas),
    References {
        dictionary: Arc<[u64]>,
        references: References,
    },
}

impl NumberPage {
    /// The numbers of a dictionary page.
    pub(in crate::reader) fn dictionary(page: &RawPage) -> PageResult<Arc<[u64]>> {
        let (header, body) = (&page.header, &page.body);
        let (numbers, rest) = body.as_chunks::<8>();
        if header.page_type != DICTIONARY_PAGE || numbers.len() != header.values || !rest.is_empty() {
            return Err(format!("a dictionary of {} numbers in {} bytes", header.values, body.len()));
        }
        Ok(numbers.iter().map(|&number| u64::from_le_bytes(number)).collect())
    }

    /// A data page of `rows` rows of a column that may be null or not (`nullable`), with the column's `dictionary` if it
    /// has one.
    pub(in crate::reader) fn data(
        page: RawPage,
        rows: usize,
        nullable: bool,
        dictionary: Option<&Arc<[u64]>>,
    ) -> PageResult<Self> {
        let RawPage { header, body } = page;
        if header.page_type != DATA_PAGE || header.values != rows {
            let (found, kind) = (header.values, header.page_type);
            return Err(format!(
                "a page of type {kind} with {found} rows where a data page of {rows} should be"
            ));
        }
        if rows > PAGE_BYTES_MAX / size_of::<u64>() {
            return Err(format!("a page of {rows} rows"));
        }
        let Levels { nulls, numbers: len, end: at } =
            if nullable { levels(&body, rows)? } else { Levels { nulls: Vec::new(), numbers: rows, end: 0 } };
        let whole = |body: &[u8]| {
            let found = body.len() - at;
            if len.checked_mul(8) == Some(found) {
                Ok(())
            } else {
                Err(format!("{found} bytes for {len} numbers"))
            }
        };
        let numbers = match header.encoding {
            PLAIN => {
                whole(&body)?;
                Numbers::Plain { body, at }
            }
            BYTE_STREAM_SPLIT => {
                whole(&body)?;
                Numbers::Split { body, at, len }
            }
            DELTA_BINARY_PACKED => Numbers::Deltas(Deltas::new(body, at, len)?),
            RLE_DICTIONARY => {
                let dictionary = dictionary.ok_or("references without a dictionary")?;
                let references = References::new(body, at, len)?;
                Numbers::References { dictionary: Arc::clone(dictionary), references }
            }
            other => return Err(format!("numbers in the encoding {other}")),
        };
        Ok(Self { nulls, rows, numbers })
    }

    /// Appends the numbers of `rows` to `out`. A row without one is an error.
    pub(in crate::reader) fn take<N: Number>(&self, rows: Range<usize>, out: &mut Vec<N>) -> PageResult<()> {
        if rows.start > rows.end || rows.end > self.rows {
            return Err(format!("rows {rows:?} of a page of {}", self.rows));
        }
        let Range { start, end } = self.numbers_at(rows)?;
        match &self.numbers {
            Numbers::Plain { body, at } => {
                let (numbers, _) = body[at + 8 * start..at + 8 * end].as_chunks::<8>();
                out.extend(numbers.iter().map(|&number| N::from_bits(u64::from_le_bytes(number))));
            }
            Numbers::Split { body, at, len } => split::join(&body[*at..], *len, start..end, out),
            Numbers::Deltas(deltas) => deltas.take(start..end, out)?,
            Numbers::References { dictionary, references } => {
                references.take(start..end, dictionary, out)?;
            }
        }
        Ok(())
    }

    /// Where the numbers of `rows` lie among those that are there.
    fn numbers_at(&self, rows: Range<usize>) -> PageResult<Range<usize>> {
        if self.nulls.is_empty() {
            return Ok(rows);
        }
        if rows.is_empty() {
            return Ok(0..0);
        }
        let next = self.nulls.partition_point(|run| run.first_row <= rows.start);
        let end = self.nulls.get(next).map_or(self.rows, |next| next.first_row);
        match next.checked_sub(1).map(|run| self.nulls[run]) {
            Some(LevelRun { first_row, first_number, has_number: true }) if rows.end <= end => {
                let start = first_number + rows.start - first_row;
                Ok(start..start + rows.len())
            }
            _ => Err(format!("rows {rows:?} that should have values have none")),
        }
    }
}

/// The definition levels of a page.
struct Levels {
    /// Runs of rows, empty when no row is null.
    nulls: Vec<LevelRun>,
    /// Rows that have a number.
    numbers: usize,
    /// Where the levels end in the body.
    end: usize,
}

fn levels(body: &[u8], rows: usize) -> PageResult<Levels> {
    let (length, rest) = body.split_first_chunk::<4>().ok_or("a page without its levels")?;
    let length = u32::from_le_bytes(*length) as usize;
    let levels = rest.get(..length).ok_or("levels that are cut off")?;
    let mut nulls: Vec<LevelRun> = Vec::new();
    let (mut row, mut numbers) = (0, 0);
    let mut push = |has_number: bool, count: usize| {
        if nulls.last().is_none_or(|last| last.has_number != has_number) {
            nulls.push(LevelRun { first_row: row, first_number: numbers, has_number });
        }
        row += count;
        numbers += if has_number { count } else { 0 };
    };
    let mut unpacked = Vec::new();
    for_each_run(levels, 1, rows, |run| match run {
        Run::Repeated(level, count) => push(level != 0, count),
        Run::Packed(at, count) => {
            unpacked.clear();
            unpack(&levels[at..], 1, 0..count, &mut unpacked);
            unpacked.iter().for_each(|&level| push(level != 0, 1));
        }
    })?;
    if numbers == rows {
        nulls.clear();
    }
    Ok(Levels { nulls, numbers, end: 4 + length })
}
