//! Pages of timestamps and values, read by what the page tables of the series index say of them: only those that hold
//! wanted rows, each checked, each decoded once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tsdb_schema::{TIMESTAMP_COLUMN, VALUE_COLUMN};
use xxhash_rust::xxh3::xxh3_64;

use super::ColdFileMetadata;
use super::blocks::IndexReader;
use super::page::{NumberPage, PageReader};
use super::source::Source;
use crate::series_index::{PageLocation, PageTable};
use crate::{Error, Result};

/// Page tables that are read together.
const TABLES_AT_A_TIME: usize = 16;

/// A column of timestamps or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberColumn {
    /// Its place among Parquet's leaf columns.
    leaf: usize,
    is_nullable: bool,
}

/// Names a page: row group, leaf column, place among the chunk's data pages. Pages of one column ascend by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PageKey {
    group: u32,
    leaf: usize,
    page: usize,
}

/// The pages that are in memory, and the way to others.
pub(super) struct NumberPages {
    source: Source,
    metadata: Arc<ColdFileMetadata>,
    index: IndexReader,
    pub(super) timestamps: NumberColumn,
    /// `None` for a file without floats.
    pub(super) values: Option<NumberColumn>,
    reader: PageReader,
    tables: BTreeMap<u32, Arc<PageTable>>,
    /// Row groups whose page tables will be needed.
    ahead: BTreeSet<u32>,
    pages: BTreeMap<PageKey, NumberPage>,
    /// By row group and leaf column.
    dictionaries: BTreeMap<(u32, usize), Arc<[u64]>>,
}

impl NumberPages {
    pub(super) fn new(source: Source, metadata: Arc<ColdFileMetadata>, index: IndexReader) -> Result<Self> {
        let schema = metadata.arrow.parquet_schema();
        let column = |name: &str| {
            let leaf = (0..schema.num_columns()).find(|&leaf| schema.get_column_root(leaf).name() == name)?;
            Some(NumberColumn { leaf, is_nullable: schema.column(leaf).max_def_level() > 0 })
        };
        let missing = || Error::damaged(source.path(), format!("the column {TIMESTAMP_COLUMN} is missing"));
        Ok(Self {
            timestamps: column(TIMESTAMP_COLUMN).ok_or_else(missing)?,
            values: column(VALUE_COLUMN),
            source,
            index,
            reader: PageReader::default(),
            tables: BTreeMap::new(),
            ahead: BTreeSet::new(),
            pages: BTreeMap::new(),
            dictionaries: BTreeMap::new(),
            metadata,
        })
    }

    /// Announces rows whose pages will be asked for, so that the page tables of several row groups are read at once.
    pub(super) fn expect<'a>(&mut self, rows: impl Iterator<Item = &'a Range<u64>>) {
        let directory = self.index.directory();
        let group_of = |row| directory.row_group_of(row).map(|(group, _)| group);
        for rows in rows {
            if let (Some(first), Some(last)) = (group_of(rows.start), group_of(rows.end - 1)) {
                self.ahead.extend(first..=last);
            }
        }
    }

    /// The parts of `rows`, which count through the file, that lie in one row group each. Their page tables are in
    /// memory then.
    pub(super) async fn parts(&mut self, rows: Range<u64>) -> Result<Vec<(u32, Range<u64>)>> {
        let mut parts = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let group = self.index.directory().row_group_of(row);
            let Some((group, span)) = group else {
                let detail = format!("its series index names row {row}, beyond its end");
                return Err(Error::damaged(self.source.path(), detail));
            };
            if !self.tables.contains_key(&group) {
                self.load_tables(group).await?;
            }
            let end = span.end.min(rows.end);
            parts.push((group, row - span.start..end - span.start));
            row = end;
        }
        Ok(parts)
    }

    /// Reads the page table of `group` and a few that come after it.
    async fn load_tables(&mut self, group: u32) -> Result<()> {
        let mut groups: Vec<u32> =
            self.ahead.range(group + 1..).copied().take(TABLES_AT_A_TIME - 1).collect();
        groups.insert(0, group);
        for (group, table) in groups.iter().zip(self.index.page_tables(&groups).await?) {
            self.check_table(*group, &table)?;
            self.tables.insert(*group, table);
            self.ahead.remove(group);
        }
        Ok(())
    }

    /// Refuses a page table of other columns than the footer's, or with pages of numbers outside of theirs.
    fn check_table(&self, group: u32, table: &PageTable) -> Result<()> {
        let wrong = |detail: String| {
            Error::damaged(self.source.path(), format!("the page table of row group {group} has {detail}"))
        };
        let chunks = self.metadata.parquet().row_group(group as usize).columns();
        let columns = &table.pages().columns;
        if columns.len() != chunks.len() {
            return Err(wrong(format!("{} columns of {}", columns.len(), chunks.len())));
        }
        for NumberColumn { leaf, .. } in [self.timestamps].into_iter().chain(self.values) {
            let (column, chunk) = (&columns[leaf], &chunks[leaf]);
            let (start, length) = chunk.byte_range();
            let is_outside = |page: &Range<u64>| page.start < start || page.end > start + length;
            let data = column.data.iter().map(|page| &page.location);
            let mut pages = column.dictionary.iter().chain(data).map(PageLocation::range);
            if let Some(page) = pages.find(is_outside) {
                let name = chunk.column_path().string();
                return Err(wrong(format!("a page of {name} at bytes {page:?}, outside of the column")));
            }
        }
        Ok(())
    }

    /// The pages of `column` that hold any of `rows`, which count from the start of the row group.
    pub(super) fn pages_with(
        &self,
        column: NumberColumn,
        group: u32,
        rows: &Range<u64>,
    ) -> impl Iterator<Item = PageKey> + use<> {
        let pages = self
            .tables
            .get(&group)
            .map_or(0..0, |table| table.pages().columns[column.leaf].overlapping(rows.clone()));
        pages.map(move |page| PageKey { group, leaf: column.leaf, page })
    }

    /// Bytes in the file of a page that is not in memory; 0 for one that is.
    pub(super) fn bytes_to_read(&self, key: PageKey) -> u64 {
        match self.location(key) {
            Some(location) if !self.pages.contains_key(&key) => u64::from(location.length),
            _ => 0,
        }
    }

    fn location(&self, key: PageKey) -> Option<PageLocation> {
        let column = self.tables.get(&key.group)?.pages().columns.get(key.leaf)?;
        column.data.get(key.page).map(|page| page.location)
    }

    /// Reads, checks and decodes those of `wanted` that are not in memory, and the dictionaries that they need.
    pub(super) async fn load(&mut self, wanted: &BTreeSet<PageKey>) -> Result<()> {
        let missing: Vec<(PageKey, PageLocation)> = wanted
            .iter()
            .filter(|key| !self.pages.contains_key(key))
            .filter_map(|&key| Some((key, self.location(key)?)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut dictionaries: Vec<((u32, usize), PageLocation)> = Vec::new();
        for (key, _) in &missing {
            let chunk = (key.group, key.leaf);
            let is_here = self.dictionaries.contains_key(&chunk);
            let dictionary = self.tables.get(&key.group).and_then(|t| t.pages().columns[key.leaf].dictionary);
            if let Some(location) = dictionary
                && !is_here
                && !dictionaries.iter().any(|(known, _)| *known == chunk)
            {
                dictionaries.push((chunk, location));
            }
        }
        let locations = dictionaries.iter().map(|(_, at)| at).chain(missing.iter().map(|(_, at)| at));
        let ranges: Vec<_> = locations.map(PageLocation::range).collect();
        let mut bytes = self.source.ranges(&ranges).await?.into_iter();
        for ((chunk, location), bytes) in dictionaries.into_iter().zip(&mut bytes) {
            check(self.source.path(), &location, &bytes)?;
            let dictionary = self.decode(chunk.0, chunk.1, &location, |reader, codec| {
                NumberPage::dictionary(&reader.read(&bytes, codec)?)
            })?;
            self.dictionaries.insert(chunk, dictionary);
        }
        self.source.decoded(missing.len());
        for ((key, location), bytes) in missing.into_iter().zip(bytes) {
            check(self.source.path(), &location, &bytes)?;
            let rows = self.rows_of(key);
            let is_nullable = key.leaf != self.timestamps.leaf && self.values.is_some_and(|v| v.is_nullable);
            let dictionary = self.dictionaries.get(&(key.group, key.leaf)).cloned();
            let page = self.decode(key.group, key.leaf, &location, |reader, codec| {
                let rows = (rows.end - rows.start) as usize;
                NumberPage::data(reader.read(&bytes, codec)?, rows, is_nullable, dictionary.as_ref())
            })?;
            self.pages.insert(key, page);
        }
        Ok(())
    }

    fn decode<T>(
        &mut self,
        group: u32,
        leaf: usize,
        location: &PageLocation,
        decode: impl FnOnce(&mut PageReader, parquet::basic::Compression) -> super::page::PageResult<T>,
    ) -> Result<T> {
        let chunk = self.metadata.parquet().row_group(group as usize).column(leaf);
        decode(&mut self.reader, chunk.compression()).map_err(|detail| {
            let column = chunk.column_descr().name();
            let detail = format!("the page of {column} at byte {}: {detail}", location.offset);
            Error::damaged(self.source.path(), detail)
        })
    }

    /// The rows of a page, counted from the start of its row group.
    fn rows_of(&self, key: PageKey) -> Range<u64> {
        let Some(table) = self.tables.get(&key.group) else { return 0..0 };
        let data = &table.pages().columns[key.leaf].data;
        let end = data.get(key.page + 1).map_or(table.pages().rows, |next| next.first_row);
        data[key.page].first_row..end
    }

    /// Passes the numbers of `rows`, which count from the start of the row group, to `take`. The pages are in memory.
    pub(super) fn take(
        &self,
        column: NumberColumn,
        group: u32,
        rows: &Range<u64>,
        out: &mut Vec<u64>,
    ) -> Result<()> {
        let wrong = |detail: String| {
            let detail = format!("rows {rows:?} of row group {group}: {detail}");
            Error::damaged(self.source.path(), detail)
        };
        let expected = out.len() as u64 + (rows.end - rows.start);
        for key in self.pages_with(column, group, rows) {
            let of_page = self.rows_of(key);
            let (start, end) = (rows.start.max(of_page.start), rows.end.min(of_page.end));
            let page = self.pages.get(&key).ok_or_else(|| wrong("a page was not read".to_owned()))?;
            let in_page = (start - of_page.start) as usize..(end - of_page.start) as usize;
            page.take(in_page, out).map_err(wrong)?;
        }
        if out.len() as u64 == expected { Ok(()) } else { Err(wrong("pages are missing".to_owned())) }
    }

    /// Drops what only rows before `row` need.
    pub(super) fn forget_before(&mut self, row: u64) {
        let Some((group, span)) = self.index.directory().row_group_of(row) else {
            self.pages.clear();
            self.dictionaries.clear();
            self.tables.clear();
            return;
        };
        self.tables.retain(|&g, _| g >= group);
        self.dictionaries.retain(|&(g, _), _| g >= group);
        let pages = std::mem::take(&mut self.pages);
        let is_needed = |key: &PageKey| match key.group.cmp(&group) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self.rows_of(*key).end > row - span.start,
            std::cmp::Ordering::Greater => true,
        };
        self.pages = pages.into_iter().filter(|(key, _)| is_needed(key)).collect();
    }
}

/// Checks the bytes of a page.
fn check(path: &str, location: &PageLocation, bytes: &[u8]) -> Result<()> {
    if xxh3_64(bytes) == location.hash {
        return Ok(());
    }
    let PageLocation { offset, length, .. } = location;
    Err(Error::damaged(
        path,
        format!("the page of {length} bytes at byte {offset} does not match its checksum"),
    ))
}

/// The checksums of pages, for whoever reads them by other ways.
#[derive(Debug, Default)]
pub(super) struct PageChecks {
    /// By offset; `None` where no checksums are known.
    pages: Option<Vec<PageLocation>>,
}

impl PageChecks {
    /// Those of all pages of these row groups.
    pub(super) async fn load(index: &IndexReader, row_groups: &[usize]) -> Result<Self> {
        let mut pages = Vec::new();
        let row_groups: Vec<u32> = row_groups.iter().map(|&group| group as u32).collect();
        for table in index.page_tables(&row_groups).await? {
            for column in &table.pages().columns {
                pages.extend(column.dictionary);
                pages.extend(column.data.iter().map(|page| page.location));
            }
        }
        Ok(Self::new(pages))
    }

    fn new(mut pages: Vec<PageLocation>) -> Self {
        pages.sort_unstable_by_key(|page| (page.offset, page.length));
        Self { pages: Some(pages) }
    }

    /// Checks the pages that make up `bytes`, which are those of the file from `at` on. Bytes that are no page, or only a
    /// part of one, are refused: nothing is used that has no checksum.
    pub(super) fn check(&self, path: &str, at: u64, bytes: &Bytes) -> Result<()> {
        let Some(pages) = &self.pages else { return Ok(()) };
        let end = at + bytes.len() as u64;
        let first = pages.partition_point(|page| page.offset < at);
        let mut next = at;
        for page in &pages[first..] {
            if page.offset != next || page.range().end > end {
                break;
            }
            let start = (page.offset - at) as usize;
            check(path, page, &bytes[start..start + page.length as usize])?;
            next = page.range().end;
        }
        if next == end {
            return Ok(());
        }
        Err(Error::damaged(
            path,
            format!("its page tables have no page at byte {next} that ends by byte {end}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_without_a_checksum_are_refused() {
        let file = Bytes::from_static(b"..aaabbbb....cc");
        let page = |at: usize, end: usize| PageLocation {
            offset: at as u64,
            length: (end - at) as u32,
            hash: xxh3_64(&file[at..end]),
        };
        let checks = PageChecks::new(vec![page(5, 9), page(13, 15), page(2, 5)]);
        let check = |at: usize, end: usize| checks.check("f", at as u64, &file.slice(at..end)).is_ok();
        for (at, end) in [(2, 5), (2, 9), (5, 9), (13, 15), (7, 7)] {
            assert!(check(at, end), "{at}..{end}");
        }
        for (at, end) in [(2, 4), (3, 5), (2, 8), (2, 10), (5, 15), (9, 13), (0, 2), (13, 14)] {
            assert!(!check(at, end), "{at}..{end}");
        }
        let flipped = Bytes::from_static(b"aaAbbbb");
        assert!(checks.check("f", 2, &flipped).is_err());
        assert!(PageChecks::default().check("f", 2, &flipped).is_ok());
    }
}
