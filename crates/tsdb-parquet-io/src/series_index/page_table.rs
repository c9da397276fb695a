//! Page tables: where the pages of a row group lie, each with its checksum.
//!
//! ```text
//! raw    := rows varint, columns varint, column*, hashes
//! column := pages varint, has a dictionary page (0 or 1) u8, page*       the dictionary page first
//! page   := offset from the end of the page before (zigzag varint; of the first one: from 0)
//!           length varint, and for a data page: rows varint
//! hashes := xxh3-64 of every page, u64 each, in the same order
//! ```

use super::bytes::{Cursor, Place, put_varint, unzigzag, zigzag};
use super::{BlockId, BlockKind, Directory, IndexResult};
use std::ops::Range;

/// The pages of a row group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowGroupPages {
    /// Rows of the row group.
    pub rows: u64,
    /// The leaf columns, in the order of the schema.
    pub columns: Vec<ColumnPages>,
}

/// The pages of one column of a row group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnPages {
    /// The dictionary page, if the column has one.
    pub dictionary: Option<PageLocation>,
    /// The data pages, by row.
    pub data: Vec<DataPage>,
}

impl ColumnPages {
    /// The indices of the data pages that hold any of `rows`, which are counted from the row group's start.
    #[must_use]
    pub fn overlapping(&self, rows: Range<u64>) -> Range<usize> {
        if rows.is_empty() {
            return 0..0;
        }
        let end = self.data.partition_point(|page| page.first_row < rows.end);
        let start = self.data.partition_point(|page| page.first_row <= rows.start).saturating_sub(1);
        start.min(end)..end
    }

    /// Whether the data pages, if there are any, begin with row 0, follow each other, and end by `rows`; and all pages
    /// lie where a file can have bytes.
    pub(crate) fn is_sound(&self, rows: u64) -> bool {
        let data = self.data.iter().map(|page| &page.location);
        let mut pages = self.dictionary.iter().chain(data);
        self.data.first().is_none_or(|first| first.first_row == 0)
            && self.data.iter().map(|page| page.first_row).chain([rows]).is_sorted()
            && pages.all(|page| page.offset.checked_add(u64::from(page.length)).is_some())
    }
}

/// Where a page lies, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLocation {
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Bytes, the page's header included.
    pub length: u32,
    /// xxh3-64 (seed 0) of these bytes.
    pub hash: u64,
}

impl PageLocation {
    /// The page's bytes in the file.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.length))
    }
}

/// A data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPage {
    /// Where it lies.
    pub location: PageLocation,
    /// Its first row, counted from the row group's start. The first page's is 0.
    pub first_row: u64,
}

/// A decoded page table.
#[derive(Clone, Debug)]
pub struct PageTable {
    id: BlockId,
    pages: RowGroupPages,
}

impl PageTable {
    /// Checks and decodes the stored bytes of the page table `id`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`](super::IndexError::Damaged) when they are not what was written, or contradict the
    /// directory.
    pub fn decode(stored: &[u8], id: BlockId, directory: &Directory) -> IndexResult<Self> {
        let block = directory.expect_block(id, BlockKind::Pages)?;
        let pages = from_raw(&block.open(stored)?, block.place())?;
        let expected = directory.row_group_at(id);
        if pages.rows != expected.end - expected.start {
            let detail = format!("{} rows where {expected:?} belong", pages.rows);
            return Err(block.place().damaged(detail));
        }
        Ok(Self { id, pages })
    }

    /// Which block of the index this is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// The pages.
    #[must_use]
    pub fn pages(&self) -> &RowGroupPages {
        &self.pages
    }

    /// Bytes that the decoded table takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let data = |column: &ColumnPages| column.data.capacity() * size_of::<DataPage>();
        self.pages.columns.iter().map(|column| size_of::<ColumnPages>() + data(column)).sum::<usize>()
    }
}

/// Appends the raw table and the place where its hashes begin.
pub(super) fn encode(group: &RowGroupPages, out: &mut Vec<u8>, cuts: &mut Vec<usize>) {
    let mut hashes = Vec::new();
    let mut end = 0_u64;
    put_varint(out, group.rows);
    put_varint(out, group.columns.len() as u64);
    for column in &group.columns {
        put_varint(out, column.data.len() as u64);
        out.push(u8::from(column.dictionary.is_some()));
        let mut page = |location: &PageLocation, out: &mut Vec<u8>| {
            put_varint(out, zigzag(location.offset.wrapping_sub(end) as i64));
            put_varint(out, u64::from(location.length));
            hashes.extend_from_slice(&location.hash.to_le_bytes());
            end = location.offset + u64::from(location.length);
        };
        if let Some(dictionary) = &column.dictionary {
            page(dictionary, out);
        }
        let next_rows = column.data.iter().skip(1).map(|page| page.first_row).chain([group.rows]);
        for (data, next_row) in column.data.iter().zip(next_rows) {
            page(&data.location, out);
            put_varint(out, next_row - data.first_row);
        }
    }
    cuts.push(out.len());
    out.extend_from_slice(&hashes);
}

fn from_raw(raw: &[u8], place: Place) -> IndexResult<RowGroupPages> {
    let mut cursor = Cursor::new(place, raw);
    let rows = cursor.varint()?;
    let columns = cursor.count("columns", 2)?;
    let mut group = RowGroupPages { rows, columns: Vec::with_capacity(columns) };
    let mut end = 0_u64;
    for _ in 0..columns {
        group.columns.push(column(&mut cursor, rows, &mut end)?);
    }
    for column in &mut group.columns {
        let data = column.data.iter_mut().map(|page| &mut page.location);
        for location in column.dictionary.iter_mut().chain(data) {
            let hash = cursor.take(8)?;
            location.hash = u64::from_le_bytes(hash.try_into().expect("invariant: 8 bytes"));
        }
    }
    cursor.finish()?;
    Ok(group)
}

fn column(cursor: &mut Cursor<'_>, rows: u64, end: &mut u64) -> IndexResult<ColumnPages> {
    // A page takes 3 bytes and its hash 8.
    let pages = cursor.count("pages", 11)?;
    let mut location = |cursor: &mut Cursor<'_>| {
        let offset = end.checked_add_signed(unzigzag(cursor.varint()?));
        let length = cursor.varint_u32()?;
        let next = offset.and_then(|offset| offset.checked_add(u64::from(length)));
        let (Some(offset), Some(next)) = (offset, next) else {
            return Err(cursor.damaged("a page past the end of any file"));
        };
        *end = next;
        Ok(PageLocation { offset, length, hash: 0 })
    };
    let dictionary = match cursor.u8()? {
        0 => None,
        1 => Some(location(cursor)?),
        other => return Err(cursor.damaged(format!("{other} dictionary pages"))),
    };
    let mut column = ColumnPages { dictionary, data: Vec::with_capacity(pages) };
    let mut row = 0_u64;
    for _ in 0..pages {
        let location = location(cursor)?;
        column.data.push(DataPage { location, first_row: row });
        row = row.saturating_add(cursor.varint()?);
    }
    if pages > 0 && row != rows {
        return Err(cursor.damaged(format!("pages of {row} rows in a row group of {rows}")));
    }
    Ok(column)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { block: BlockKind::Pages, offset: 0 };

    fn location() -> impl Strategy<Value = PageLocation> {
        let offset = prop_oneof![4 => 0..10_000_u64, 1 => 0..1_u64 << 62];
        (offset, any::<u32>(), any::<u64>()).prop_map(|(offset, length, hash)| PageLocation {
            offset,
            length,
            hash,
        })
    }

    fn group() -> impl Strategy<Value = RowGroupPages> {
        let pages = vec((location(), 1..9_000_u64), 0..20);
        let columns = vec((prop::option::of(location()), pages), 0..6);
        columns.prop_map(|columns| {
            let rows = 1_000_000;
            let columns = columns.into_iter().map(|(dictionary, pages)| {
                let mut next_row = 0;
                let data = pages.into_iter().map(|(location, rows)| {
                    next_row += rows;
                    DataPage { location, first_row: next_row - rows }
                });
                ColumnPages { dictionary, data: data.collect() }
            });
            RowGroupPages { rows, columns: columns.collect() }
        })
    }

    fn encoded(group: &RowGroupPages) -> Vec<u8> {
        let mut raw = Vec::new();
        encode(group, &mut raw, &mut Vec::new());
        raw
    }

    proptest! {
        #[test]
        fn tables_read_back(group in group()) {
            prop_assert_eq!(from_raw(&encoded(&group), PLACE).unwrap(), group);
        }

        #[test]
        fn damaged_raw_bytes_are_refused_or_harmless(
            group in group(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut raw = encoded(&group);
            let at = at.index(raw.len());
            prop_assert!(from_raw(&raw[..at], PLACE).is_err());
            raw[at] = byte;
            let _ = from_raw(&raw, PLACE);
        }
    }

    #[test]
    fn the_pages_of_rows_are_found() {
        let location = PageLocation { offset: 4, length: 9, hash: 1 };
        let data = [0, 10, 20].map(|first_row| DataPage { location, first_row });
        let column = ColumnPages { dictionary: None, data: data.to_vec() };
        for (rows, pages) in
            [(0..1, 0..1), (9..10, 0..1), (9..11, 0..2), (10..20, 1..2), (25..99, 2..3), (5..5, 0..0)]
        {
            assert_eq!(column.overlapping(rows.clone()), pages, "{rows:?}");
        }
        assert_eq!(ColumnPages::default().overlapping(0..5), 0..0);
    }
}
