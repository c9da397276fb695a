//! Loading what stands at a file's end: footer and page index, checked.
//!
//! One read usually gets all of it. The trailer is checked before the footer is decoded, so that a length
//! that points outside the file is an error and nothing else. A file of ours must match the checksums of its
//! tail; of a foreign file there is nothing to check but that it decodes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tsdb_schema::SchemaMapper;
use xxhash_rust::xxh3::xxh3_64;

use super::contain::contain;
use super::page_index;
use super::source::Source;
use crate::file_meta::{CREATOR, value_of};
use crate::filter_to_arrow_expression::time_range_of;
use crate::tail::{MAGIC, TAIL_KEY, TRAILER_BYTES, TailChecks, footer_len};
use crate::{Error, FileLayout, FileMeta, Result};

/// Bytes read from the end of a file in the hope of getting footer and page index at once.
pub const DEFAULT_TAIL_READ_BYTES: u64 = 64 * 1024;

/// What a file says about itself, decoded once and shared: schema, row groups, page index, counts.
#[derive(Clone, Debug)]
pub struct ColdFileMetadata {
    pub(super) arrow: ArrowReaderMetadata,
    mapper: SchemaMapper,
    meta: FileMeta,
}

impl ColdFileMetadata {
    /// Counts, time range and the caller's pairs.
    #[must_use]
    pub fn file_meta(&self) -> &FileMeta {
        &self.meta
    }

    /// Which column holds what.
    #[must_use]
    pub fn mapper(&self) -> &SchemaMapper {
        &self.mapper
    }

    /// The footer and page index as the `parquet` crate has them.
    #[must_use]
    pub fn parquet(&self) -> &Arc<ParquetMetaData> {
        self.arrow.metadata()
    }

    /// Bytes of memory that this takes, for a cache to count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.parquet().memory_size() + size_of::<Self>()
    }
}

/// Footer and page index of any Parquet file, whatever its columns are.
pub(super) struct Footer {
    pub(super) arrow: ArrowReaderMetadata,
    is_own: bool,
    len: u64,
}

/// Reads, checks and decodes the end of the file, which has `len` bytes.
pub(super) async fn load(source: &Source, len: u64) -> Result<Footer> {
    let tail = Tail::load(source, len).await?;
    let footer = tail.footer(source.path())?;
    let metadata = contain(source.path(), || {
        ParquetMetaDataReader::decode_metadata(&footer).map_err(|e| Error::damaged(source.path(), e))
    })?;
    check_offsets(source.path(), &metadata, tail.footer_at)?;

    let is_own = metadata.file_metadata().created_by().is_some_and(|creator| creator.starts_with(CREATOR));
    let metadata = if is_own {
        own_page_index(source, len, metadata, &footer, &tail).await?
    } else {
        page_index::read(source, len, metadata, &tail).await?
    };
    let metadata = Arc::new(metadata);
    let arrow = contain(source.path(), || arrow_metadata(source.path(), &metadata))?;
    Ok(Footer { arrow, is_own, len })
}

/// The last bytes of a file.
pub(super) struct Tail {
    bytes: Bytes,
    /// Where `bytes` begins in the file.
    at: u64,
    /// Where the footer begins in the file.
    footer_at: u64,
}

impl Tail {
    async fn load(source: &Source, len: u64) -> Result<Self> {
        let not_parquet =
            |detail: &str| Error::NotParquet { path: source.path().to_owned(), detail: detail.into() };
        let trailer = TRAILER_BYTES as u64;
        if len < trailer + MAGIC.len() as u64 {
            return Err(not_parquet(&format!("it has {len} bytes")));
        }
        let at = len.saturating_sub(DEFAULT_TAIL_READ_BYTES);
        let bytes = source.range(at..len).await?;
        let footer_len = footer_len(&bytes[bytes.len() - TRAILER_BYTES..])
            .ok_or_else(|| not_parquet("it does not end with PAR1; it may be cut off"))?
            as u64;
        let footer_at = (len - trailer).checked_sub(footer_len).filter(|at| *at >= MAGIC.len() as u64);
        let footer_at = footer_at.ok_or_else(|| {
            Error::damaged(source.path(), format!("its footer of {footer_len} bytes is longer than the file"))
        })?;
        if footer_at >= at {
            return Ok(Self { bytes, at, footer_at });
        }
        let bytes = source.range(footer_at..len).await?;
        Ok(Self { bytes, at: footer_at, footer_at })
    }

    /// The footer's Thrift bytes.
    fn footer(&self, path: &str) -> Result<Bytes> {
        let start = usize::try_from(self.footer_at - self.at).map_err(|e| Error::damaged(path, e))?;
        Ok(self.bytes.slice(start..self.bytes.len() - TRAILER_BYTES))
    }

    /// The bytes of `range`, from the tail if it has them.
    pub(super) async fn read(&self, source: &Source, range: &Range<u64>) -> Result<Bytes> {
        match self.get(range) {
            Some(bytes) => Ok(bytes),
            None => source.range(range.clone()).await,
        }
    }

    /// The bytes of `range`, when they are in memory.
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.at)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.at)?).ok()?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

/// Refuses a footer that points outside the file's data: later code may then add and subtract offsets freely.
fn check_offsets(path: &str, metadata: &ParquetMetaData, footer_at: u64) -> Result<()> {
    let inside = |start: i64, length: i64| {
        let (start, length) = (u64::try_from(start).ok()?, u64::try_from(length).ok()?);
        start.checked_add(length).filter(|end| *end <= footer_at)
    };
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        rows = rows.saturating_add(group.num_rows());
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let index = (column.column_index_offset(), column.column_index_length());
            let offsets = (column.offset_index_offset(), column.offset_index_length());
            let bloom = (column.bloom_filter_offset(), column.bloom_filter_length());
            let named = [index, offsets, bloom]
                .into_iter()
                .filter_map(|(at, len)| Some((at?, i64::from(len.unwrap_or(0)))));
            for (at, length) in named.chain([(start, column.compressed_size())]) {
                if inside(at, length).is_none() {
                    return Err(Error::damaged(
                        path,
                        format!("its footer names {length} bytes at {at}, outside its data"),
                    ));
                }
            }
        }
        if group.num_rows() < 0 {
            return Err(Error::damaged(path, "a row group has a negative number of rows"));
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        let total = metadata.file_metadata().num_rows();
        return Err(Error::damaged(
            path,
            format!("its row groups hold {rows} rows, its footer says {total}"),
        ));
    }
    Ok(())
}

/// Checks the checksums of a file of ours, and adds the page index to `metadata`.
async fn own_page_index(
    source: &Source,
    len: u64,
    metadata: ParquetMetaData,
    footer: &[u8],
    tail: &Tail,
) -> Result<ParquetMetaData> {
    let path = source.path();
    let value = value_of(metadata.file_metadata(), TAIL_KEY)
        .ok_or_else(|| Error::damaged(path, format!("the metadata key {TAIL_KEY} is missing")))?;
    let checks = TailChecks::parse(value)
        .filter(|checks| checks.matches_footer(footer, value) && checks.tail_offset <= tail.footer_at)
        .ok_or_else(|| Error::damaged(path, "its footer does not match its checksum"))?;
    let range = checks.tail_offset..tail.footer_at;
    if range.is_empty() {
        return Ok(metadata);
    }
    let bytes = tail.read(source, &range).await?;
    if checks.index_hash != xxh3_64(&bytes) {
        return Err(Error::damaged(path, "its page index does not match its checksum"));
    }
    page_index::decode(path, len, metadata, range, bytes)
}

impl Footer {
    /// Finds out which column holds what and what the file says of itself.
    pub(super) fn interpret(self, path: &str) -> Result<ColdFileMetadata> {
        let schema = self.arrow.schema();
        let mapper = SchemaMapper::from_schema(schema).map_err(Error::not_samples(path))?;
        let file = self.arrow.metadata().file_metadata();
        let meta = if self.is_own {
            FileMeta::from_own(path, file, self.len)?
        } else {
            FileMeta::from_foreign(file, time_range_of(self.arrow.metadata(), schema), self.len)
        };
        Ok(ColdFileMetadata { arrow: self.arrow, mapper, meta })
    }

    /// Row groups, columns, encodings and sizes.
    pub(super) fn layout(&self) -> FileLayout {
        FileLayout::new(self.arrow.metadata(), self.arrow.schema(), self.len)
    }
}

/// The Arrow schema, from the one embedded in the file or, where that does not fit, from Parquet's own types.
fn arrow_metadata(path: &str, metadata: &Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata> {
    let embedded = ArrowReaderMetadata::try_new(Arc::clone(metadata), ArrowReaderOptions::new());
    embedded
        .or_else(|_| {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::try_new(Arc::clone(metadata), options)
        })
        .map_err(|e| Error::damaged(path, e))
}
