//! Sections cut into pages, each with its own checksum.
//!
//! A query touches a few pages of a large section, so the checksums are per page, and the table of page ends
//! and checksums has one itself. A page is verified when it is first read and never again: the bytes of a
//! block do not change. Invariant: no byte of a page reaches a decoder before its checksum was compared.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::{PagedPlace, TABLE_ENTRY_BYTES};
use crate::cursor::Cursor;
use crate::{Error, Result};

/// Collects the page table while a section is written.
#[derive(Debug, Default)]
pub(super) struct TableBuilder {
    pub(super) section_len: u64,
    pub(super) pages: u64,
    pub(super) table: Vec<u8>,
}

impl TableBuilder {
    pub(super) fn push(&mut self, page: &[u8]) {
        self.section_len += page.len() as u64;
        self.pages += 1;
        self.table.extend_from_slice(&self.section_len.to_le_bytes());
        self.table.extend_from_slice(&crc32c::crc32c(page).to_le_bytes());
    }
}

/// A paged section of an open block, and which of its pages were found undamaged.
#[derive(Debug)]
pub(super) struct Paged {
    what: &'static str,
    place: PagedPlace,
    /// One bit a page, set once the page's checksum was right. Empty until the table's was.
    verified: OnceLock<Box<[AtomicU64]>>,
}

impl Paged {
    /// `place` must lie inside the block.
    pub(super) fn new(what: &'static str, place: PagedPlace) -> Self {
        Self { what, place, verified: OnceLock::new() }
    }

    pub(super) fn pages(&self) -> u64 {
        self.place.pages
    }

    /// The page numbered `page`, verified.
    pub(super) fn page<'a>(&self, block: &'a [u8], page: u64) -> Result<Cursor<'a>> {
        let (bytes, offset, crc) = self.bounds(block, page)?;
        let verified = self.verified.get().expect("invariant: bounds() verified the table");
        let (word, bit) = (&verified[(page / 64) as usize], 1 << (page % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            if crc32c::crc32c(bytes) != crc {
                let detail = format!("wrong checksum of page {page}");
                return Err(Error::Corrupt { what: self.what, offset, detail });
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(Cursor::new(self.what, bytes, offset))
    }

    /// A page's bytes, not verified, their offset in the block, and the checksum that they should have.
    fn bounds<'a>(&self, block: &'a [u8], page: u64) -> Result<(&'a [u8], u64, u32)> {
        let table = self.table(block)?;
        let offset = self.place.table_offset + page * TABLE_ENTRY_BYTES as u64;
        if page >= self.place.pages {
            let detail = format!("page {page} of {}", self.place.pages);
            return Err(Error::Corrupt { what: self.what, offset: self.place.table_offset, detail });
        }
        let at = page as usize * TABLE_ENTRY_BYTES;
        let end_at =
            |at: usize| u64::from_le_bytes(*table[at..].first_chunk().expect("invariant: in the table"));
        let start = if page == 0 { 0 } else { end_at(at - TABLE_ENTRY_BYTES) };
        let end = end_at(at);
        let crc = u32::from_le_bytes(*table[at + 8..].first_chunk().expect("invariant: in the table"));
        if start > end || end > self.place.len {
            let detail = format!("page {page} from {start} to {end} of {} bytes", self.place.len);
            return Err(Error::Corrupt { what: self.what, offset, detail });
        }
        let (from, to) = (self.place.offset + start, self.place.offset + end);
        Ok((&block[from as usize..to as usize], from, crc))
    }

    /// The page table, verified.
    fn table<'a>(&self, block: &'a [u8]) -> Result<&'a [u8]> {
        let start = self.place.table_offset as usize;
        let table = &block[start..start + self.place.pages as usize * TABLE_ENTRY_BYTES];
        if self.verified.get().is_none() {
            if crc32c::crc32c(table) != self.place.table_crc {
                let (what, offset) = (self.what, self.place.table_offset);
                return Err(Error::Corrupt {
                    what,
                    offset,
                    detail: "wrong checksum of the page table".into(),
                });
            }
            let words = self.place.pages.div_ceil(64);
            self.verified.get_or_init(|| (0..words).map(|_| AtomicU64::new(0)).collect());
        }
        Ok(table)
    }

    /// Checks every page again, and that they fill the section.
    pub(super) fn verify(&self, block: &[u8]) -> Result<()> {
        self.table(block)?;
        let mut end = self.place.offset;
        for page in 0..self.place.pages {
            let (bytes, offset, crc) = self.bounds(block, page)?;
            if crc32c::crc32c(bytes) != crc {
                let detail = format!("wrong checksum of page {page}");
                return Err(Error::Corrupt { what: self.what, offset, detail });
            }
            end = offset + bytes.len() as u64;
        }
        if end != self.place.offset + self.place.len {
            let detail = "bytes that belong to no page".into();
            return Err(Error::Corrupt { what: self.what, offset: end, detail });
        }
        Ok(())
    }
}
