//! One column chunk as it is put together from finished page bodies: page headers, statistics, page index, and what
//! the row group wants to know of it.

use bytes::Bytes;
use parquet::basic::{Encoding, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::codec::PageCodec;
use crate::Result;

/// A column chunk in memory, ready to be appended to a row group.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// What a page's statistics say; plain-encoded bounds, `None` where no row has a value that counts.
pub(super) struct PageBounds {
    pub(super) min_max: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) nulls: u64,
    pub(super) rows: u64,
}

/// A column chunk while it is written.
pub(super) struct ChunkBuilder<'a> {
    column: ColumnDescPtr,
    codec: &'a mut PageCodec,
    bytes: TrackedWrite<Vec<u8>>,
    compressed: Vec<u8>,
    uncompressed_bytes: u64,
    dictionary_at: Option<u64>,
    first_data_at: Option<u64>,
    rows: u64,
    encodings: Vec<PageEncodingStats>,
    offsets: OffsetIndexBuilder,
    bounds: Option<ColumnIndexBuilder>,
}

impl<'a> ChunkBuilder<'a> {
    /// A chunk of `column`; with `with_bounds`, each page's bounds go to the column index.
    pub(super) fn new(column: ColumnDescPtr, codec: &'a mut PageCodec, with_bounds: bool) -> Self {
        let bounds = with_bounds.then(|| ColumnIndexBuilder::new(column.physical_type()));
        Self {
            column,
            codec,
            bytes: TrackedWrite::new(Vec::new()),
            compressed: Vec::new(),
            uncompressed_bytes: 0,
            dictionary_at: None,
            first_data_at: None,
            rows: 0,
            encodings: Vec::new(),
            offsets: OffsetIndexBuilder::new(),
            bounds,
        }
    }

    /// Writes the dictionary, plain-encoded. It comes before all data pages.
    pub(super) fn dictionary(&mut self, plain: &[u8], values: u32, is_sorted: bool) -> Result<()> {
        let encoding = Encoding::PLAIN;
        let (at, _) =
            self.page(plain, |buf| Page::DictionaryPage { buf, num_values: values, encoding, is_sorted })?;
        self.dictionary_at = Some(at);
        self.count(PageType::DICTIONARY_PAGE, encoding);
        Ok(())
    }

    /// Writes a data page of levels and values.
    pub(super) fn data(&mut self, body: &[u8], encoding: Encoding, bounds: &PageBounds) -> Result<()> {
        let rows = bounds.rows;
        // A page has far fewer rows than 32 bits count.
        let num_values = u32::try_from(rows).unwrap_or(u32::MAX);
        let (at, length) = self.page(body, |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.first_data_at.get_or_insert(at);
        self.rows += rows;
        self.offsets.append_row_count(rows.cast_signed());
        self.offsets.append_offset_and_size(at.cast_signed(), i32::try_from(length).unwrap_or(i32::MAX));
        self.count(PageType::DATA_PAGE, encoding);
        if let Some(index) = &mut self.bounds {
            let nulls = bounds.nulls.cast_signed();
            match &bounds.min_max {
                Some((min, max)) => index.append(false, min.clone(), max.clone(), nulls),
                None if bounds.nulls == rows => index.append(true, Vec::new(), Vec::new(), nulls),
                // Not all null, and yet nothing that can be compared: the index must not be there.
                None => index.to_invalid(),
            }
        }
        Ok(())
    }

    /// Ends the chunk. The row group puts it in its place.
    pub(super) fn finish(self, statistics: Statistics, bloom_filter: Option<Sbbf>) -> Result<Chunk> {
        let data_at = self.first_data_at.unwrap_or_default();
        let bytes = Bytes::from(self.bytes.into_inner()?);
        // Levels of columns that may be null are always run-length encoded.
        let levels = (self.column.max_def_level() > 0).then_some(Encoding::RLE);
        let mut encodings: Vec<Encoding> = self.encodings.iter().map(|stats| stats.encoding).collect();
        encodings.extend(levels);
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.codec.codec())
            .set_encodings(encodings)
            .set_page_encoding_stats(self.encodings)
            .set_total_compressed_size((bytes.len() as u64).cast_signed())
            .set_total_uncompressed_size(self.uncompressed_bytes.cast_signed())
            .set_num_values(self.rows.cast_signed())
            .set_data_page_offset(data_at.cast_signed())
            .set_dictionary_page_offset(self.dictionary_at.map(u64::cast_signed))
            .set_statistics(statistics)
            .build()?;
        let column_index = match self.bounds {
            Some(bounds) if bounds.valid() => Some(bounds.build()?),
            _ => None,
        };
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter,
            column_index,
            offset_index: Some(self.offsets.build()),
        };
        Ok(Chunk { bytes, close })
    }

    /// Compresses and writes a page. Returns its offset in the chunk and its length, header included.
    fn page(&mut self, body: &[u8], page: impl FnOnce(Bytes) -> Page) -> Result<(u64, u64)> {
        self.codec.compress(body, &mut self.compressed)?;
        let page = CompressedPage::new(page(Bytes::copy_from_slice(&self.compressed)), body.len());
        let written = SerializedPageWriter::new(&mut self.bytes).write_page(page)?;
        self.uncompressed_bytes += written.uncompressed_size as u64;
        Ok((written.offset, written.bytes_written))
    }

    fn count(&mut self, page_type: PageType, encoding: Encoding) {
        match self.encodings.iter_mut().find(|s| (s.page_type, s.encoding) == (page_type, encoding)) {
            Some(stats) => stats.count += 1,
            None => self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }
}

/// The bytes of a page's definition levels, of which each run is a number of rows that have a value or not.
pub(super) fn put_levels(runs: impl Iterator<Item = (bool, u64)>, body: &mut Vec<u8>) {
    let length_at = body.len();
    body.extend_from_slice(&[0; 4]);
    let mut levels = super::encoding::HybridEncoder::new(1, body);
    for (has_value, rows) in runs {
        levels.push(u32::from(has_value), rows);
    }
    levels.finish();
    let length = (body.len() - length_at - 4) as u32;
    body[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}
