//! The decoder: opens a block, finds series by matchers, reads labels and samples on demand.

use std::cmp::Ordering;
use std::sync::OnceLock;

use bytes::Bytes;

use super::format::{HEADER_BYTES, POSTINGS, SERIES, SERIES_PER_PAGE, Toc, VALUES, VALUES_PER_PAGE};
use super::names::{Name, read_names};
use super::ordinals::{Ordinals, StoredSet, Union};
use super::paged::Paged;
use super::series::SeriesPage;
use super::values::ValuePage;
use super::{BlockMeta, LabelsReader};
use crate::cursor::Cursor;
use crate::{
    Chunk, ChunkEncoding, Error, LabelIndex, Labels, Matcher, Postings, Result, SampleBuffer, TimeRange,
    select,
};

/// An open block over its bytes, as a rule a memory map of its file.
///
/// Opening checks the header, the table of contents and the footer. Everything else is verified when it is
/// first touched, so that damage is an [`Error::Corrupt`] with its offset, and never a wrong value.
#[derive(Debug)]
pub struct Block {
    pub(super) bytes: Bytes,
    pub(super) toc: Toc,
    pub(super) values: Paged,
    pub(super) bitmaps: Paged,
    pub(super) series: Paged,
    names: OnceLock<Vec<Name>>,
}

/// What is known of a chunk without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// How the samples are encoded.
    pub encoding: ChunkEncoding,
    /// From the first to the last timestamp.
    pub time_range: TimeRange,
    /// Number of samples, at least 1.
    pub count: u32,
    /// Where the chunk's bytes begin, counted from the start of the block's chunk section.
    pub offset: u64,
    /// Number of bytes.
    pub len: u32,
    /// CRC32C of the bytes.
    pub checksum: u32,
}

impl Block {
    /// Opens a block: checks header, table of contents and footer, and reads nothing else.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when `bytes` are not a whole block, [`Error::UnsupportedVersion`] when they are one
    /// of another version.
    pub fn open(bytes: Bytes) -> Result<Self> {
        let toc = Toc::decode(&bytes)?;
        if toc.paged_pages[SERIES] != u64::from(toc.meta.series).div_ceil(SERIES_PER_PAGE as u64) {
            let detail = format!("{} series on {} pages", toc.meta.series, toc.paged_pages[SERIES]);
            return Err(Error::Corrupt {
                what: "block TOC",
                offset: toc.names_offset() + toc.names_len,
                detail,
            });
        }
        Ok(Self {
            values: Paged::new("block label values", toc.paged(VALUES)),
            bitmaps: Paged::new("block postings", toc.paged(POSTINGS)),
            series: Paged::new("block series", toc.paged(SERIES)),
            names: OnceLock::new(),
            bytes,
            toc,
        })
    }

    /// What the block holds.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.toc.meta
    }

    /// The series that satisfy all `matchers`, all series for none. Ordinals ascend in label order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when what has to be read is damaged.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Postings> {
        select(self, matchers)
    }

    /// The label set of a series.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the block has no such series, [`Error::Corrupt`] when it is damaged.
    pub fn labels(&self, ordinal: u32) -> Result<Labels> {
        self.labels_reader().labels(ordinal)
    }

    /// A reader of many label sets, which remembers the values of the one before: in label order most are the
    /// same.
    #[must_use]
    pub fn labels_reader(&self) -> LabelsReader<'_> {
        LabelsReader::new(self)
    }

    /// The chunks of a series, by time.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the block has no such series, [`Error::Corrupt`] when it is damaged.
    pub fn chunks(&self, ordinal: u32) -> Result<Vec<ChunkMeta>> {
        let (page, row) = self.series_page(ordinal)?;
        let mut chunks = Vec::new();
        page.chunks(self.toc.meta.id.window_start_ms)?.row(row, &mut chunks)?;
        Ok(chunks)
    }

    /// Whether a series has a chunk of histograms. Looks at the records of all series until one has; decodes no chunk.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the block is damaged.
    pub fn has_histograms(&self) -> Result<bool> {
        let mut chunks = Vec::new();
        for first in (0..self.toc.meta.series).step_by(SERIES_PER_PAGE) {
            let (page, _) = self.series_page(first)?;
            let records = page.chunks(self.toc.meta.id.window_start_ms)?;
            for row in 0..(self.toc.meta.series - first).min(SERIES_PER_PAGE as u32) {
                chunks.clear();
                records.row(row as usize, &mut chunks)?;
                if chunks.iter().any(|chunk| chunk.encoding != ChunkEncoding::Float) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The bytes of a chunk, verified, as a chunk. They are not copied.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the chunk is damaged.
    pub fn chunk(&self, chunk: &ChunkMeta) -> Result<Chunk> {
        let (what, offset) = ("block chunk", HEADER_BYTES as u64 + chunk.offset.min(self.toc.chunks_len));
        let end = chunk.offset.checked_add(u64::from(chunk.len)).filter(|&end| end <= self.toc.chunks_len);
        let Some(end) = end else {
            let detail = format!("{} bytes at {} of {}", chunk.len, chunk.offset, self.toc.chunks_len);
            return Err(Error::Corrupt { what, offset, detail });
        };
        let data = self.bytes.slice(offset as usize..HEADER_BYTES + end as usize);
        if crc32c::crc32c(&data) != chunk.checksum {
            return Err(Error::Corrupt { what, offset, detail: "wrong checksum".into() });
        }
        let opened = Chunk::from_data(chunk.encoding, data).map_err(|error| displace(error, offset))?;
        if opened.count() != chunk.count || opened.time_range() != chunk.time_range {
            let detail = "the chunk's header contradicts the series' record".into();
            return Err(Error::Corrupt { what, offset, detail });
        }
        Ok(opened)
    }

    /// The samples of a series in `range`, by time. Decodes only chunks that overlap it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the block has no such series, [`Error::Corrupt`] when it is damaged.
    pub fn samples(&self, ordinal: u32, range: TimeRange) -> Result<SampleBuffer> {
        let mut samples = SampleBuffer::default();
        let mut whole = true;
        for chunk in self.chunks(ordinal)?.iter().filter(|chunk| chunk.time_range.overlaps(range)) {
            let offset = HEADER_BYTES as u64 + chunk.offset;
            self.chunk(chunk)?.decode_into(&mut samples).map_err(|error| displace(error, offset))?;
            whole &= range.covers(chunk.time_range);
        }
        if !whole {
            samples.clip(range);
        }
        Ok(samples)
    }

    /// The label names that occur, sorted by bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the names are damaged.
    pub fn label_names(&self) -> Result<Vec<String>> {
        Ok(self.names()?.iter().map(|name| String::from(&*name.name)).collect())
    }

    /// The values of label `name` that occur, sorted by bytes; none for an unknown name.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the values are damaged.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>> {
        let mut values = Vec::new();
        if let Some(name) = self.name(name)? {
            let mut buffer = String::new();
            for page in 0..name.pages() {
                let (page, _) = self.value_page(name, page)?;
                page.for_each(&mut buffer, |_, value| {
                    values.push(value.into());
                    Ok(true)
                })?;
            }
        }
        Ok(values)
    }

    /// Whether any of `series` has the label `name`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the names are damaged.
    pub fn any_has(&self, series: &Postings, name: &str) -> Result<bool> {
        let mut having = self.postings_having(name)?;
        having.intersect(series);
        Ok(!having.is_empty())
    }

    /// The values that label `name` has in `series`, sorted by bytes. Looks at that label of each of them.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the block has no such series, [`Error::Corrupt`] when it is damaged.
    pub fn label_values_of(&self, series: &Postings, name: &str) -> Result<Vec<String>> {
        let Some((ordinal, name)) = self.name_ordinal(name)? else { return Ok(Vec::new()) };
        let mut seen = Vec::new();
        for candidate in series {
            let (page, row) = self.series_page(candidate)?;
            seen.extend(page.label(row, ordinal)?);
        }
        seen.sort_unstable();
        seen.dedup();
        let mut value = String::new();
        let read = seen.into_iter().map(|ordinal| {
            self.value(name, ordinal, &mut value)?;
            Ok(value.clone())
        });
        read.collect()
    }

    /// All label names, read and checked once.
    pub(super) fn names(&self) -> Result<&[Name]> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let cursor = self.names_cursor();
        let bytes = cursor.clone().take(self.toc.names_len)?;
        if crc32c::crc32c(bytes) != self.toc.names_crc {
            return Err(cursor.corrupt("wrong checksum"));
        }
        let names = read_names(cursor, self.values.pages())?;
        Ok(self.names.get_or_init(|| names))
    }

    fn names_cursor(&self) -> Cursor<'_> {
        let offset = self.toc.names_offset();
        let bytes = &self.bytes[offset as usize..(offset + self.toc.names_len) as usize];
        Cursor::new("block label names", bytes, offset)
    }

    fn name(&self, name: &str) -> Result<Option<&Name>> {
        Ok(self.name_ordinal(name)?.map(|(_, name)| name))
    }

    fn name_ordinal(&self, name: &str) -> Result<Option<(u32, &Name)>> {
        let names = self.names()?;
        let found = names.binary_search_by(|entry| (*entry.name).cmp(name)).ok();
        Ok(found.map(|found| (found as u32, &names[found])))
    }

    /// The page that holds a series, and the series' row in it.
    pub(super) fn series_page(&self, ordinal: u32) -> Result<(SeriesPage<'_>, usize)> {
        let series = self.toc.meta.series;
        if ordinal >= series {
            return Err(Error::InvalidInput(format!("series {ordinal} of a block with {series}")));
        }
        let (page, row) = (ordinal as usize / SERIES_PER_PAGE, ordinal as usize % SERIES_PER_PAGE);
        let rows = (series as usize - page * SERIES_PER_PAGE).min(SERIES_PER_PAGE);
        Ok((SeriesPage::new(self.series.page(&self.bytes, page as u64)?, rows)?, row))
    }

    /// A page of a name's values, and the number of values that it must have.
    pub(super) fn value_page(&self, name: &Name, page: u64) -> Result<(ValuePage<'_>, usize)> {
        let cursor = self.values.page(&self.bytes, name.first_page + page)?;
        let expected = (name.values as usize - page as usize * VALUES_PER_PAGE).min(VALUES_PER_PAGE);
        let values = ValuePage::new(cursor.clone())?;
        if values.count() != expected {
            return Err(cursor.corrupt(format!("{} values where {expected} belong", values.count())));
        }
        Ok((values, expected))
    }

    /// Leaves in `value` the value numbered `ordinal` of a name.
    pub(super) fn value(&self, name: &Name, ordinal: u32, value: &mut String) -> Result<()> {
        if ordinal >= name.values {
            let detail = format!("value {ordinal} of {} for label {}", name.values, name.name);
            return Err(self.names_cursor().corrupt(detail));
        }
        let (page, _) = self.value_page(name, u64::from(ordinal) / VALUES_PER_PAGE as u64)?;
        page.value(ordinal as usize % VALUES_PER_PAGE, value)
    }

    /// The last page of `name` whose first value is at or below `target`; the first page if there is none.
    fn find_page(&self, name: &Name, target: &[u8]) -> Result<u64> {
        let (mut low, mut high) = (0, name.pages());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.value_page(name, middle)?.0.compare_first(target) != Ordering::Greater {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    pub(super) fn decode_set(&self, set: StoredSet, tail: &Cursor<'_>) -> Result<Ordinals> {
        set.decode(self.toc.meta.series, tail, |page| self.bitmaps.page(&self.bytes, page))
    }

    pub(super) fn decode_having(&self, name: &Name) -> Result<Ordinals> {
        self.decode_set(name.having, &self.names_cursor().at(name.having_tail.start)?)
    }
}

impl LabelIndex for Block {
    type Error = Error;

    fn all(&self) -> Result<Postings> {
        Ok(Postings::all(self.toc.meta.series))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings> {
        let Some(name) = self.name(name)? else { return Ok(Postings::new()) };
        let (page, _) = self.value_page(name, self.find_page(name, value.as_bytes())?)?;
        let Some(index) = page.find(value.as_bytes())? else { return Ok(Postings::new()) };
        let sets = page.sets()?;
        Ok(self.decode_set(sets.get(index), &sets.tail)?.into_postings())
    }

    fn postings_matching(
        &self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings> {
        let mut union = Union::new(self.toc.meta.series);
        let Some(name) = self.name(name)? else { return Ok(Postings::new()) };
        let mut buffer = String::new();
        for page in self.find_page(name, prefix.as_bytes())?..name.pages() {
            let (page, _) = self.value_page(name, page)?;
            let sets = page.sets()?;
            let more = page.for_each(&mut buffer, |index, value| {
                if !prefix.is_empty() && !value.starts_with(prefix) {
                    return Ok(value < prefix);
                }
                if test(value) {
                    union.add(self.decode_set(sets.get(index), &sets.tail)?);
                }
                Ok(true)
            })?;
            if !more {
                break;
            }
        }
        Ok(union.finish())
    }

    fn retain_series(
        &self,
        series: &mut Postings,
        name: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool> {
        let Some((ordinal, name)) = self.name_ordinal(name)? else { return Ok(false) };
        if series.len().saturating_mul(VALUES_SCANNED_PER_LABEL_READ) > name.values as usize {
            return Ok(false);
        }
        let (mut kept, mut value) = (Vec::new(), String::new());
        for candidate in &*series {
            let (page, row) = self.series_page(candidate)?;
            value.clear();
            if let Some(value_ordinal) = page.label(row, ordinal)? {
                self.value(name, value_ordinal, &mut value)?;
            }
            if test(&value) {
                kept.push(candidate);
            }
        }
        *series = Postings::from_sorted_vec(kept);
        Ok(true)
    }

    fn postings_having(&self, name: &str) -> Result<Postings> {
        match self.name(name)? {
            Some(name) => Ok(self.decode_having(name)?.into_postings()),
            None => Ok(Postings::new()),
        }
    }
}

/// Reading one label of one series costs as much as going through so many values of a label, about.
const VALUES_SCANNED_PER_LABEL_READ: usize = 8;

/// Turns an offset in a chunk into one in the block.
pub(super) fn displace(error: Error, by: u64) -> Error {
    match error {
        Error::Corrupt { what, offset, detail } => Error::Corrupt { what, offset: offset + by, detail },
        Error::UnsupportedVersion { what, found, .. } => {
            Error::Corrupt { what, offset: by, detail: format!("unknown version {found}") }
        }
        other => other,
    }
}
