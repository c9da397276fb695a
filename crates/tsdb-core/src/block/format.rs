//! Constants of the block format and its fixed-size ends: header, TOC and footer.
//!
//! `docs/format/block.md` describes every byte; a test holds that page and this module together.

use bytes::Bytes;

use super::{BlockId, BlockMeta};
use crate::cursor::Cursor;
use crate::{Error, Result, TimeRange};

/// The first bytes of a block.
pub(super) const HEADER_MAGIC: [u8; 8] = *b"TSDBBLK1";
/// The last bytes of a block: what is cut off at any place cannot end so by being a prefix.
pub(super) const FOOTER_MAGIC: [u8; 8] = *b"1KLBBDST";
/// The version that is written.
pub(super) const CURRENT_VERSION: u32 = 1;
/// The oldest version that is read.
pub(super) const OLDEST_READABLE_VERSION: u32 = 1;

/// Magic, version, CRC32C of both.
pub(super) const HEADER_BYTES: usize = 16;
/// Sixteen numbers of eight bytes, see [`Toc`].
pub(super) const TOC_BYTES: usize = 144;
/// CRC32C of the TOC and the version, version, magic.
pub(super) const FOOTER_BYTES: usize = 16;
/// One page's entry in a page table: end offset (8), CRC32C (4).
pub(super) const TABLE_ENTRY_BYTES: usize = 12;

/// Series in one page; the last page may have fewer.
pub(super) const SERIES_PER_PAGE: usize = 64;
/// Values of one label in one page; a label's last page may have fewer.
pub(super) const VALUES_PER_PAGE: usize = 64;
/// A set of up to so many ordinals is kept as a list beside its value; larger ones are bitmaps of their own.
pub(super) const LIST_MAX: usize = 64;

/// One series ordinal.
pub(super) const FORM_ONE: u8 = 0;
/// Consecutive ordinals: first, count.
pub(super) const FORM_RUN: u8 = 1;
/// A few ordinals: count, first, gaps.
pub(super) const FORM_LIST: u8 = 2;
/// A roaring bitmap in the postings section.
pub(super) const FORM_BITMAP: u8 = 3;

/// Where one paged section and its page table lie, in bytes from the start of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PagedPlace {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) table_offset: u64,
    pub(super) pages: u64,
    pub(super) table_crc: u32,
}

/// The table of contents: the counts, and the lengths from which all places follow.
///
/// The sections lie back to back in the order of the fields, so that no offset can contradict another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toc {
    pub(super) meta: BlockMeta,
    pub(super) chunks_len: u64,
    /// Lengths in bytes of the value, postings and series sections.
    pub(super) paged_len: [u64; 3],
    /// Numbers of their pages.
    pub(super) paged_pages: [u64; 3],
    /// Checksums of their page tables.
    pub(super) paged_table_crc: [u32; 3],
    pub(super) names_len: u64,
    pub(super) names_crc: u32,
}

/// Indexes of the paged sections in the arrays of [`Toc`].
pub(super) const VALUES: usize = 0;
pub(super) const POSTINGS: usize = 1;
pub(super) const SERIES: usize = 2;

impl Toc {
    /// Where a paged section lies.
    pub(super) fn paged(&self, section: usize) -> PagedPlace {
        let sections = HEADER_BYTES as u64 + self.chunks_len;
        let tables = sections + self.paged_len.iter().sum::<u64>();
        let entry = TABLE_ENTRY_BYTES as u64;
        PagedPlace {
            offset: sections + self.paged_len[..section].iter().sum::<u64>(),
            len: self.paged_len[section],
            table_offset: tables + entry * self.paged_pages[..section].iter().sum::<u64>(),
            pages: self.paged_pages[section],
            table_crc: self.paged_table_crc[section],
        }
    }

    /// Where the names section begins.
    pub(super) fn names_offset(&self) -> u64 {
        let last = self.paged(SERIES);
        last.table_offset + TABLE_ENTRY_BYTES as u64 * last.pages
    }

    /// Length of the whole block, unless the numbers do not fit.
    fn block_len(&self) -> Option<u64> {
        let ends = (HEADER_BYTES + TOC_BYTES + FOOTER_BYTES) as u64;
        let mut len = ends.checked_add(self.chunks_len)?.checked_add(self.names_len)?;
        for section in 0..3 {
            let table = self.paged_pages[section].checked_mul(TABLE_ENTRY_BYTES as u64)?;
            len = len.checked_add(self.paged_len[section])?.checked_add(table)?;
        }
        Some(len)
    }

    /// The TOC and the footer, as they end the block.
    pub(super) fn encode(&self) -> Vec<u8> {
        let meta = &self.meta;
        let mut out = Vec::with_capacity(TOC_BYTES + FOOTER_BYTES);
        out.extend_from_slice(&meta.id.sequence.to_le_bytes());
        for ms in
            [meta.id.window_start_ms, meta.id.window_end_ms, meta.time_range.start_ms, meta.time_range.end_ms]
        {
            out.extend_from_slice(&ms.to_le_bytes());
        }
        for number in [meta.samples, meta.chunks, self.chunks_len]
            .into_iter()
            .chain(self.paged_len)
            .chain(self.paged_pages)
            .chain([self.names_len])
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [meta.series, self.names_crc].into_iter().chain(self.paged_table_crc) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&CURRENT_VERSION.to_le_bytes());
        debug_assert_eq!(out.len(), TOC_BYTES + 4);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&FOOTER_MAGIC);
        out
    }

    /// Checks the header, TOC and footer of a block, and that the sections fill it exactly.
    pub(super) fn decode(block: &Bytes) -> Result<Self> {
        let ends = HEADER_BYTES + TOC_BYTES + FOOTER_BYTES;
        if block.len() < ends {
            let detail = format!("{} bytes; the smallest block has {ends}", block.len());
            return Err(Error::Corrupt { what: "block", offset: block.len() as u64, detail });
        }
        let toc_offset = block.len() - TOC_BYTES - FOOTER_BYTES;
        check_header(&block[..HEADER_BYTES])?;
        check_footer(&block[toc_offset..], toc_offset as u64)?;
        let toc = Self::read(Cursor::new("block TOC", &block[toc_offset..], toc_offset as u64))?;
        if toc.block_len() != Some(block.len() as u64) {
            let detail = format!("the sections do not add up to the {} bytes of the block", block.len());
            return Err(Error::Corrupt { what: "block TOC", offset: toc_offset as u64, detail });
        }
        Ok(toc)
    }

    fn read(mut cursor: Cursor<'_>) -> Result<Self> {
        let sequence = cursor.u64()?;
        let window_start_ms = cursor.u64()? as i64;
        let window_end_ms = cursor.u64()? as i64;
        let time_range = TimeRange::new(cursor.u64()? as i64, cursor.u64()? as i64);
        let (samples, chunks, chunks_len) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let paged_len = [cursor.u64()?, cursor.u64()?, cursor.u64()?];
        let paged_pages = [cursor.u64()?, cursor.u64()?, cursor.u64()?];
        let names_len = cursor.u64()?;
        let (series, names_crc) = (cursor.u32()?, cursor.u32()?);
        let paged_table_crc = [cursor.u32()?, cursor.u32()?, cursor.u32()?];
        let id = BlockId { sequence, window_start_ms, window_end_ms };
        let meta = BlockMeta { id, time_range, series, samples, chunks };
        Ok(Self { meta, chunks_len, paged_len, paged_pages, paged_table_crc, names_len, names_crc })
    }
}

/// The header of a block.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&HEADER_MAGIC);
    header[8..12].copy_from_slice(&CURRENT_VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

fn check_header(header: &[u8]) -> Result<()> {
    let mut cursor = Cursor::new("block header", header, 0);
    if cursor.take(8)? != HEADER_MAGIC {
        return Err(Error::Corrupt {
            what: "block header",
            offset: 0,
            detail: "not a block: wrong magic".into(),
        });
    }
    let version = cursor.u32()?;
    if cursor.u32()? != crc32c::crc32c(&header[..12]) {
        return Err(cursor.corrupt("wrong checksum"));
    }
    check_version(version)
}

fn check_footer(toc_and_footer: &[u8], offset: u64) -> Result<()> {
    let mut cursor = Cursor::new("block footer", &toc_and_footer[TOC_BYTES..], offset + TOC_BYTES as u64);
    let version = cursor.u32()?;
    let crc = cursor.u32()?;
    if cursor.take(8)? != FOOTER_MAGIC {
        return Err(cursor.corrupt("wrong magic: the block is cut off or is none"));
    }
    if crc != crc32c::crc32c(&toc_and_footer[..TOC_BYTES + 4]) {
        return Err(cursor.corrupt("wrong checksum of the TOC"));
    }
    check_version(version)
}

fn check_version(found: u32) -> Result<()> {
    if (OLDEST_READABLE_VERSION..=CURRENT_VERSION).contains(&found) {
        Ok(())
    } else {
        let (oldest, newest) = (OLDEST_READABLE_VERSION, CURRENT_VERSION);
        Err(Error::UnsupportedVersion { what: "block", found, oldest, newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/format/block.md");

    /// The cells of the page's table rows that have so many.
    fn rows(cells: usize) -> impl Iterator<Item = Vec<&'static str>> {
        let row = |line: &'static str| line.strip_prefix("| ")?.strip_suffix(" |");
        PAGE.lines()
            .filter_map(row)
            .map(|row| row.split(" | ").collect())
            .filter(move |row: &Vec<_>| row.len() == cells)
    }

    #[test]
    fn the_page_states_the_constants() {
        let magic = |magic: [u8; 8]| format!("`{}`", String::from_utf8_lossy(&magic));
        let constants = [
            ("HEADER_MAGIC", magic(HEADER_MAGIC)),
            ("FOOTER_MAGIC", magic(FOOTER_MAGIC)),
            ("CURRENT_VERSION", CURRENT_VERSION.to_string()),
            ("OLDEST_READABLE_VERSION", OLDEST_READABLE_VERSION.to_string()),
            ("HEADER_BYTES", HEADER_BYTES.to_string()),
            ("TOC_BYTES", TOC_BYTES.to_string()),
            ("FOOTER_BYTES", FOOTER_BYTES.to_string()),
            ("TABLE_ENTRY_BYTES", TABLE_ENTRY_BYTES.to_string()),
            ("SERIES_PER_PAGE", SERIES_PER_PAGE.to_string()),
            ("VALUES_PER_PAGE", VALUES_PER_PAGE.to_string()),
            ("LIST_MAX", LIST_MAX.to_string()),
            ("FORM_ONE", FORM_ONE.to_string()),
            ("FORM_RUN", FORM_RUN.to_string()),
            ("FORM_LIST", FORM_LIST.to_string()),
            ("FORM_BITMAP", FORM_BITMAP.to_string()),
        ];
        let stated: Vec<(&str, &str)> =
            rows(2).filter_map(|row| Some((row[0].strip_prefix('`')?.strip_suffix('`')?, row[1]))).collect();
        let expected: Vec<_> = constants.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(stated, expected);
    }

    #[test]
    fn the_page_states_the_fields_of_the_toc() {
        let id = BlockId { sequence: 1, window_start_ms: 2, window_end_ms: 3 };
        let meta = BlockMeta { id, time_range: TimeRange::new(4, 5), samples: 6, chunks: 7, series: 16 };
        let toc = Toc {
            meta,
            chunks_len: 8,
            paged_len: [9, 10, 11],
            paged_pages: [12, 13, 14],
            names_len: 15,
            names_crc: 17,
            paged_table_crc: [18, 19, 20],
        };
        let encoded = toc.encode();
        assert_eq!(Toc::read(Cursor::new("test", &encoded, 0)).unwrap(), toc);
        let fields: Vec<(usize, usize)> =
            rows(3).filter_map(|row| Some((row[0].parse().ok()?, row[1].parse().ok()?))).collect();
        let mut end = 0;
        for (number, &(offset, width)) in fields.iter().enumerate() {
            let mut bytes = [0; 8];
            bytes[..width].copy_from_slice(&encoded[offset..offset + width]);
            let expected = if number == 20 { 0 } else { number as u64 + 1 };
            assert_eq!((offset, u64::from_le_bytes(bytes)), (end, expected), "row {number}");
            end += width;
        }
        assert_eq!((fields.len(), end), (21, TOC_BYTES));
    }
}
