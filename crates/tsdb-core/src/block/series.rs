//! Pages of series: label value ordinals and chunk metadata, in bit-packed columns.
//!
//! Neighbours in label order share most label values, and their chunks begin and end at much the same times,
//! so a column of offsets from the page's minimum is short, and every row of it is found by arithmetic: one
//! series is read without decoding the 63 others.

use super::ChunkMeta;
use crate::cursor::{Column, Cursor, put_column, put_varint, unzigzag, zigzag};
use crate::{Chunk, ChunkEncoding, Error, Result, TimeRange};

/// The chunk half of a page while it is written; also collects the checksums.
#[derive(Debug, Default)]
pub(super) struct ChunkColumns {
    series: usize,
    counts: Vec<u64>,
    first_starts: Vec<i64>,
    gaps: Vec<u64>,
    durations: Vec<u64>,
    samples: Vec<u64>,
    lengths: Vec<u64>,
    encodings: Vec<u64>,
    checksums: Vec<u8>,
    scratch: Vec<u64>,
}

impl ChunkColumns {
    pub(super) fn series(&self) -> usize {
        self.series
    }

    /// Adds a chunk of the series that [`ChunkColumns::end_series`] will end. `previous_end_ms` is the last
    /// timestamp of the series' chunk before.
    #[inline]
    pub(super) fn push(&mut self, chunk: &Chunk, previous_end_ms: Option<i64>, checksum: u32) {
        let range = chunk.time_range();
        match previous_end_ms {
            None => self.first_starts.push(range.start_ms),
            Some(end_ms) => self.gaps.push(range.start_ms.wrapping_sub(end_ms) as u64 - 1),
        }
        self.durations.push(range.end_ms.wrapping_sub(range.start_ms) as u64);
        self.samples.push(u64::from(chunk.count()));
        self.lengths.push(chunk.data().len() as u64);
        self.encodings.push(chunk.encoding() as u64);
        self.checksums.extend_from_slice(&checksum.to_le_bytes());
    }

    pub(super) fn end_series(&mut self, chunks: usize) {
        self.series += 1;
        self.counts.push(chunks as u64);
    }

    /// Writes the half page to `out` and empties it. `first_offset` is where the page's first chunk begins in
    /// the chunk section.
    pub(super) fn finish(&mut self, window_start_ms: i64, first_offset: u64, out: &mut Vec<u8>) {
        let base = self.first_starts.iter().copied().min().unwrap_or(window_start_ms);
        self.scratch.clear();
        self.scratch.extend(self.first_starts.iter().map(|start| start.wrapping_sub(base) as u64));
        put_varint(out, first_offset);
        put_varint(out, self.lengths.len() as u64);
        put_varint(out, zigzag(base.wrapping_sub(window_start_ms)));
        for column in [
            &self.counts,
            &self.scratch,
            &self.gaps,
            &self.durations,
            &self.samples,
            &self.lengths,
            &self.encodings,
        ] {
            put_column(out, column);
        }
        out.extend_from_slice(&self.checksums);
        self.series = 0;
        self.counts.clear();
        self.first_starts.clear();
        self.gaps.clear();
        self.durations.clear();
        self.samples.clear();
        self.lengths.clear();
        self.encodings.clear();
        self.checksums.clear();
    }
}

/// Writes one page: the label columns, `(name ordinal, value ordinal + 1 per row)` by name, and the chunk half.
pub(super) fn put_page<'a>(
    labels: impl ExactSizeIterator<Item = (u32, &'a [u64])>,
    chunk_half: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    scratch.clear();
    put_varint(scratch, labels.len() as u64);
    let mut previous = 0;
    for (name, values) in labels {
        put_varint(scratch, u64::from(name - previous));
        previous = name;
        put_column(scratch, values);
    }
    put_varint(out, scratch.len() as u64);
    out.extend_from_slice(scratch);
    out.extend_from_slice(chunk_half);
}

/// One page of series.
#[derive(Debug)]
pub(super) struct SeriesPage<'a> {
    rows: usize,
    labels: Cursor<'a>,
    chunks: Cursor<'a>,
}

impl<'a> SeriesPage<'a> {
    /// Reads the header of a page with `rows` series.
    pub(super) fn new(mut cursor: Cursor<'a>, rows: usize) -> Result<Self> {
        let labels_len = cursor.varint()?;
        Ok(Self { rows, labels: cursor.sub(labels_len)?, chunks: cursor })
    }

    /// Calls `pair(name ordinal, value ordinal)` for each label of `row`, by name.
    pub(super) fn labels(&self, row: usize, mut pair: impl FnMut(u32, u32) -> Result<()>) -> Result<()> {
        let mut cursor = self.labels.clone();
        let mut name = 0;
        for column in 0..cursor.varint()? {
            let step = cursor.varint()?;
            if column > 0 && step == 0 {
                return Err(cursor.corrupt("label columns out of order"));
            }
            name = step.saturating_add(name);
            let value = cursor.column(self.rows as u64)?.get(row);
            match (u32::try_from(name), u32::try_from(value.saturating_sub(1))) {
                (Ok(name), Ok(ordinal)) if value > 0 => pair(name, ordinal)?,
                (Ok(_), Ok(_)) => {}
                _ => return Err(cursor.corrupt(format!("label {name} with value {value}"))),
            }
        }
        Ok(())
    }

    /// The value ordinal of one label of `row`, if the series has it.
    pub(super) fn label(&self, row: usize, wanted: u32) -> Result<Option<u32>> {
        let mut cursor = self.labels.clone();
        let mut name = 0;
        for _ in 0..cursor.varint()? {
            name = cursor.varint()?.saturating_add(name);
            let column = cursor.column(self.rows as u64)?;
            if name >= u64::from(wanted) {
                let value = if name == u64::from(wanted) { column.get(row) } else { 0 };
                let ordinal = u32::try_from(value.saturating_sub(1))
                    .map_err(|_| cursor.corrupt(format!("label {name} with value {value}")))?;
                return Ok((value > 0).then_some(ordinal));
            }
        }
        Ok(None)
    }

    /// An error in this page.
    pub(super) fn corrupt(&self, detail: impl Into<String>) -> Error {
        self.labels.corrupt(detail)
    }

    /// The chunk columns.
    pub(super) fn chunks(&self, window_start_ms: i64) -> Result<SeriesChunks<'a>> {
        let mut cursor = self.chunks.clone();
        let (rows, first_offset, total) = (self.rows as u64, cursor.varint()?, cursor.varint()?);
        // Every series has a chunk and every chunk a checksum: this bounds the total by the bytes.
        if total < rows || total > cursor.remaining() as u64 / 4 {
            return Err(cursor.corrupt(format!("{total} chunks in a page of {rows} series")));
        }
        Ok(SeriesChunks {
            first_offset,
            base_ms: unzigzag(cursor.varint()?).wrapping_add(window_start_ms),
            counts: cursor.column(rows)?,
            first_starts: cursor.column(rows)?,
            gaps: cursor.column(total - rows)?,
            durations: cursor.column(total)?,
            samples: cursor.column(total)?,
            lengths: cursor.column(total)?,
            encodings: cursor.column(total)?,
            checksums: cursor.take(total * 4)?,
            total: total as usize,
            end: cursor,
        })
    }
}

/// The chunk columns of one page.
#[derive(Debug)]
pub(super) struct SeriesChunks<'a> {
    pub(super) first_offset: u64,
    base_ms: i64,
    counts: Column<'a>,
    first_starts: Column<'a>,
    gaps: Column<'a>,
    durations: Column<'a>,
    samples: Column<'a>,
    lengths: Column<'a>,
    encodings: Column<'a>,
    checksums: &'a [u8],
    pub(super) total: usize,
    /// Behind the columns, where the page should end.
    pub(super) end: Cursor<'a>,
}

impl SeriesChunks<'_> {
    /// Appends the chunks of `row`, with offsets from the start of the chunk section.
    pub(super) fn row(&self, row: usize, out: &mut Vec<ChunkMeta>) -> Result<()> {
        let (before, count) = (self.counts.sum(row), self.counts.get(row));
        if count == 0 || before.checked_add(count).is_none_or(|end| end > self.total as u64) {
            return Err(self.end.corrupt(format!("{count} chunks of {} in row {row}", self.total)));
        }
        // Rows before this one have a chunk or more each, or their own read fails; `max` keeps a damaged
        // page from an index below zero.
        let before = (before as usize).max(row);
        let mut offset = self.first_offset.wrapping_add(self.lengths.sum(before));
        let mut start_ms = self.base_ms.wrapping_add(self.first_starts.get(row) as i64);
        out.reserve(count as usize);
        for chunk in before..before + count as usize {
            if chunk > before {
                let end_ms = out.last().map_or(0, |previous| previous.time_range.end_ms);
                start_ms = end_ms.wrapping_add(1).wrapping_add(self.gaps.get(chunk - row - 1) as i64);
                if start_ms <= end_ms {
                    return Err(self.end.corrupt(format!("chunks of row {row} out of order")));
                }
            }
            let meta = self.chunk(chunk, offset, start_ms)?;
            offset = offset.wrapping_add(u64::from(meta.len));
            out.push(meta);
        }
        Ok(())
    }

    /// Checks what reading single rows does not: that the rows' chunks are all chunks, and that the page ends
    /// with them.
    pub(super) fn verify(&self, rows: usize) -> Result<()> {
        let counted = self.counts.sum(rows);
        if counted != self.total as u64 || self.end.remaining() > 0 {
            let (total, rest) = (self.total, self.end.remaining());
            return Err(self.end.corrupt(format!("{counted} chunks of {total}, then {rest} bytes")));
        }
        Ok(())
    }

    fn chunk(&self, chunk: usize, offset: u64, start_ms: i64) -> Result<ChunkMeta> {
        let end_ms = start_ms.wrapping_add(self.durations.get(chunk) as i64);
        let encoding =
            u8::try_from(self.encodings.get(chunk)).ok().and_then(|byte| ChunkEncoding::try_from(byte).ok());
        let (count, len) = (u32::try_from(self.samples.get(chunk)), u32::try_from(self.lengths.get(chunk)));
        let checksum = self.checksums.get(chunk * 4..chunk * 4 + 4);
        match (encoding, count, len, checksum) {
            (Some(encoding), Ok(count), Ok(len), Some(checksum)) if count > 0 && start_ms <= end_ms => {
                let checksum = u32::from_le_bytes(checksum.try_into().expect("invariant: 4 bytes"));
                Ok(ChunkMeta {
                    encoding,
                    time_range: TimeRange::new(start_ms, end_ms),
                    count,
                    offset,
                    len,
                    checksum,
                })
            }
            _ => Err(self.end.corrupt(format!("metadata of chunk {chunk} that no chunk can have"))),
        }
    }
}
