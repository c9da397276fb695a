//! A page between being read and being used: its bytes, checked and decoded by the first who needs it, on whatever thread, and
//! then kept for the others.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::basic::Compression;

use super::page::{NumberPage, PageResult, read_page};
use super::pages::check;
use super::source::Source;
use crate::series_index::PageLocation;

/// A page as it lies in the file.
pub(super) struct Stored {
    pub(super) location: PageLocation,
    pub(super) bytes: Bytes,
    pub(super) codec: Compression,
    /// The name of the column, for errors.
    pub(super) column: String,
}

impl Stored {
    /// Checks the bytes and has them decoded. The error says which page it is about.
    fn decode<T>(&self, decode: impl FnOnce(&[u8], Compression) -> PageResult<T>) -> PageResult<T> {
        check(&self.location, &self.bytes)?;
        decode(&self.bytes, self.codec).map_err(|detail| {
            format!("the page of {} at byte {}: {detail}", self.column, self.location.offset)
        })
    }
}

/// The dictionary of a column chunk.
pub(super) struct DictionarySlot {
    stored: Stored,
    decoded: OnceLock<PageResult<Arc<[u64]>>>,
}

impl DictionarySlot {
    pub(super) fn new(stored: Stored) -> Self {
        Self { stored, decoded: OnceLock::new() }
    }

    fn numbers(&self) -> PageResult<&Arc<[u64]>> {
        let decode = || self.stored.decode(|bytes, codec| NumberPage::dictionary(&read_page(bytes, codec)?));
        self.decoded.get_or_init(decode).as_ref().map_err(Clone::clone)
    }
}

/// A data page of numbers.
pub(super) struct PageSlot {
    stored: Stored,
    /// Counts what is decoded.
    source: Source,
    rows: usize,
    is_nullable: bool,
    dictionary: Option<Arc<DictionarySlot>>,
    decoded: OnceLock<PageResult<NumberPage>>,
}

impl PageSlot {
    pub(super) fn new(
        stored: Stored,
        source: Source,
        rows: usize,
        is_nullable: bool,
        dictionary: Option<Arc<DictionarySlot>>,
    ) -> Self {
        Self { stored, source, rows, is_nullable, dictionary, decoded: OnceLock::new() }
    }

    /// The page. Who comes while another decodes it waits.
    pub(super) fn page(&self) -> PageResult<&NumberPage> {
        self.decoded.get_or_init(|| self.decode()).as_ref().map_err(Clone::clone)
    }

    fn decode(&self) -> PageResult<NumberPage> {
        let dictionary = self.dictionary.as_ref().map(|slot| slot.numbers()).transpose()?;
        self.source.decoded(1);
        self.stored.decode(|bytes, codec| {
            NumberPage::data(read_page(bytes, codec)?, self.rows, self.is_nullable, dictionary)
        })
    }
}
