//! The encoder: streams chunks as they come and writes the index at the end.
//!
//! Memory follows the series: chunk bytes go straight to the writer, chunk metadata is packed page by page,
//! and of the labels the distinct values and four bytes a pair are kept until the end.

use std::cmp::Ordering;
use std::io::Write;

use super::dictionary::{Dictionary, ValueEntry};
use super::format::{self, POSTINGS, SERIES, SERIES_PER_PAGE, Toc, VALUES, VALUES_PER_PAGE};
use super::ordinals::{BitmapBuilder, StoredSet};
use super::paged::TableBuilder;
use super::series::{ChunkColumns, put_page};
use super::values::{ValuePageBuilder, shared_prefix};
use super::{BlockId, BlockMeta, names};
use crate::{Chunk, Error, Labels, Result, TimeRange};

/// Bytes collected before they go to the writer.
const BUFFER_BYTES: usize = 128 << 10;

/// Encodes one block to an [`io::Write`](Write).
///
/// Series come in strictly ascending label order, each with its chunks. Nothing is a block before
/// [`BlockWriter::finish`] has returned: a file that was cut off does not open.
#[derive(Debug)]
pub struct BlockWriter<W> {
    out: Output<W>,
    meta: BlockMeta,
    previous: Labels,
    previous_pairs: Vec<Pair>,
    pairs_scratch: Vec<Pair>,
    dictionary: Dictionary,
    /// Value ids of all series' labels, series after series.
    pairs: Vec<u32>,
    /// The end of each series in `pairs`.
    pair_ends: Vec<u64>,
    chunks_len: u64,
    columns: ChunkColumns,
    /// Where the first chunk of the current page begins in the chunk section.
    page_offset: u64,
    /// The chunk halves of the finished series pages, back to back, and their ends.
    chunk_halves: Vec<u8>,
    chunk_half_ends: Vec<usize>,
}

/// One label of the series added last.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// The ids of name and value.
    name: u32,
    value: u32,
    /// Where it ends in the canonical encoding of the label set.
    end: usize,
}

#[derive(Debug)]
struct Output<W> {
    inner: W,
    buffer: Vec<u8>,
}

impl<W: Write> Output<W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
            if bytes.len() >= BUFFER_BYTES {
                return Ok(self.inner.write_all(bytes)?);
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> BlockWriter<W> {
    /// Starts the block `id` on `inner`, which needs no buffer of its own.
    ///
    /// # Errors
    /// [`Error::Io`] when `inner` fails.
    pub fn new(inner: W, id: BlockId) -> Result<Self> {
        let mut out = Output { inner, buffer: Vec::with_capacity(BUFFER_BYTES) };
        out.write(&format::header())?;
        Ok(Self {
            out,
            meta: BlockMeta { id, time_range: TimeRange::EMPTY, series: 0, samples: 0, chunks: 0 },
            previous: Labels::empty(),
            previous_pairs: Vec::new(),
            pairs_scratch: Vec::new(),
            dictionary: Dictionary::default(),
            pairs: Vec::new(),
            pair_ends: Vec::new(),
            chunks_len: 0,
            columns: ChunkColumns::default(),
            page_offset: 0,
            chunk_halves: Vec::new(),
            chunk_half_ends: Vec::new(),
        })
    }

    /// Adds a series with its chunks.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when `labels` do not follow the previous series' in label order, when there is
    /// no chunk, or when chunks overlap or are out of order; [`Error::Io`] when the writer fails. After an
    /// error the block cannot be finished into anything useful: drop the writer.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<()> {
        if chunks.is_empty() {
            return Err(Error::InvalidInput(format!("series {labels} without chunks")));
        }
        if self.meta.series == u32::MAX {
            return Err(Error::InvalidInput("a block holds fewer than 2^32 series".into()));
        }
        self.add_labels(labels)?;
        self.add_chunks(labels, chunks)?;
        self.meta.series += 1;
        if self.columns.series() == SERIES_PER_PAGE {
            self.end_chunk_page();
        }
        Ok(())
    }

    fn add_chunks(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<()> {
        let mut previous_end_ms = None;
        for chunk in chunks {
            let range = chunk.time_range();
            if range.is_empty() || previous_end_ms.is_some_and(|end_ms| range.start_ms <= end_ms) {
                let detail = format!("series {labels}: chunks that overlap or are out of order");
                return Err(Error::InvalidInput(detail));
            }
            if chunk.count() == 0 || u32::try_from(chunk.data().len()).is_err() {
                return Err(Error::InvalidInput(format!("series {labels}: a chunk empty or over 4 GiB")));
            }
            let data = chunk.data();
            self.columns.push(chunk, previous_end_ms, crc32c::crc32c(data));
            self.out.write(data)?;
            self.chunks_len += data.len() as u64;
            self.meta.samples += u64::from(chunk.count());
            self.meta.time_range = self.meta.time_range.hull(range);
            previous_end_ms = Some(range.end_ms);
        }
        self.meta.chunks += chunks.len() as u64;
        self.columns.end_series(chunks.len());
        Ok(())
    }

    /// Numbers the labels, in step with those of the series before: most are the same, which costs a comparison
    /// and no lookup, and the first that is not tells whether the series are in order.
    fn add_labels(&mut self, labels: &Labels) -> Result<()> {
        let series = self.meta.series;
        let shared = shared_prefix(self.previous.as_bytes(), labels.as_bytes());
        let mut at = self.previous_pairs.iter().take_while(|pair| pair.end <= shared).count();
        let mut order = Ordering::Equal;
        self.pairs_scratch.clear();
        for &pair in &self.previous_pairs[..at] {
            self.dictionary.again(pair.value);
            self.pairs.push(pair.value);
            self.pairs_scratch.push(pair);
        }
        let mut rest = labels.iter_from(self.pairs_scratch.last().map_or(0, |pair| pair.end));
        while let Some((name, value)) = rest.next() {
            let dictionary = &mut self.dictionary;
            let name_of = |pair: &Pair| &*dictionary.names[pair.name as usize].name;
            let mut before = self.previous_pairs.get(at);
            while let Some(pair) = before.filter(|pair| name_of(pair) != name) {
                if name_of(pair) > name {
                    order = order.then(Ordering::Greater);
                    break;
                }
                order = order.then(Ordering::Less);
                at += 1;
                before = self.previous_pairs.get(at);
            }
            let before = before.filter(|pair| name_of(pair) == name);
            at += usize::from(before.is_some());
            let (name, value) = match before {
                Some(pair) => match dictionary.string(pair.value).cmp(value.as_bytes()) {
                    Ordering::Equal => {
                        dictionary.again(pair.value);
                        (pair.name, pair.value)
                    }
                    differing => {
                        order = order.then(differing);
                        (pair.name, dictionary.value(pair.name, value, series)?)
                    }
                },
                None => {
                    order = order.then(Ordering::Less);
                    let name = dictionary.name(name);
                    (name, dictionary.value(name, value, series)?)
                }
            };
            self.pairs.push(value);
            self.pairs_scratch.push(Pair { name, value, end: labels.as_bytes().len() - rest.bytes_left() });
        }
        if order != Ordering::Less && series > 0 {
            let detail = format!("series {labels} after {}: not in label order", self.previous);
            return Err(Error::InvalidInput(detail));
        }
        std::mem::swap(&mut self.previous_pairs, &mut self.pairs_scratch);
        self.previous = labels.clone();
        self.pair_ends.push(self.pairs.len() as u64);
        Ok(())
    }

    fn end_chunk_page(&mut self) {
        self.columns.finish(self.meta.id.window_start_ms, self.page_offset, &mut self.chunk_halves);
        self.chunk_half_ends.push(self.chunk_halves.len());
        self.page_offset = self.chunks_len;
    }

    /// Writes the index and ends the block. Returns what it holds, and the writer.
    ///
    /// # Errors
    /// [`Error::Io`] when the writer fails.
    pub fn finish(mut self) -> Result<(BlockMeta, W)> {
        if self.columns.series() > 0 {
            self.end_chunk_page();
        }
        let name_order = self.dictionary.sort();
        let groups = group_series(&mut self.dictionary.values, &self.pairs, &self.pair_ends);
        let mut bitmaps = BitmapBuilder::default();
        let mut index = IndexWriter {
            out: &mut self.out,
            series: self.meta.series,
            dictionary: &self.dictionary,
            groups: &groups,
            values: TableBuilder::default(),
            names: Vec::new(),
        };
        for name in name_order {
            index.write_name(name, &mut bitmaps)?;
        }
        let (values, names) = (index.values, index.names);
        self.out.write(&bitmaps.bitmaps)?;
        let series = self.write_series()?;

        let mut toc = Toc {
            meta: self.meta,
            chunks_len: self.chunks_len,
            paged_len: [0; 3],
            paged_pages: [0; 3],
            paged_table_crc: [0; 3],
            names_len: names.len() as u64,
            names_crc: crc32c::crc32c(&names),
        };
        for (section, table) in [(VALUES, values), (POSTINGS, bitmaps.table), (SERIES, series)] {
            toc.paged_len[section] = table.section_len;
            toc.paged_pages[section] = table.pages;
            toc.paged_table_crc[section] = crc32c::crc32c(&table.table);
            self.out.write(&table.table)?;
        }
        self.out.write(&names)?;
        self.out.write(&toc.encode())?;
        self.out.flush()?;
        Ok((self.meta, self.out.inner))
    }

    fn write_series(&mut self) -> Result<TableBuilder> {
        let mut table = TableBuilder::default();
        let mut columns = LabelColumns::new(self.dictionary.names.len());
        let (mut page, mut scratch) = (Vec::new(), Vec::new());
        let (mut pair, mut half) = (0, 0);
        for (ends, &half_end) in self.pair_ends.chunks(SERIES_PER_PAGE).zip(&self.chunk_half_ends) {
            for (row, &end) in ends.iter().enumerate() {
                for &value in &self.pairs[pair..end as usize] {
                    columns.set(row, &self.dictionary, value);
                }
                pair = end as usize;
            }
            page.clear();
            put_page(columns.sorted(ends.len()), &self.chunk_halves[half..half_end], &mut scratch, &mut page);
            columns.clear();
            half = half_end;
            table.push(&page);
            self.out.write(&page)?;
        }
        Ok(table)
    }
}

/// The series of the values that have several, grouped by value.
#[derive(Debug, Default)]
struct Groups {
    ends: Vec<usize>,
    series: Vec<u32>,
}

impl Groups {
    /// The series that have a value, ascending.
    fn series<'a>(&'a self, value: &'a ValueEntry) -> &'a [u32] {
        if value.series == 1 {
            return std::slice::from_ref(&value.first_series);
        }
        let end = self.ends[value.first_series as usize];
        &self.series[end - value.series as usize..end]
    }
}

/// Sorts the pairs by value, counting. A value with one series needs no group: it knows the series.
fn group_series(values: &mut [ValueEntry], pairs: &[u32], pair_ends: &[u64]) -> Groups {
    let mut groups = Groups::default();
    let mut total = 0;
    for value in values.iter_mut().filter(|value| value.series > 1) {
        value.first_series = groups.ends.len() as u32;
        // The group's start; each series put into it moves it on, so that it becomes the end.
        groups.ends.push(total);
        total += value.series as usize;
    }
    groups.series = vec![0; total];
    let mut pair = 0;
    for (series, &end) in pair_ends.iter().enumerate() {
        for &value in &pairs[pair..end as usize] {
            let mut value = &values[value as usize];
            if value.series == 0 {
                value = &values[value.first_series as usize];
            }
            if value.series > 1 {
                let place = &mut groups.ends[value.first_series as usize];
                groups.series[*place] = series as u32;
                *place += 1;
            }
        }
        pair = end as usize;
    }
    groups
}

/// Writes the value pages and collects the names section.
struct IndexWriter<'a, W> {
    out: &'a mut Output<W>,
    series: u32,
    dictionary: &'a Dictionary,
    groups: &'a Groups,
    values: TableBuilder,
    names: Vec<u8>,
}

impl<W: Write> IndexWriter<'_, W> {
    fn write_name(&mut self, name: u32, bitmaps: &mut BitmapBuilder) -> Result<()> {
        let entry = &self.dictionary.names[name as usize];
        let mut builder = ValuePageBuilder::default();
        let mut page = Vec::new();
        let mut gathered = Vec::new();
        for ids in entry.values.chunks(VALUES_PER_PAGE) {
            // The values lie anywhere in memory: fetching a page's first, and only then encoding them, lets the
            // processor wait for many at once.
            gathered.clear();
            gathered.extend(ids.iter().map(|&id| self.dictionary.values[id as usize]));
            self.dictionary.prefetch(&gathered);
            ids.iter().for_each(|&id| builder.text.extend_from_slice(self.dictionary.string(id)));
            for value in &gathered {
                let set = StoredSet::encode(self.groups.series(value), &mut builder.tail, bitmaps);
                builder.push(value.len, set);
            }
            page.clear();
            builder.finish(&mut page);
            self.values.push(&page);
            self.out.write(&page)?;
        }
        let mut tail = Vec::new();
        let having = self.having(&entry.values, &mut tail, bitmaps);
        names::put_name(&mut self.names, &entry.name, entry.values.len() as u32, having, &tail);
        Ok(())
    }

    /// The series that have any of a name's values.
    fn having(&self, values: &[u32], tail: &mut Vec<u8>, bitmaps: &mut BitmapBuilder) -> StoredSet {
        let entries = || values.iter().map(|&id| &self.dictionary.values[id as usize]);
        let count: usize = entries().map(|value| value.series as usize).sum();
        if count == self.series as usize {
            return StoredSet::encode_run(0, self.series, tail);
        }
        let mut having: Vec<u32> = Vec::with_capacity(count);
        entries().for_each(|value| having.extend_from_slice(self.groups.series(value)));
        having.sort_unstable();
        StoredSet::encode(&having, tail, bitmaps)
    }
}

/// The label columns of one series page while it is collected.
struct LabelColumns {
    /// For each name id its column in this page, if it has one.
    columns: Vec<u32>,
    /// Name ordinals, name ids and columns of the page.
    used: Vec<(u32, u32, u32)>,
    cells: Vec<[u64; SERIES_PER_PAGE]>,
}

const NO_COLUMN: u32 = u32::MAX;

impl LabelColumns {
    fn new(names: usize) -> Self {
        Self { columns: vec![NO_COLUMN; names], used: Vec::new(), cells: Vec::new() }
    }

    #[inline]
    fn set(&mut self, row: usize, dictionary: &Dictionary, id: u32) {
        let value = &dictionary.values[id as usize];
        let mut column = self.columns[value.name as usize];
        if column == NO_COLUMN {
            column = self.used.len() as u32;
            self.columns[value.name as usize] = column;
            self.used.push((dictionary.names[value.name as usize].ordinal, value.name, column));
            if self.cells.len() == column as usize {
                self.cells.push([0; SERIES_PER_PAGE]);
            } else {
                self.cells[column as usize] = [0; SERIES_PER_PAGE];
            }
        }
        self.cells[column as usize][row] = u64::from(dictionary.ordinals[id as usize]) + 1;
    }

    /// The columns by name.
    fn sorted(&mut self, rows: usize) -> impl ExactSizeIterator<Item = (u32, &[u64])> {
        self.used.sort_unstable();
        let cells = &self.cells;
        self.used.iter().map(move |&(ordinal, _, column)| (ordinal, &cells[column as usize][..rows]))
    }

    fn clear(&mut self) {
        for (_, name, _) in self.used.drain(..) {
            self.columns[name as usize] = NO_COLUMN;
        }
    }
}
