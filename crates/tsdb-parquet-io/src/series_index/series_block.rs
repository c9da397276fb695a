//! Series blocks: of each series its rows, times, kinds and label values.
//!
//! ```text
//! raw := series varint, labels varint
//!        column rows                           number of rows
//!        column first                          first time, ms after the file's
//!        column span                           ms from the first to the last time
//!        column kinds                          1 has floats, 2 has histograms
//!        (label varint, column value)*         by label; value numbers, 0 where a series lacks the label
//! ```

use std::ops::Range;

use tsdb_core::TimeRange;

use super::bytes::{Column, Cursor, put_column, put_varint};
use super::{BlockId, BlockKind, Directory, IndexResult};

/// Series of every series block but the last.
pub const SERIES_PER_BLOCK: u32 = 1024;

const HAS_FLOATS: u8 = 1;
const HAS_HISTOGRAMS: u8 = 2;

/// What the index knows of a series beside its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRows {
    /// The series' place in the order of rows.
    pub ordinal: u32,
    /// Its rows in the file.
    pub rows: Range<u64>,
    /// From its first to its last timestamp.
    pub time_range: TimeRange,
    /// Whether a row is a float.
    pub has_floats: bool,
    /// Whether a row is a native histogram.
    pub has_histograms: bool,
}

/// What a series block keeps of a series while it is gathered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeriesRecord {
    pub(super) rows: u64,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) kinds: u8,
}

pub(super) fn kinds(has_floats: bool, has_histograms: bool) -> u8 {
    (u8::from(has_floats) * HAS_FLOATS) | (u8::from(has_histograms) * HAS_HISTOGRAMS)
}

/// A series block while it is gathered; reused from block to block.
#[derive(Debug, Default)]
pub(super) struct SeriesBlockBuilder {
    records: Vec<SeriesRecord>,
    /// Labels of this block with their columns, in order of appearance. Columns may end early: the rest is 0.
    labels: Vec<(u32, Vec<u32>)>,
    /// Columns of former blocks.
    spare: Vec<Vec<u32>>,
    /// By label, its place in `labels` + 1.
    places: Vec<u32>,
}

impl SeriesBlockBuilder {
    /// Adds a series. `values` are its labels with their value numbers.
    pub(super) fn push(&mut self, record: SeriesRecord, values: impl IntoIterator<Item = (u32, u32)>) {
        let series = self.records.len();
        self.records.push(record);
        for (label, value) in values {
            let needed = label as usize + 1;
            if self.places.len() < needed {
                self.places.resize(needed, 0);
            }
            let place = &mut self.places[label as usize];
            if *place == 0 {
                self.labels.push((label, self.spare.pop().unwrap_or_default()));
                *place = self.labels.len() as u32;
            }
            let column = &mut self.labels[*place as usize - 1].1;
            column.resize(series, 0);
            column.push(value);
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.records.len() as u32
    }

    /// Appends the raw block and begins the next one. Returns the number of its rows.
    pub(super) fn finish(&mut self, file_start_ms: i64, out: &mut Vec<u8>) -> u64 {
        let Self { records, labels, spare, places } = self;
        put_varint(out, records.len() as u64);
        put_varint(out, labels.len() as u64);
        put_column(out, records.iter().map(|record| record.rows));
        put_column(out, records.iter().map(|record| record.start_ms.wrapping_sub(file_start_ms) as u64));
        put_column(out, records.iter().map(|record| record.end_ms.wrapping_sub(record.start_ms) as u64));
        put_column(out, records.iter().map(|record| u64::from(record.kinds)));
        labels.sort_unstable_by_key(|&(label, _)| label);
        for (label, mut column) in labels.drain(..) {
            column.resize(records.len(), 0);
            put_varint(out, u64::from(label));
            put_column(out, column.iter().map(|&value| u64::from(value)));
            places[label as usize] = 0;
            column.clear();
            spare.push(column);
        }
        let rows = records.iter().map(|record| record.rows).sum();
        records.clear();
        rows
    }
}

/// A decoded series block.
#[derive(Clone, Debug)]
pub struct SeriesBlock {
    id: BlockId,
    first_series: u32,
    file_start_ms: i64,
    raw: Vec<u8>,
    /// The first row of each series, and the one behind the last.
    first_rows: Vec<u64>,
    first: Column,
    span: Column,
    kinds: Column,
    labels: Vec<(u32, Column)>,
}

impl SeriesBlock {
    /// Checks and decodes the stored bytes of the series block `id`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`](super::IndexError::Damaged) when they are not what was written, or contradict the
    /// directory.
    pub fn decode(stored: &[u8], id: BlockId, directory: &Directory) -> IndexResult<Self> {
        let block = directory.expect_block(id, BlockKind::Series)?;
        let raw = block.open(stored)?;
        let expected = directory.series_block_at(id);
        let mut cursor = Cursor::new(block.place(), &raw);
        let series = cursor.varint()?;
        if series != u64::from(expected.series.end - expected.series.start) {
            return Err(cursor.damaged(format!("{series} series where {:?} belong", expected.series)));
        }
        let series = series as usize;
        let label_count = cursor.count("labels", 3)?;
        let rows = cursor.column(series)?.to_vec(&raw);
        let (first, span, kinds) = (cursor.column(series)?, cursor.column(series)?, cursor.column(series)?);
        let mut labels: Vec<(u32, Column)> = Vec::with_capacity(label_count);
        for _ in 0..label_count {
            let (label, values) = (cursor.varint_u32()?, cursor.column(series)?);
            if labels.last().is_some_and(|&(last, _)| last >= label) {
                return Err(cursor.damaged("labels that do not ascend"));
            }
            let known = directory.labels().get(label as usize).map_or(0, |label| u64::from(label.values));
            if let Some(value) = values.to_vec(&raw).into_iter().find(|&value| value > known) {
                return Err(cursor.damaged(format!("value {value} of {known} of label {label}")));
            }
            labels.push((label, values));
        }
        cursor.finish()?;

        let mut first_rows = Vec::with_capacity(series + 1);
        first_rows.push(expected.rows.start);
        let mut row = expected.rows.start;
        for rows in rows {
            if rows == 0 {
                return Err(cursor.damaged("a series without rows"));
            }
            row = row.saturating_add(rows);
            first_rows.push(row);
        }
        if row != expected.rows.end {
            return Err(cursor.damaged(format!("rows up to {row} where {:?} belong", expected.rows)));
        }
        let range = directory.time_range();
        let length = range.end_ms.wrapping_sub(range.start_ms) as u64;
        let ends = first.to_vec(&raw).into_iter().zip(span.to_vec(&raw));
        if ends.into_iter().any(|(first, span)| first.checked_add(span).is_none_or(|end| end > length)) {
            return Err(cursor.damaged("times outside those of the file"));
        }
        if kinds
            .to_vec(&raw)
            .into_iter()
            .any(|kinds| !(1..=u64::from(HAS_FLOATS | HAS_HISTOGRAMS)).contains(&kinds))
        {
            return Err(cursor.damaged("unknown kinds of samples"));
        }
        let (first_series, file_start_ms) = (expected.series.start, range.start_ms);
        Ok(Self { id, first_series, file_start_ms, first_rows, first, span, kinds, labels, raw })
    }

    /// Which block of the index this is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// Bytes that the decoded block takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.raw.capacity()
            + self.first_rows.capacity() * size_of::<u64>()
            + self.labels.capacity() * size_of::<(u32, Column)>()
    }

    /// The ordinals of the block's series.
    #[must_use]
    pub fn ordinals(&self) -> Range<u32> {
        self.first_series..self.first_series + (self.first_rows.len() - 1) as u32
    }

    /// What is known of a series beside its labels; `None` for one of another block.
    #[must_use]
    pub fn series(&self, ordinal: u32) -> Option<SeriesRows> {
        let row = self.row(ordinal)?;
        let start_ms = self.file_start_ms.wrapping_add_unsigned(self.first.get(&self.raw, row));
        let kinds = self.kinds.get(&self.raw, row) as u8;
        Some(SeriesRows {
            ordinal,
            rows: self.first_rows[row]..self.first_rows[row + 1],
            time_range: TimeRange::new(
                start_ms,
                start_ms.wrapping_add_unsigned(self.span.get(&self.raw, row)),
            ),
            has_floats: kinds & HAS_FLOATS != 0,
            has_histograms: kinds & HAS_HISTOGRAMS != 0,
        })
    }

    fn row(&self, ordinal: u32) -> Option<usize> {
        self.ordinals().contains(&ordinal).then(|| (ordinal - self.first_series) as usize)
    }

    /// The labels of a series of this block, with their value numbers, by label.
    pub(super) fn labels(&self, ordinal: u32) -> impl Iterator<Item = (u32, u32)> {
        let row = self.row(ordinal);
        let value = move |&(label, column): &(u32, Column)| Some((label, column.get(&self.raw, row?) as u32));
        self.labels.iter().filter_map(value).filter(|&(_, value)| value > 0)
    }

    /// The value number of one label of a series, 0 where it lacks the label.
    pub(super) fn value(&self, ordinal: u32, label: u32) -> u32 {
        let place = self.labels.binary_search_by_key(&label, |&(label, _)| label);
        match (place, self.row(ordinal)) {
            (Ok(place), Some(row)) => self.labels[place].1.get(&self.raw, row) as u32,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::super::BlockRef;
    use super::super::frame::Compressor;
    use super::*;

    /// Decodes a block of two series of these rows and kinds.
    fn decode(series: [(u64, u8); 2]) -> IndexResult<SeriesBlock> {
        let mut builder = SeriesBlockBuilder::default();
        for (rows, kinds) in series {
            builder.push(SeriesRecord { rows, start_ms: 0, end_ms: 0, kinds }, []);
        }
        let mut raw = Vec::new();
        let rows = builder.finish(0, &mut raw);
        let stored = Compressor::for_blocks().compress(&raw, &[]).unwrap().to_vec();
        // Before the series there is the label bloom, of which nothing is asked here.
        let block = BlockRef {
            id: BlockId(1),
            kind: BlockKind::Series,
            offset: 8,
            stored_len: stored.len() as u32,
            raw_len: raw.len() as u32,
            hash: xxh3_64(&stored),
        };
        let bloom = BlockRef { id: BlockId(0), kind: BlockKind::LabelBloom, ..block };
        let (series_rows, blocks) = (vec![0, rows], vec![bloom, block]);
        let directory = Directory { series: 2, series_rows, blocks, ..Directory::default() };
        SeriesBlock::decode(&stored, BlockId(1), &directory)
    }

    #[test]
    fn every_series_has_rows_and_a_kind() {
        assert_eq!(decode([(3, 1), (1, 2)]).unwrap().series(1).unwrap().rows, 3..4);
        for series in [[(0, 1), (4, 2)], [(4, 1), (0, 3)], [(3, 0), (1, 1)], [(3, 1), (1, 4)]] {
            assert!(decode(series).is_err(), "{series:?}");
        }
    }
}
