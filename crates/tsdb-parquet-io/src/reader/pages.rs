//! Pages of timestamps and values, read by what the page tables of the series index say of them: only those that hold
//! wanted rows, each checked, each decoded once, by whoever needs it first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tsdb_schema::{TIMESTAMP_COLUMN, VALUE_COLUMN};
use xxhash_rust::xxh3::xxh3_64;

use super::ColdFileMetadata;
use super::blocks::IndexReader;
use super::page::Number;
use super::page_slot::{DictionarySlot, PageSlot, Stored};
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
struct PageKey {
    group: u32,
    leaf: usize,
    page: usize,
}

/// Pages of one column, ascending, from which rows are taken once they are read. It can be taken to another thread.
pub(super) struct PageRun {
    column: NumberColumn,
    pages: Vec<RunPage>,
}

struct RunPage {
    key: PageKey,
    /// Counted from the start of its row group.
    rows: Range<u64>,
    /// `None` until it is read.
    slot: Option<Arc<PageSlot>>,
}

impl PageRun {
    pub(super) fn new(column: NumberColumn) -> Self {
        Self { column, pages: Vec::new() }
    }

    pub(super) fn column(&self) -> NumberColumn {
        self.column
    }

    /// Lets go of the pages in front of `place`, from which no more is taken. So a page's memory is there for the next one.
    pub(super) fn forget_before(&mut self, place: usize) {
        let past = self.pages[..place].iter_mut().rev();
        past.map_while(|page| page.slot.take()).for_each(drop);
    }

    /// Appends the numbers of `rows` of a row group to `out`. `places` are the pages that hold them.
    pub(super) fn take<N: Number>(
        &self,
        places: Range<usize>,
        rows: &Range<u64>,
        out: &mut Vec<N>,
    ) -> Result<(), String> {
        let expected = out.len() as u64 + (rows.end - rows.start);
        for RunPage { rows: of_page, slot, .. } in &self.pages[places] {
            let (start, end) = (rows.start.max(of_page.start), rows.end.min(of_page.end));
            if start < end {
                let page = slot.as_ref().ok_or("a page was not read")?.page()?;
                let in_page = (start - of_page.start) as usize..(end - of_page.start) as usize;
                page.take(in_page, out).map_err(|detail| format!("rows {rows:?}: {detail}"))?;
            }
        }
        if out.len() as u64 == expected { Ok(()) } else { Err(format!("pages of rows {rows:?} are missing")) }
    }
}

/// The pages that were read, and the way to others.
pub(super) struct NumberPages {
    source: Source,
    metadata: Arc<ColdFileMetadata>,
    index: IndexReader,
    pub(super) timestamps: NumberColumn,
    /// `None` for a file without floats.
    pub(super) values: Option<NumberColumn>,
    tables: BTreeMap<u32, Arc<PageTable>>,
    /// Row groups whose page tables will be needed.
    ahead: BTreeSet<u32>,
    pages: BTreeMap<PageKey, Arc<PageSlot>>,
    /// By row group and leaf column.
    dictionaries: BTreeMap<(u32, usize), Arc<DictionarySlot>>,
}

/// Pages that are yet to be read.
#[derive(Default)]
pub(super) struct ToRead {
    /// As they are stored.
    pub(super) bytes: u64,
    /// All of them, for a page is decoded as a whole.
    pub(super) page_rows: u64,
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

    /// Puts into `parts` the parts of `rows`, which count through the file, that lie in one row group each. Their page tables
    /// are in memory then.
    pub(super) async fn parts(&mut self, rows: Range<u64>, parts: &mut Vec<(u32, Range<u64>)>) -> Result<()> {
        parts.clear();
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
        Ok(())
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

    /// Adds to `run` the pages that hold any of `rows`, which count from the start of the row group and come behind those
    /// that were added before. Gives their places in the run, and counts in `read` those that are not in memory.
    pub(super) fn add(
        &self,
        run: &mut PageRun,
        group: u32,
        rows: &Range<u64>,
        read: &mut ToRead,
    ) -> Range<usize> {
        let Some(table) = self.tables.get(&group) else { return 0..0 };
        let leaf = run.column.leaf;
        let data = &table.pages().columns[leaf].data;
        let pages = table.pages().columns[leaf].overlapping(rows.clone());
        let key = |page| PageKey { group, leaf, page };
        let shared = run.pages.last().is_some_and(|last| last.key == key(pages.start) && !pages.is_empty());
        let start = run.pages.len() - usize::from(shared);
        for page in pages.start + usize::from(shared)..pages.end {
            let end = data.get(page + 1).map_or(table.pages().rows, |next| next.first_row);
            let (key, rows) = (key(page), data[page].first_row..end);
            if !self.pages.contains_key(&key) {
                read.bytes += u64::from(data[page].location.length);
                read.page_rows += rows.end - rows.start;
            }
            run.pages.push(RunPage { key, rows, slot: None });
        }
        start..run.pages.len()
    }

    fn location(&self, key: PageKey) -> Option<PageLocation> {
        let column = self.tables.get(&key.group)?.pages().columns.get(key.leaf)?;
        column.data.get(key.page).map(|page| page.location)
    }

    /// Reads those pages of `runs` that are not in memory, and the dictionaries that they need. They are decoded when numbers
    /// are taken from them.
    pub(super) async fn load<const N: usize>(&mut self, mut runs: [&mut PageRun; N]) -> Result<()> {
        let mut missing: Vec<(PageKey, PageLocation, bool, usize)> = Vec::new();
        let mut dictionaries: Vec<((u32, usize), PageLocation)> = Vec::new();
        for run in &runs {
            for RunPage { key, rows, .. } in
                run.pages.iter().filter(|page| !self.pages.contains_key(&page.key))
            {
                let Some(location) = self.location(*key) else { continue };
                missing.push((*key, location, run.column.is_nullable, (rows.end - rows.start) as usize));
                let chunk = (key.group, key.leaf);
                let dictionary =
                    self.tables.get(&key.group).and_then(|t| t.pages().columns[key.leaf].dictionary);
                if let Some(location) = dictionary
                    && !self.dictionaries.contains_key(&chunk)
                    && dictionaries.last().is_none_or(|(last, _)| *last != chunk)
                {
                    dictionaries.push((chunk, location));
                }
            }
        }
        if !missing.is_empty() {
            let locations = dictionaries.iter().map(|(_, at)| at).chain(missing.iter().map(|(_, at, ..)| at));
            let ranges: Vec<_> = locations.map(PageLocation::range).collect();
            let mut bytes = self.source.ranges(&ranges).await?.into_iter();
            for ((chunk, location), bytes) in dictionaries.into_iter().zip(&mut bytes) {
                let stored = self.stored(chunk.0, chunk.1, location, bytes);
                self.dictionaries.insert(chunk, Arc::new(DictionarySlot::new(stored)));
            }
            for ((key, location, is_nullable, rows), bytes) in missing.into_iter().zip(bytes) {
                let stored = self.stored(key.group, key.leaf, location, bytes);
                let dictionary = self.dictionaries.get(&(key.group, key.leaf)).cloned();
                let slot = PageSlot::new(stored, self.source.clone(), rows, is_nullable, dictionary);
                self.pages.insert(key, Arc::new(slot));
            }
        }
        for page in runs.iter_mut().flat_map(|run| &mut run.pages) {
            page.slot = self.pages.get(&page.key).cloned();
        }
        Ok(())
    }

    fn stored(&self, group: u32, leaf: usize, location: PageLocation, bytes: Bytes) -> Stored {
        let chunk = self.metadata.parquet().row_group(group as usize).column(leaf);
        let column = chunk.column_descr().name().to_owned();
        Stored { location, bytes, codec: chunk.compression(), column }
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
            std::cmp::Ordering::Equal => self.end_of(*key) > row - span.start,
            std::cmp::Ordering::Greater => true,
        };
        self.pages = pages.into_iter().filter(|(key, _)| is_needed(key)).collect();
    }

    /// The first row behind a page, counted from the start of its row group.
    fn end_of(&self, key: PageKey) -> u64 {
        self.tables.get(&key.group).map_or(0, |table| {
            let next = table.pages().columns[key.leaf].data.get(key.page + 1);
            next.map_or(table.pages().rows, |next| next.first_row)
        })
    }
}

/// Checks the bytes of a page.
pub(super) fn check(location: &PageLocation, bytes: &[u8]) -> Result<(), String> {
    if xxh3_64(bytes) == location.hash {
        return Ok(());
    }
    let PageLocation { offset, length, .. } = location;
    Err(format!("the page of {length} bytes at byte {offset} does not match its checksum"))
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
            let bytes = &bytes[start..start + page.length as usize];
            check(page, bytes).map_err(|detail| Error::damaged(path, detail))?;
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
